/**
 * What a tab has used, in pure arithmetic (PROTOCOL.md, "Vouchers"). `used` is what was accepted and what coverage is computed
 * on; `settled` is what was answered `kept` or `passed`, and the only thing a relay claims. Always settled <= used <= paid.
 *
 * Totals are u64 and so bigint; the hot path adds and compares plain numbers since the last fold, which never pass 2 ** 53.
 */

import type { Traffic } from "#contracts/tariff";

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
/** Numbers are folded into the bigints well before they lose precision: one copy adds at most 2 ** 38. */
const FOLD_AT = 2 ** 52;

const clamp = (wide: bigint): number => Number(wide > SAFE ? SAFE : wide);

/** The count of one tab. */
export class Meter {
	private paidTotal: Traffic;
	private usedBase: Traffic;
	private settledBase: Traffic;
	private usedBytes = 0;
	private usedByteSeconds = 0;
	private settledBytes = 0;
	private settledByteSeconds = 0;
	private roomBytes = 0;
	private roomByteSeconds = 0;

	/** Starts where a tab stands; after a crash nobody knows what was used, so all that was paid is (`used := paid`). */
	constructor(paid: Traffic, used: Traffic) {
		this.paidTotal = paid;
		this.usedBase = used;
		this.settledBase = used;
		this.fold();
	}

	/** Charges a copy if what was paid covers it; false, and nothing happens, if not. */
	charge(bytes: number, ttlS: number): boolean {
		const byteSeconds = bytes * ttlS;
		if (bytes > this.roomBytes || byteSeconds > this.roomByteSeconds) return false;
		this.roomBytes -= bytes;
		this.roomByteSeconds -= byteSeconds;
		this.usedBytes += bytes;
		this.usedByteSeconds += byteSeconds;
		return true;
	}

	/** Bytes without a TTL that would be covered now. */
	get room(): number {
		return this.roomBytes;
	}

	/** Takes a charge back: the disk refused what had been accepted. */
	refund(bytes: number, ttlS: number): void {
		this.usedBytes -= bytes;
		this.usedByteSeconds -= bytes * ttlS;
		this.fold();
	}

	/** A charged copy was answered `kept` or `passed`. */
	settle(bytes: number, ttlS: number): void {
		this.settledBytes += bytes;
		this.settledByteSeconds += bytes * ttlS;
		if (this.settledByteSeconds > FOLD_AT) this.fold();
	}

	/** A voucher became durable. */
	credit(paid: Traffic): void {
		this.paidTotal = { bytes: paid.bytes, byteSeconds: paid.byteSeconds };
		this.fold();
	}

	/** Whether a copy would be covered by these totals. */
	wouldCover(paid: Traffic, bytes: number, ttlS: number): boolean {
		const used = this.used;
		return (
			used.bytes + BigInt(bytes) <= paid.bytes && used.byteSeconds + BigInt(bytes) * BigInt(ttlS) <= paid.byteSeconds
		);
	}

	/** The newest durable voucher's traffic. */
	get paid(): Traffic {
		return this.paidTotal;
	}

	/** What was accepted. */
	get used(): Traffic {
		return {
			bytes: this.usedBase.bytes + BigInt(this.usedBytes),
			byteSeconds: this.usedBase.byteSeconds + BigInt(this.usedByteSeconds),
		};
	}

	/** What was answered `kept` or `passed`. */
	get settled(): Traffic {
		return {
			bytes: this.settledBase.bytes + BigInt(this.settledBytes),
			byteSeconds: this.settledBase.byteSeconds + BigInt(this.settledByteSeconds),
		};
	}

	private fold(): void {
		this.usedBase = this.used;
		this.settledBase = this.settled;
		this.usedBytes = 0;
		this.usedByteSeconds = 0;
		this.settledBytes = 0;
		this.settledByteSeconds = 0;
		this.roomBytes = clamp(this.paidTotal.bytes - this.usedBase.bytes);
		this.roomByteSeconds = clamp(this.paidTotal.byteSeconds - this.usedBase.byteSeconds);
	}
}
