/** Carries the decisions about tabs out on the book: read, decide, apply; when somebody else was first, read and decide again. */

import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { OpenOrder } from "#contracts/tab";
import type { Change, Refusal } from "#marketplace/ledger/book";
import { freshAccount, owedAccount, payerAccount } from "#marketplace/ledger/chart";
import { ATTEMPTS_MAX, type Market, problemOfRefusal, signers } from "#marketplace/market";
import { extend } from "#marketplace/outage";
import { fundsOf, returnedOf, sponsorOf } from "#marketplace/sponsor/sponsor";
import { type CloseOrder, decideClosing, decideReturn, readFinal, refuseClose } from "./close.ts";
import { decideOpen, isOrderOf, OPEN_TABS_MAX } from "./open.ts";
import { decideRedeem } from "./redeem.ts";
import { readTab, type Tab } from "./tab.ts";

/** A tab by its id in hex. */
export async function tabOf(market: Market, id: string): Promise<Tab | undefined> {
	const row = await market.book.tab(id);
	return row && readTab(row);
}

/** Until when a tab can be redeemed: its grant's deadline and what the market was away since it was opened. */
export function redeemByMs(market: Pick<Market, "outages" | "clock">, tab: Tab): number {
	return extend(tab.grant.redeemByMs, tab.grant.issuedAtMs, market.outages.all(market.clock.nowMs()));
}

/**
 * Refusals that mean that somebody else was first: the rows and balances tell what there is now. What a hold has is decided by its row, so a hold
 * that is short was emptied under a newer one; and a tab is opened only on purses that had enough when they were read.
 */
export function isBeaten(refused: Refusal): boolean {
	return refused === "stale" || refused === "conflict" || refused === "overdraft";
}

/** What became of one change: done (or done before), lost to somebody who was first, or refused for good. */
export async function apply(market: Market, change: Change): Promise<"done" | "again" | Problem> {
	const [outcome] = await market.book.apply([change]);
	if (outcome === undefined) throw new Error("the book answered nothing");
	if (outcome === "applied") return "done";
	// done by somebody else, by a request before this one, or on a row that has moved on: the row tells
	if (outcome === "same" || isBeaten(outcome.refused)) return "again";
	if (outcome.refused === "full")
		return problem("too-many", `An account has at most ${OPEN_TABS_MAX} tabs open at once.`);
	market.health.report("ledger", outcome.refused === "disk" ? "disk" : undefined);
	return problemOfRefusal(outcome.refused, outcome.detail);
}

const beaten = (): Problem => problemOfRefusal("stale", "");

/** Opens a tab, or answers the tab that the same order opened before. */
export async function openTab(market: Market, order: OpenOrder, signature: Uint8Array): Promise<Tab | Problem> {
	return market.turns.take(fundsOf(order.tranches ?? []), () => openInTurn(market, order, signature));
}

async function openInTurn(market: Market, order: OpenOrder, signature: Uint8Array): Promise<Tab | Problem> {
	const id = toHex(order.tab);
	const account = toHex(order.account);
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const before = await tabOf(market, id);
		if (before)
			return isOrderOf(before, order) ? before : problem("conflict", "The tab's id was used for another tab.");
		const nowMs = market.clock.nowMs();
		const [cleared = 0n, fresh = 0n, owed = 0n] = await market.book.balances([
			payerAccount(account),
			freshAccount(account),
			owedAccount(account),
		]);
		const offers = await market.listings.of(order.relay, nowMs);
		const facts = {
			nowMs,
			fees: market.fees,
			offers,
			sponsored: await sponsorOf(market, order, offers[0], nowMs),
			frozen: await market.frozen.has(account),
			purses: { cleared, fresh },
			owed: -owed,
			capMax: market.capMax,
		};
		const decided = decideOpen(market.crypto, order, signature, facts, signers(market).grant);
		if (isProblem(decided)) return decided;
		const applied = await apply(market, decided.change);
		if (applied === "done") {
			market.metrics.opened.inc();
			return decided.tab;
		}
		if (isProblem(applied)) return applied;
	}
	return beaten();
}

/** Closes a tab: at once with the relay's final word, otherwise it waits for its deadline. Doing it again answers the same. */
export async function closeTab(market: Market, order: CloseOrder, caller: string): Promise<Tab | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const tab = await tabOf(market, toHex(order.tab));
		if (!tab) return problem("not-found", "The market knows no such tab.");
		const refused = refuseClose(market.crypto, tab, order, market.keys.market, caller);
		if (refused) return refused;
		const step = stepToEnd(market, tab, order);
		if (step === undefined) return tab;
		if (isProblem(step)) return step;
		const applied = step === "return" ? await endTab(market, tab) : await apply(market, step);
		if (isProblem(applied)) return applied;
	}
	return beaten();
}

/** The next step towards a tab's end; undefined when there is none, or none before its deadline. */
function stepToEnd(market: Market, tab: Tab, order: CloseOrder): Change | "return" | undefined | Problem {
	if (tab.state === "closed") return undefined;
	const nowMs = market.clock.nowMs();
	const deadlineMs = redeemByMs(market, tab);
	if (nowMs >= deadlineMs) return "return";
	if (!order.final) return tab.state === "closing" ? undefined : decideClosing(tab).change;
	const claim = readFinal(market.crypto, tab, order.final);
	if (isProblem(claim)) return claim;
	if (!claim) return "return";
	const redeemed = decideRedeem(tab, claim, nowMs, deadlineMs, signers(market).receipt);
	return isProblem(redeemed) ? redeemed : redeemed.change;
}

/** Returns what is left on a tab to those who paid for it. Whoever calls has made sure that nothing can be redeemed any more. */
export async function endTab(market: Market, tab: Tab): Promise<"done" | "again" | Problem> {
	return market.turns.take(fundsOf(tab.tranches), async () => {
		const nowMs = market.clock.nowMs();
		const counters = await returnedOf(market, tab, nowMs);
		const applied = await apply(market, decideReturn(tab, nowMs, counters).change);
		if (applied === "done") {
			market.metrics.closed.inc();
			market.carried.add(tab);
		}
		return applied;
	});
}

/** An account's tabs that are not closed: at most {@link OPEN_TABS_MAX}, among however many that are. */
export async function liveTabsOf(market: Market, account: string): Promise<Tab[]> {
	const live: Tab[] = [];
	let after: string | undefined;
	for (;;) {
		const page = await market.book.tabs({ by: "account", of: account, limit: 500, ...(after && { after }) });
		for (const row of page) if (row.state !== "closed") live.push(readTab(row));
		after = page.at(-1)?.tab;
		if (!after) return live;
	}
}
