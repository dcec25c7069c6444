/** The rules by which funds pay, each a setting of the market's, and the defences against thieves, each with a switch. All are on unless somebody turns them off. */

import { LIMIT } from "#contracts/limit";
import { NEED, type NeedRule } from "#contracts/need";
import type { Tariff } from "#contracts/tariff";
import { HOME_RULES, type HomeRules } from "#marketplace/home/room";

/**
 * What keeps thieves out (SECURITY.md).
 * - `quota`: a person's bytes a month; `evidence`: the need price wants to know a country; `said-share`: what people of a country by their own word get together
 * - `operator-share`, `pair-share`, `new-operators`: of a fund's month to one operator, to one with one person, to all that are new
 * - `homes`, `room`: mail to drawn homes only; as much of it as readers signed for
 * - `waiting`: first subsidised earnings wait; `watching`: canaries, and enrollers whose people look alike; `tags`: one person once
 */
export const DEFENCES = [
	"quota",
	"evidence",
	"said-share",
	"operator-share",
	"pair-share",
	"new-operators",
	"homes",
	"room",
	"waiting",
	"watching",
	"tags",
] as const;
export type Defence = (typeof DEFENCES)[number];

/** The rules of a market. Bytes are of quota: an MB of it is what an MB costs at a relay that is kept for as long as funds pay for. */
export type Rules = {
	readonly need: NeedRule;
	/** a month, of somebody whose country is known by strong evidence */
	readonly quotaBytes: bigint;
	/** a month, of somebody whose country is their own word */
	readonly saidQuotaBytes: bigint;
	/** a day, for texts, of somebody who is vouched for and whose quota is used up */
	readonly textBytesADay: bigint;
	/** a month, at relays that have no room for the person's mail */
	readonly elsewhereBytes: bigint;
	/** of the commons' daily budget, to all whose country is their own word */
	readonly saidSharePpm: number;
	/** of a fund's budget of a month, to one operator; where fewer are eligible than {@link Rules.operatorsFew}, two of as many parts as there are */
	readonly operatorSharePpm: number;
	readonly operatorsFew: number;
	/** likewise to one operator for one person's mail */
	readonly pairSharePpm: number;
	/** likewise to all operators together that are new */
	readonly newOperatorsSharePpm: number;
	/** drawn homes, and the room of relays */
	readonly homes: HomeRules;
	readonly defences: Readonly<Record<Defence, boolean>>;
};

/** What a sponsor says of a pool. Nothing said of countries or enrollers: all of them. */
export type PoolRules = {
	readonly countries: readonly string[];
	/** keys of enrollers in hex */
	readonly enrollers: readonly string[];
	/** of quota, a person */
	readonly monthBytes: bigint;
	readonly dayBytes: bigint;
	/** what it pays in a day at most, in nano-dollars */
	readonly dayLimit: bigint;
	readonly fromMs: number;
	/** undefined: until it is ended */
	readonly untilMs?: number | undefined;
	/** narrower than the market's, where the sponsor wants that */
	readonly operatorSharePpm?: number | undefined;
	readonly pairSharePpm?: number | undefined;
	/** whose users it is for: the key in hex of an app's developer, who signs passes for them */
	readonly app?: string | undefined;
};

/** Every defence, as it should be. */
export const ALL_DEFENCES = Object.fromEntries(DEFENCES.map((defence) => [defence, true])) as Record<Defence, boolean>;

/** The rules of a market that says nothing else. */
export const RULES: Rules = {
	need: NEED,
	quotaBytes: 100_000_000n,
	saidQuotaBytes: 20_000_000n,
	textBytesADay: 1_000_000n,
	elsewhereBytes: 5_000_000n,
	saidSharePpm: 50_000,
	operatorSharePpm: 200_000,
	operatorsFew: 10,
	pairSharePpm: 50_000,
	newOperatorsSharePpm: 100_000,
	homes: HOME_RULES,
	defences: ALL_DEFENCES,
};

/** The rules with some defences turned off; undefined where one has no such name. */
export function withoutDefences(rules: Rules, off: readonly string[]): Rules | undefined {
	if (!off.every((name) => DEFENCES.includes(name as Defence))) return undefined;
	return { ...rules, defences: { ...rules.defences, ...Object.fromEntries(off.map((name) => [name, false])) } };
}

const BYTES_PER_MB = 1_000_000n;
const DAYS = BigInt(LIMIT.poolTtlDaysMax);

function askPerMb(tariff: Tariff): bigint {
	return tariff.sendPerMb + tariff.storePerMbDay * DAYS;
}

/** What so many bytes of quota come to at a relay, rounded down: that ask uses up no more than those bytes. */
export function quotaAsk(tariff: Tariff, bytes: bigint): bigint {
	return (bytes * askPerMb(tariff)) / BYTES_PER_MB;
}

/** How many bytes of quota an ask uses up at a relay, rounded up: nothing where it asks nothing. */
export function quotaBytesOf(tariff: Tariff, ask: bigint): bigint {
	const perMb = askPerMb(tariff);
	return perMb === 0n ? 0n : (ask * BYTES_PER_MB + perMb - 1n) / perMb;
}
