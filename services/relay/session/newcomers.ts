/**
 * How many mailboxes, and how many tabs, an address may make: each has a place here for days or months and costs its maker next to
 * nothing, so that without a bound one machine could take all of them in minutes (threats 11 and 12).
 */

import { networkOf } from "#host/address";
import { isLoopback } from "#host/loopback";

const HOUR_MS = 3_600_000;

/** Addresses that are counted; with more of them in an hour everybody begins anew, rather than nobody comes in. */
const ADDRESSES_MAX = 100_000;

/** What was made in this hour, by address. Whoever comes from this machine is not counted: a proxy in front speaks for everybody. */
export class Newcomers {
	private readonly made = new Map<string, number>();
	private sinceMs = 0;
	private readonly perHourMax: number;
	private readonly elapsedMs: () => number;

	constructor(perHourMax: number, elapsedMs: () => number) {
		this.perHourMax = perHourMax;
		this.elapsedMs = elapsedMs;
	}

	/** Counts a new one; false when its address has made all that it may. */
	take(address: string): boolean {
		const from = networkOf(address);
		if (isLoopback(from)) return true;
		const nowMs = this.elapsedMs();
		if (nowMs - this.sinceMs >= HOUR_MS || this.made.size >= ADDRESSES_MAX) {
			this.made.clear();
			this.sinceMs = nowMs;
		}
		const made = this.made.get(from) ?? 0;
		if (made >= this.perHourMax) return false;
		this.made.set(from, made + 1);
		return true;
	}
}
