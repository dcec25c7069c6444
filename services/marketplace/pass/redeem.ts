/**
 * Uses a code: it becomes the account's pass of its pool, in one change with the code's own count, the person's tag and the country that an enroller vouches for.
 * Asking again by the same code answers the same pass. Every refusal says why and what can be done.
 */

import { fromHex, same, toHex } from "#contracts/bytes";
import { codeHash, readCode } from "#contracts/code";
import { COMMONS_POOL, type EnrollerPass, readPass } from "#contracts/pass";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { monthOf } from "#contracts/quota";
import type { RowChange } from "#marketplace/ledger/book";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { Burns, counterOf } from "#marketplace/sponsor/burn";
import { type Code, codeOf, isTakenBack, writeCodeRow } from "./code.ts";
import { enrollerOf } from "./enroller.ts";
import { countWrong, takeTry } from "./guesses.ts";
import { newPass, PASSES_MAX, type Pass, passOf, writePassRow } from "./pass.ts";
import { personOf, withEvidence, withoutEnroller, writePerson } from "./person.ts";
import { termsOf } from "./pools.ts";
import { type Tag, tagRowOf, writeTagRow } from "./tag.ts";

/** What using codes needs of a market. */
export type PassMarket = Pick<Market, "book" | "board" | "clock" | "crypto" | "keys">;

const DAY_MS = 86_400_000;

/** Uses a code that an account brings, as typed or as the link that it came in. */
export async function redeemCode(market: PassMarket, account: string, typed: string): Promise<Pass | Problem> {
	const code = readCode(market.crypto, typed);
	if (isProblem(code)) return code;
	const refused = await takeTry(market, account, market.clock.nowMs());
	if (refused) return refused;
	const hash = toHex(codeHash(market.crypto, code));
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = market.clock.nowMs();
		const found = await codeOf(market, hash);
		if (!found) {
			await countWrong(market, nowMs);
			return problem("not-found", "There is no such code here. Look at it again, and at which market it is for.");
		}
		const decided = await decide(market, account, found, nowMs);
		if (isProblem(decided)) return decided;
		if (decided.rows.length === 0) return decided.pass;
		const [outcome] = await market.book.apply([{ rows: decided.rows }]);
		if (outcome === "applied") return { ...decided.pass, version: decided.pass.version + 1 };
		if (typeof outcome !== "object") throw new Error("the book answered nothing");
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

type Decided = { readonly pass: Pass; readonly rows: readonly RowChange[] };

async function decide(market: PassMarket, account: string, code: Code, nowMs: number): Promise<Decided | Problem> {
	const before = await passOf(market, account, code.pool);
	const isAgain = before?.state === "held" && before.code === code.hash && before.validUntilMs > nowMs;
	if (isAgain && !(await isTakenBack(market, code))) return { pass: before, rows: [] };
	const unusable =
		(await refuseCode(market, code, nowMs)) ?? (await refuseSecond(market, account, before, code, nowMs));
	if (unusable) return unusable;
	const signed = signedOf(market, code);
	if (isProblem(signed)) return signed;
	const pass: Pass = {
		...(before ?? newPass(account, code.pool, "code")),
		state: "held",
		from: signed ? "enroller" : "code",
		enroller: signed && code.giver,
		code: code.hash,
		tag: signed && toHex(signed.tag),
		monthBytes: code.monthBytes,
		validUntilMs: Math.min(nowMs + code.days * DAY_MS, signed?.validUntilMs ?? Number.MAX_SAFE_INTEGER),
	};
	const used = code.used + 1;
	const codeRow = writeCodeRow({ ...code, used, state: used >= code.uses ? "used" : "open" });
	if (!signed) return { pass, rows: [writePassRow(pass), codeRow] };
	const moved = await moveHere(market, pass, signed, nowMs);
	if (isProblem(moved)) return moved;
	const country = await countryRows(market, account, signed, nowMs);
	return { pass: moved.pass, rows: [writePassRow(moved.pass), codeRow, ...moved.rows, ...country] };
}

/** Why this code brings nobody a pass now. */
async function refuseCode(market: PassMarket, code: Code, nowMs: number): Promise<Problem | undefined> {
	if (await isTakenBack(market, code))
		return problem("conflict", "Whoever gave this code took it back; ask them for another.");
	if (code.state === "used")
		return problem(
			"conflict",
			"This code was used already, by as many as it was for; ask whoever gave it for another.",
		);
	if (code.untilMs <= nowMs) {
		const day = new Date(code.untilMs).toISOString().slice(0, 10);
		return problem("conflict", `This code could be used until ${day}; ask whoever gave it for another.`);
	}
	const terms = await termsOf(market, code.pool);
	if (!terms?.isOpen)
		return problem("conflict", "The pool that this code is for has ended; its money is used or back.");
	if (code.signed === undefined) return undefined;
	const enroller = await enrollerOf(market, code.giver);
	if (enroller?.state !== "approved")
		return problem(
			"conflict",
			"The enroller who gave this code is not working for this market now, so it is not taken; ask them, or the market's desk.",
		);
	return undefined;
}

/** One pass of a pool is all that an account can have; an enroller's word takes the place of a mere code's. */
async function refuseSecond(
	market: PassMarket,
	account: string,
	before: Pass | undefined,
	code: Code,
	nowMs: number,
): Promise<Problem | undefined> {
	if (!before) {
		const all = await market.book.records({ table: "passes", by: "account", of: account, limit: PASSES_MAX });
		if (all.length < PASSES_MAX) return undefined;
		return problem("too-many", `An account has ${PASSES_MAX} passes at most; use another account for this one.`, {
			retryAfterMs: DAY_MS,
		});
	}
	const counts = before.state === "held" && before.validUntilMs > nowMs && before.from !== "token";
	if (!counts || (code.signed !== undefined && before.from !== "enroller")) return undefined;
	const given = before.code === undefined ? undefined : await codeOf(market, before.code);
	if (await isTakenBack(market, given)) return undefined;
	const day = new Date(before.validUntilMs).toISOString().slice(0, 10);
	return problem(
		"conflict",
		`You have a pass of this pool already, until ${day}; a second adds nothing, and this code stays unused for somebody else.`,
	);
}

function signedOf(market: PassMarket, code: Code): EnrollerPass | Problem | undefined {
	if (code.signed === undefined) return undefined;
	const signed = readPass(market.crypto, fromHex(code.signed) ?? new Uint8Array());
	// it was read when it was brought: what is not one now was changed on the disk
	return isProblem(signed)
		? problem("data-corrupt", "The enroller's word on this code is damaged; tell the market's desk.")
		: signed;
}

/**
 * One person once: whoever is known by this tag at another account takes their pass along, with what they used of it, and the other account has it no more.
 * Once in a calendar month, so that a pass is not lent around.
 */
async function moveHere(
	market: PassMarket,
	pass: Pass,
	{ pool, tag: bytes }: EnrollerPass,
	nowMs: number,
): Promise<Decided | Problem> {
	const tag: Tag = (await tagRowOf(market, toHex(pool), toHex(bytes))) ?? {
		pool: toHex(pool),
		tag: toHex(bytes),
		version: 0,
		account: pass.account,
		movedMonth: 0,
	};
	const month = monthOf(nowMs);
	if (tag.account === pass.account) return { pass, rows: tag.version === 0 ? [writeTagRow(tag)] : [] };
	const there = await passOf(market, tag.account, tag.pool);
	const isLive = there?.state === "held" && there.tag === tag.tag;
	if (isLive && tag.movedMonth === month)
		return problem(
			"conflict",
			"Whoever this code is for has a pass on another account, and it moved once this month already. It can move again on the 1st; if that was not you, ask the enroller.",
		);
	const rows: RowChange[] = [writeTagRow({ ...tag, account: pass.account, movedMonth: month })];
	if (!isLive) return { pass, rows };
	const left = withoutEnroller(await personOf(market, tag.account, nowMs));
	rows.push(writePassRow({ ...there, state: "moved" }), ...(await usedRows(market, there, pass, nowMs)));
	if (same(pool, COMMONS_POOL) && left.version > 0) rows.push(writePerson(left));
	return { pass, rows };
}

/** What was used at the account that had the pass is used at the one that has it now: it brings nothing new this month. */
async function usedRows(market: PassMarket, from: Pass, to: Pass, nowMs: number): Promise<RowChange[]> {
	const month = String(monthOf(nowMs));
	const isCommons = from.pool === toHex(COMMONS_POOL);
	const keyOf = ({ account, pool }: Pass): string =>
		isCommons ? counterOf.person(account, month) : counterOf.pass(pool, month, account);
	const burns = await Burns.read(market.book, [keyOf(from), keyOf(to)]);
	for (const name of isCommons ? ["commons", "elsewhere"] : ["bytes"])
		burns.add(keyOf(to), name, burns.of(keyOf(from), name), { account: to.account });
	return burns.changes(nowMs);
}

/** An enroller's word on where somebody lives, as evidence. */
async function countryRows(
	market: PassMarket,
	account: string,
	{ country, validUntilMs }: EnrollerPass,
	nowMs: number,
): Promise<RowChange[]> {
	if (country === undefined) return [];
	const person = await personOf(market, account, nowMs);
	return [writePerson(withEvidence(person, { country, by: "enroller", untilMs: validUntilMs }, nowMs))];
}
