/** What an operator steers, put together: the caps, what is counted against them, and what is closed to new sends because of them. */

import type { Offer } from "#contracts/listing";
import type { Problem, ProblemCode } from "#contracts/problem";
import type { MailStore } from "#relay/mailbox/store";
import type { Caps, CapsBook, Change } from "./caps.ts";
import type { Throttle } from "./throttle.ts";
import type { Traffic } from "./traffic.ts";

const GB = 1_000_000_000;

/** What a kept mail takes of the disk besides its bytes: its row, three indices, and what is left of its last page. */
const MAIL_ROW_BYTES = 512;

/** What is closed to new sends, as plain fields: looked at for each of them. */
export class Gate {
	/** Why nothing new is taken at all. */
	sends: ProblemCode | undefined;
	/** Why nothing is taken that would have to be kept. */
	keeps: ProblemCode | undefined;
}

/** What an operator's desk needs. */
export type OperatorDeps = {
	readonly caps: CapsBook;
	readonly gate: Gate;
	readonly traffic: Traffic;
	readonly throttle: Throttle;
	readonly store: MailStore;
};

/** The part of a listing that changes with the caps and what is left of them. */
export type Left = Pick<
	Offer,
	"bandwidthMbps" | "storageGb" | "trafficCapGb" | "takes" | "storageLeftGb" | "trafficLeftGb"
>;

/** What is closed and left, of a relay or of several workers together. */
type Use = {
	readonly closed: { readonly sends: ProblemCode | null; readonly keeps: ProblemCode | null };
	readonly traffic: { readonly leftBytes: number | null };
	readonly disk: { readonly leftBytes: number | null };
};

/** What a listing says of caps and of what is left of them. A relay that has not said anything yet has all of it. */
export function leftOf({ paused, trafficGbMonth, diskGb, bandwidthMbit }: Caps, use: Use | undefined): Left {
	return {
		bandwidthMbps: bandwidthMbit,
		storageGb: diskGb,
		trafficCapGb: trafficGbMonth,
		takes: !paused && !use?.closed.sends && !use?.closed.keeps,
		storageLeftGb: use ? Math.floor((use.disk.leftBytes ?? 0) / GB) : diskGb,
		trafficLeftGb: use ? Math.floor((use.traffic.leftBytes ?? 0) / GB) : trafficGbMonth,
	};
}

/** Steers a relay. */
export class Operator {
	/** Told when what a listing says changed: the market should hear of it now. */
	onChange: () => void = () => {};
	private readonly deps: OperatorDeps;

	constructor(deps: OperatorDeps) {
		this.deps = deps;
		deps.throttle.set(deps.caps.now.bandwidthMbit);
		this.look();
	}

	get caps(): Caps {
		return this.deps.caps.now;
	}

	/** What kept mail takes of the disk, with what is on its way there. */
	get diskBytes(): number {
		const { kept, pendingBytes } = this.deps.store;
		return kept.bytes + kept.messages * MAIL_ROW_BYTES + pendingBytes;
	}

	/** What is left of the month's traffic, of which what waits will need its part; undefined without a cap. */
	get trafficLeftBytes(): number | undefined {
		const { trafficGbMonth } = this.caps;
		if (trafficGbMonth === 0) return undefined;
		return Math.max(0, trafficGbMonth * GB - this.deps.traffic.usedBytes - this.deps.store.kept.bytes);
	}

	/** What is left of the disk; undefined without a cap. */
	get diskLeftBytes(): number | undefined {
		const { diskGb } = this.caps;
		return diskGb === 0 ? undefined : Math.max(0, diskGb * GB - this.diskBytes);
	}

	/** What a listing says of it. */
	get offer(): Left {
		const { gate } = this.deps;
		return leftOf(this.caps, {
			closed: { sends: gate.sends ?? null, keeps: gate.keeps ?? null },
			traffic: { leftBytes: this.trafficLeftBytes ?? null },
			disk: { leftBytes: this.diskLeftBytes ?? null },
		});
	}

	/** Changes some of the caps, at once. */
	async change(change: Change): Promise<Problem | undefined> {
		const refused = await this.deps.caps.change(change);
		if (refused) return refused;
		if (change.bandwidthMbit !== undefined) this.deps.throttle.set(change.bandwidthMbit);
		this.look();
		this.onChange();
		return undefined;
	}

	/** Counts what passed the sockets since the last round, and looks at the caps. */
	sweep(readBytes: number, wroteBytes: number): void {
		const { traffic, throttle } = this.deps;
		traffic.add(readBytes + wroteBytes);
		traffic.sweep();
		throttle.wrote(wroteBytes - readBytes);
		const { sends, keeps } = this.deps.gate;
		this.look();
		if (sends !== this.deps.gate.sends || keeps !== this.deps.gate.keeps) this.onChange();
	}

	/** Looks at the caps: also each time the disk took something, so that its cap is never passed by more than what was on its way. */
	look(): void {
		const { gate } = this.deps;
		if (this.caps.paused) gate.sends = "relay-paused";
		else gate.sends = this.trafficLeftBytes === 0 ? "relay-full" : undefined;
		gate.keeps = this.diskLeftBytes === 0 ? "relay-full" : undefined;
	}

	/** Writes down what was counted. */
	close(): Promise<void> {
		return this.deps.traffic.close();
	}
}
