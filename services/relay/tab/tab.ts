/**
 * One tab at this relay: its terms, its count, its newest voucher. It belongs to no connection; at most four share it
 * (PROTOCOL.md, "Vouchers"; threats 4, 6 and 7).
 */

import type { Grant } from "#contracts/grant";
import type { Crypto, KeyPair } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type Claim, signUsage, type Usage } from "#contracts/redemption";
import { type Traffic, within } from "#contracts/tariff";
import { advances, NO_TOTALS, type Totals, type Voucher, verifyVoucher } from "#contracts/voucher";
import { passFaultPoint } from "#host/fault";
import type { Till, TillRow } from "#relay/till/till";
import { Meter } from "./meter.ts";

/** What became of a voucher: it is durable, or it changed nothing, or why it was refused. */
export type Credit = { readonly advanced: boolean } | Problem;

/** What a tab needs of its relay. */
export type TabDeps = {
	readonly crypto: Crypto;
	readonly till: Till;
	readonly relay: KeyPair;
	readonly trust: TabTrust;
};

/** How far tabs are believed before the market has confirmed them (market/trust.ts). */
export type TabTrust = {
	/** Before a voucher counts: undefined when it may, why not, or the market's answer to wait for. */
	credit(tab: Tab, nanos: bigint): Problem | Promise<Problem | undefined> | undefined;
	/** Counts what a tab may use by now that nobody has confirmed. */
	count(tab: Tab, nanos: bigint): void;
	/** A tab that is no more here counts no more. */
	forget(tab: Tab): void;
};

/** A tab. */
export class Tab {
	readonly id: string;
	readonly grant: Grant;
	readonly meter: Meter;
	/** Connections that use it now. */
	connections = 0;
	/** What the market has confirmed as paid. */
	redeemed: Totals = NO_TOTALS;
	/** Whether the market has paid on it, or said that it granted it. */
	granted: boolean;
	/** When its claim may be posted again after the market refused it. */
	retryAtMs = 0;
	private readonly deps: TabDeps;
	/** The newest durable voucher, and the newest that is on its way to the till. */
	private durable: Voucher | undefined;
	private offered: Voucher | undefined;
	private commit: Promise<Credit> | undefined;
	/** Copies accepted and not yet answered. */
	private pending = 0;
	private quiet: (() => void)[] = [];
	private finishing: Promise<Problem | undefined> | undefined;
	private final = false;

	constructor(id: string, grant: Grant, row: TillRow | undefined, deps: TabDeps) {
		this.id = id;
		this.grant = grant;
		this.deps = deps;
		this.durable = row?.voucher;
		this.redeemed = row?.redeemed ?? NO_TOTALS;
		this.granted = row?.receipt !== undefined;
		if (!this.granted && row?.voucher) deps.trust.count(this, row.voucher.nanos);
		const paid = row?.voucher ?? NO_TOTALS;
		// after a crash nobody knows: what was paid ahead counts as used, at most a step
		const used = row?.used && within(row.used, paid) ? row.used : paid;
		this.meter = new Meter({ bytes: paid.bytes, byteSeconds: paid.byteSeconds }, used);
		this.final = row?.final ?? false;
	}

	/** The newest voucher that counts. */
	get voucher(): Voucher | undefined {
		return this.durable;
	}

	/** Whether the tab takes nothing more. */
	get finished(): boolean {
		return this.final || this.finishing !== undefined;
	}

	/** Whether its count is final, on disk too. */
	get sealed(): boolean {
		return this.final;
	}

	/** Whether a voucher is on its way to the till. */
	get crediting(): boolean {
		return this.commit !== undefined;
	}

	/** Copies accepted and not yet answered. */
	get underWay(): number {
		return this.pending;
	}

	/** Charges a copy if it is covered. */
	charge(bytes: number, ttlS: number): boolean {
		if (!this.meter.charge(bytes, ttlS)) return false;
		this.pending++;
		return true;
	}

	/** Bytes that a row of copies without a TTL may still have. */
	get roomBytes(): number {
		return this.meter.room;
	}

	/** Charges copies without a TTL that {@link roomBytes} covers, and were answered at once. */
	passRow(bytes: number): void {
		if (!this.meter.charge(bytes, 0)) throw new Error("a row was longer than its room");
		this.meter.settle(bytes, 0);
	}

	settle(bytes: number, ttlS: number): void {
		this.meter.settle(bytes, ttlS);
		this.answered();
	}

	refund(bytes: number, ttlS: number): void {
		this.meter.refund(bytes, ttlS);
		this.answered();
	}

	/** The commit to wait for if a copy would be covered by what is on its way to the till. */
	coveredSoon(bytes: number, ttlS: number): Promise<Credit> | undefined {
		if (!this.offered || !this.commit || !this.meter.wouldCover(this.offered, bytes, ttlS)) return undefined;
		this.deps.till.hurry();
		return this.commit;
	}

	/** Takes a voucher: checks it, and puts it on disk before it counts. One that does not advance is a success with no effect. */
	offer(voucher: Voucher): Promise<Credit> | Credit {
		if (this.offered && this.commit && !advances(voucher, this.offered))
			return this.commit.then((credit) => ("problem" in credit ? credit : { advanced: false }));
		if (!advances(voucher, this.offered ?? this.durable ?? NO_TOTALS)) return { advanced: false };
		if (this.finished) return problem("tab-finished");
		const refused = verifyVoucher(this.deps.crypto, this.grant, voucher);
		if (refused) return refused;
		const doubt = this.granted ? undefined : this.deps.trust.credit(this, voucher.nanos);
		if (isProblem(doubt)) return doubt;
		this.offered = voucher;
		this.commit = doubt ? doubt.then((refusal) => this.putUnless(refusal, voucher)) : this.put(voucher);
		return this.commit;
	}

	private putUnless(refusal: Problem | undefined, voucher: Voucher): Promise<Credit> | Credit {
		if (!refusal) return this.put(voucher);
		this.noMoreUnderWay(voucher);
		return refusal;
	}

	private noMoreUnderWay(voucher: Voucher): void {
		if (this.offered !== voucher) return;
		this.offered = undefined;
		this.commit = undefined;
	}

	private async put(voucher: Voucher): Promise<Credit> {
		passFaultPoint("relay:before-till");
		const answer = await this.deps.till.put(this.row(voucher, undefined, false)).catch(() => "disk" as const);
		passFaultPoint("relay:after-till");
		this.noMoreUnderWay(voucher);
		if (answer === "disk") return problem("disk", "The voucher could not be written down, so it does not count.");
		if (advances(voucher, this.durable ?? NO_TOTALS)) {
			this.durable = voucher;
			this.meter.credit(voucher);
		}
		return { advanced: true };
	}

	/** The relay's signed count of what it answered for. */
	usage(final: boolean, nowMs: number): Usage {
		const { crypto, relay } = this.deps;
		return signUsage(crypto, this.grant, this.meter.settled, final, nowMs, relay.secretKey);
	}

	/**
	 * Takes nothing more, waits until everything under way is answered, and signs the final count. That is on disk first: a relay
	 * that starts again neither takes nor claims more.
	 */
	async finish(nowMs: () => number): Promise<Usage | Problem> {
		this.finishing ??= this.seal().finally(() => {
			this.finishing = undefined;
		});
		const refused = this.final ? undefined : await this.finishing;
		return refused ?? this.usage(true, nowMs());
	}

	private async seal(): Promise<Problem | undefined> {
		await this.commit;
		if (this.pending > 0) await new Promise<void>((resolve) => this.quiet.push(resolve));
		const row = this.row(this.durable, this.meter.settled, true);
		if ((await this.deps.till.put(row).catch(() => "disk" as const)) === "disk") return problem("disk");
		this.final = true;
		return undefined;
	}

	/** What to ask the market for; undefined when it has paid everything. Never more than was answered for, nor than the voucher. */
	claim(): Claim | undefined {
		const used = this.meter.settled;
		if (!this.durable || !advances(used, this.redeemed)) return undefined;
		return { tab: this.grant.tab, voucher: this.durable, used };
	}

	/** Whether nobody uses it now and the market has paid all that it came to. */
	get settledUp(): boolean {
		return this.connections === 0 && this.pending === 0 && !this.commit && !this.finishing && !this.claim();
	}

	/** Whether there is nothing left to earn, to wait for or to remember. What is owed is asked for until `lateMs` past the deadline. */
	done(nowMs: number, lateMs: number): boolean {
		if (this.connections > 0 || this.pending > 0 || this.commit) return false;
		if (nowMs >= this.grant.redeemByMs + lateMs) return true;
		// a final count is remembered as long as its grant could open the tab again, whatever it came to
		if (nowMs < this.grant.expiresAtMs) return !this.durable && !this.final;
		return !this.claim();
	}

	/** As the till keeps it when the relay stops in order. */
	stopped(): TillRow {
		return this.row(this.durable, this.meter.settled, this.final);
	}

	private row(voucher: Voucher | undefined, used: Traffic | undefined, final: boolean): TillRow {
		const kept = this.deps.till.rows.get(this.id);
		return {
			tab: this.id,
			grant: this.grant.bytes,
			voucher,
			used,
			redeemed: kept?.redeemed ?? this.redeemed,
			receipt: kept?.receipt,
			expiresAtMs: this.grant.expiresAtMs,
			redeemByMs: this.grant.redeemByMs,
			final,
		};
	}

	private answered(): void {
		this.pending--;
		if (this.pending > 0 || this.quiet.length === 0) return;
		for (const resolve of this.quiet.splice(0)) resolve();
	}
}
