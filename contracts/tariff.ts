/**
 * What carrying costs: pure arithmetic over cumulative totals, rounded up once (PROTOCOL.md, "Price").
 */

import { type Amount, amount, isAmount } from "./amount.ts";
import { LIMIT } from "./limit.ts";

/** A relay's asking prices in nano-dollars. Receiving is free. */
export type Tariff = {
	/** For every 1,000,000 bytes of payload sent, in and out together. */
	readonly sendPerMb: Amount;
	/** For every 1,000,000 bytes kept for a day of TTL. */
	readonly storePerMbDay: Amount;
};

/** What a tab carried: payload bytes of accepted copies, and bytes x TTL in seconds. Both cumulative, both u64. */
export type Traffic = { readonly bytes: bigint; readonly byteSeconds: bigint };

/** Nothing carried. */
export const NO_TRAFFIC: Traffic = { bytes: 0n, byteSeconds: 0n };

const BYTES_PER_MB = 1_000_000n;
const SECONDS_PER_DAY = 86_400n;
const U64 = 1n << 64n;

/** Whether both prices are within what a listing may ask. */
export function isTariff(tariff: Tariff): boolean {
	return tariff.sendPerMb <= LIMIT.priceNanosMax && tariff.storePerMbDay <= LIMIT.priceNanosMax;
}

/**
 * The price of cumulative traffic: `bytes x sendPerMb + byteSeconds x storePerMbDay`, rounded up once on the total.
 * Undefined when the traffic is no u64 or the price no amount.
 */
export function price(tariff: Tariff, traffic: Traffic): Amount | undefined {
	if (traffic.bytes < 0n || traffic.bytes >= U64 || traffic.byteSeconds < 0n || traffic.byteSeconds >= U64)
		return undefined;
	const scaled = traffic.bytes * tariff.sendPerMb * SECONDS_PER_DAY + traffic.byteSeconds * tariff.storePerMbDay;
	const scale = BYTES_PER_MB * SECONDS_PER_DAY;
	const nanos = (scaled + scale - 1n) / scale;
	return isAmount(nanos) ? amount(nanos) : undefined;
}

/** The traffic of `copies` of a payload kept for `ttlS` seconds. */
export function traffic(payloadBytes: number, ttlS: number, copies = 1): Traffic {
	const bytes = BigInt(payloadBytes) * BigInt(copies);
	return { bytes, byteSeconds: bytes * BigInt(ttlS) };
}

/** The sum of two. */
export function plus(a: Traffic, b: Traffic): Traffic {
	return { bytes: a.bytes + b.bytes, byteSeconds: a.byteSeconds + b.byteSeconds };
}

/** Whether `part` lies within `whole`, component by component: the one test of "covered" and of "not more than". */
export function within(part: Traffic, whole: Traffic): boolean {
	return part.bytes <= whole.bytes && part.byteSeconds <= whole.byteSeconds;
}
