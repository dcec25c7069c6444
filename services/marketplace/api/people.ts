/** What people's clients ask: balance and statement, tabs. Every answer's money is decimal strings of nano-dollars. */

import { z } from "zod";
import { amount, formatAmount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { linkJson } from "#contracts/chain";
import { KEY_BYTES, SIGNATURE_BYTES, TAB_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { problem } from "#contracts/problem";
import { USAGE_BYTES } from "#contracts/redemption";
import { statementJson } from "#contracts/statement";
import { writeLeafProof } from "#contracts/sumtree";
import { POOL_BYTES } from "#contracts/tranche";
import { VOUCHER_BYTES } from "#contracts/voucher";
import { freshAccount, owedAccount, payerAccount } from "#marketplace/ledger/chart";
import { type Market, signers } from "#marketplace/market";
import { poolsOf } from "#marketplace/pool/pools";
import { quoteOf } from "#marketplace/sponsor/sponsor";
import { linesOf } from "#marketplace/statement";
import { billToSign, readTab, type Tab } from "#marketplace/tab/tab";
import { closeTab, liveTabsOf, openTab, redeemByMs } from "#marketplace/tab/tabs";
import { fees, hex, idPage, money, pageLimit, showTab, showTranches, tariff, tranches } from "./input.ts";
import { accept, refusal, router, signed } from "./trpc.ts";

/** A tab with its bill as it is now, signed for its account. */
function show(market: Market, tab: Tab) {
	const bill = signers(market).bill(billToSign(tab, market.clock.nowMs()));
	return showTab(tab, redeemByMs(market, tab), bill);
}

const page = z.strictObject({ after: z.int().min(0).default(0), limit: pageLimit }).prefault({});

export const account = router({
	/** What can be spent now, what of it is by a card whose payment can still be taken back, and what the account owes since one was. */
	balance: signed.query(async ({ ctx }) => {
		const accounts = [payerAccount(ctx.account), freshAccount(ctx.account), owedAccount(ctx.account)];
		const [cleared = 0n, fresh = 0n, owed = 0n] = await ctx.market.book.balances(accounts);
		return {
			balance: formatAmount(amount(cleared + fresh)),
			fresh: formatAmount(amount(fresh)),
			owed: formatAmount(amount(-owed)),
		};
	}),

	/** Lines of money, oldest first; `next` is the `after` of the next page, null at the end. */
	statement: signed.input(page).query(async ({ ctx, input }) => {
		const lines = accept(await linesOf(ctx.market.book, ctx.account, input.after, input.limit));
		// transfers that touch several purses make more lines than were asked for; fewer than asked for are the last
		return {
			lines: lines.map(statementJson),
			next: lines.length < input.limit ? null : (lines.at(-1)?.position ?? null),
		};
	}),

	/** The newest commitment, and the account's own balances in it: its purses and its tabs that are not closed. What is not there is nothing. */
	proof: signed.query(async ({ ctx }) => {
		const live = await liveTabsOf(ctx.market, ctx.account);
		const own = (await poolsOf(ctx.market, ctx.account)).filter(({ state }) => state !== "ended");
		const pools = own.flatMap(({ pool }) => fromHex(pool, POOL_BYTES) ?? []);
		const asked = { account: keyOf(ctx.account), tabs: live.map(({ grant }) => grant.tab), pools };
		const { link, proofs } = accept(await ctx.market.proofs.prove(asked));
		return { ...linkJson(link), proofs: proofs.map((proof) => toHex(writeLeafProof(proof))) };
	}),
});

const openInput = z.strictObject({
	tab: hex(TAB_BYTES),
	session: hex(KEY_BYTES),
	relay: hex(KEY_BYTES),
	cap: money,
	tariff,
	fees,
	tranches,
	lifeMs: z.int(),
	signature: hex(SIGNATURE_BYTES),
});

const quoteInput = z.strictObject({ relay: hex(KEY_BYTES), cap: money, tariff });

const closeInput = z.strictObject({
	tab: hex(TAB_BYTES),
	signature: hex(SIGNATURE_BYTES),
	/** the relay's final usage statement, and the voucher for exactly its totals (left out when they are nothing) */
	final: z.strictObject({ usage: hex(USAGE_BYTES), voucher: hex(VOUCHER_BYTES).optional() }).optional(),
});

/** `live`: only tabs that are not closed, all of them, whatever the limit. */
const tabsPage = idPage.extend({ live: z.boolean().default(false) }).prefault({});

export const tab = router({
	/** Who would pay for a tab of this cap now: the tranches to sign, and why; nothing is reserved. A lower cap has the first part of the same. */
	quote: signed.input(quoteInput).query(async ({ ctx, input }) => {
		const { market, account: caller } = ctx;
		const nowMs = market.clock.nowMs();
		const [offer] = await market.listings.of(input.relay, nowMs);
		if (!offer) throw refusal(problem("not-found", "The relay is not listed here now."));
		const planned = await quoteOf(market, caller, offer, input, nowMs);
		return {
			tranches: showTranches(planned.tranches),
			lifeMsMax: planned.uses.length > 0 ? LIMIT.fundGrantMsMax : LIMIT.grantMsMax,
			reasons: planned.reasons,
		};
	}),

	/** Reserves the bill of the cap and signs the grant; the same order again answers the same tab. */
	open: signed.input(openInput).mutation(async ({ ctx, input }) => {
		const { signature, ...terms } = input;
		const order = { ...terms, market: ctx.market.keys.market, account: keyOf(ctx.account) };
		return show(ctx.market, accept(await openTab(ctx.market, order, signature)));
	}),

	/** Ends a tab: at once with the relay's final word, otherwise at its deadline. */
	close: signed.input(closeInput).mutation(async ({ ctx, input }) => {
		const order = { ...input, account: keyOf(ctx.account) };
		return show(ctx.market, accept(await closeTab(ctx.market, order, ctx.account)));
	}),

	/** The account's tabs by id; `next` is the `after` of the next page, null at the end. */
	list: signed.input(tabsPage).query(async ({ ctx, input }) => {
		const { after, limit, live } = input;
		if (live)
			return { tabs: (await liveTabsOf(ctx.market, ctx.account)).map((row) => show(ctx.market, row)), next: null };
		const rows = await ctx.market.book.tabs({ by: "account", of: ctx.account, limit, ...(after && { after }) });
		return {
			tabs: rows.map((row) => show(ctx.market, readTab(row))),
			next: rows.length < limit ? null : (rows.at(-1)?.tab ?? null),
		};
	}),
});

function keyOf(account: string): Uint8Array {
	const key = fromHex(account, KEY_BYTES);
	if (!key) throw new Error("a caller is no key");
	return key;
}
