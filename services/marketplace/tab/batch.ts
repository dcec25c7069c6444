/**
 * A relay's batch of claims on the book: each line stands alone, one commit for all of them, and the event loop is given back between
 * a few signatures (PROTOCOL.md, "Redemption"; threats 2 and 6).
 */

import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Batch, Claim, RedeemAnswer, RedeemResult } from "#contracts/redemption";
import { ATTEMPTS_MAX, type Market, problemOfRefusal, signers } from "#marketplace/market";
import { decideRedeem, type Redeemed, refuseClaim } from "./redeem.ts";
import { isBeaten, redeemByMs, tabOf } from "./tabs.ts";

/** Claims decided before others get a turn: a row, a verify, a signature and a price each, about 2 ms together. */
const SLICE = 12;

type Answer = RedeemResult | Problem;

/** Redeems a batch whose envelope is sound; answers in the order asked. */
export async function redeemBatch(market: Market, batch: Batch): Promise<RedeemAnswer> {
	const relay = toHex(batch.relay);
	const answers: (Answer | undefined)[] = batch.claims.map((claim) => (isProblem(claim) ? claim : undefined));
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const left = [...answers.keys()].filter((i) => answers[i] === undefined);
		if (left.length === 0) break;
		const decided: { readonly i: number; readonly redeemed: Redeemed }[] = [];
		for (let start = 0; start < left.length; start += SLICE) {
			const slice = left.slice(start, start + SLICE);
			const found = await Promise.all(slice.map((i) => read(market, batch.claims[i] as Claim)));
			for (const [n, i] of slice.entries()) {
				const claim = batch.claims[i] as Claim;
				const redeemed = decideLine(market, found[n], claim, relay);
				if (isProblem(redeemed)) answers[i] = redeemed;
				else if (!redeemed.change) answers[i] = resultOf(redeemed);
				else decided.push({ i, redeemed });
			}
			await new Promise(setImmediate);
		}
		await applyAll(market, decided, answers);
	}
	const results = answers.map((answer) => answer ?? problemOfRefusal("stale", ""));
	for (const result of results) market.metrics.claims.inc({ outcome: isProblem(result) ? result.problem : "paid" });
	return { results };
}

function read(market: Market, claim: Claim) {
	return tabOf(market, toHex(claim.tab));
}

function decideLine(
	market: Market,
	tab: Awaited<ReturnType<typeof read>>,
	claim: Claim,
	relay: string,
): Redeemed | Problem {
	const refused = refuseClaim(market.crypto, tab, claim, relay);
	if (refused) return refused;
	if (!tab) return problem("not-found");
	return decideRedeem(tab, claim, market.clock.nowMs(), redeemByMs(market, tab), signers(market).receipt);
}

async function applyAll(
	market: Market,
	decided: readonly { readonly i: number; readonly redeemed: Redeemed }[],
	answers: (Answer | undefined)[],
): Promise<void> {
	const changes = decided.flatMap(({ redeemed }) => (redeemed.change ? [redeemed.change] : []));
	const outcomes = await market.book.apply(changes);
	for (const [n, { i, redeemed }] of decided.entries()) {
		const outcome = outcomes[n];
		if (outcome === "applied") answers[i] = resultOf(redeemed);
		// somebody else was first on this tab, or an earlier line of this batch: the line stays unanswered and is decided again on what is there now
		else if (outcome === undefined || outcome === "same" || isBeaten(outcome.refused)) continue;
		else answers[i] = problemOfRefusal(outcome.refused, outcome.detail);
	}
	const full = outcomes.some((outcome) => typeof outcome === "object" && outcome.refused === "disk");
	if (outcomes.length > 0) market.health.report("ledger", full ? "disk" : undefined);
}

function resultOf({ moved, receipt }: Redeemed): RedeemResult {
	return { moved: moved.toString(), receipt };
}
