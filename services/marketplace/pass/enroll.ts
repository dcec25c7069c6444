/** What an enroller does: looks a person up without telling who it is, and issues a pass for whoever brings its code. */

import { same, toHex } from "#contracts/bytes";
import { COMMONS_POOL, readPass } from "#contracts/pass";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type Market, problemOfRefusal } from "#marketplace/market";
import { RULES } from "#marketplace/sponsor/rules";
import { type Answered, TAGS } from "#marketplace/token/oblivious";
import { CODE_MS_MAX, type Code, codeOf, PASS_DAYS_MAX, writeCodeRow } from "./code.ts";
import { enrollerOf, refuseEnroller, takeOfDay } from "./enroller.ts";
import { termsOf } from "./pools.ts";

/** What enrolling needs of a market. */
export type EnrollMarket = Pick<Market, "book" | "clock" | "crypto" | "keys" | "oblivious">;

/** How long a person has to use the code that they were handed. */
const HANDED_MS = 30 * 86_400_000;
/** How old an enroller's word may be when it is brought: it may have waited for a network. */
const BROUGHT_MS = 86_400_000;
/** How far an enroller's clock may be ahead. */
const AHEAD_MS = 60_000;
const ELEMENTS = 1;

/** Answers for one blinded person: the market learns neither who it is nor what comes out, and counts. */
export async function lookUp(market: EnrollMarket, account: string, blinded: Uint8Array): Promise<Answered | Problem> {
	const answered = await market.oblivious.answer(TAGS, blinded);
	if (isProblem(answered)) return answered;
	const counted = await takeOfDay(market, account, "asked", ELEMENTS);
	return isProblem(counted) ? counted : answered;
}

/** Takes a pass that an enroller signed. Bringing it again changes nothing. */
export async function issuePass(market: EnrollMarket, account: string, bytes: Uint8Array): Promise<Code | Problem> {
	const nowMs = market.clock.nowMs();
	const pass = readPass(market.crypto, bytes);
	if (isProblem(pass)) return pass;
	if (!same(pass.market, market.keys.market)) return problem("conflict", "The pass is for another market.");
	if (toHex(pass.enroller) !== account) return problem("unauthorized", "The pass is signed by another enroller.");
	if (pass.issuedAtMs > nowMs + AHEAD_MS || pass.issuedAtMs < nowMs - BROUGHT_MS) return problem("clock");
	const before = await codeOf(market, pass.code);
	if (before)
		return before.signed === toHex(bytes) ? before : problem("conflict", "This code is there already; make another.");
	const enroller = refuseEnroller(await enrollerOf(market, account));
	if (isProblem(enroller)) return enroller;
	const pool = toHex(pass.pool);
	// for each pool a person has another tag: by pools' passes they could have a country's price once for each
	if (pass.country !== undefined && !same(pass.pool, COMMONS_POOL))
		return problem(
			"malformed",
			"A country is vouched for by a pass of the commons, which a person has once: sign that one too.",
		);
	const refused = await refusePool(market, account, pass.pool);
	if (refused) return refused;
	const counted = await takeOfDay(market, account, "issued", 1);
	if (isProblem(counted)) return counted;
	const code: Code = {
		hash: toHex(pass.code),
		version: 0,
		giver: account,
		state: "open",
		untilMs: Math.min(nowMs + Math.min(HANDED_MS, CODE_MS_MAX), pass.validUntilMs),
		pool,
		batch: undefined,
		uses: 1,
		used: 0,
		monthBytes: RULES.quotaBytes,
		days: PASS_DAYS_MAX,
		signed: toHex(bytes),
	};
	const [outcome] = await market.book.apply([{ rows: [writeCodeRow(code)] }]);
	if (outcome === "applied") return { ...code, version: 1 };
	if (typeof outcome === "object" && outcome.refused === "stale") return issuePass(market, account, bytes);
	return problemOfRefusal(typeof outcome === "object" ? outcome.refused : "unknown", "");
}

async function refusePool(market: EnrollMarket, account: string, pool: Uint8Array): Promise<Problem | undefined> {
	if (same(pool, COMMONS_POOL)) return undefined;
	const terms = await termsOf(market, toHex(pool));
	if (!terms) return problem("not-found", "There is no such pool.");
	if (!terms.isOpen) return problem("conflict", "This pool has ended, or is about to: nobody can join it.");
	if (terms.enrollers.length === 0 || terms.enrollers.includes(account)) return undefined;
	return problem(
		"unauthorized",
		"This pool's sponsor does not take this enroller's passes; ask the sponsor to name it.",
	);
}
