/** How people put money on their account: what each rail would take, a deposit to pay, and what became of it. */

import { z } from "zod";
import { amount, formatAmount } from "#contracts/amount";
import { isProblem, problem } from "#contracts/problem";
import { type Deposit, depositKey, idOf, readDeposit } from "#marketplace/funding/deposit";
import { creditFor } from "#marketplace/funding/exchange";
import { fundPlay } from "#marketplace/funding/play";
import { type Quote, quoteDeposit, railFor } from "#marketplace/funding/quote";
import { depositOf, startDeposit } from "#marketplace/funding/start";
import { refundDeposit, stopMonthly } from "#marketplace/funding/wish";
import { money, pageLimit } from "./input.ts";
import { accept, refusal, router, signed } from "./trpc.ts";

const railName = z.string().regex(/^[a-z0-9-]{1,32}$/);
const newId = z.string().regex(/^[\w-]{1,32}$/);
/** Also one month of what comes every month: behind a point. */
const depositId = z.string().regex(/^[\w-]{1,32}(?:\.[0-9a-f]{8})?$/);

const page = z.strictObject({ after: depositId.optional(), limit: pageLimit }).prefault({});

/** A quote as people see it: dollars as nano-dollars, what the rail counts in as decimal strings. */
function showQuote({ unit, units, fee, rate, ...quote }: Quote) {
	const worth = creditFor(unit, fee, rate && { ...rate, spreadPpm: 0 });
	return {
		rail: quote.rail,
		unit,
		/** what is wanted on the balance, and what arrives there when exactly `units` are paid in time */
		asked: formatAmount(quote.asked),
		credited: formatAmount(quote.credited),
		/** to be paid, and what the rail keeps of it */
		units: units.toString(),
		fee: fee.toString(),
		feeNanos: formatAmount(worth?.credited ?? amount(0n)),
		feeIsAbout: quote.feeIsAbout,
		/** what the market keeps by the rate */
		spread: formatAmount(quote.spread),
		rate: rate ? { msatPerDollar: rate.msatPerDollar.toString(), spreadPpm: rate.spreadPpm, says: rate.says } : null,
		untilMs: quote.untilMs,
	};
}

/** A deposit as its account sees it. */
function showDeposit(deposit: Deposit) {
	const { state, quote, came, pay, says, startedMs, payUntilMs, monthly, pool, of } = deposit;
	return {
		id: idOf(deposit),
		state,
		quote: showQuote(quote),
		startedMs,
		payUntilMs,
		/** how to pay; null when that is not known yet or nobody should pay any more */
		pay: state === "waiting" ? (pay ?? null) : null,
		came: came
			? {
					units: came.units.toString(),
					fee: came.fee.toString(),
					credited: formatAmount(came.credited),
					atMs: came.atMs,
					/** until when who paid can take it back */
					backUntilMs: came.backUntilMs ?? null,
					/** what was given back to the card at its owner's wish, or is on its way there */
					refund: came.refund ? { amount: formatAmount(came.refund.nanos), state: came.refund.state } : null,
				}
			: null,
		/** it comes every month: how often it came, what is wrong with the newest month and where that can be mended, and whether it is to end or has */
		monthly: monthly
			? {
					months: monthly.months,
					isFailing: monthly.isFailing,
					url: monthly.url ?? null,
					isStopped: monthly.isStopped,
					isOver: monthly.overMs !== undefined || state === "ended",
				}
			: null,
		/** the pool that it is for; null where it is for the balance */
		pool: pool ?? null,
		/** it is a month of that deposit */
		of: of === undefined ? null : idOf({ key: of }),
		says: says ?? null,
	};
}

export const funding = router({
	/** Every rail by which money can come in, with what it would cost there to have so much on the balance. */
	rails: signed
		.input(z.strictObject({ amount: money, monthly: z.boolean().default(false) }))
		.query(async ({ ctx: { market }, input }) => ({
			rails: await Promise.all(
				market.rails
					.filter((rail) => rail.ranges.in && (rail.monthly || !input.monthly))
					.map(async (rail) => {
						const quote = await quoteDeposit(market, rail, input.amount);
						return isProblem(quote)
							? { rail: rail.name, quote: null, refused: quote.detail }
							: { rail: rail.name, quote: showQuote(quote), refused: null };
					}),
			),
		})),

	/** The same of one rail. */
	quote: signed
		.input(z.strictObject({ rail: railName, amount: money }))
		.query(async ({ ctx: { market }, input }) =>
			showQuote(accept(await quoteDeposit(market, accept(railFor(market, input.rail)), input.amount))),
		),

	/** Begins a deposit under an id of the caller's choice, once or every month; the same id again answers the same deposit. */
	start: signed
		.input(
			z.strictObject({
				...{ id: newId, rail: railName, amount: money, monthly: z.boolean().default(false) },
				/** the pool that it is for, instead of the balance */
				pool: z
					.string()
					.regex(/^[0-9a-f]{32}$/)
					.optional(),
			}),
		)
		.mutation(async ({ ctx, input }) => {
			const { id, rail, amount: asked, monthly, pool } = input;
			const order = { id, rail, asked, monthly, pool };
			return showDeposit(accept(await startDeposit(ctx.market, ctx.account, order)));
		}),

	/** Gives so much of a deposit back to the card that paid it, once. */
	refund: signed
		.input(z.strictObject({ id: depositId, amount: money }))
		.mutation(async ({ ctx, input }) =>
			showDeposit(accept(await refundDeposit(ctx.market, ctx.account, input.id, input.amount))),
		),

	/** Ends what comes every month. */
	stop: signed
		.input(z.strictObject({ id: depositId }))
		.mutation(async ({ ctx, input }) => showDeposit(accept(await stopMonthly(ctx.market, ctx.account, input.id)))),

	/** What became of a deposit. */
	status: signed.input(z.strictObject({ id: depositId })).query(async ({ ctx, input }) => {
		const deposit = await depositOf(ctx.market, depositKey(ctx.account, input.id));
		if (!deposit) throw refusal(problem("not-found", "There is no such deposit."));
		return showDeposit(deposit);
	}),

	/** The account's deposits by id; `next` is the `after` of the next page, null at the end. */
	list: signed.input(page).query(async ({ ctx, input: { after, limit } }) => {
		const from = after === undefined ? {} : { after: depositKey(ctx.account, after) };
		const rows = await ctx.market.book.records({
			table: "deposits",
			by: "account",
			of: ctx.account,
			limit,
			...from,
		});
		const deposits = rows.map(readDeposit);
		const last = deposits.at(-1);
		return { deposits: deposits.map(showDeposit), next: rows.length < limit || !last ? null : idOf(last) };
	}),

	/** Play money under an id of the caller's choice (development only); the same id again gives nothing more. */
	play: signed
		.input(z.strictObject({ id: z.string().regex(/^[\w-]{1,64}$/), amount: money }))
		.mutation(async ({ ctx, input }) => ({
			balance: formatAmount(accept(await fundPlay(ctx.market, ctx.account, input.id, input.amount))),
		})),
});
