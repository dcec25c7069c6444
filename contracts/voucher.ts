/**
 * Vouchers: the session key's signature under a tab's cumulative totals. A later one replaces an earlier one, so losing
 * one loses nothing (PROTOCOL.md, "Voucher"; threats 1 and 2).
 */

import { type Amount, amount, isAmount, NOTHING } from "./amount.ts";
import { Reader, Writer } from "./bytes.ts";
import { CURRENCY, type Terms } from "./grant.ts";
import { type Crypto, KEY_BYTES, SIGNATURE_BYTES, signFor, TAB_BYTES, verifyFor } from "./identity.ts";
import { type Problem, problem } from "./problem.ts";
import { NO_TRAFFIC, price, type Traffic, within } from "./tariff.ts";

/** Cumulative totals of a tab; `nanos` is the price of the other two. */
export type Totals = Traffic & { readonly nanos: Amount };

/** Signed totals. */
export type Voucher = Totals & { readonly signature: Uint8Array };

/** Before the first voucher. */
export const NO_TOTALS: Totals = { ...NO_TRAFFIC, nanos: NOTHING };

/** On the wire: `bytes u64 · byte-seconds u64 · nanos u64 · signature 64`. Market, relay, tab and currency are signed but not sent: both ends know them. */
export const VOUCHER_BYTES = 24 + SIGNATURE_BYTES;

/** What a voucher's signature is over, after its domain: `market 32 · relay 32 · tab 16 · currency 4 · bytes · byte-seconds · nanos`. */
export function voucherBody(terms: Pick<Terms, "market" | "relay" | "tab">, totals: Totals): Uint8Array {
	return new Writer(108)
		.put(terms.market, KEY_BYTES)
		.put(terms.relay, KEY_BYTES)
		.put(terms.tab, TAB_BYTES)
		.put(CURRENCY)
		.u64(totals.bytes)
		.u64(totals.byteSeconds)
		.u64(totals.nanos)
		.finish();
}

/**
 * Signs totals for a tab; the money is computed here, so a client cannot sign another price by mistake.
 * Refuses what would exceed the cap.
 */
export function signVoucher(
	crypto: Crypto,
	terms: Terms,
	total: Traffic,
	sessionSecretKey: Uint8Array,
): Voucher | Problem {
	const nanos = price(terms.tariff, total);
	if (nanos === undefined || nanos > terms.cap) return problem("voucher-over-cap");
	const totals = { bytes: total.bytes, byteSeconds: total.byteSeconds, nanos };
	return { ...totals, signature: signFor(crypto, "voucher", voucherBody(terms, totals), sessionSecretKey) };
}

/** Writes a voucher as the wire has it. */
export function writeVoucher(voucher: Voucher): Uint8Array {
	return new Writer(VOUCHER_BYTES)
		.u64(voucher.bytes)
		.u64(voucher.byteSeconds)
		.u64(voucher.nanos)
		.put(voucher.signature, SIGNATURE_BYTES)
		.finish();
}

/** Reads a voucher's fields; says nothing of its signature. */
export function readVoucher(bytes: Uint8Array): Voucher | Problem {
	const reader = new Reader(bytes);
	const totals = { bytes: reader.u64(), byteSeconds: reader.u64() };
	const nanos = reader.u64();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || !isAmount(nanos)) return problem("malformed", "The voucher's bytes are not a voucher.");
	return { ...totals, nanos: amount(nanos), signature };
}

/**
 * Checks a voucher against its tab's terms: price, cap, signature, in the order of their cost. The one check that relay,
 * market and `farelay verify` all make. Whether it advances is {@link advances}.
 */
export function verifyVoucher(crypto: Crypto, terms: Terms, voucher: Voucher): Problem | undefined {
	if (price(terms.tariff, voucher) !== voucher.nanos) return problem("voucher-price");
	if (voucher.nanos > terms.cap) return problem("voucher-over-cap");
	const body = voucherBody(terms, voucher);
	if (!verifyFor(crypto, "voucher", body, voucher.signature, terms.session))
		return problem("signature-bad", "The tab's session key did not sign this voucher.");
	return undefined;
}

/** Whether totals go beyond earlier ones without taking anything back. One that does not is a success with no effect. */
export function advances(later: Traffic, earlier: Traffic): boolean {
	return within(earlier, later) && !within(later, earlier);
}
