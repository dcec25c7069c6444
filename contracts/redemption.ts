/**
 * How a relay's till becomes money: claims within vouchers, posted in signed batches, answered one by one with signed
 * receipts; and the relay's own usage statement (PROTOCOL.md, "Redemption").
 */

import { amount, isAmount, parseAmount } from "./amount.ts";
import { fromHex, join, Reader, same, toHex, Writer } from "./bytes.ts";
import type { Terms } from "./grant.ts";
import {
	type Crypto,
	HASH_BYTES,
	hashFor,
	KEY_BYTES,
	KEY_ID_BYTES,
	type KeyPair,
	keyId,
	SIGNATURE_BYTES,
	signFor,
	TAB_BYTES,
	verifyFor,
} from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { type MarketKey, marketKeyOf } from "./market.ts";
import { isProblem, type Problem, problem, problemOfJson } from "./problem.ts";
import { price, type Traffic } from "./tariff.ts";
import { readVoucher, type Totals, VOUCHER_BYTES, type Voucher, writeVoucher } from "./voucher.ts";

/** One line of a batch: a tab's newest voucher and how much of it the relay counted as used. The market pays the claim's price. */
export type Claim = { readonly tab: Uint8Array; readonly voucher: Voucher; readonly used: Traffic };

/** `tab 16 · voucher 88 · used bytes u64 · used byte-seconds u64`. */
export const CLAIM_BYTES = TAB_BYTES + VOUCHER_BYTES + 16;

/** Writes one line of a batch. */
export function writeClaim(claim: Claim): Uint8Array {
	return new Writer(CLAIM_BYTES)
		.put(claim.tab, TAB_BYTES)
		.put(writeVoucher(claim.voucher))
		.u64(claim.used.bytes)
		.u64(claim.used.byteSeconds)
		.finish();
}

/** Reads one line of a batch. */
export function readClaim(bytes: Uint8Array): Claim | Problem {
	const reader = new Reader(bytes);
	const tab = reader.take(TAB_BYTES);
	const voucher = readVoucher(reader.take(VOUCHER_BYTES));
	const used = { bytes: reader.u64(), byteSeconds: reader.u64() };
	if (!reader.done || isProblem(voucher)) return problem("malformed", "The claim's bytes are not a claim.");
	return { tab, voucher, used };
}

/** The body of `POST /v1/redeem`: hex throughout. `signature` is the relay's, over market, relay, time and the claims' hash. */
export type RedeemRequest = {
	readonly market: string;
	readonly relay: string;
	readonly atMs: number;
	readonly claims: readonly string[];
	readonly signature: string;
};

/** The answer, claim by claim in the order asked: what moved and the receipt in hex, or why not. */
export type RedeemAnswer = { readonly results: readonly (RedeemResult | Problem)[] };

/** `moved` is the difference that this batch moved, nano-dollars as a decimal string; "0" when the market had paid it before. */
export type RedeemResult = { readonly moved: string; readonly receipt: string };

function batchBody(
	crypto: Crypto,
	market: Uint8Array,
	relay: Uint8Array,
	atMs: number,
	claims: readonly Uint8Array[],
): Uint8Array {
	return new Writer()
		.put(market, KEY_BYTES)
		.put(relay, KEY_BYTES)
		.u64(atMs)
		.put(hashFor(crypto, "claims", join(...claims)), HASH_BYTES)
		.finish();
}

/** Signs a batch with the relay's key. */
export function signBatch(
	crypto: Crypto,
	market: Uint8Array,
	relay: KeyPair,
	atMs: number,
	claims: readonly Claim[],
): RedeemRequest {
	const lines = claims.map(writeClaim);
	const signature = signFor(crypto, "redeem", batchBody(crypto, market, relay.publicKey, atMs, lines), relay.secretKey);
	return {
		market: toHex(market),
		relay: toHex(relay.publicKey),
		atMs,
		claims: lines.map(toHex),
		signature: toHex(signature),
	};
}

/** A batch whose envelope is sound; each line is a claim or why it is none. */
export type Batch = {
	readonly relay: Uint8Array;
	readonly atMs: number;
	readonly claims: readonly (Claim | Problem)[];
};

/** Reads and checks a batch's envelope: shape, market, age, the relay's signature. One bad line does not spoil the rest. */
export function readBatch(crypto: Crypto, json: unknown, market: Uint8Array, nowMs: number): Batch | Problem {
	const request = json as RedeemRequest;
	if (typeof json !== "object" || json === null || !Array.isArray(request.claims))
		return problem("malformed", "The body is no redemption batch.");
	if (request.claims.length > LIMIT.batchVouchersMax)
		return problem("too-many", `A batch has at most ${LIMIT.batchVouchersMax} vouchers.`);
	const relay = fromHex(request.relay, KEY_BYTES);
	const signature = fromHex(request.signature, SIGNATURE_BYTES);
	const named = fromHex(request.market, KEY_BYTES);
	const lines = request.claims.map((line) => fromHex(line, CLAIM_BYTES));
	if (!relay || !signature || !named || !Number.isSafeInteger(request.atMs) || request.atMs < 0)
		return problem("malformed", "The body is no redemption batch.");
	if (!same(named, market)) return problem("grant-unknown-market", "The batch is for another market.");
	if (Math.abs(nowMs - request.atMs) > LIMIT.requestAgeMsMax) return problem("clock");
	const whole = lines.filter((line) => line !== undefined);
	if (whole.length !== lines.length) return problem("malformed", "A line of the batch is no claim.");
	if (!verifyFor(crypto, "redeem", batchBody(crypto, market, relay, request.atMs, whole), signature, relay))
		return problem("signature-bad", "The relay did not sign this batch.");
	return { relay, atMs: request.atMs, claims: whole.map(readClaim) };
}

/** Reads the market's answer to a batch of `count` claims. */
export function readRedeemAnswer(json: unknown, count: number): RedeemAnswer | Problem {
	const answer = json as RedeemAnswer;
	const unconfirmed = problem("redemption-unconfirmed", "The market's answer is not one.");
	if (typeof json !== "object" || json === null || !Array.isArray(answer.results) || answer.results.length !== count)
		return unconfirmed;
	const results: (RedeemResult | Problem)[] = [];
	for (const result of answer.results) {
		const refusal = problemOfJson(result);
		if (refusal) {
			results.push(refusal);
			continue;
		}
		const { moved, receipt } = (result ?? {}) as RedeemResult;
		if (parseAmount(moved) === undefined || fromHex(receipt, RECEIPT_BYTES) === undefined) return unconfirmed;
		results.push({ moved, receipt });
	}
	return { results };
}

/** What the market says it has paid on a tab so far, all cumulative. Who paid it, and which fees, is the payer's matter (`bill.ts`). */
export type Receipt = {
	readonly market: Uint8Array;
	readonly keyId: Uint8Array;
	readonly tab: Uint8Array;
	readonly relay: Uint8Array;
	readonly operator: Uint8Array;
	/** Traffic paid for and its price: all of it went to the operator. */
	readonly paid: Totals;
	readonly atMs: number;
	readonly bytes: Uint8Array;
};

/** `market 32 · key id 8 · tab 16 · relay 32 · operator 32 · bytes, byte-seconds, nanos, at u64 each · signature 64`. */
export const RECEIPT_BYTES = 32 + 8 + 16 + 32 + 32 + 4 * 8 + 64;

/** Signs a receipt with the market's online key. */
export function signReceipt(crypto: Crypto, receipt: Omit<Receipt, "bytes" | "keyId">, online: KeyPair): Receipt {
	const id = keyId(crypto, online.publicKey);
	const body = new Writer(RECEIPT_BYTES)
		.put(receipt.market, KEY_BYTES)
		.put(id, KEY_ID_BYTES)
		.put(receipt.tab, TAB_BYTES)
		.put(receipt.relay, KEY_BYTES)
		.put(receipt.operator, KEY_BYTES)
		.u64(receipt.paid.bytes)
		.u64(receipt.paid.byteSeconds)
		.u64(receipt.paid.nanos)
		.u64(receipt.atMs)
		.finish();
	return { ...receipt, keyId: id, bytes: join(body, signFor(crypto, "receipt", body, online.secretKey)) };
}

/** Reads a receipt and checks that one of the market's keys signed it. */
export function readReceipt(crypto: Crypto, bytes: Uint8Array, keys: readonly MarketKey[]): Receipt | Problem {
	const reader = new Reader(bytes);
	const market = reader.take(KEY_BYTES);
	const id = reader.take(KEY_ID_BYTES);
	const tab = reader.take(TAB_BYTES);
	const relay = reader.take(KEY_BYTES);
	const operator = reader.take(KEY_BYTES);
	const traffic = { bytes: reader.u64(), byteSeconds: reader.u64() };
	const nanos = reader.u64();
	const atMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || !isAmount(nanos)) return problem("malformed", "The receipt's bytes are not a receipt.");
	const key = marketKeyOf(crypto, keys, id, atMs);
	if (!key || !same(key.market, market))
		return problem("grant-unknown-market", "The receipt names a key that is not the market's.");
	if (!verifyFor(crypto, "receipt", bytes.subarray(0, RECEIPT_BYTES - SIGNATURE_BYTES), signature, key.key))
		return problem("signature-bad", "The market did not sign this receipt.");
	return { market, keyId: id, tab, relay, operator, paid: { ...traffic, nanos }, atMs, bytes: bytes.slice() };
}

/** A relay's own count of a tab, signed: the other half of a dispute file. `final` says that it takes no more on this tab. */
export type Usage = {
	readonly tab: Uint8Array;
	readonly used: Totals;
	readonly final: boolean;
	readonly atMs: number;
	readonly bytes: Uint8Array;
};

/** `tab 16 · bytes, byte-seconds, nanos u64 · final u8 · at u64 · signature 64`; market and relay are signed but not sent. */
export const USAGE_BYTES = TAB_BYTES + 24 + 1 + 8 + SIGNATURE_BYTES;

function usageBody(terms: Pick<Terms, "market" | "relay">, sent: Uint8Array): Uint8Array {
	return join(terms.market, terms.relay, sent);
}

/** Signs a usage statement with the relay's key. Traffic beyond the cap's price is a bug. */
export function signUsage(
	crypto: Crypto,
	terms: Terms,
	used: Traffic,
	final: boolean,
	atMs: number,
	relaySecretKey: Uint8Array,
): Usage {
	const nanos = price(terms.tariff, used);
	if (nanos === undefined || nanos > terms.cap) throw new RangeError("more was used than the tab allows");
	const sent = new Writer(USAGE_BYTES)
		.put(terms.tab, TAB_BYTES)
		.u64(used.bytes)
		.u64(used.byteSeconds)
		.u64(nanos)
		.u8(final ? 1 : 0)
		.u64(atMs)
		.finish();
	const signature = signFor(crypto, "usage", usageBody(terms, sent), relaySecretKey);
	return { tab: terms.tab, used: { ...used, nanos }, final, atMs, bytes: join(sent, signature) };
}

/** Reads a usage statement and checks it against its tab's terms: tab, price, cap and the relay's signature. */
export function readUsage(crypto: Crypto, bytes: Uint8Array, terms: Terms): Usage | Problem {
	const reader = new Reader(bytes);
	const tab = reader.take(TAB_BYTES);
	const traffic = { bytes: reader.u64(), byteSeconds: reader.u64() };
	const nanos = reader.u64();
	const final = reader.u8();
	const atMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || final > 1 || !isAmount(nanos))
		return problem("malformed", "The usage statement's bytes are not one.");
	if (!same(tab, terms.tab)) return problem("conflict", "The usage statement is for another tab.");
	if (price(terms.tariff, traffic) !== nanos || nanos > terms.cap)
		return problem("voucher-price", "The usage statement's money is not the price of its bytes.");
	if (
		!verifyFor(
			crypto,
			"usage",
			usageBody(terms, bytes.subarray(0, USAGE_BYTES - SIGNATURE_BYTES)),
			signature,
			terms.relay,
		)
	)
		return problem("signature-bad", "The relay did not sign this usage statement.");
	return { tab, used: { ...traffic, nanos: amount(nanos) }, final: final === 1, atMs, bytes: bytes.slice() };
}
