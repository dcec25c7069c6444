/** What comes in and goes out over tRPC: hex for bytes, decimal text for money, both through the contracts' one door. */

import { z } from "zod";
import { type Amount, amount, formatAmount, parseAmount } from "#contracts/amount";
import type { SignedBill } from "#contracts/bill";
import { fromHex, toHex } from "#contracts/bytes";
import { isTariff } from "#contracts/tariff";
import { POOL_BYTES, TRANCHES_MAX, type Tranche } from "#contracts/tranche";
import { reservedOf, type Tab } from "#marketplace/tab/tab";

/** Lower-case hex of so many bytes, as bytes. */
export function hex(length: number) {
	return z.string().transform((text, context) => {
		const bytes = fromHex(text, length);
		if (bytes) return bytes;
		context.addIssue({ code: "custom", message: `must be ${length} bytes in lower-case hex` });
		return z.NEVER;
	});
}

/** Nano-dollars as a decimal string. */
export const money = z.string().transform((text, context): Amount => {
	const nanos = parseAmount(text);
	if (nanos !== undefined) return nanos;
	context.addIssue({ code: "custom", message: "must be nano-dollars as a decimal string" });
	return z.NEVER;
});

/** A relay's asking prices. */
export const tariff = z
	.strictObject({ sendPerMb: money, storePerMbDay: money })
	.refine(isTariff, "asks more than any market shows");

/** The two fees, in parts per million. */
export const fees = z.strictObject({
	marketPpm: z.int().min(0).max(1_000_000),
	solidarityPpm: z.int().min(0).max(1_000_000),
});

/** Who pays for which part of a cap; whether they are ones that a tab may have is asked with the order. */
export const tranches = z
	.array(
		z
			.strictObject({
				fund: z.enum(["own", "commons", "pool"]),
				pool: hex(POOL_BYTES).optional(),
				cap: money,
				payerPpm: z.int().min(0).max(1_000_000),
			})
			// without a pool rather than with none: both would be read alike
			.transform(({ pool, ...rest }): Tranche => (pool ? { ...rest, pool } : rest)),
	)
	.min(1)
	.max(TRANCHES_MAX);

/** Tranches as JSON has them. */
export function showTranches(all: readonly Tranche[]) {
	return all.map(({ fund, pool, cap, payerPpm }) => ({
		fund,
		...(pool && { pool: toHex(pool) }),
		cap: formatAmount(cap),
		payerPpm,
	}));
}

/** Entries on one page. */
export const pageLimit = z.int().min(1).max(200).default(50);

/** A page of what has an id of 32 hex digits: a tab, a payout. */
export const idPage = z.strictObject({
	after: z
		.string()
		.regex(/^[0-9a-f]{32}$/)
		.optional(),
	limit: pageLimit,
});

/** A tab as its account sees it: keys, ids and signed bytes in hex, money and byte counts as decimal strings, times in Unix milliseconds. */
export function showTab(tab: Tab, redeemByMs: number, bill: SignedBill) {
	const { grant, paid } = tab;
	const { ask, marketFee, solidarityFee, payer, commons, pools } = bill.bill;
	const reserved = reservedOf(tab);
	return {
		tab: tab.tab,
		state: tab.state,
		relay: tab.relay,
		operator: tab.operator,
		session: toHex(grant.session),
		cap: formatAmount(grant.cap),
		tariff: {
			sendPerMb: formatAmount(grant.tariff.sendPerMb),
			storePerMbDay: formatAmount(grant.tariff.storePerMbDay),
		},
		fees: tab.fees,
		issuedAtMs: grant.issuedAtMs,
		expiresAtMs: grant.expiresAtMs,
		/** until when the relay may redeem: the grant's own deadline, later by what the market was away */
		redeemByMs,
		grant: toHex(grant.bytes),
		/** who pays for which part of the cap */
		tranches: showTranches(tab.tranches),
		/** what `open` took from the balance: the account's part of the bill of the cap */
		reserved: formatAmount(reserved.payer),
		/** still reserved of it now */
		held: formatAmount(amount(tab.state === "closed" ? 0n : reserved.payer - payer)),
		/** redeemed so far, cumulative */
		paid: {
			bytes: paid.bytes.toString(),
			byteSeconds: paid.byteSeconds.toString(),
			nanos: formatAmount(ask),
			marketFee: formatAmount(marketFee),
			solidarityFee: formatAmount(solidarityFee),
			/** who paid it: the account, the commons, pools */
			payer: formatAmount(payer),
			commons: formatAmount(commons),
			pools: formatAmount(pools),
		},
		/** what went back, once closed */
		returned: tab.returned === undefined ? null : formatAmount(tab.returned),
		receipt: tab.receipt ?? null,
		/** the same signed by the market, for the account alone: a relay's receipt says nothing of who paid */
		bill: toHex(bill.bytes),
	};
}
