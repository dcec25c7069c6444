/** Looks at a deposit: asks its rail, decides, writes; when somebody else was first, reads and decides again. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import { ATTEMPTS_MAX, problemOfRefusal } from "#marketplace/market";
import { noteCard } from "#marketplace/pass/person";
import type { DepositState, Rail } from "#marketplace/rail/rail";
import { decide, end, needsRate, postpone, type Step } from "./decide.ts";
import { type Deposit, readDeposit, referenceKey } from "./deposit.ts";
import { stepBack } from "./fresh.ts";
import { giftOf } from "./gift.ts";
import { endDisputed, stepMonthly } from "./monthly.ts";
import { rateFor } from "./quote.ts";
import type { FundingMarket } from "./start.ts";

/** What a look came to: the deposit as it is now. A problem when it could not be written. */
export async function lookAt(market: FundingMarket, deposit: Deposit): Promise<Deposit | Problem> {
	let seen = deposit;
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const step = await stepOf(market, seen);
		if (step.wrong)
			market.log.error(
				{ rail: seen.quote.rail, reference: seen.reference, wrong: step.wrong },
				"a rail says what cannot be",
			);
		if (!step.change) return step.next;
		const [outcome] = await market.book.apply([step.change]);
		if (outcome === undefined) throw new Error("the book answered nothing");
		if (outcome === "applied") {
			if (!step.more) return step.next;
			seen = step.next;
			continue;
		}
		// a transfer that is there already came with a newer row: the row tells
		const contended = step.contended && outcome !== "same" && outcome.refused === "overdraft";
		if (outcome !== "same" && outcome.refused !== "stale" && outcome.refused !== "conflict" && !contended)
			return problemOfRefusal(outcome.refused, outcome.detail);
		const row = await market.book.record("deposits", seen.key);
		if (!row || (row.version === seen.version && outcome !== "same" && !step.contended))
			throw new Error(`the deposit ${seen.key} cannot be written: ${outcome === "same" ? outcome : outcome.detail}`);
		seen = readDeposit(row);
	}
	return problemOfRefusal("stale", "");
}

/** Asks the rail of a deposit, and decides. */
async function stepOf(market: FundingMarket, deposit: Deposit): Promise<Step> {
	const { quote, reference } = deposit;
	const nowMs = () => market.clock.nowMs();
	if (reference === undefined) {
		// nobody was told how to pay it: whoever wants it asks for it again, in time
		if (deposit.state === "starting" && nowMs() >= quote.untilMs) return end(deposit, "It was not begun in time.");
		return { next: deposit, change: undefined };
	}
	const rail = market.rails.find((one) => one.name === quote.rail);
	const said = rail && (await askRail(market, rail, reference));
	if (!said || isProblem(said)) return postpone(deposit, nowMs());
	if (said.state === "paid" && said.country !== undefined && !deposit.came) {
		// before the money, so that it is not lost where a process ends between the two; twice is as good as once
		const noted = await noteCard(market, deposit.account, said.country);
		if (isProblem(noted)) return postpone(deposit, nowMs());
	}
	if (deposit.monthly) return await stepMonthly(market, deposit, deposit.monthly, said, rail);
	if (said.state === "returned" && said.why === "dispute") {
		const ended = await endDisputed(market, deposit);
		if (ended) return ended;
	}
	const back = await stepBack(market, deposit, said, rail);
	if (back) return back;
	// a part was taken back before anybody had looked: what came is credited, and the next look takes that part
	if (said.state === "returned" && !deposit.came && said.of && said.amount < said.of.amount)
		return {
			...decide(deposit, { state: "paid", ...said.of }, nowMs(), rail.world, undefined, await giftOf(market, deposit)),
			more: true,
		};
	const gift = said.state === "paid" ? await giftOf(market, deposit, said.card) : undefined;
	if (said.state !== "paid" || !needsRate(deposit, said))
		return decide(deposit, said, nowMs(), rail.world, undefined, gift);
	const rate = await rateFor(market, quote.unit);
	return isProblem(rate) ? postpone(deposit, nowMs()) : decide(deposit, said, nowMs(), rail.world, rate, gift);
}

/** A rail that throws has said nothing. */
async function askRail({ log }: FundingMarket, rail: Rail, reference: string): Promise<DepositState | Problem> {
	try {
		return await rail.deposit(reference);
	} catch (error) {
		log.error({ err: error, rail: rail.name, reference }, "a rail threw");
		return problem("unavailable", "The rail broke.");
	}
}

/** The deposit that a rail's reference is of; undefined when no deposit here is. */
export async function depositByReference(
	market: FundingMarket,
	rail: string,
	reference: string,
): Promise<Deposit | undefined> {
	const found = await market.book.record("references", referenceKey(rail, reference));
	const row = found && (await market.book.record("deposits", found.value));
	return row && readDeposit(row);
}
