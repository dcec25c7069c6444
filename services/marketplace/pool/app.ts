/** Takes an app's word for its user: it becomes the account's pass of the app's pool, for as long as the word holds. Bringing it again changes nothing. */

import { readAppPass } from "#contracts/apppass";
import { same, toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Most } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { newPass, PASSES_MAX, type Pass, passOf, writePassRow } from "#marketplace/pass/pass";
import { stateAt } from "./decide.ts";
import { poolOf } from "./pools.ts";

/** How far a developer's clock may be ahead. */
const AHEAD_MS = 60_000;
const ROOM: Most = { states: ["held"], ofAccount: PASSES_MAX };

/** Uses an app's pass for the account that brings it. */
export async function useAppPass(
	market: Pick<Market, "book" | "clock" | "crypto" | "keys">,
	account: string,
	bytes: Uint8Array,
): Promise<Pass | Problem> {
	const said = readAppPass(market.crypto, bytes);
	if (isProblem(said)) return said;
	if (!same(said.market, market.keys.market)) return problem("grant-unknown-market", "The pass is of another market.");
	if (toHex(said.account) !== account) return problem("unauthorized", "The pass is another account's.");
	const id = toHex(said.pool);
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		if (said.issuedAtMs > nowMs + AHEAD_MS) return problem("clock", "The pass is of a time that has not come.");
		if (nowMs >= said.validUntilMs) return problem("grant-expired", "The pass has ended; the app signs another.");
		const pool = await poolOf(market, id);
		if (!pool || stateAt(pool, nowMs) === "ended")
			return problem("not-found", "The app's pool is none here, or has ended.");
		if (pool.rules.app !== toHex(said.app))
			return problem(
				"unauthorized",
				"The pool is not for this app's users: its sponsor names the app's key in its rules.",
			);
		const before = await passOf(market, account, id);
		// a code's or an enroller's pass says more than an app's
		const isOther = before?.state === "held" && before.from !== "app" && before.validUntilMs > nowMs;
		if (before && (isOther || (before.from === "app" && before.validUntilMs >= said.validUntilMs))) return before;
		const next: Pass = {
			...(before ?? newPass(account, id, "app")),
			...{ from: "app", enroller: undefined, code: undefined, tag: undefined, state: "held" },
			...{ validUntilMs: said.validUntilMs, monthBytes: pool.rules.monthBytes },
		};
		const [outcome] = await market.book.apply([{ rows: [{ ...writePassRow(next), ...(!before && { most: ROOM }) }] }]);
		if (outcome === "applied") return { ...next, version: next.version + 1 };
		if (typeof outcome !== "object") throw new Error("the book answered nothing");
		if (outcome.refused === "full") return problem("too-many", `An account holds at most ${PASSES_MAX} passes.`);
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}
