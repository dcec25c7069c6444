/** The rate as several sources agree on it, kept for a while: one gathering at a time, however many ask. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import { agree, FRESH_MS, type Quote, STALE_MS } from "./agree.ts";
import { formatPrice, msatPerDollarOf, type Price } from "./price.ts";
import type { Rate, Rates } from "./rate.ts";
import type { RateSource } from "./source.ts";

/** What a gathering takes from outside. */
export type RatesDeps = {
	readonly clock: Clock;
	readonly log: Log;
	readonly sources: readonly RateSource[];
	/** what the market keeps of an exchange, in parts per million; doubled while the rate is not fresh */
	readonly spreadPpm: number;
};

/** Sources are not asked more often than this, however many quotes are wanted: each allows about one request a second. */
const ASK_MS = 10_000;

/** Rates from sources. Nobody is asked before somebody asks for a rate. */
export function gatherRates({ clock, log, sources, spreadPpm }: RatesDeps): Rates {
	/** the last answer of each source, so that one that stalls once still counts */
	const quotes = new Map<string, Quote>();
	let good: Rate | undefined;
	let why = "no source was asked yet";
	let askedMs: number | undefined;
	let gathering: Promise<void> | undefined;

	const gather = async (): Promise<void> => {
		askedMs = clock.elapsedMs();
		await Promise.all(
			sources.map(async (source) => {
				const answer = await source.ask();
				if (isProblem(answer)) log.warn({ source: source.name, says: answer.detail }, "a source gave no price");
				else quotes.set(source.name, { source: source.name, ...answer });
			}),
		);
		const agreement = agree([...quotes.values()], clock.nowMs());
		if (typeof agreement === "string") {
			why = agreement;
			log.warn({ why }, "the sources agree on no rate");
			return;
		}
		const { price, atMs, agreed, dropped } = agreement;
		if (dropped.length > 0) log.warn({ dropped }, "sources are far from the others and were left out");
		const says = `${formatPrice(price)} a bitcoin, the median of ${agreed.join(", ")}`;
		why = "its sources were not asked again";
		good = { msatPerDollar: msatPerDollarOf(price), spreadPpm, atMs, says };
	};

	return {
		async now() {
			const quiet = askedMs !== undefined && clock.elapsedMs() - askedMs < ASK_MS;
			if (!gathering && !quiet) {
				gathering = gather().finally(() => {
					gathering = undefined;
				});
			}
			// while what is known is fresh, whoever asks does not wait for a source that stalls
			if (!(good && ageMs(good) <= FRESH_MS)) await gathering;
			if (!good || ageMs(good) > STALE_MS) return unknown(why);
			if (ageMs(good) <= FRESH_MS) return good;
			const says = `${good.says}, ${Math.round(ageMs(good) / 1_000)} s ago: ${why}, so the spread is doubled`;
			return { ...good, spreadPpm: spreadPpm * 2, says };
		},
	};

	/** A clock that was set back makes nothing fresh. */
	function ageMs(rate: Rate): number {
		return Math.abs(clock.nowMs() - rate.atMs);
	}
}

/** Why there is no rate, for whoever wants to pay by Bitcoin: nothing was begun. */
function unknown(why: string): Problem {
	return problem(
		"unavailable",
		`What a bitcoin costs is not known now (${why}): nothing was begun. Try again in a minute, or pay another way.`,
		{ spent: "no", retryAfterMs: FRESH_MS },
	);
}

/** A rate that never moves and is nobody's price, for trying and testing, and that says so. */
export function fixRates(price: Price, spreadPpm: number, clock: Clock): Rates {
	const says = `${formatPrice(price)} a bitcoin, fixed for trying: nobody's price`;
	return { now: async () => ({ msatPerDollar: msatPerDollarOf(price), spreadPpm, atMs: clock.nowMs(), says }) };
}
