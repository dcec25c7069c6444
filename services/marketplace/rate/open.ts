/** Which rates a market goes by, from its settings. */

import { type Problem, problem } from "#contracts/problem";
import type { Log } from "#host/log";
import { SOURCES_MIN } from "./agree.ts";
import { parsePrice } from "./price.ts";
import type { Rates } from "./rate.ts";
import { fixRates, gatherRates } from "./rates.ts";
import { EXCHANGE_NAMES, exchange, type RateSource, type SourceDeps } from "./source.ts";

/** The settings of the rate. */
export type RateConfig = {
	/** exchanges with commas between, each NAME or NAME=URL */
	readonly rateSources: string;
	readonly rateSpreadPpm: number;
	/** dollars for a bitcoin, where nothing is asked (play money only) */
	readonly fixedRate: string | undefined;
};

/** Each is asked for every rate. */
const SOURCES_MAX = 16;

/** The sources that a market asks. */
export function openSources(list: string, deps: SourceDeps): readonly RateSource[] | Problem {
	const names = new Set<string>();
	const sources: RateSource[] = [];
	for (const entry of list.split(",")) {
		const [, name = "", url] = /^([^=]*)(?:=(.*))?$/.exec(entry.trim()) ?? [];
		const source = exchange(name, deps, url);
		if (!source) return refuse(`"${name.slice(0, 40)}" is none of ${EXCHANGE_NAMES.join(", ")}`);
		if (url !== undefined && !isHttp(url)) return refuse(`the URL of ${name} is none`);
		if (names.has(name)) return refuse(`${name} is there twice, and would count twice`);
		names.add(name);
		sources.push(source);
	}
	if (sources.length < SOURCES_MIN) return refuse(`${sources.length} are too few; ${SOURCES_MIN} make a median`);
	if (sources.length > SOURCES_MAX) return refuse(`${sources.length} are too many`);
	return sources;

	function refuse(says: string): Problem {
		return problem("usage", `The rate's sources are NAME or NAME=URL with commas between: ${says}.`);
	}
}

function isHttp(url: string): boolean {
	return URL.canParse(url) && ["http:", "https:"].includes(new URL(url).protocol);
}

/** The rates of a market. */
export function openRates(config: RateConfig, deps: SourceDeps & { readonly log: Log }): Rates | Problem {
	const { fixedRate, rateSources, rateSpreadPpm } = config;
	if (fixedRate !== undefined) {
		const price = parsePrice(fixedRate);
		if (price === undefined)
			return problem("usage", "A fixed rate is what a bitcoin costs in dollars, like 65000 or 65000.50.");
		return fixRates(price, rateSpreadPpm, deps.clock);
	}
	const sources = openSources(rateSources, deps);
	return "problem" in sources ? sources : gatherRates({ ...deps, sources, spreadPpm: rateSpreadPpm });
}
