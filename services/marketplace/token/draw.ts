/**
 * Draws tokens: an account turns a part of its pass's quota of this month into tokens that the market signs unseen. What is drawn is used up here, in the same
 * change; the same blinded tokens again are answered again, and cost nothing more.
 */

import { hash } from "node:crypto";
import { fromHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { ELEMENT_BYTES, monthOf, type ObliviousKey, signObliviousKey, TOKEN_QUOTA_BYTES } from "#contracts/quota";
import { POOL_BYTES } from "#contracts/tranche";
import type { RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { passesOf } from "#marketplace/pass/facts";
import { quotaOf } from "#marketplace/pass/pass";
import { termsOf } from "#marketplace/pass/pools";
import { Burns, counterOf } from "#marketplace/sponsor/burn";
import { isEnded } from "./end.ts";
import type { Answered } from "./oblivious.ts";

/** What drawing and spending needs of a market. */
export type TokenMarket = Pick<Market, "board" | "book" | "clock" | "crypto" | "keys" | "oblivious">;

/** Times that an account may ask in a day: answering takes the market as long as a hundred other questions. */
const DRAWS_MAX = 20;
const DAY_MS = 86_400_000;

/** The market's word on a pool's key of a month, signed: who asks need not say who they are, and everybody is told the same. */
export async function keyOfMonth(
	{ crypto, clock, keys, oblivious }: TokenMarket,
	pool: Uint8Array,
	month: number,
): Promise<ObliviousKey> {
	const key = await oblivious.key({ pool, month });
	return signObliviousKey(crypto, { market: keys.market, pool, month, key }, keys.online(clock.nowMs()));
}

/** Answers blinded tokens of this month, and takes their quota from the account's pass. */
export async function drawTokens(
	market: TokenMarket,
	account: string,
	order: { readonly pool: string; readonly month: number; readonly blinded: Uint8Array },
): Promise<Answered | Problem> {
	const { pool, month, blinded } = order;
	const poolBytes = fromHex(pool, POOL_BYTES);
	if (!poolBytes) throw new RangeError("not a pool's id");
	const refused = await takeDraw(market, account);
	if (refused) return refused;
	// before anything is taken: what is no element is not answered for
	const answered = await market.oblivious.answer({ pool: poolBytes, month }, blinded);
	if (isProblem(answered)) return answered;
	const count = blinded.length / ELEMENT_BYTES;
	const key = `draw:${hash("sha256", `${account} ${pool} ${month} ${Buffer.from(blinded).toString("hex")}`, "hex")}`;
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		if (await market.book.record("tokens", key)) return answered;
		const rows = await decide(market, account, pool, month, count, nowMs);
		if (isProblem(rows)) return rows;
		const drawn: RowChange = {
			table: "tokens",
			expect: 0,
			row: { key, account, state: "drawn", dueMs: nowMs, value: JSON.stringify({ count }) },
		};
		const [outcome] = await market.book.apply([{ rows: [...rows, drawn] }]);
		if (outcome === "applied") return answered;
		if (typeof outcome !== "object") throw new Error("the book answered nothing");
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

async function takeDraw({ board, clock }: TokenMarket, account: string): Promise<Problem | undefined> {
	const nowMs = clock.nowMs();
	const day = Math.floor(nowMs / DAY_MS);
	for (let i = 0; i < DRAWS_MAX; i++)
		if (await board.use(hash("sha256", `draw:${day}:${account}:${i}`, "buffer"), (day + 1) * DAY_MS)) return undefined;
	return problem("too-many", `Tokens can be drawn ${DRAWS_MAX} times a day.`, {
		retryAfterMs: (day + 1) * DAY_MS - nowMs,
	});
}

async function decide(
	market: TokenMarket,
	account: string,
	pool: string,
	month: number,
	count: number,
	nowMs: number,
): Promise<RowChange[] | Problem> {
	if (month !== monthOf(nowMs)) return problem("conflict", "Tokens are drawn for the month that it is (UTC).");
	if (await isEnded(market, pool, month)) return endedMonth();
	const terms = await termsOf(market, pool);
	const pass = (await passesOf(market, account, nowMs)).find((one) => one.pool === pool);
	if (!pass || pass.from === "token" || !terms)
		return problem("not-found", "You have no pass of this pool to draw from.");
	if (!terms.isOpen) return problem("conflict", "The pool has ended, or is about to; nothing more is drawn from it.");
	const quota = quotaOf(pass, nowMs);
	const most = terms.monthBytes !== undefined && terms.monthBytes < quota ? terms.monthBytes : quota;
	const used = counterOf.pass(pool, String(month), account);
	const burns = await Burns.read(market.book, [used]);
	const left = most - burns.of(used, "bytes");
	if (BigInt(count) * TOKEN_QUOTA_BYTES > left) {
		const whole = left > 0n ? left / TOKEN_QUOTA_BYTES : 0n;
		return problem("conflict", `Your pass has quota for ${whole} more tokens this month; it is there anew on the 1st.`);
	}
	// counted where tabs are: whichever comes first of a tab and a draw, the other is decided anew
	burns.add(used, "bytes", BigInt(count) * TOKEN_QUOTA_BYTES, { account });
	return burns.changes(nowMs);
}

/** What is said of tokens whose key was ended. */
export function endedMonth(): Problem {
	return problem(
		"conflict",
		"The pool's sponsor ended this month's tokens: they are worth nothing any more. The next month has others.",
	);
}
