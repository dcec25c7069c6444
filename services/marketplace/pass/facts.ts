/** What a plan is told of an account: its country and how sure that is, its passes that count now. What was used is counted by `sponsor/`. */

import { monthOf } from "#contracts/quota";
import type { Market } from "#marketplace/market";
import type { PassFacts, PersonFacts } from "#marketplace/sponsor/facts";
import { isEnded } from "#marketplace/token/end";
import { codeOf, isTakenBack } from "./code.ts";
import { PASSES_MAX, type Pass, quotaOf, readPassRow } from "./pass.ts";
import { personOf, standingOf } from "./person.ts";

type Reads = Pick<Market, "book">;

/** The account's facts. */
export async function personFactsOf(
	market: Reads,
	account: string,
	frozen: boolean,
	nowMs: number,
): Promise<PersonFacts> {
	const [person, passes] = await Promise.all([personOf(market, account, nowMs), passesOf(market, account, nowMs)]);
	return {
		account,
		sinceMs: person.sinceMs,
		frozen,
		...standingOf(person, nowMs),
		passes: passes.map((pass) => factsOfPass(pass, nowMs)),
		// counted as tabs are opened, by whoever asks (sponsor/)
		commonsUsed: 0n,
		elsewhereUsed: 0n,
		textUsed: 0n,
	};
}

/** The passes that an account holds and that nobody took back. */
export async function passesOf(market: Reads, account: string, nowMs: number): Promise<Pass[]> {
	const rows = await market.book.records({ table: "passes", by: "account", of: account, limit: PASSES_MAX });
	const held = rows.map(readPassRow).filter(({ state, validUntilMs }) => state === "held" && validUntilMs > nowMs);
	const counts = await Promise.all(held.map((pass) => withoutWhatEnded(market, pass, nowMs)));
	return counts.filter((pass) => pass !== undefined);
}

/** The pass without what was taken back of it: its code's quota, or its tokens'. Nothing is left of most. */
async function withoutWhatEnded(market: Reads, pass: Pass, nowMs: number): Promise<Pass | undefined> {
	const { code, tokens } = pass;
	const isBack = code !== undefined && (await isTakenBack(market, await codeOf(market, code)));
	const isOver = tokens?.month === monthOf(nowMs) && (await isEnded(market, pass.pool, tokens.month));
	const left: Pass = {
		...pass,
		...(isBack && { monthBytes: 0n, enroller: undefined, tag: undefined, code: undefined, from: "token" as const }),
		...(isOver && { tokens: undefined }),
	};
	return (isBack || isOver) && quotaOf(left, nowMs) === 0n ? undefined : left;
}

function factsOfPass(pass: Pass, nowMs: number): PassFacts {
	const { pool, from, enroller, validUntilMs } = pass;
	const isVouched = from === "enroller";
	return {
		pool,
		from,
		enroller,
		monthBytes: quotaOf(pass, nowMs),
		usedMonth: 0n,
		usedDay: 0n,
		validUntilMs,
		isVouched,
	};
}
