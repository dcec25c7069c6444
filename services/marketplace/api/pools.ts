/** What sponsors do with their pools, and what anyone may see of one. Every answer's money is decimal strings of nano-dollars. */

import { z } from "zod";
import { formatAmount } from "#contracts/amount";
import { APP_PASS_BYTES } from "#contracts/apppass";
import { isProblem, type Problem } from "#contracts/problem";
import { spentOf } from "#contracts/report";
import type { Market } from "#marketplace/market";
import { useAppPass } from "#marketplace/pool/app";
import { outADay } from "#marketplace/pool/day";
import { stateAt } from "#marketplace/pool/decide";
import type { Pool } from "#marketplace/pool/pool";
import { createPool, fundPool, poolsOf, setRules, steer, takeFromPool } from "#marketplace/pool/pools";
import { reportOf } from "#marketplace/pool/report";
import type { PoolRules } from "#marketplace/sponsor/rules";
import { hex, money } from "./input.ts";
import { accept, open, router, signed } from "./trpc.ts";

const id = z.string().regex(/^[0-9a-f]{32}$/);
const key = z.string().regex(/^[0-9a-f]{64}$/);
/** An id of the caller's choice. */
const newId = z.string().regex(/^[\w-]{1,32}$/);
const count = z.string().regex(/^(?:0|[1-9][0-9]{0,17})$/);
const share = z.int().min(1).max(1_000_000).optional();

const rules = z
	.strictObject({
		countries: z.array(z.string().regex(/^[A-Z]{2}$/)).max(300),
		enrollers: z.array(key).max(64),
		monthBytes: count,
		dayBytes: count,
		dayLimit: money,
		fromMs: z.int().min(0),
		untilMs: z.int().min(0).optional(),
		operatorSharePpm: share,
		pairSharePpm: share,
		app: key.optional(),
	})
	.transform(
		({ monthBytes, dayBytes, ...rest }): PoolRules => ({
			...rest,
			monthBytes: BigInt(monthBytes),
			dayBytes: BigInt(dayBytes),
		}),
	);

function showRules({ monthBytes, dayBytes, dayLimit, ...rest }: PoolRules) {
	return {
		countries: [...rest.countries],
		enrollers: [...rest.enrollers],
		monthBytes: monthBytes.toString(),
		dayBytes: dayBytes.toString(),
		dayLimit: dayLimit.toString(),
		fromMs: rest.fromMs,
		untilMs: rest.untilMs ?? null,
		operatorSharePpm: rest.operatorSharePpm ?? null,
		pairSharePpm: rest.pairSharePpm ?? null,
		app: rest.app ?? null,
	};
}

/** A pool's page. For its sponsor its figures are of now, for everybody else of the last day. */
async function showPool(market: Market, asked: string, caller: string | undefined) {
	const reported = await reportOf(market, asked, ({ sponsor }) => sponsor === caller);
	const { pool, report } = accept(reported);
	return pageOf(pool, report, caller, market.clock.nowMs());
}

type Reported = Exclude<Awaited<ReturnType<typeof reportOf>>, { problem: unknown }>;

function pageOf(
	pool: Pool,
	{ atMs, money: of, recent, stretches }: Reported["report"],
	caller: string | undefined,
	nowMs: number,
) {
	const { toOperators, marketFee } = spentOf({ recent, stretches });
	const pace = outADay(pool);
	return {
		pool: pool.pool,
		state: stateAt(pool, nowMs),
		createdMs: pool.createdMs,
		rest: pool.rest,
		rules: showRules(pool.rules),
		/** of when the figures are */
		atMs,
		came: formatAmount(of.came),
		railFee: formatAmount(of.railFee),
		exchangeFee: formatAmount(of.exchangeFee),
		toOperators: toOperators.toString(),
		marketFee: marketFee.toString(),
		reserved: formatAmount(of.reserved),
		left: formatAmount(of.left),
		back: formatAmount(of.back),
		on: formatAmount(of.on),
		lost: formatAmount(of.lost),
		/** how long it lasts at the pace of the last days; null where nothing was spent */
		daysOfCover: pace > 0n ? (of.left / pace).toString() : null,
		weeks: stretches.map((stretch) => ({
			fromMs: stretch.fromMs,
			toMs: stretch.toMs,
			/** 0: fewer than twenty */
			people: stretch.people,
			bytes: stretch.bytes.toString(),
			toOperators: formatAmount(stretch.toOperators),
			marketFee: formatAmount(stretch.marketFee),
			countries: [...new Set(stretch.lines.map(({ country }) => country))].sort(),
		})),
		/** what only its sponsor sees: what of cards' gifts cannot be taken back yet */
		own: pool.sponsor === caller ? { early: formatAmount(pool.early) } : null,
	};
}

const which = z.strictObject({ pool: id });

/** Does it, and shows the pool as its sponsor sees it. */
async function done(market: Market, account: string, answer: Promise<Pool | Problem>) {
	return await showPool(market, accept(await answer).pool, account);
}

const steered = (what: "pause" | "resume" | "end") =>
	signed
		.input(which)
		.mutation(({ ctx, input }) => done(ctx.market, ctx.account, steer(ctx.market, input.pool, ctx.account, what)));

export const pool = router({
	/** Makes a pool under an id of its sponsor's choice; the same again answers the same pool. `rest`: where what is unspent goes when it ends. */
	create: signed
		.input(z.strictObject({ pool: id, rules, rest: z.enum(["back", "commons"]) }))
		.mutation(({ ctx, input }) =>
			done(ctx.market, ctx.account, createPool(ctx.market, { ...input, sponsor: ctx.account })),
		),

	/** A pool's page, for anyone; more of it for its sponsor. */
	show: open
		.input(which)
		.query(({ ctx, input }) => showPool(ctx.market, input.pool, isProblem(ctx.caller) ? undefined : ctx.caller)),

	/** The caller's pools. */
	mine: signed.query(async ({ ctx: { market, account } }) => ({
		pools: (await poolsOf(market, account)).map((one) => ({
			pool: one.pool,
			state: stateAt(one, market.clock.nowMs()),
			came: formatAmount(one.flows.came),
		})),
	})),

	/** Other rules, for what is opened from now on. */
	rules: signed
		.input(z.strictObject({ pool: id, rules }))
		.mutation(({ ctx, input }) =>
			done(ctx.market, ctx.account, setRules(ctx.market, input.pool, ctx.account, input.rules)),
		),

	pause: steered("pause"),
	resume: steered("resume"),
	/** Tells its people that it ends in seven days. */
	end: steered("end"),

	/** Moves money from the caller's balance into a pool, anybody's, once for an id. */
	fund: signed.input(z.strictObject({ pool: id, id: newId, amount: money })).mutation(({ ctx, input }) => {
		const order = { id: input.id, nanos: input.amount };
		return done(ctx.market, ctx.account, fundPool(ctx.market, input.pool, ctx.account, order));
	}),

	/** Takes back what is reserved for nobody, so much or all, once for an id. */
	takeBack: signed
		.input(z.strictObject({ pool: id, id: newId, amount: money.optional() }))
		.mutation(({ ctx, input }) => {
			const order = { id: input.id, nanos: input.amount };
			return done(ctx.market, ctx.account, takeFromPool(ctx.market, input.pool, ctx.account, order));
		}),

	/** Brings what the app's developer signed for the caller; the same again changes nothing. */
	useApp: signed.input(z.strictObject({ pass: hex(APP_PASS_BYTES) })).mutation(async ({ ctx, input }) => {
		const had = accept(await useAppPass(ctx.market, ctx.account, input.pass));
		return { pool: had.pool, monthBytes: had.monthBytes.toString(), validUntilMs: had.validUntilMs };
	}),

	/** The signed report, as the one text that anyone can check offline. */
	report: open.input(which).query(async ({ ctx, input }) => {
		const caller = isProblem(ctx.caller) ? undefined : ctx.caller;
		const reported = await reportOf(ctx.market, input.pool, ({ sponsor }) => sponsor === caller);
		return { text: accept(reported).text };
	}),
});
