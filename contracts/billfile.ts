/** A bill as a file: what the market signed for a payer, with the certificate of the key that did, on one line; checked offline (PROTOCOL.md, "Tab"). */

import { formatDollars } from "./amount.ts";
import { readBill, type SignedBill } from "./bill.ts";
import { fromHex, same, toHex } from "./bytes.ts";
import type { Crypto } from "./identity.ts";
import { MARKET_KEY_BYTES, type MarketKey, readMarketKey } from "./market.ts";
import { isProblem, type Problem, problem } from "./problem.ts";

/** A bill that is what it says, and whether by the market that the reader trusts. */
export type BillVerdict = { readonly bill: SignedBill; readonly key: MarketKey; readonly pinned: boolean };

/** Why a bill proves nothing, and which check says so. */
export type BillProblem = Problem & { readonly check: "form" | "key" | "market" | "bill" };

const FORM = new RegExp(
	`^\\{"farelay":"bill/1","bill":"([0-9a-f]{500,1000})","key":"([0-9a-f]{${MARKET_KEY_BYTES * 2}})"\\}\\n$`,
);

/** Writes the one text of a bill. */
export function writeBillFile(bill: Uint8Array, key: Uint8Array): string {
	return `${JSON.stringify({ farelay: "bill/1", bill: toHex(bill), key: toHex(key) })}\n`;
}

/** Checks a bill's file. `market` is the root key that the reader trusts. Total: any text gives a verdict or a problem. */
export function readBillFile(crypto: Crypto, text: string, market?: Uint8Array): BillVerdict | BillProblem {
	const found = FORM.exec(text);
	const failed = (check: BillProblem["check"], why: Problem): BillProblem => ({ ...why, check });
	if (!found) return failed("form", problem("malformed", "The text is not a bill as it is written."));
	const key = readMarketKey(crypto, fromHex(found[2]) ?? new Uint8Array(0));
	if (isProblem(key)) return failed("key", key);
	if (market && !same(market, key.market))
		return failed("market", problem("grant-unknown-market", "The file is of another market than the one given."));
	const bill = readBill(crypto, fromHex(found[1]) ?? new Uint8Array(0), [key]);
	return isProblem(bill) ? failed("bill", bill) : { bill, key, pinned: market !== undefined };
}

/** A bill in words, line by line. */
export function billLines({ bill: { bill, tab, account, relay, carried, atMs }, key, pinned }: BillVerdict): string[] {
	const parts = bill.parts.filter(({ ask }) => ask > 0n);
	return [
		`Billed by ${new Date(atMs).toISOString()}: ${formatDollars(bill.total)} for ${carried.bytes} bytes, of which the relay's operator has its whole ask of ${formatDollars(bill.ask)}.`,
		`The account paid ${formatDollars(bill.payer)}, the commons ${formatDollars(bill.commons)}, pools ${formatDollars(bill.pools)}.`,
		`Fees: the market's ${formatDollars(bill.marketFee)}, solidarity ${formatDollars(bill.solidarityFee)}.`,
		...parts.map(({ tranche, ask, payer, rest }) => {
			const fund = tranche.pool
				? `pool ${toHex(tranche.pool)}`
				: tranche.fund === "own"
					? "the account's own"
					: "the commons";
			return `- ${fund}: an ask of ${formatDollars(ask)}, the account ${formatDollars(payer)}, the fund ${formatDollars(rest)}.`;
		}),
		`tab ${toHex(tab)}`,
		`account ${toHex(account)}`,
		`relay ${toHex(relay)}`,
		`market ${toHex(key.market)}${pinned ? "" : " (as the file says: name the one that you trust with --market)"}`,
	];
}
