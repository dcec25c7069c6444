/** A pool's rules, checked and kept. What they come to for a person is decided in `sponsor/plan.ts`. Pure. */

import { ECONOMIES } from "#contracts/need";
import { type Problem, problem } from "#contracts/problem";
import type { PoolRules, Rules } from "#marketplace/sponsor/rules";

/** A person's messages of years: more is no person's. */
const BYTES_MAX = 10n ** 15n;
/** A school district's or a ministry's; with the rest they fit a row. */
const ENROLLERS_MAX = 64;
/** People of a pool hear of its end so long before. */
export const NOTICE_MS = 7 * 86_400_000;

const KEY = /^[0-9a-f]{64}$/;

/** What is wrong with rules, at the time at which they are set; undefined when nothing is. `before`: those that they replace. */
export function refuseRules(
	rules: PoolRules,
	market: Pick<Rules, "operatorSharePpm" | "pairSharePpm">,
	nowMs: number,
	before?: PoolRules,
): Problem | undefined {
	const wrong = faultOf(rules) ?? faultOfShares(rules, market) ?? faultOfTimes(rules, nowMs, before);
	return wrong === undefined ? undefined : problem("malformed", wrong);
}

function faultOf({ countries, enrollers, app, dayBytes, monthBytes, dayLimit }: PoolRules): string | undefined {
	const unknown = countries.find((code) => !ECONOMIES.has(code));
	if (unknown !== undefined) return "A country of the rules is none that is known here: two capital letters, like KE.";
	if (new Set(countries).size !== countries.length || new Set(enrollers).size !== enrollers.length)
		return "A country or an enroller is named twice.";
	if (dayBytes <= 0n || dayBytes > monthBytes || monthBytes > BYTES_MAX)
		return "A person's bytes a day are more than none and at most those of a month.";
	if (dayLimit <= 0n) return "What may be spent in a day is more than nothing.";
	if (enrollers.length > ENROLLERS_MAX) return `A pool has at most ${ENROLLERS_MAX} enrollers.`;
	const isNamed = enrollers.every((key) => KEY.test(key)) && (app === undefined || KEY.test(app));
	return isNamed ? undefined : "An enroller or an app is named by its public key in hex.";
}

function faultOfShares(rules: PoolRules, market: Pick<Rules, "operatorSharePpm" | "pairSharePpm">): string | undefined {
	const beyond = (own: number | undefined, mostPpm: number): boolean =>
		own !== undefined && !(Number.isSafeInteger(own) && own > 0 && own <= mostPpm);
	if (beyond(rules.operatorSharePpm, market.operatorSharePpm)) return shareText("operator", market.operatorSharePpm);
	if (beyond(rules.pairSharePpm, market.pairSharePpm))
		return shareText("person's mail at one operator", market.pairSharePpm);
	return undefined;
}

function shareText(whose: string, mostPpm: number): string {
	return `The share of one ${whose} is more than nothing and at most the market's, ${mostPpm / 10_000} %.`;
}

function faultOfTimes(
	{ fromMs, untilMs }: PoolRules,
	nowMs: number,
	before: PoolRules | undefined,
): string | undefined {
	if (!Number.isSafeInteger(fromMs) || fromMs < 0) return "The start is no time.";
	if (untilMs === undefined || (before && untilMs === before.untilMs)) return undefined;
	if (!Number.isSafeInteger(untilMs) || untilMs <= fromMs) return "A pool ends after it starts.";
	return untilMs < nowMs + NOTICE_MS
		? "People hear of a pool's end seven days before it: choose a later one."
		: undefined;
}

/** Fields of rules that are bigint, by their names. */
export const RULE_BIGINTS: readonly string[] = ["monthBytes", "dayBytes", "dayLimit"];
