/**
 * Which messages were dealt with, so that what comes twice is shown once (threats 13 and 25). Ids are kept in buckets by the
 * hour of the message's own time; a message older than the oldest bucket can no longer come from an honest relay and is refused.
 */

import { fromHex, join, toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import type { Device } from "./device.ts";

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** The longest TTL, and a week for clocks and retries. */
const KEEP_MS = LIMIT.ttlSMax * 1000 + 7 * DAY_MS;
/** How far in the future a message's time may lie: beyond it the record would never end. */
const AHEAD_MS = 2 * DAY_MS;
const ID_BYTES = 16;

export class Seen {
	private readonly device: Device;
	private readonly ids = new Set<string>();
	private readonly buckets = new Map<number, Uint8Array[]>();
	private readonly changed = new Set<number>();

	private constructor(device: Device) {
		this.device = device;
	}

	/** Reads the record and drops what is past its time. */
	static async open(device: Device): Promise<Seen> {
		const seen = new Seen(device);
		for (const key of await device.storage.list("seen/")) {
			const hour = Number(key.slice("seen/".length));
			if (hour * HOUR_MS < device.nowMs() - KEEP_MS - HOUR_MS) await device.storage.delete(key);
			else seen.load(hour, (await device.storage.get(key)) ?? new Uint8Array(0));
		}
		return seen;
	}

	/** Forgets the hours that are over for good: a client that reads for months must not keep them all. */
	private async forget(): Promise<void> {
		const oldest = Math.floor((this.device.nowMs() - KEEP_MS) / HOUR_MS) - 1;
		for (const [hour, ids] of this.buckets) {
			if (hour >= oldest) continue;
			this.buckets.delete(hour);
			this.changed.delete(hour);
			for (const id of ids) this.ids.delete(toHex(id));
			await this.device.storage.delete(`seen/${hour}`);
		}
	}

	private load(hour: number, bytes: Uint8Array): void {
		const ids: Uint8Array[] = [];
		for (let at = 0; at + ID_BYTES <= bytes.length; at += ID_BYTES) ids.push(bytes.slice(at, at + ID_BYTES));
		this.buckets.set(hour, ids);
		for (const id of ids) this.ids.add(toHex(id));
	}

	has(id: Uint8Array): boolean {
		return this.ids.has(toHex(id));
	}

	/** Whether a message of this time can still be told from a repeat. */
	inTime(atMs: number): boolean {
		const nowMs = this.device.nowMs();
		return atMs > nowMs - KEEP_MS && atMs < nowMs + AHEAD_MS;
	}

	/** Notes an id; it lasts once {@link settle} has resolved. */
	add(id: Uint8Array, atMs: number): void {
		const hex = toHex(id);
		if (this.ids.has(hex)) return;
		this.ids.add(hex);
		const hour = Math.floor(atMs / HOUR_MS);
		const bucket = this.buckets.get(hour) ?? [];
		bucket.push(fromHex(hex) as Uint8Array);
		this.buckets.set(hour, bucket);
		this.changed.add(hour);
	}

	/** Makes what was noted last. What the storage did not take is written the next time. */
	async settle(): Promise<void> {
		if (this.changed.size > 0) await this.forget();
		for (const hour of [...this.changed]) {
			this.changed.delete(hour);
			try {
				await this.device.storage.put(`seen/${hour}`, join(...(this.buckets.get(hour) ?? [])));
			} catch (error) {
				this.changed.add(hour);
				throw error;
			}
		}
	}
}
