/** What operators ask of their payouts: where to, from how much on, now, and what became of each. */

import { z } from "zod";
import { type Amount, amount, formatAmount } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { leavingAccount } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { askPayout, payoutOf, railFor, setWishes } from "#marketplace/payout/ask";
import { type Destination, KINDS, readTarget } from "#marketplace/payout/destination";
import { billOfPayout, isUnderWay, type Payout, readPayout } from "#marketplace/payout/payout";
import { type Plan, SCHEDULES, termsOfPlan } from "#marketplace/payout/plan";
import { destinationOf, planOf } from "#marketplace/payout/reserve";
import { idPage, money } from "./input.ts";
import { accept, router, signed } from "./trpc.ts";

/** How long a click waits for its payout to end before it is told how far it came: a person looks on. */
const ANSWER_MS = 5_000;

/** An invoice with long descriptions and many hints stays far under this. */
const INVOICE_CHARS_MAX = 4_096;
/** The longest of a Lightning address. */
const TARGET_CHARS_MAX = 256;

const payoutInput = z.strictObject({ payout: z.string().regex(/^[0-9a-f]{32}$/) });

const askInput = z.strictObject({
	/** the caller's name for it: asking again by it asks for nothing more */
	id: z.string().regex(/^[\w-]{1,64}$/),
	/** at most so much; everything that was earned when left out */
	amount: money.optional(),
	invoice: z.string().max(INVOICE_CHARS_MAX).optional(),
});

const wishesInput = z.strictObject({
	destination: z.strictObject({ kind: z.enum(KINDS), to: z.string().max(TARGET_CHARS_MAX).default("") }).optional(),
	schedule: z.enum(SCHEDULES).optional(),
	/** null: the market's own */
	threshold: money.nullable().optional(),
	feeMaxPpm: z.int().min(0).max(1_000_000).nullable().optional(),
});

const nanos = (of: Amount | undefined) => (of === undefined ? null : formatAmount(of));

/** A payout as its operator sees it. */
function showPayout(payout: Payout) {
	const { id, course, target, terms, askedAtMs, dueMs } = payout;
	const bill = billOfPayout(payout);
	return {
		payout: id,
		state: course.state,
		rail: payout.rail,
		kind: target.kind,
		to: target.to || payout.invoice || "",
		askedAtMs,
		/** taken from what was earned, with the most that the rail may keep of it */
		reserved: nanos(terms?.reserved),
		gross: nanos(bill?.gross),
		marketFee: nanos(bill?.marketFee),
		railFee: nanos(bill?.railFee),
		net: nanos(bill?.net),
		/** taken by the rail beyond its ceiling: the market bore it */
		over: nanos(bill?.over),
		/** a payment's preimage, a transfer's id */
		proof: course.paid?.proof ?? null,
		endedAtMs: course.paid?.atMs ?? null,
		/** why it failed, or what it waits for */
		why: course.why ?? null,
		/** ended by the market's people and not by its rail, and why */
		byHand: course.byHand ?? null,
		/** when it is looked at again; null once it has ended */
		lookAtMs: isUnderWay(payout) ? dueMs : null,
	};
}

function showDestination({ kind, to, setAtMs, fromMs }: Destination, nowMs: number) {
	/** `waitsUntilMs`: it was changed, and nothing is paid out before then */
	return { kind, to, setAtMs, waitsUntilMs: fromMs > nowMs ? fromMs : null };
}

function showPlan(plan: Plan, kind: Destination["kind"]) {
	const { threshold, feeMaxPpm } = termsOfPlan(plan, kind);
	return { schedule: plan.schedule, threshold: formatAmount(threshold), feeMaxPpm };
}

async function show(market: Market, account: string) {
	const [destination, plan, leaving] = await Promise.all([
		destinationOf(market, account),
		planOf(market, account),
		market.book.balance(leavingAccount(account)),
	]);
	const newest = plan.payout === undefined ? undefined : await payoutOf(market, plan.payout);
	return {
		destination: destination ? showDestination(destination, market.clock.nowMs()) : null,
		...showPlan(plan, destination?.kind ?? "lightning"),
		/** when the schedule looks again */
		dueMs: plan.dueMs,
		/** reserved for a payout that is on its way */
		leaving: formatAmount(amount(leaving)),
		newest: newest ? showPayout(newest) : null,
		/** how this market pays out now, and the rail that does */
		ways: KINDS.flatMap((kind) => {
			const rail = railFor(market.rails, kind);
			return rail ? [{ kind, rail: rail.name }] : [];
		}),
	};
}

/** A payout as far as it comes while somebody waits; what breaks meanwhile is tried again by the round. */
async function asFarAsItComes({ clock, log, payouts, book }: Market, begun: Payout): Promise<Payout> {
	const patience = Promise.withResolvers<undefined>();
	const cancel = clock.after(ANSWER_MS, () => patience.resolve(undefined));
	try {
		const reached = await Promise.race([payouts.advance(begun.id), patience.promise]);
		return reached ?? (await payoutOf({ book }, begun.id)) ?? begun;
	} catch (error) {
		log.error({ err: error, payout: begun.id }, "a payout did not go on; the next round tries");
		return begun;
	} finally {
		cancel();
	}
}

function ownPayout(payout: Payout | undefined, account: string): Payout | Problem {
	return payout?.account === account ? payout : problem("not-found", "There is no such payout.");
}

export const payout = router({
	/** Where payouts go, from how much on, how often, and the newest one. */
	show: signed.query(({ ctx }) => show(ctx.market, ctx.account)),

	/** Sets what is given; a changed destination waits a day. Answers what there is then. */
	set: signed.input(wishesInput).mutation(async ({ ctx, input }) => {
		const { destination, ...wishes } = input;
		const target = destination && accept(readTarget(destination.kind, destination.to));
		if (target && !railFor(ctx.market.rails, target.kind))
			accept(problem("rail-closed", "This market has no way to pay there now."));
		const refused = await setWishes(ctx.market, ctx.account, { ...wishes, target });
		if (isProblem(refused)) accept(refused);
		return show(ctx.market, ctx.account);
	}),

	/** Pays out what was earned, now. */
	now: signed.input(askInput).mutation(async ({ ctx, input }) => {
		const { id: name, amount: wanted, invoice } = input;
		const begun = accept(await askPayout(ctx.market, ctx.account, { name, nanos: wanted, invoice }));
		return showPayout(await asFarAsItComes(ctx.market, begun));
	}),

	/** One payout. */
	get: signed
		.input(payoutInput)
		.query(async ({ ctx, input }) =>
			showPayout(accept(ownPayout(await payoutOf(ctx.market, input.payout), ctx.account))),
		),

	/** All payouts, by id; `next` is the `after` of the next page, null at the end. */
	list: signed.input(idPage.prefault({})).query(async ({ ctx, input }) => {
		const { after, limit } = input;
		const query = { table: "payouts", by: "account", of: ctx.account, limit, ...(after && { after }) } as const;
		const rows = await ctx.market.book.records(query);
		return {
			payouts: rows.map((row) => showPayout(readPayout(row))),
			next: rows.length < limit ? null : (rows.at(-1)?.key ?? null),
		};
	}),
});
