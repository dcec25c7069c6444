/** What the market's people ask: cases that wait, one whole, decisions that were made; and their decisions. */

import { z } from "zod";
import { formatAmount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { readDecision } from "#contracts/decision";
import { problem } from "#contracts/problem";
import { CASE_STATES, type Case, readCase } from "#marketplace/desk/case";
import { caseOf } from "#marketplace/desk/cases";
import { decisionsAfter } from "#marketplace/desk/chain";
import { decide } from "#marketplace/desk/decide";
import { MEASURES_MAX } from "#marketplace/desk/score";
import { type Scored, scoresOf, takeMeasures } from "#marketplace/desk/scores";
import { showCase } from "./ask.ts";
import { idPage, pageLimit } from "./input.ts";
import { accept, refusal, router, signed } from "./trpc.ts";

const people = signed.use(({ ctx, next }) => {
	if (!ctx.market.desk.includes(ctx.account))
		throw refusal(
			problem("unauthorized", "Only the market's people may ask this (its setting --desk names their keys)."),
		);
	return next({ ctx });
});

/** The longest decision, in hex. */
const DECISION_CHARS_MAX = 2 * 900;

/** What was measured longer ago comes too late. */
const DAY_MS = 86_400_000;

/** With which of the market's people wrote what: they know each other. */
function showWhole(found: Case) {
	return { ...showCase(found), by: found.letters.map(({ by }) => by ?? null) };
}

/** A relay's score with what made it. */
function showScore({ relay, operator, score: { funded, own, faults } }: Scored) {
	return { relay, operator, funded, own, faults: faults.map(({ code }) => code) };
}

export const desk = router({
	/** Cases in one state, by id; `next` is the `after` of the next page, null at the end. */
	cases: people.input(idPage.extend({ state: z.enum(CASE_STATES) })).query(async ({ ctx, input }) => {
		const { state, after, limit } = input;
		const rows = await ctx.market.book.records({
			table: "findings",
			by: "state",
			of: state,
			limit,
			...(after && { after }),
		});
		return {
			cases: rows.map((row) => showWhole(readCase(row))),
			next: rows.length < limit ? null : (rows.at(-1)?.key ?? null),
		};
	}),

	/** One case. */
	case: people.input(z.strictObject({ id: z.string().regex(/^[0-9a-f]{32}$/) })).query(async ({ ctx, input }) => {
		const found = await caseOf(ctx.market, input.id);
		return showWhole(accept(found ?? problem("not-found", "There is no such case.")));
	}),

	/** Decisions in their order, after a number. */
	decisions: people
		.input(
			z.strictObject({ after: z.int().min(0).default(0), limit: z.int().min(1).max(200).default(50) }).prefault({}),
		)
		.query(async ({ ctx, input }) => ({
			decisions: (await decisionsAfter(ctx.market.book, ctx.market.crypto, input.after, input.limit)).map(
				({ number, hash, decision }) => ({
					number,
					hash,
					by: toHex(decision.by),
					deed: decision.deed,
					subject: toHex(decision.subject),
					why: decision.why,
					amount: formatAmount(decision.nanos),
					atMs: decision.atMs,
					bytes: toHex(decision.bytes),
				}),
			),
		})),

	/** Takes in what a canary measured of a relay that is listed; what its score is now. */
	measured: people
		.input(
			z.strictObject({
				relay: z.string().regex(/^[0-9a-f]{64}$/),
				measures: z
					.array(
						z.strictObject({
							atMs: z.int().min(0),
							funded: z.boolean(),
							end: z.enum(["refused", "lost", "delivered"]),
							tookMs: z.int().min(0).max(DAY_MS),
						}),
					)
					.min(1)
					.max(MEASURES_MAX),
			}),
		)
		.mutation(async ({ ctx: { market }, input: { relay, measures } }) => {
			const nowMs = market.clock.nowMs();
			const [offer] = await market.listings.of(fromHex(relay) ?? new Uint8Array(), nowMs);
			if (!offer) throw refusal(problem("not-found", "The relay is not listed here now."));
			if (measures.some(({ atMs }) => Math.abs(nowMs - atMs) > DAY_MS)) throw refusal(problem("clock"));
			return showScore(accept(await takeMeasures(market, { relay, operator: toHex(offer.operator) }, measures)));
		}),

	/** Relays that were measured, with what made each score; `next` is the `after` of the next page. */
	scores: people
		.input(
			z
				.strictObject({
					after: z
						.string()
						.regex(/^[0-9a-f]{64}$/)
						.optional(),
					limit: pageLimit,
				})
				.prefault({}),
		)
		.query(async ({ ctx, input }) => {
			const scored = await scoresOf(ctx.market.book, input.after, input.limit);
			return {
				scores: scored.map(showScore),
				next: scored.length < input.limit ? null : (scored.at(-1)?.relay ?? null),
			};
		}),

	/** Carries out a decision: its own signature says whose it is. */
	decide: people
		.input(z.strictObject({ decision: z.string().max(DECISION_CHARS_MAX) }))
		.mutation(async ({ ctx, input }) => {
			const { book, clock, crypto, keys, desk: named } = ctx.market;
			const decision = accept(readDecision(crypto, fromHex(input.decision) ?? new Uint8Array()));
			return accept(await decide({ book, clock, crypto, market: keys.market, desk: named }, decision));
		}),
});
