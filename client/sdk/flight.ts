/** What a sender has to send and what is under way, by their numbers; and which of them go together as one fan (PROTOCOL.md, "Sending"). */

import { LIMIT } from "#contracts/limit";
import { has, type Range } from "#contracts/ranges";
import { type Traffic, traffic } from "#contracts/tariff";
import type { Device } from "./device.ts";
import type { Answer, Entry, Parcel } from "./parcel.ts";

/** Entries of one tag, from their number to their answer. */
export class Flight {
	/** Not sent yet, or to be sent again; by number. */
	queue: Entry[] = [];
	/** Sent and not answered. */
	readonly flying = new Map<number, Entry>();
	private drained: (() => void)[] = [];
	/** Answers so far: whether a relay still answers is seen by it. */
	private answers = 0;

	/** Whether nothing waits for an answer. */
	get idle(): boolean {
		return this.queue.length === 0 && this.flying.size === 0;
	}

	/** Adds a parcel; resolves with its answer. */
	add(parcel: Parcel, seq: number): Promise<Answer> {
		const { promise, resolve: settle } = Promise.withResolvers<Answer>();
		this.queue.push({ ...parcel, seq, copy: traffic(parcel.payload.length, parcel.ttlS), counted: false, settle });
		return promise;
	}

	/** Resolves when everything is answered or given up, or when nothing was answered for so long. */
	async drain(device: Pick<Device, "after">, silentMs: number): Promise<void> {
		const drained = new Promise<void>((resolve) => this.drained.push(resolve));
		for (let before = -1; !this.idle && before !== this.answers; ) {
			before = this.answers;
			const silence = Promise.withResolvers<void>();
			const cancel = device.after(silentMs, silence.resolve);
			await Promise.race([drained, silence.promise]);
			cancel();
		}
	}

	/** Nothing waits for an answer any more. */
	landed(): void {
		for (const resolve of this.drained.splice(0)) resolve();
	}

	/** What is under way goes back to the head of the queue, with its numbers. */
	takeBack(): void {
		this.back([...this.flying.values()]);
		this.flying.clear();
	}

	/** Takes everything back as if nothing had ever gone out, from the purse's count too; answers how many copies it had counted. */
	anew(purse: { uncount(copy: Traffic): void }): number {
		this.takeBack();
		const counted = this.queue.filter((entry) => entry.counted);
		for (const entry of counted) {
			entry.counted = false;
			purse.uncount(entry.copy);
		}
		return counted.length;
	}

	/** Forgets a payload that nobody waits for any more, and takes the rest back. */
	recall(payload: Uint8Array): void {
		this.takeBack();
		this.queue = this.queue.filter((entry) => entry.payload !== payload);
	}

	/** Entries that are to be sent again. */
	back(entries: readonly Entry[]): void {
		this.queue = [...entries, ...this.queue].sort((a, b) => a.seq - b.seq);
	}

	/** The first so many of the queue have gone out. */
	sent(count: number): void {
		for (const entry of this.queue.splice(0, count)) this.flying.set(entry.seq, entry);
	}

	/** The entries under way that an answer names; anything else that it names was never sent, or answered before. */
	named(ranges: readonly Range[]): Entry[] {
		const found = [...this.flying.values()].filter((entry) => has(ranges, entry.seq));
		this.answers += found.length;
		return found;
	}

	/** The neighbours from a place in the queue on that are copies of one payload: one of them goes as a send, more as a fan. */
	fanAt(at: number): Entry[] {
		const first = this.queue[at] as Entry;
		const fan = [first];
		// what is larger than a slice might not fit a strict relay's message beside its handles
		while (fan.length < LIMIT.fanCopiesMax && first.payload.length <= LIMIT.sliceBytes) {
			const next = this.queue[at + fan.length];
			const alike = next?.payload === first.payload && next.ttlS === first.ttlS && next.counted === first.counted;
			if (!alike || next.seq !== first.seq + fan.length) break;
			fan.push(next);
		}
		return fan;
	}
}
