/**
 * The market's reserve for payments that are taken back: money of its own, put aside before the first card is taken. Where it is empty no more cards are taken
 * (money.md, "Cards come back").
 */

import { type Amount, amount } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import type { Book } from "#marketplace/ledger/book";
import { RISK, WORLD_CARD } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { type Market, problemOfRefusal } from "#marketplace/market";
import type { Rail } from "#marketplace/rail/rail";

/** Refuses a rail whose payments can be taken back when there is nothing to pay for that. */
export async function refuseRisk(book: Book, rail: Rail): Promise<Problem | undefined> {
	if (rail.world !== WORLD_CARD || (await book.balance(RISK)) > 0n) return undefined;
	return problem(
		"rail-closed",
		"Cards are not taken now: the market's reserve for payments that are taken back is empty.",
	);
}

/** Books what the market put aside of its own money, all in all; what was booked before is not booked again, and less than that takes nothing out. */
export async function fundRisk(
	{ book, clock }: Pick<Market, "book" | "clock">,
	total: Amount,
): Promise<Problem | undefined> {
	const before = await bookedRisk(book);
	if (total <= before) return undefined;
	const nanos = amount(total - before);
	const label = { id: `risk:${before}:${total}`, cause: "Put aside by the market", atMs: clock.nowMs() };
	const transfer = move(label, [{ account: WORLD_CARD, nanos }], [{ account: RISK, nanos }]);
	const [outcome] = await book.apply([{ transfer }]);
	return typeof outcome === "object" ? problemOfRefusal(outcome.refused, outcome.detail) : undefined;
}

async function bookedRisk(book: Book): Promise<bigint> {
	let booked = 0n;
	let after = 0;
	for (;;) {
		const page = await book.transfers(RISK, after, 1_000);
		for (const { id, entries } of page) {
			if (id.startsWith("risk:")) booked += entries.find(({ account }) => account === RISK)?.nanos ?? 0n;
		}
		const last = page.at(-1);
		if (!last) return booked;
		after = last.position;
	}
}
