/**
 * One tab's purse: the client's own count, and the vouchers that never run further ahead of what was answered than one step
 * (PROTOCOL.md, "Vouchers"). Pure arithmetic; `wallet.ts` opens, keeps and closes the tabs.
 *
 * `served` is what the relay has answered as kept or passed, `used` that plus what is under way. A relay that turns bad at
 * once holds a voucher for at most one step more than it has served.
 */

import type { Grant } from "#contracts/grant";
import type { TabState } from "#contracts/handshake";
import type { Crypto, KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { type Problem, problem } from "#contracts/problem";
import { NO_TRAFFIC, plus, price, type Traffic, traffic, within } from "#contracts/tariff";
import { advances, NO_TOTALS, signVoucher, type Totals, type Voucher, verifyVoucher } from "#contracts/voucher";

/** What a purse remembers between starts. */
export type PurseRecord = {
	readonly used: Traffic;
	readonly voucher: Voucher | undefined;
	/** Traffic that was paid for and never answered: what a relay's crashes and a client's cost. */
	readonly lost: Traffic;
	readonly vouchersSigned: number;
};

/** What a new tab starts with. */
export const EMPTY_PURSE: PurseRecord = { used: NO_TRAFFIC, voucher: undefined, lost: NO_TRAFFIC, vouchersSigned: 0 };

/** `clear` to go, at once or once `voucher` went before it; `wait` for answers first; `full` when the tab's cap is reached. */
export type Cover = { readonly clear: true; readonly voucher?: Voucher } | "wait" | "full";

/** The next voucher is signed when an eighth of the step is left, or two slices where that is less than them. */
const RESERVE_PART = 8n;
const RESERVE_BYTES = 2n * BigInt(LIMIT.sliceBytes);

const dishonest = (detail: string) => problem("relay-dishonest", detail, { spent: "yes" });

export class Purse {
	readonly grant: Grant;
	private readonly crypto: Crypto;
	readonly sessionKey: KeyPair;
	private counted: Traffic;
	private answered: Traffic;
	private signed: Voucher | undefined;
	private gone: Traffic;
	private stepBytes: number = LIMIT.stepBytesFirst;
	private stepBytesMax: number = LIMIT.stepBytesMax;
	private servedAtStep: bigint;
	/** Small steps that the relay took by crashing, less what it has carried since. */
	private unserved = 0n;
	private signatures: number;
	/** What the relay said at its newest welcome. */
	private said: TabState | undefined;

	constructor(crypto: Crypto, grant: Grant, session: KeyPair, record: PurseRecord = EMPTY_PURSE) {
		this.crypto = crypto;
		this.grant = grant;
		this.sessionKey = session;
		this.counted = record.used;
		this.answered = record.used;
		this.signed = record.voucher;
		this.gone = record.lost;
		this.signatures = record.vouchersSigned;
		this.servedAtStep = record.used.bytes;
	}

	/** Who says hello for this tab, and where. */
	get who(): { readonly grant: Uint8Array; readonly key: KeyPair; readonly at: Uint8Array } {
		return { grant: this.grant.bytes, key: this.sessionKey, at: this.grant.tab };
	}

	/** Sent and not refused, as this client counts. */
	get used(): Traffic {
		return this.counted;
	}

	/** Answered as kept or passed. */
	get served(): Traffic {
		return this.answered;
	}

	get voucher(): Voucher | undefined {
		return this.signed;
	}

	get lost(): Traffic {
		return this.gone;
	}

	/** How far ahead of what was served it pays now. */
	get step(): number {
		return this.stepBytes;
	}

	/** How many copies of a payload go out at once at most: as many as one step covers, one if it covers none. */
	width(copy: Traffic): number {
		return Math.max(1, Math.floor(this.stepBytes / Number(copy.bytes)));
	}

	/** Whether the cap leaves room for another frame. */
	get hasRoom(): boolean {
		return this.affords(plus(this.counted, traffic(LIMIT.payloadBytesMax, LIMIT.ttlSDefault)));
	}

	get record(): PurseRecord {
		const { counted: used, signed: voucher, gone: lost, signatures: vouchersSigned } = this;
		return { used, voucher, lost, vouchersSigned };
	}

	/** A stricter relay may ask for smaller steps; never for larger ones. */
	limitStep(bytesMax: number): void {
		this.stepBytesMax = Math.max(LIMIT.payloadBytesMax, Math.min(bytesMax, LIMIT.stepBytesMax));
		this.stepBytes = Math.min(this.stepBytes, this.stepBytesMax);
	}

	/**
	 * Whether a copy may be sent now, and the voucher that has to go before it. Signs the next one when most of the step is
	 * used: early enough that nothing waits for money, and late enough that a voucher is nearly a whole step (each costs its relay
	 * a verification). Never beyond what was served plus one step.
	 */
	cover(copy: Traffic): Cover {
		const after = plus(this.counted, copy);
		const ttlS = copy.bytes === 0n ? 0n : copy.byteSeconds / copy.bytes;
		const step = BigInt(this.stepBytes);
		const limit = plus(this.answered, { bytes: step, byteSeconds: step * ttlS });
		if (!within(after, limit)) return "wait";
		const paid: Traffic = this.signed ?? NO_TOTALS;
		const target = { bytes: max(paid.bytes, limit.bytes), byteSeconds: max(paid.byteSeconds, limit.byteSeconds) };
		const needed = !within(after, paid);
		const half = step / 2n;
		const reserve = max(step / RESERVE_PART, min(half, RESERVE_BYTES));
		const low = paid.bytes - after.bytes < reserve || paid.byteSeconds - after.byteSeconds < reserve * ttlS;
		if (!needed && !low) return { clear: true };
		// Small gains are not worth a signature, unless nothing is under way whose answer could make the gain larger.
		const idle = this.counted.bytes === this.answered.bytes;
		const worthIt = target.bytes - paid.bytes >= half || (needed && idle);
		if (!worthIt) return needed ? "wait" : { clear: true };
		const voucher = this.sign(after, target);
		if (voucher) return { clear: true, voucher };
		return needed ? "full" : { clear: true };
	}

	/** Signs the target, or as far towards it from what is needed as the cap allows. */
	private sign(needed: Traffic, target: Traffic): Voucher | undefined {
		const floor: Traffic = this.signed ?? NO_TOTALS;
		const least = {
			bytes: max(needed.bytes, floor.bytes),
			byteSeconds: max(needed.byteSeconds, floor.byteSeconds),
		};
		for (let part = 1n; part <= 64n; part *= 2n) {
			const total = {
				bytes: least.bytes + (target.bytes - least.bytes) / part,
				byteSeconds: least.byteSeconds + (target.byteSeconds - least.byteSeconds) / part,
			};
			if (this.affords(total) && advances(total, floor)) return this.put(total);
		}
		return this.affords(least) && advances(least, floor) ? this.put(least) : undefined;
	}

	private affords(total: Traffic): boolean {
		const nanos = price(this.grant.tariff, total);
		return nanos !== undefined && nanos <= this.grant.cap;
	}

	private put(total: Traffic): Voucher {
		const voucher = signVoucher(this.crypto, this.grant, total, this.sessionKey.secretKey);
		if ("problem" in voucher) throw new Error("a voucher within the cap was refused");
		this.signed = voucher;
		this.signatures++;
		return voucher;
	}

	/** A copy goes out. */
	count(copy: Traffic): void {
		this.counted = plus(this.counted, copy);
	}

	/** A copy came back refused: not charged. */
	uncount(copy: Traffic): void {
		this.counted = minus(this.counted, copy);
	}

	/** A copy was answered kept or passed; the step doubles each time it has been served once. */
	serve(copy: Traffic): void {
		this.answered = plus(this.answered, copy);
		this.unserved = max(this.unserved - copy.bytes, 0n);
		if (this.answered.bytes - this.servedAtStep < BigInt(this.stepBytes)) return;
		this.servedAtStep = this.answered.bytes;
		this.stepBytes = Math.min(this.stepBytes * 2, this.stepBytesMax);
	}

	/**
	 * Takes over what the relay says at welcome. `fresh`: this process has sent nothing on the tab yet, so its own count may
	 * be behind (state lost) or ahead (sends that never arrived). Never more than was signed: the payer's own signature is
	 * checked, so a relay cannot invent one. Answers the bytes that are lost, or why the relay is not used any more.
	 */
	adopt(state: TabState, fresh: boolean): Traffic | Problem {
		this.said = state;
		if (state.voucher) {
			const refusal = verifyVoucher(this.crypto, this.grant, state.voucher);
			if (refusal) return dishonest("The relay showed a voucher that this account did not sign.");
			if (advances(state.voucher, this.signed ?? NO_TOTALS)) this.signed = state.voucher;
		}
		if (!within(state.used, this.signed ?? NO_TOTALS))
			return dishonest("The relay claims to have carried more than was ever signed for.");
		const underWay = minus(this.counted, this.answered);
		const lost = beyond(state.used, this.counted);
		if (fresh) {
			this.answered = state.used;
			this.counted = state.used;
			this.servedAtStep = state.used.bytes;
		} else if (lost.bytes > 0n || lost.byteSeconds > 0n) {
			this.answered = plus(this.answered, beyond(state.used, this.answered));
			this.counted = plus(this.answered, underWay);
			this.servedAtStep = this.answered.bytes;
		}
		if (lost.bytes > 0n || lost.byteSeconds > 0n) {
			// It has to earn its trust again, so a relay that crashes at will gains one small step each time, served or not; and all
			// of these together are no more than one large step, beyond what it carries in between.
			this.stepBytes = LIMIT.stepBytesFirst;
			if (!fresh) this.unserved += BigInt(LIMIT.stepBytesFirst);
			if (this.unserved > BigInt(LIMIT.stepBytesMax))
				return dishonest("The relay took again and again what was paid ahead, and carried less than that.");
			this.gone = plus(this.gone, lost);
		}
		return lost;
	}

	/**
	 * What is lost of the count that the relay said at its welcome, once nothing is under way any more: whatever that count might have
	 * held was answered since, as taken or as unpaid. The truth may be more; the next welcome says the rest.
	 */
	missed(): Traffic | Problem {
		return this.said ? this.adopt(this.said, false) : NO_TRAFFIC;
	}

	/** The voucher for exactly what a relay's final usage says, if this client's own count agrees. */
	final(usage: Totals): Voucher | Problem {
		if (!within(usage, this.counted))
			return dishonest("The relay's final count is higher than this client's: only its own count is signed.");
		return signVoucher(this.crypto, this.grant, usage, this.sessionKey.secretKey);
	}
}

function max(a: bigint, b: bigint): bigint {
	return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
	return a < b ? a : b;
}

function minus(a: Traffic, b: Traffic): Traffic {
	return { bytes: a.bytes - b.bytes, byteSeconds: a.byteSeconds - b.byteSeconds };
}

/** By how much `a` exceeds `b`, component by component. */
function beyond(a: Traffic, b: Traffic): Traffic {
	return { bytes: max(a.bytes - b.bytes, 0n), byteSeconds: max(a.byteSeconds - b.byteSeconds, 0n) };
}
