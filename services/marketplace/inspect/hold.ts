/** One deposit or payout of ours held against what its rail says of it: pure, and in words that say what the difference is. */

import { isProblem, type Problem } from "#contracts/problem";
import type { Deposit } from "#marketplace/funding/deposit";
import type { Payout } from "#marketplace/payout/payout";
import type { DepositState, PaymentState } from "#marketplace/rail/rail";

/**
 * A difference: what it is, whether it is one that may be (`explained`), and by how much the rail may hold more or less than our records say because of
 * it, in its unit.
 */
export type Held = {
	readonly explained: boolean;
	readonly says: string;
	readonly more?: bigint;
	readonly less?: bigint;
};

/** The market looks at a deposit within seconds of a hint, and every five minutes without one: what it has not seen after this it will not see. */
const IN_FLIGHT_MS = 3_600_000;

/** What differs between a deposit and its rail's word; undefined when nothing does. */
export function holdDeposit(
	deposit: Pick<Deposit, "came" | "state">,
	said: DepositState | Problem,
	nowMs: number,
): Held | undefined {
	const { came, state } = deposit;
	if (isProblem(said)) return wrong(`The rail could not be asked about it: ${said.detail}`);
	if (said.state === "returned") return came && both(holdReturned(said, came.back, nowMs), holdPenalty(said, came));
	if (said.state !== "paid") {
		if (!came) return undefined;
		return wrong(`It was credited, and the rail says "${said.state}" of it.`, { less: came.units });
	}
	const before = came?.units ?? 0n;
	if (said.amount > before) {
		const more = said.amount - before - (said.fee - (came?.fee ?? 0n));
		if (nowMs - said.atMs <= IN_FLIGHT_MS)
			return {
				explained: true,
				says: "In flight: it came at the rail, and is credited at the market's next look.",
				more,
			};
		return wrong(`Money came by it ${since(nowMs - said.atMs)} ago and was never credited (it is "${state}" here).`, {
			more,
		});
	}
	if (came && came.back > 0n)
		return {
			explained: true,
			says: "In flight: what was taken back came again, and the ledger follows within a day.",
			more: came.back,
		};
	if (said.amount < before) return wrong("More was credited than came at the rail.", { less: before - said.amount });
	return feeOf(said.fee, came?.fee ?? 0n) ?? (came && holdPenalty(said, came));
}

/** What the provider charged for what went back: the ledger follows at its next look. */
function holdPenalty({ penalty = 0n }: { penalty?: bigint }, came: NonNullable<Deposit["came"]>): Held | undefined {
	const more = penalty - (came.penalty ?? 0n);
	if (more === 0n) return undefined;
	const says = `In flight: the provider charged ${penalty} for a payment that went back, and the ledger counts ${came.penalty ?? 0n} yet.`;
	return { explained: true, says, ...(more > 0n ? { less: more } : { more: -more }) };
}

function both(one: Held | undefined, other: Held | undefined): Held | undefined {
	if (!one || !other) return one ?? other;
	const [more, less] = [(one.more ?? 0n) + (other.more ?? 0n), (one.less ?? 0n) + (other.less ?? 0n)];
	return { explained: one.explained && other.explained, says: `${one.says} ${other.says}`, more, less };
}

/** What was taken back at the rail and what of it the ledger knows. */
function holdReturned(
	said: Extract<DepositState, { state: "returned" }>,
	back: bigint,
	nowMs: number,
): Held | undefined {
	const off = said.amount - back;
	if (off === 0n) return undefined;
	const by = off > 0n ? { less: off } : { more: -off };
	if (nowMs - said.atMs <= IN_FLIGHT_MS)
		return { explained: true, says: "In flight: it was taken back, and the ledger follows at its next look.", ...by };
	const why = said.why === "dispute" ? "disputed by the bank of whoever paid" : "paid back";
	return wrong(
		`It was ${why} ${since(nowMs - said.atMs)} ago, and the ledger counts another amount as taken back.`,
		by,
	);
}

/** The same for a payout that its rail was told of. */
export function holdPayout({ course, terms }: Payout, said: PaymentState | Problem): Held | undefined {
	const most = terms ? terms.amount + terms.feeMax : 0n;
	if (isProblem(said)) return wrong(`The rail could not be asked about it: ${said.detail}`, { less: most });
	// what no rail said may be either
	if (course.byHand !== undefined && said.state === "unknown" && terms)
		return { explained: true, says: `Ended by hand as ${course.state}: ${course.byHand}`, more: most, less: most };
	switch (course.state) {
		case "sent": {
			if (said.state !== "sent")
				return wrong(`It is sent here, and the rail says "${said.state}" of it.`, { more: most });
			const off = said.amount - (terms?.amount ?? 0n);
			if (off !== 0n)
				return wrong(
					"Another amount left at the rail than the ledger paid out.",
					off > 0n ? { less: off } : { more: -off },
				);
			return feeOf(said.fee, course.paid?.fee ?? 0n) ?? beyondCeiling(said.fee, terms?.feeMax ?? said.fee);
		}
		case "sending":
		case "unknown":
			if (said.state === "sent" || said.state === "failed")
				return {
					explained: true,
					says: `In flight: the rail says "${said.state}", and the record follows.`,
					less: most,
				};
			return {
				explained: true,
				says: "An unknown payout: the rail was told, and nobody knows what became of it yet. It is asked until it says.",
				less: most,
			};
		default:
			if (said.state === "absent" || said.state === "failed") return undefined;
			if (course.state === "reserved" && said.state !== "sent")
				return { explained: true, says: "In flight: the rail is just being told.", less: most };
			return wrong(
				`It is "${course.state}" here, and the rail says "${said.state}": money may have left that was given back.`,
				{
					less: most,
				},
			);
	}
}

/** A fee that the rail has settled on since: one that is higher than was counted leaves less there, whichever way the money went. */
function feeOf(now: bigint, counted: bigint): Held | undefined {
	if (now === counted) return undefined;
	const says = `A fee: the rail took ${now} for it, and the ledger counted ${counted}.`;
	return { explained: true, says, ...(now > counted ? { less: now - counted } : { more: counted - now }) };
}

/** A fee beyond what the rail was allowed. It is in the ledger, and the market bore it. */
function beyondCeiling(fee: bigint, most: bigint): Held | undefined {
	if (fee <= most) return undefined;
	return {
		explained: true,
		says: `An overrun: the rail took ${fee} for it, of ${most} allowed; the market bore the rest.`,
	};
}

function wrong(says: string, by: { more?: bigint; less?: bigint } = {}): Held {
	return { explained: false, says, ...by };
}

function since(ms: number): string {
	const hours = Math.floor(ms / 3_600_000);
	return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}
