/**
 * Payouts that a person ends. A wallet may never say what became of a payment, and a rail may be gone: then whoever runs the market looks for themselves and
 * says so. The rail is asked once more first, its own word goes before theirs, and money never goes back while its invoice could still be paid.
 */

import { isProblem, type Problem, problem } from "#contracts/problem";
import { problemOfRefusal } from "#marketplace/market";
import type { PaymentState } from "#marketplace/rail/rail";
import { payoutOf } from "./ask.ts";
import { ABSENT_AFTER_MS, FEE_TIMES_MAX } from "./course.ts";
import { happen, isUnderWay, orderOf, type Payout, readPayout, UNDER_WAY } from "./payout.ts";
import type { Parts } from "./reserve.ts";

/** How a person says that it ended; `fee` is what the rail took, in its unit. */
export type Word = { readonly how: "sent" | "failed"; readonly fee: bigint; readonly note: string };

/** All that is known of a payout. */
export type Known = {
	readonly payout: Payout;
	/** what its rail says now; undefined: it is not set up here, or was never told */
	readonly says: PaymentState | Problem | undefined;
	/** before this its money does not go back by hand: an order that got lost could begin until then */
	readonly failsFromMs: number;
	/** why it may not be ended so, by hand; undefined: it may */
	readonly refused: Readonly<Record<Word["how"], string | undefined>>;
};

/** A person looks at some, not at thousands. */
const LIST_MAX = 200;

/** Payouts that have not ended, those of which nobody knows what became first. */
export async function openPayouts({ book }: Pick<Parts, "book">): Promise<readonly Payout[]> {
	const open: Payout[] = [];
	for (const of of [...UNDER_WAY].reverse()) {
		const limit = LIST_MAX - open.length;
		const rows = limit > 0 ? await book.records({ table: "payouts", by: "state", of, limit }) : [];
		open.push(...rows.map(readPayout));
	}
	return open;
}

/** What is known of a payout, its rail being asked; a problem when there is none. */
export async function knownOf(parts: Parts, id: string): Promise<Known | Problem> {
	const payout = await payoutOf(parts, id);
	if (!payout) return problem("not-found", "There is no such payout.");
	const told = payout.course.begunAtMs !== undefined;
	const rail = parts.rails.find(({ name }) => name === payout.rail);
	const says = told && rail && isUnderWay(payout) ? await rail.payment(orderOf(payout)) : undefined;
	const failsFromMs = failsFrom(parts, payout);
	return { payout, says, failsFromMs, refused: refuse(payout, says, failsFromMs, parts.clock.nowMs()) };
}

/** When an order cannot begin any more: its invoice has ended, and no copy of the order is on its way. */
function failsFrom({ lightning }: Parts, { course, target, to }: Payout): number {
	if (course.begunAtMs === undefined) return 0;
	const invoice = target.kind === "stripe" || to === undefined ? undefined : lightning?.readInvoice(to);
	const endsMs = invoice && !isProblem(invoice) ? invoice.expiresAtMs : 0;
	return Math.max(course.begunAtMs, endsMs) + ABSENT_AFTER_MS;
}

function refuse(payout: Payout, says: Known["says"], failsFromMs: number, nowMs: number): Known["refused"] {
	const both = (why: string) => ({ sent: why, failed: why });
	if (!isUnderWay(payout)) return both(`It has ended: ${payout.course.state}.`);
	if (payout.course.begunAtMs === undefined) return { sent: "Its rail was never told of it.", failed: undefined };
	if (isProblem(says)) return both(`Its rail does not answer, and goes before: ${says.detail}`);
	const early =
		nowMs < failsFromMs ? `It could still be paid until ${new Date(failsFromMs).toISOString()}.` : undefined;
	switch (says?.state) {
		case undefined:
		case "unknown":
			return { sent: undefined, failed: early };
		case "sent":
			// an amount or a fee that cannot be believed keeps it from ending by itself
			return { sent: undefined, failed: "Its rail says that it was sent." };
		case "sending":
			return both("Its rail says that it is under way: it ends by itself.");
		default:
			return both("Its rail says that it was not sent: it ends by itself, within minutes.");
	}
}

/** Ends a payout by a person's word, or says why not. Whoever else went on with it meanwhile was first. */
export async function endByHand(parts: Parts, id: string, word: Word): Promise<Payout | Problem> {
	const known = await knownOf(parts, id);
	if (isProblem(known)) return known;
	const refused = known.refused[word.how];
	if (refused !== undefined) return problem("conflict", refused);
	if (word.fee > (known.payout.terms?.amount ?? 0n) * FEE_TIMES_MAX)
		return problem("malformed", `No rail takes ${FEE_TIMES_MAX} times a payment for its fee.`);
	const atMs = parts.clock.nowMs();
	const ended = happen(known.payout, { is: "by hand", ...word, atMs }, { atMs });
	const [outcome] = await parts.book.apply([ended.change]);
	if (outcome === "applied") return ended.payout;
	if (outcome === undefined || outcome === "same") return problemOfRefusal("stale", "");
	return problemOfRefusal(outcome.refused, outcome.detail);
}
