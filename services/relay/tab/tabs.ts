/** The tabs of a relay: those in its till, and those that are connected (PROTOCOL.md, "Vouchers"). */

import { toHex } from "#contracts/bytes";
import { type Grant, readGrant } from "#contracts/grant";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { price } from "#contracts/tariff";
import type { RelayLimits } from "#relay/limit";
import { Tab, type TabDeps } from "./tab.ts";

/**
 * How long past its grant's deadline a claim is still asked for. The market moves a deadline later by its own absences and is
 * the one to say `redeem-late`; it remembers an absence for 60 days, and none that is longer leaves a market to ask.
 */
const LATE_MS = 60 * 86_400_000;

/** The part of all places from which on tabs give way: the rest is for who comes until the next look. */
const FULL = 0.9;
/** What a relay may lose a day by forgetting what tabs used, in nano-dollars: a thousandth of a dollar, and a million tabs of a nano-dollar. */
const FORGOTTEN_NANOS_MAX = 1_000_000n;

/** What could be used again on a tab that was forgotten: what it used, or all that was signed where a final count is forgotten too. */
function atStake(tab: Tab): bigint {
	return tab.sealed ? (tab.voucher?.nanos ?? 0n) : (price(tab.grant.tariff, tab.meter.settled) ?? 0n);
}

/** All tabs in memory. */
export class Tabs {
	private readonly tabs = new Map<string, Tab>();
	private readonly deps: TabDeps;
	private readonly limits: RelayLimits;
	/** What tabs forgotten for others' sake had used, of the day that it is counted for. */
	private forgottenNanos = 0n;
	private day = 0;

	/** Takes up what the till holds. Rows whose grant does not read are left alone: they earn nothing and harm nobody. */
	constructor(deps: TabDeps, limits: RelayLimits) {
		this.deps = deps;
		this.limits = limits;
		for (const [id, row] of deps.till.rows) {
			const grant = readGrant(row.grant);
			if (!isProblem(grant)) this.tabs.set(id, new Tab(id, grant, row, deps));
		}
	}

	get count(): number {
		return this.tabs.size;
	}

	/** A connection joins a tab by its grant, whose signature was checked. `mayBring` is asked before it brings a new one. */
	join(grant: Grant, mayBring: () => boolean = () => true): Tab | Problem {
		const id = toHex(grant.tab);
		const known = this.tabs.get(id);
		if (known) {
			// a tab has one grant: two under the same number would share one till
			if (toHex(known.grant.bytes) !== toHex(grant.bytes)) return problem("conflict", "The tab has another grant.");
			if (known.connections >= LIMIT.tabConnectionsMax) return problem("tab-busy");
			known.connections++;
			return known;
		}
		if (this.tabs.size >= this.limits.tabsMax) return problem("too-many");
		// a tab keeps its place until its grant ends, whatever it is worth
		if (!mayBring()) return problem("too-many", "Too many tabs came from this address; come back in an hour.");
		const tab = new Tab(id, grant, undefined, this.deps);
		tab.connections = 1;
		this.tabs.set(id, tab);
		return tab;
	}

	/** A connection leaves a tab; one that never paid is forgotten, but not while its first voucher is on its way to the till. */
	leave(tab: Tab): void {
		tab.connections--;
		const unused = tab.connections === 0 && !tab.voucher && !tab.crediting && tab.underWay === 0 && !tab.finished;
		if (unused && this.tabs.get(tab.id) === tab) this.tabs.delete(tab.id);
	}

	get(id: string): Tab | undefined {
		return this.tabs.get(id);
	}

	[Symbol.iterator](): IterableIterator<Tab> {
		return this.tabs.values();
	}

	/** What was earned and not yet paid, in nano-dollars. */
	get unredeemedNanos(): bigint {
		let sum = 0n;
		for (const tab of this.tabs.values())
			sum += (price(tab.grant.tariff, tab.meter.settled) ?? 0n) - tab.redeemed.nanos;
		return sum;
	}

	/** Forgets tabs that are settled, or so long past their deadline that no market pays for them. */
	async forget(nowMs: number): Promise<void> {
		const done = [...this.tabs.values()].filter((tab) => tab.done(nowMs, LATE_MS));
		for (const tab of done) {
			this.tabs.delete(tab.id);
			this.deps.trust.forget(tab);
		}
		const kept = done.filter((tab) => this.deps.till.rows.has(tab.id)).map((tab) => tab.id);
		if (kept.length > 0) await this.deps.till.drop(kept);
	}

	/**
	 * When nearly all places are taken, forgets tabs that nobody uses now and that used least, so that tabs with a nano-dollar on them keep
	 * nobody out. What a forgotten tab used could be used again: that is bounded by {@link FORGOTTEN_NANOS_MAX}. Answers how many went.
	 */
	makeRoom(nowMs: number): number {
		const over = this.tabs.size - Math.floor(this.limits.tabsMax * FULL);
		if (over <= 0) return 0;
		const day = Math.floor(nowMs / 86_400_000);
		if (day !== this.day) this.forgottenNanos = 0n;
		this.day = day;
		const idle = [...this.tabs.values()].filter((tab) => tab.settledUp).map((tab) => ({ tab, nanos: atStake(tab) }));
		idle.sort((a, b) => (a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0));
		const gone: string[] = [];
		for (const { tab, nanos } of idle.slice(0, over)) {
			if (this.forgottenNanos + nanos > FORGOTTEN_NANOS_MAX) break;
			this.forgottenNanos += nanos;
			this.tabs.delete(tab.id);
			this.deps.trust.forget(tab);
			gone.push(tab.id);
		}
		if (gone.length > 0) void this.deps.till.drop(gone.filter((id) => this.deps.till.rows.has(id)));
		return gone.length;
	}

	/** Writes down what was used, so that a relay that stops in order starts where it was. */
	async stop(): Promise<void> {
		const paying = [...this.tabs.values()].filter((tab) => tab.voucher);
		await Promise.all(paying.map((tab) => this.deps.till.put(tab.stopped())));
	}
}
