/**
 * How a relay serves, by what people of the market's own measured (`farelay market canary`): they send, to themselves, now on a fund's money and now on their own, and
 * look alike to the relay. Pure; what made a score is shown with it.
 */

/** One message that a canary sent. */
export type Measure = {
	readonly atMs: number;
	/** paid from a fund, as far as the market knows; the relay knows nothing of it */
	readonly funded: boolean;
	/** what became of it: not taken, taken and not delivered, delivered */
	readonly end: "refused" | "lost" | "delivered";
	/** from sending to having it; 0 for what did not come */
	readonly tookMs: number;
};

/** What came of one kind. */
export type Served = {
	readonly tries: number;
	readonly refused: number;
	readonly lost: number;
	/** in parts per million of what was tried */
	readonly deliveredPpm: number;
	/** of what was delivered, half was faster; 0 where nothing was */
	readonly medianMs: number;
};

/** What is said against a relay, with its numbers. */
export type Fault = {
	readonly code: "not-delivered" | "sponsored-worse";
	readonly funded: Served;
	readonly own: Served;
};

export type Score = { readonly funded: Served; readonly own: Served; readonly faults: readonly Fault[] };

/** Measurements of one relay that are kept: the newest month at three a day. */
export const MEASURES_MAX = 90;
/** With fewer of a kind nothing is said: two bad ones of three happen to everybody. */
const TRIES_MIN = 10;
/** Fewer delivered than this is said. */
const DELIVERED_PPM_MIN = 900_000;
/** Fewer of a fund's delivered than of the others, by more than this, is said. */
const WORSE_PPM = 150_000;
/** And slower by this many times and this long: networks are not that uneven between two kinds that are measured in turn. */
const SLOWER_TIMES = 2;
const SLOWER_MS = 2_000;

/** A relay's score. */
export function scoreOf(measures: readonly Measure[]): Score {
	const funded = servedOf(measures.filter((measure) => measure.funded));
	const own = servedOf(measures.filter((measure) => !measure.funded));
	const faults: Fault[] = [];
	const all = servedOf(measures);
	if (all.tries >= TRIES_MIN && all.deliveredPpm < DELIVERED_PPM_MIN)
		faults.push({ code: "not-delivered", funded, own });
	if (funded.tries >= TRIES_MIN && own.tries >= TRIES_MIN && isWorse(funded, own))
		faults.push({ code: "sponsored-worse", funded, own });
	return { funded, own, faults };
}

function isWorse(funded: Served, own: Served): boolean {
	if (own.deliveredPpm - funded.deliveredPpm > WORSE_PPM) return true;
	if (funded.medianMs === 0 || own.medianMs === 0) return false;
	return funded.medianMs > SLOWER_TIMES * own.medianMs && funded.medianMs - own.medianMs > SLOWER_MS;
}

function servedOf(measures: readonly Measure[]): Served {
	const tries = measures.length;
	const count = (end: Measure["end"]) => measures.filter((measure) => measure.end === end).length;
	const times = measures
		.filter(({ end }) => end === "delivered")
		.map(({ tookMs }) => tookMs)
		.sort((a, b) => a - b);
	return {
		tries,
		refused: count("refused"),
		lost: count("lost"),
		deliveredPpm: tries === 0 ? 0 : Math.floor((times.length * 1_000_000) / tries),
		medianMs: times[Math.floor(times.length / 2)] ?? 0,
	};
}
