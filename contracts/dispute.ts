/**
 * The dispute file: what two people who disagree about a tab's money can hand to anyone. One canonical JSON text with the
 * grant, the voucher and, as far as there are any, the relay's usage statement and the market's receipt. Every byte of it
 * is signed or fixed, so that with any one changed it no longer verifies (PROTOCOL.md, "Dispute file").
 */

import { type Amount, amount, formatAmount, formatDollars, NOTHING } from "./amount.ts";
import { fromHex, same, toHex } from "./bytes.ts";
import { GRANT_BYTES, type Grant, readGrant, verifyGrant } from "./grant.ts";
import type { Crypto } from "./identity.ts";
import { MARKET_KEY_BYTES, type MarketKey, readMarketKey } from "./market.ts";
import { isProblem, type Problem, problem } from "./problem.ts";
import { RECEIPT_BYTES, type Receipt, readReceipt, readUsage, USAGE_BYTES, type Usage } from "./redemption.ts";
import { price } from "./tariff.ts";
import { readVoucher, VOUCHER_BYTES, type Voucher, verifyVoucher } from "./voucher.ts";

/** What a dispute file is made of, each as it travelled. A receipt comes with the certificate of the key that signed it. */
export type DisputeParts = {
	/** The certificate of the online key that signed the grant. */
	readonly grantKey: Uint8Array;
	readonly grant: Uint8Array;
	readonly voucher: Uint8Array;
	readonly usage?: Uint8Array | undefined;
	readonly receipt?: { readonly bytes: Uint8Array; readonly key: Uint8Array } | undefined;
};

/** The checks, in the order in which they are made. `form` is the text itself: one order, no space, lowercase hex, a newline at its end. */
export type DisputeCheck = "form" | "grant key" | "market" | "grant" | "voucher" | "usage" | "receipt key" | "receipt";

/** Why a dispute file proves nothing, and which check says so. */
export type DisputeProblem = Problem & { readonly check: DisputeCheck };

/** Who owes whom. All amounts are the operator's ask, cumulative over the tab; fees are the payer's and the market's matter. */
export type Verdict = {
	/** The certificate of the grant's key: its `market` is the root. */
	readonly key: MarketKey;
	/** Whether the market's root is the one that the reader trusts, or only the one that the file brought along. */
	readonly pinned: boolean;
	readonly grant: Grant;
	/** What the payer's newest signature in this file permits at most. */
	readonly voucher: Voucher;
	/** What the relay says it carried. */
	readonly usage: Usage | undefined;
	/** What the market says it has paid, and to which operator. */
	readonly receipt: Receipt | undefined;
	/** The certificate of the receipt's key: the market changes its online keys. */
	readonly receiptKey: MarketKey | undefined;
	/** What the tab still owes the relay's operator. */
	readonly owed: Amount;
	/** False where a statement or a receipt is missing: then `owed` is the most that it can be. */
	readonly exact: boolean;
};

/** Every length is fixed, so this answers at once for a text of any length. */
const FORM = new RegExp(
	`^\\{"farelay":"dispute/1","grantKey":"([0-9a-f]{${MARKET_KEY_BYTES * 2}})","grant":"([0-9a-f]{${GRANT_BYTES * 2}})",` +
		`"voucher":"([0-9a-f]{${VOUCHER_BYTES * 2}})","usage":(?:null|"([0-9a-f]{${USAGE_BYTES * 2}})"),` +
		`"receipt":(?:null,"receiptKey":null|"([0-9a-f]{${RECEIPT_BYTES * 2}})","receiptKey":"([0-9a-f]{${MARKET_KEY_BYTES * 2}})")\\}\\n$`,
);

/** Writes the one text of these parts. @throws RangeError for parts of a wrong length: they were not read with their readers. */
export function writeDispute(parts: DisputeParts): string {
	const text = `${JSON.stringify({
		farelay: "dispute/1",
		grantKey: toHex(parts.grantKey),
		grant: toHex(parts.grant),
		voucher: toHex(parts.voucher),
		usage: parts.usage ? toHex(parts.usage) : null,
		receipt: parts.receipt ? toHex(parts.receipt.bytes) : null,
		receiptKey: parts.receipt ? toHex(parts.receipt.key) : null,
	})}\n`;
	if (!FORM.test(text)) throw new RangeError("a part of the dispute file has a wrong length");
	return text;
}

function failed(check: DisputeCheck, why: Problem): DisputeProblem {
	return { ...why, check };
}

/**
 * Checks a dispute file and says who owes whom. `market` is the root key that the reader trusts: without it the file's own
 * keys prove that it is consistent, not that it is true. Total: any text gives a verdict or a problem.
 */
export function readDispute(crypto: Crypto, text: string, market?: Uint8Array): Verdict | DisputeProblem {
	const found = FORM.exec(text);
	if (!found) return failed("form", problem("malformed", "The text is not a dispute file as it is written."));
	const part = (group: number) => fromHex(found[group]) ?? new Uint8Array(0);

	const key = readMarketKey(crypto, part(1));
	if (isProblem(key)) return failed("grant key", key);
	if (market && !same(market, key.market))
		return failed("market", problem("grant-unknown-market", "The file is of another market than the one given."));

	const grant = readGrant(part(2));
	if (isProblem(grant)) return failed("grant", grant);
	const grantBad = verifyGrant(crypto, grant, [key]);
	if (grantBad) return failed("grant", grantBad);

	const voucher = readVoucher(part(3));
	if (isProblem(voucher)) return failed("voucher", voucher);
	const voucherBad = verifyVoucher(crypto, grant, voucher);
	if (voucherBad) return failed("voucher", voucherBad);

	const usage = found[4] === undefined ? undefined : readUsage(crypto, part(4), grant);
	if (isProblem(usage)) return failed("usage", usage);

	let receipt: Receipt | undefined;
	let receiptKey: MarketKey | undefined;
	if (found[5] !== undefined) {
		const certified = readMarketKey(crypto, part(6));
		if (isProblem(certified)) return failed("receipt key", certified);
		const read = readReceipt(crypto, part(5), [certified]);
		if (isProblem(read)) return failed("receipt", read);
		const foreign = foreignReceipt(read, grant);
		if (foreign) return failed("receipt", foreign);
		receipt = read;
		receiptKey = certified;
	}
	return {
		key,
		pinned: market !== undefined,
		grant,
		voucher,
		usage,
		receipt,
		receiptKey,
		...owing(grant, voucher, usage, receipt),
	};
}

/** Why a sound receipt says nothing of this tab. */
function foreignReceipt(receipt: Receipt, grant: Grant): Problem | undefined {
	if (!same(receipt.market, grant.market)) return problem("grant-unknown-market", "The receipt is of another market.");
	if (!same(receipt.tab, grant.tab) || !same(receipt.relay, grant.relay))
		return problem("conflict", "The receipt is for another tab.");
	if (price(grant.tariff, receipt.paid) !== receipt.paid.nanos || receipt.paid.nanos > grant.cap)
		return problem("voucher-price", "The receipt's money is not the price of its bytes.");
	return undefined;
}

/** What a relay may claim: its own count, and never more of either than the voucher permits. */
function claimable(grant: Grant, voucher: Voucher, usage: Usage | undefined): Amount {
	if (!usage) return voucher.nanos;
	const less = (a: bigint, b: bigint) => (a < b ? a : b);
	const bytes = less(usage.used.bytes, voucher.bytes);
	const byteSeconds = less(usage.used.byteSeconds, voucher.byteSeconds);
	return price(grant.tariff, { bytes, byteSeconds }) ?? voucher.nanos;
}

function owing(grant: Grant, voucher: Voucher, usage: Usage | undefined, receipt: Receipt | undefined) {
	const claim = claimable(grant, voucher, usage);
	const paid = receipt?.paid.nanos ?? NOTHING;
	const owed = claim > paid ? amount(claim - paid) : NOTHING;
	return { owed, exact: usage !== undefined && receipt !== undefined };
}

/** Both forms of an amount: dollars for people, nano-dollars for the books. */
function money(nanos: Amount): string {
	return `${formatDollars(nanos)} (${formatAmount(nanos)} nano-dollar${nanos === 1n ? "" : "s"})`;
}

/** A time as people write it; the bare number where the calendar ends. */
function time(ms: number): string {
	return ms <= 8_640_000_000_000_000 ? new Date(ms).toISOString() : `${ms} ms`;
}

/** The verdict in words, line by line, with every key that was used. The first line says who owes whom. */
export function verdictLines(verdict: Verdict): string[] {
	const { key, grant, voucher, usage, receipt, receiptKey, owed, exact } = verdict;
	const operator = receipt ? `operator ${toHex(receipt.operator)}` : "operator of the relay";
	const lines = [
		owed === 0n
			? `Nothing is owed on this tab.`
			: `The tab owes the ${operator} ${exact ? "" : "at most "}${money(owed)}, if claimed by ${time(grant.redeemByMs)}.`,
		`The voucher permits at most ${money(voucher.nanos)}, for ${voucher.bytes} bytes and ${voucher.byteSeconds} byte-seconds, of a cap of ${money(grant.cap)}.`,
	];
	if (usage) {
		const state = usage.final ? "and takes no more" : "so far";
		lines.push(`The relay says it carried ${money(usage.used.nanos)} ${state}, at ${time(usage.atMs)}.`);
		if (usage.used.bytes > voucher.bytes || usage.used.byteSeconds > voucher.byteSeconds)
			lines.push("That is more than the voucher permits; what goes beyond it is not owed.");
	} else lines.push("There is no usage statement: the relay may have carried less than the voucher permits.");
	lines.push(
		receipt
			? `The market has paid ${money(receipt.paid.nanos)}, at ${time(receipt.atMs)}.`
			: "There is no receipt: the market may have paid some or all of it.",
		`market ${toHex(key.market)}`,
		`online key ${toHex(key.key)}`,
		...(receiptKey && !same(receiptKey.key, key.key) ? [`online key of the receipt ${toHex(receiptKey.key)}`] : []),
		`relay ${toHex(grant.relay)}`,
		`session ${toHex(grant.session)}`,
		`tab ${toHex(grant.tab)}`,
	);
	if (!verdict.pinned)
		lines.push(
			"The market's key came with the file: it proves that the file is consistent, not that the market is yours.",
		);
	return lines;
}
