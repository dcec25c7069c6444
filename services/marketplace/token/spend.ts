/**
 * Spends tokens: quota of this month for whichever account brings them, an account of its own, if its owner is careful. A token counts once, in one change with the
 * quota that it adds; the same account bringing it again is told so and gets nothing more.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import {
	monthEndMs,
	monthOf,
	OUTPUT_BYTES,
	type QuotaToken,
	spentMark,
	TOKEN_QUOTA_BYTES,
	TOKENS_MAX,
	tokenInput,
} from "#contracts/quota";
import { POOL_BYTES } from "#contracts/tranche";
import type { RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, problemOfRefusal } from "#marketplace/market";
import { newPass, type Pass, passOf, writePassRow } from "#marketplace/pass/pass";
import { termsOf } from "#marketplace/pass/pools";
import { endedMonth, type TokenMarket } from "./draw.ts";
import { isEnded } from "./end.ts";

/** What somebody brings. */
export type SpendOrder = { readonly pool: string; readonly month: number; readonly tokens: readonly QuotaToken[] };

/** Adds what tokens are good for to an account's pass of their pool. All of them count, or none. */
export async function spendTokens(market: TokenMarket, account: string, order: SpendOrder): Promise<Pass | Problem> {
	const refused = (await refuseOrder(market, order)) ?? (await refuseForged(market, order));
	if (refused) return refused;
	const { pool, month, tokens } = order;
	const poolBytes = poolOf(order);
	const marks = tokens.map(({ nonce }) => `spent:${toHex(spentMark(market.crypto, poolBytes, month, nonce))}`);
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		const before = (await passOf(market, account, pool)) ?? newPass(account, pool, "token");
		const spent = await Promise.all(marks.map((mark) => market.book.record("tokens", mark)));
		if (spent.some((row) => row && row.account !== account))
			return problem("conflict", "One of these tokens was spent by another account already: a token counts once.");
		const fresh = marks.filter((_, i) => !spent[i]);
		if (fresh.length === 0) return before;
		const next = withTokens(before, BigInt(fresh.length) * TOKEN_QUOTA_BYTES, month, nowMs);
		const rows = fresh.map((key): RowChange => {
			return {
				table: "tokens",
				expect: 0,
				row: { key, account, state: "spent", dueMs: monthEndMs(month), value: "{}" },
			};
		});
		const [outcome] = await market.book.apply([{ rows: [writePassRow(next), ...rows] }]);
		if (outcome === "applied") return { ...next, version: next.version + 1 };
		if (typeof outcome !== "object") throw new Error("the book answered nothing");
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

function withTokens(pass: Pass, bytes: bigint, month: number, nowMs: number): Pass {
	const had = pass.tokens?.month === month ? pass.tokens.bytes : 0n;
	const tokens = { month, bytes: had + bytes };
	const isLive = pass.state === "held" && pass.validUntilMs > nowMs;
	if (isLive && pass.from !== "token") return { ...pass, tokens };
	const none = newPass(pass.account, pass.pool, "token");
	return { ...none, version: pass.version, tokens, validUntilMs: monthEndMs(month) };
}

function poolOf({ pool }: SpendOrder): Uint8Array {
	const bytes = fromHex(pool, POOL_BYTES);
	if (!bytes) throw new RangeError("not a pool's id");
	return bytes;
}

async function refuseOrder(market: TokenMarket, { pool, month, tokens }: SpendOrder): Promise<Problem | undefined> {
	if (tokens.length < 1 || tokens.length > TOKENS_MAX)
		return problem("malformed", `1 to ${TOKENS_MAX} tokens are spent at once.`);
	if (new Set(tokens.map(({ nonce }) => toHex(nonce))).size !== tokens.length)
		return problem("malformed", "A token is there twice.");
	const nowMs = market.clock.nowMs();
	if (month !== monthOf(nowMs))
		return problem(
			"conflict",
			"These tokens are of another month: each is good in the one that it was drawn in (UTC).",
		);
	if (await isEnded(market, pool, month)) return endedMonth();
	return (await termsOf(market, pool))?.isOpen ? undefined : problem("conflict", "The pool has ended, or is about to.");
}

/** Each by itself, and none behind a wrong one: looking takes milliseconds. */
async function refuseForged(market: TokenMarket, order: SpendOrder): Promise<Problem | undefined> {
	const purpose = { pool: poolOf(order), month: order.month };
	for (const { nonce, output } of order.tokens) {
		const input = tokenInput(market.keys.market, purpose.pool, purpose.month, nonce);
		if (output.length !== OUTPUT_BYTES || !(await market.oblivious.isOutput(purpose, input, output)))
			return problem(
				"signature-bad",
				"One of these is no token that this market answered for, for this pool and month.",
			);
	}
	return undefined;
}
