/**
 * Keeps an eye on deposits. A rail's hint has one looked at soon; because hints get lost, a round asks the rails again and again about all
 * that wait, ever more seldom. What a hint says is not believed: it names a deposit, and the rail is asked (threat 16).
 */

import { isProblem } from "#contracts/problem";
import type { RecordRow } from "#marketplace/ledger/book";
import type { Rail } from "#marketplace/rail/rail";
import { type Deposit, readDeposit } from "./deposit.ts";
import { depositByReference, lookAt } from "./look.ts";
import type { FundingMarket } from "./start.ts";

/** How often the deposits that are due are looked at. */
export const ROUND_MS = 5_000;

/** Deposits read at once. */
const PAGE = 200;

/** Questions under way to one rail: its provider has bounds of its own. */
const ASKED_MAX = 8;

/** A rail that failed so often in a round is left alone until the next: each failure may have taken as long as its patience. */
const FAILS_MAX = 3;

/** Hints that wait; more are dropped, and a round finds what they meant. */
export const HINTS_MAX = 10_000;

/** The states in which a deposit comes to be due: of what was credited, what was paid in part or hinted at when the rail could not be asked. Months behind what they are of. */
const DUE_STATES = ["monthly", "starting", "waiting", "expired", "credited"];

/** Whoever watches. */
export interface Watch {
	/** Looks at all deposits that are due; answers at how many. */
	round(): Promise<number>;
	/** Resolves when the hints that came are worked off. */
	idle(): Promise<void>;
	/** Hears no more hints and finishes what is under way. */
	close(): Promise<void>;
}

/** Begins to watch a market's deposits. */
export function openWatch(market: FundingMarket): Watch {
	const lines = market.rails.filter((rail) => rail.ranges.in).map((rail) => listenTo(market, rail));
	return {
		round: () => round(market),
		idle: async () => {
			await Promise.all(lines.map((line) => line.idle()));
		},
		close: async () => {
			await Promise.all(lines.map((line) => line.close()));
		},
	};
}

/** Works a rail's hints off: each reference once, however often it is hinted at, and again when a hint came meanwhile. */
function listenTo(market: FundingMarket, rail: Rail): { idle(): Promise<void>; close(): Promise<void> } {
	const waiting = new Set<string>();
	const busy = new Map<string, Promise<void>>();
	const cancel = rail.onEvent((reference) => {
		if (waiting.size < HINTS_MAX) waiting.add(reference);
		pump();
	});

	function pump(): void {
		for (const reference of waiting) {
			if (busy.size >= ASKED_MAX) return;
			if (busy.has(reference)) continue;
			waiting.delete(reference);
			const looked = look(reference).finally(() => {
				busy.delete(reference);
				pump();
			});
			busy.set(reference, looked);
		}
	}

	async function look(reference: string): Promise<void> {
		try {
			const deposit = await depositByReference(market, rail.name, reference);
			if (deposit) await lookAt(market, deposit);
		} catch (error) {
			market.log.error({ err: error, rail: rail.name }, "a hint could not be followed; a round will");
		}
	}

	const idle = async (): Promise<void> => {
		while (busy.size > 0) await Promise.all(busy.values());
	};
	return {
		idle,
		close: async () => {
			cancel();
			waiting.clear();
			await idle();
		},
	};
}

async function round(market: FundingMarket): Promise<number> {
	// one instant for the whole round: what is looked at is due later, and must not come again in it
	const beforeMs = market.clock.nowMs() + 1;
	const fails = new Map<string, number>();
	const broken: unknown[] = [];
	let looked = 0;
	for (const state of DUE_STATES) {
		let after: RecordRow | undefined;
		do {
			const page: RecordRow[] = await market.book.records({
				table: "deposits",
				by: "due",
				state,
				beforeMs,
				limit: PAGE,
				...(after && { after }),
			});
			const byRail = Map.groupBy(readAll(page, broken), (deposit) => deposit.quote.rail);
			const looks = [...byRail].map(([rail, deposits]) => lookAll(market, rail, deposits, fails, broken));
			const counts = await Promise.all(looks);
			looked += counts.reduce((sum, count) => sum + count, 0);
			after = page.at(-1);
		} while (after);
	}
	// one that breaks holds up no other
	if (broken.length > 0) throw broken[0];
	return looked;
}

function readAll(page: readonly RecordRow[], broken: unknown[]): Deposit[] {
	return page.flatMap((row) => {
		try {
			return [readDeposit(row)];
		} catch (error) {
			broken.push(error);
			return [];
		}
	});
}

/** Looks at deposits of one rail, some at a time, until it has failed too often. */
async function lookAll(
	market: FundingMarket,
	rail: string,
	deposits: readonly Deposit[],
	fails: Map<string, number>,
	broken: unknown[],
): Promise<number> {
	let looked = 0;
	for (let from = 0; from < deposits.length; from += ASKED_MAX) {
		if ((fails.get(rail) ?? 0) >= FAILS_MAX) break;
		const some = deposits.slice(from, from + ASKED_MAX);
		const answers = await Promise.allSettled(some.map((deposit) => lookAt(market, deposit)));
		looked += some.length;
		let failed = 0;
		for (const answer of answers) {
			if (answer.status === "rejected") broken.push(answer.reason);
			else if (isProblem(answer.value) || answer.value.fails > 0) failed += 1;
		}
		fails.set(rail, failed > 0 ? (fails.get(rail) ?? 0) + failed : 0);
	}
	return looked;
}
