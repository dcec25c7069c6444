/**
 * How much fund money may still be opened at a relay: a small seed, and what its readers signed for with a quarter on top, less what funds have opened there.
 * Pure; all of it is counted in bytes over the same stretch of days (docs/decisions/drawn-homes.md; threat 21).
 */

/** Rules of drawn homes and rooms. Bytes are payload bytes; shares are parts per million. */
export type HomeRules = {
	/** what an operator's relays have together before anybody signed for anything: enough to begin with, too little to live on */
	readonly seedBytes: bigint;
	/** what room grows by beyond what was signed for: mail that waits to be read, and mail that never is */
	readonly roomMorePpm: number;
	/** how much of what passes explain may be made room for by readers who count by what they paid */
	readonly payingSharePpm: number;
	/** how many times what somebody paid at other operators' relays they count for as a reader */
	readonly paidTimes: bigint;
	/** what gives an account without a pass a draw, in nano-dollars paid of its own since the last one */
	readonly drawPaidNanos: bigint;
	/** of the draws, to all operators together that are new; what the others could not take if each had its most, they may have too */
	readonly newOperatorsSharePpm: number;
	readonly operatorSharePpm: number;
	/** how often somebody may ask for another home, and how long a quota that was given for one is gone */
	readonly redrawMs: number;
	readonly redrawCostMs: number;
	/** how long a relay has to be unlisted before its people are drawn another home for nothing */
	readonly goneMs: number;
};

const DAY_MS = 86_400_000;

/** The rules of a market that says nothing else. */
export const HOME_RULES: HomeRules = {
	// the whole quota of ten people, about half a dollar at the usual price: what an operator could take once a month and be seen
	seedBytes: 1_000_000_000n,
	roomMorePpm: 250_000,
	payingSharePpm: 100_000,
	paidTimes: 20n,
	// 5 MB at the usual price
	drawPaidNanos: 2_500_000n,
	newOperatorsSharePpm: 100_000,
	operatorSharePpm: 200_000,
	// who asked each month would sit at a friend's relay within a year, and have paid for it with the months before only
	redrawMs: 180 * DAY_MS,
	redrawCostMs: 30 * DAY_MS,
	goneMs: 7 * DAY_MS,
};

/** What is known of a relay over the last thirty days, in bytes. */
export type RoomFacts = {
	/** signed for by readers whose home was drawn here, each up to its passes' quota */
	readonly known: bigint;
	/** signed for by the same beyond that, each up to so many times what it paid elsewhere */
	readonly paying: bigint;
	/** carried here for payers' own money */
	readonly other: bigint;
	/** opened here by funds, less what came back */
	readonly opened: bigint;
	/** eligible relays of its operator, itself counted: they share one seed */
	readonly relaysOfOperator: number;
};

const PPM = 1_000_000n;

/**
 * The bytes that funds may still open. What payers' own money carried explains part of what readers signed for, but first what people signed for who count
 * by what they paid: those create hardly any room, for money that goes round in a circle costs its fees only. What is left of it takes the quarter on top and no
 * more: relays that carry much for people who pay must not lose the room for those who cannot.
 */
export function roomBytes(facts: RoomFacts, rules: HomeRules): bigint {
	const { known, paying, other, opened, relaysOfOperator } = facts;
	const more = (known * BigInt(rules.roomMorePpm)) / PPM;
	const unexplained = other > paying ? other - paying : 0n;
	const paid = least(paying > other ? paying - other : 0n, (known * BigInt(rules.payingSharePpm)) / PPM);
	const seed = rules.seedBytes / (relaysOfOperator > 1 ? BigInt(relaysOfOperator) : 1n);
	const room = seed + known + paid + (unexplained < more ? more - unexplained : 0n) - opened;
	return room > 0n ? room : 0n;
}

/** What a reader may count for in a month, in bytes. */
export type ReaderFacts = {
	/** the quota of its passes, or what strong evidence of its country gives; gifts are somebody else's quota */
	readonly quotaBytes: bigint;
	/** what it paid itself at other operators' relays in the last thirty days, in nano-dollars */
	readonly paidElsewhere: bigint;
	/** what it has counted for this month */
	readonly known: bigint;
	readonly paying: bigint;
};

/** How so many more bytes count: by the reader's passes first, then by what it paid; what is beyond both counts for nothing. */
export function countAs(
	bytes: bigint,
	facts: ReaderFacts,
	askPerMbMax: bigint,
	rules: HomeRules,
): { readonly known: bigint; readonly paying: bigint } {
	const known = least(bytes, facts.quotaBytes - facts.known);
	// by the highest price that funds pay: a relay that asks nearly nothing must not make its friends' cents into terabytes
	const paidBytes = (facts.paidElsewhere * rules.paidTimes * PPM) / askPerMbMax;
	return { known, paying: least(bytes - known, paidBytes - facts.paying) };
}

function least(wanted: bigint, left: bigint): bigint {
	return left <= 0n ? 0n : wanted < left ? wanted : left;
}
