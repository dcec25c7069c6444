/**
 * Who pays for a tab: pools that cover the person, then the commons at the need price, then the person at the full price (PROTOCOL.md, "Tranches"; threats 20 and 21).
 * Pure, and used by the simulator as it is. A lower cap gets the first part of the same tranches, so that a person may take less than was quoted.
 */

import { amount } from "#contracts/amount";
import { ECONOMIES, needPerMb, payerPpm } from "#contracts/need";
import type { Reason, ReasonCode } from "#contracts/reason";
import type { FeeRates } from "#contracts/tab";
import type { Tariff } from "#contracts/tariff";
import { ownTranche, TRANCHES_MAX, type Tranche } from "#contracts/tranche";
import { shareLimits } from "#marketplace/desk/share";
import type { Facts, FundFacts, PassFacts, PersonFacts, RelayFacts, Use } from "./facts.ts";
import { quotaAsk, quotaBytesOf, type Rules } from "./rules.ts";

/** What is decided; `uses` is of each fund's tranche, in their order. */
export type Plan = {
	readonly tranches: readonly Tranche[];
	readonly uses: readonly Use[];
	readonly reasons: readonly Reason[];
};

/** What is left for this tab while its tranches are cut: nanos of room at the relay, bytes elsewhere, bytes for texts. */
type Left = { room: bigint; elsewhere: bigint; texts: bigint };

const PPM = 1_000_000n;
const DAY_MS = 86_400_000;
/** Less than the first step of a tab is not worth a tranche: nothing could be sent by it. */
const TRANCHE_BYTES_MIN = 65_536n;
/** The commons and the payer's own want a place too. */
const POOL_TRANCHES_MAX = TRANCHES_MAX - 2;
/** More than any limit: what nothing limits. */
const UNLIMITED = 1n << 62n;

/** The lowest limit met so far, and which it is. */
type Limit = { nanos: bigint; code: ReasonCode };

/** Decides who pays for a tab of this cap at this tariff. */
export function plan(asked: { readonly cap: bigint; readonly tariff: Tariff }, facts: Facts, rules: Rules): Plan {
	const out: Out = { tranches: [], uses: [], reasons: [] };
	const { person, relay } = facts;
	const shut = person.frozen
		? "frozen"
		: !relay.isEligible
			? "asks-too-much"
			: relay.isPaused && rules.defences.watching
				? "relay-paused"
				: undefined;
	let left = asked.cap;
	if (shut) out.reasons.push({ code: shut });
	else {
		const rest = leftOf(person, relay, rules);
		for (const pool of facts.pools) {
			if (left === 0n || out.tranches.length === POOL_TRANCHES_MAX) break;
			const pass = person.passes.find((one) => one.pool === pool.fund);
			if (pass && pool.pool) left -= poolPart(left, asked.tariff, facts, rules, pool, pass, rest, out);
		}
		if (left > 0n) left -= commonsPart(left, asked.tariff, facts, rules, rest, out);
	}
	if (left > 0n) out.tranches.push(ownTranche(amount(left)));
	return out;
}

type Out = { readonly tranches: Tranche[]; readonly uses: Use[]; readonly reasons: Reason[] };

function leftOf(person: PersonFacts, relay: RelayFacts, rules: Rules): Left {
	return {
		room: relay.room === undefined ? UNLIMITED : least0(relay.room),
		elsewhere: least0(rules.elsewhereBytes - person.elsewhereUsed),
		texts: least0(rules.textBytesADay - person.textUsed),
	};
}

/** Fund money that may be opened at this relay for this person: its room, and what the person may use elsewhere. */
function roomOf({ room, elsewhere }: Left, tariff: Tariff, fees: FeeRates): bigint {
	return room === UNLIMITED ? UNLIMITED : room + withFee(quotaAsk(tariff, elsewhere), fees);
}

/** What a tranche uses up, taken from what is left: the month's quota before texts, room before elsewhere. */
function use(ask: bigint, nanos: bigint, quota: bigint, left: Left, tariff: Tariff, fees: FeeRates): Use {
	const bytes = quotaBytesOf(tariff, ask);
	const ofQuota = bytes < quota ? bytes : quota;
	const texts = bytes - ofQuota;
	left.texts = least0(left.texts - texts);
	if (left.room === UNLIMITED) return { quota: ofQuota, texts, elsewhere: 0n };
	const beyond = least0(nanos - left.room);
	left.room = least0(left.room - nanos);
	const elsewhere = beyond === 0n ? 0n : quotaBytesOf(tariff, (beyond * PPM) / (PPM + BigInt(fees.marketPpm)));
	left.elsewhere = least0(left.elsewhere - elsewhere);
	return { quota: ofQuota, texts, elsewhere };
}

function poolPart(
	left: bigint,
	tariff: Tariff,
	facts: Facts,
	rules: Rules,
	pool: FundFacts,
	pass: PassFacts,
	rest: Left,
	{ tranches, uses, reasons }: Out,
): bigint {
	const { nowMs, person, fees } = facts;
	const said = pool.rules;
	const refused = refusedBy(nowMs, pool, pass, person);
	if (refused) {
		reasons.push({ code: refused, fund: pool.fund });
		return 0n;
	}
	const monthBytes = said && said.monthBytes < pass.monthBytes ? said.monthBytes : pass.monthBytes;
	const quota = rules.defences.quota ? quotaLeft(monthBytes, pass.usedMonth, pool) : UNLIMITED;
	const bytes = pass.isVouched && rest.texts > quota ? rest.texts : quota;
	const dayBytes = said ? least0(said.dayBytes - pass.usedDay) : bytes;
	const limit = fundLimit(facts, rules, pool, roomOf(rest, tariff, fees));
	lower(limit, least0(pool.dayLimit - pool.burnedToday), "fund-day");
	const part = take(left, tariff, asksOf(limit.nanos, fees, 0), bytes < dayBytes ? bytes : dayBytes);
	if (part.isShort) {
		const isDay = part.byBytes && dayBytes < bytes;
		const code = isDay ? "day-used" : part.byBytes ? quotaCode(monthBytes, pass.usedMonth, pool) : limit.code;
		reasons.push(reasonOf(code, pool, nowMs));
	}
	if (part.ask === 0n || !pool.pool) return 0n;
	reasons.push({ code: "pool-pays", fund: pool.fund });
	if (pool.state === "ending") reasons.push(reasonOf("fund-ending", pool, nowMs));
	tranches.push({ fund: "pool", pool: pool.pool, cap: amount(part.ask), payerPpm: 0 });
	uses.push(use(part.ask, withFee(part.ask, fees), quota, rest, tariff, fees));
	return part.ask;
}

function refusedBy(nowMs: number, pool: FundFacts, pass: PassFacts, person: PersonFacts): ReasonCode | undefined {
	const said = pool.rules;
	if (pool.state === "paused") return "fund-paused";
	if (pool.state === "ended" || (said?.untilMs !== undefined && nowMs >= said.untilMs)) return "fund-ended";
	if (said && nowMs < said.fromMs) return "fund-paused";
	if (nowMs >= pass.validUntilMs) return "pass-ended";
	if (said && said.countries.length > 0 && !(person.country && said.countries.includes(person.country)))
		return "fund-country";
	if (said && said.enrollers.length > 0 && pass.enroller && !said.enrollers.includes(pass.enroller))
		return "fund-enroller";
	return undefined;
}

/** What the commons pay for at the need price: adds their tranche, answers its cap. */
function commonsPart(
	left: bigint,
	tariff: Tariff,
	facts: Facts,
	rules: Rules,
	rest: Left,
	{ tranches, uses, reasons }: Out,
): bigint {
	const { person, commons, nowMs, fees } = facts;
	const isKnown = person.evidence !== "none" || !rules.defences.evidence;
	const economy = isKnown && person.country ? ECONOMIES.get(person.country) : undefined;
	if (!economy || commons.state !== "open") {
		reasons.push({ code: economy ? "fund-paused" : "no-country" });
		return 0n;
	}
	const ppm = payerPpm(needPerMb(economy, rules.need), tariff, fees);
	if (ppm === undefined) {
		reasons.push(AFFORDABLE);
		return 0n;
	}
	const isSaid = person.evidence !== "strong" && rules.defences.evidence;
	const monthBytes = isSaid ? rules.saidQuotaBytes : rules.quotaBytes;
	const isVouched = person.passes.some((pass) => pass.isVouched && nowMs < pass.validUntilMs);
	const quota = rules.defences.quota ? quotaLeft(monthBytes, person.commonsUsed, commons) : UNLIMITED;
	const bytes = isVouched && rest.texts > quota ? rest.texts : quota;
	const limit = fundLimit(facts, rules, commons, roomOf(rest, tariff, fees));
	// texts of people who are vouched for go on for as long as the commons have anything
	const isText = isVouched && person.commonsUsed >= monthBytes;
	if (!isText) lower(limit, least0(commons.dayLimit - commons.burnedToday), "fund-day");
	if (isSaid && rules.defences["said-share"])
		lower(limit, share(commons.dayLimit, rules.saidSharePpm, commons.saidToday), "said-share");
	const part = take(left, tariff, asksOf(limit.nanos, fees, ppm), bytes);
	if (part.isShort)
		reasons.push(
			reasonOf(part.byBytes ? quotaCode(monthBytes, person.commonsUsed, commons) : limit.code, commons, nowMs),
		);
	if (part.ask === 0n) return 0n;
	reasons.push(NEED_PRICE);
	tranches.push({ fund: "commons", cap: amount(part.ask), payerPpm: ppm });
	const total = withFee(part.ask, fees);
	uses.push(use(part.ask, total - (total * BigInt(ppm)) / PPM, quota, rest, tariff, fees));
	return part.ask;
}

const AFFORDABLE: Reason = { code: "affordable", fund: "commons" };
const NEED_PRICE: Reason = { code: "need-price", fund: "commons" };

/** Bytes of a month's quota that a person has left of a fund: less while it is thin. */
function quotaLeft(monthBytes: bigint, used: bigint, fund: FundFacts): bigint {
	return least0((monthBytes * BigInt(fund.quotaPpm)) / PPM - used);
}

/** Why somebody's quota is no larger. */
function quotaCode(monthBytes: bigint, used: bigint, fund: FundFacts): ReasonCode {
	return used < monthBytes && BigInt(fund.quotaPpm) < PPM ? "fund-thin" : "quota-used";
}

/** What a fund may pay here now, whoever it is for: what is free, shares, and the relay's room. */
function fundLimit({ relay }: Facts, rules: Rules, fund: FundFacts, room: bigint): Limit {
	const { defences } = rules;
	const limit: Limit = { nanos: least0(fund.free), code: "fund-empty" };
	const count = { eligible: relay.eligibleOperators, aged: relay.agedOperators ?? relay.eligibleOperators };
	const limits = shareLimits(rules, count);
	if (defences["operator-share"]) {
		const own = fund.rules?.operatorSharePpm;
		lower(limit, share(fund.budget30, narrower(own, limits.operatorSharePpm), fund.toOperator), "operator-share");
	}
	if (defences["pair-share"]) {
		const own = fund.rules?.pairSharePpm;
		lower(limit, share(fund.budget30, narrower(own, limits.pairSharePpm), fund.toPair), "pair-share");
	}
	if (defences["new-operators"] && relay.isNewOperator)
		lower(limit, share(fund.budget30, limits.newOperatorsSharePpm, fund.toNewOperators), "new-operators");
	if (defences.room) lower(limit, least0(room), "no-room");
	return limit;
}

/** A sponsor's own limit where it is the narrower one. */
function narrower(own: number | undefined, ppm: number): number {
	return own !== undefined && own < ppm ? own : ppm;
}

function lower(limit: Limit, nanos: bigint, code: ReasonCode): void {
	if (nanos >= limit.nanos) return;
	limit.nanos = nanos;
	limit.code = code;
}

function share(of: bigint, ppm: number, taken: bigint): bigint {
	return least0((of * BigInt(ppm)) / PPM - taken);
}

/** What of an ask a fund takes on, by its money and by the person's bytes. Too little for a first step is nothing, whatever the cap. */
function take(
	left: bigint,
	tariff: Tariff,
	byMoney: bigint,
	bytes: bigint,
): { readonly ask: bigint; readonly isShort: boolean; readonly byBytes: boolean } {
	const byQuota = bytes >= UNLIMITED ? UNLIMITED : quotaAsk(tariff, bytes);
	const byBytes = byQuota <= byMoney;
	const most = byBytes ? byQuota : byMoney;
	if (most === 0n || most < quotaAsk(tariff, TRANCHE_BYTES_MIN)) return { ask: 0n, isShort: true, byBytes };
	return most < left ? { ask: most, isShort: true, byBytes } : { ask: left, isShort: false, byBytes };
}

/** The largest ask of which a fund's part is within so much money: the bill's total and its split are rounded down for the payer. */
function asksOf(nanos: bigint, fees: FeeRates, ppm: number): bigint {
	const rest = PPM - BigInt(ppm);
	if (rest === 0n || nanos >= UNLIMITED) return UNLIMITED;
	return (((nanos * PPM) / rest) * PPM) / (PPM + BigInt(fees.marketPpm));
}

function withFee(ask: bigint, fees: FeeRates): bigint {
	return ask + (ask * BigInt(fees.marketPpm)) / PPM;
}

function least0(nanos: bigint): bigint {
	return nanos > 0n ? nanos : 0n;
}

/** A limit in words: of a fund, and until when. */
function reasonOf(code: ReasonCode, fund: FundFacts, nowMs: number): Reason {
	const untilMs = untilOf(code, fund, nowMs);
	return untilMs === undefined ? { code, fund: fund.fund } : { code, fund: fund.fund, untilMs };
}

function untilOf(code: ReasonCode, fund: FundFacts, nowMs: number): number | undefined {
	switch (code) {
		case "day-used":
		case "fund-day":
		case "said-share":
			return (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS;
		case "quota-used":
		case "operator-share":
		case "pair-share":
		case "new-operators": {
			const now = new Date(nowMs);
			return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1);
		}
		case "fund-thin":
			return fund.refillsAtMs;
		case "fund-ending":
			return fund.rules?.untilMs;
		default:
			return undefined;
	}
}
