/**
 * What people can afford, and who pays the rest: pure arithmetic over a country's income (PROTOCOL.md, "Need prices"). Incomes are
 * those of `economies.json`: gross national income per person a year by the World Bank's Atlas method, or where that is missing gross domestic product.
 */

import { type Amount, amount, NANOS_PER_DOLLAR } from "./amount.ts";
import { type Split, split } from "./bill.ts";
import table from "./economies.json" with { type: "json" };
import { LIMIT } from "./limit.ts";
import { type Bill, bill, type FeeRates } from "./tab.ts";
import type { Tariff } from "./tariff.ts";

/** The World Bank's four groups. */
export const INCOME_GROUPS = ["low", "lower-middle", "upper-middle", "high"] as const;
export type IncomeGroup = (typeof INCOME_GROUPS)[number];

/** What is known of a country. */
export type Economy = {
	/** two capital letters (ISO 3166-1, and the World Bank's own for Kosovo and the Channel Islands) */
	readonly code: string;
	readonly name: string;
	readonly incomeGroup: IncomeGroup;
	/** mean income of a person in a year, in nano-dollars */
	readonly income: Amount;
	/** what that figure is: gross national income (Atlas method), or gross domestic product standing in for it */
	readonly measure: "gni" | "gdp";
	/** the year that it is of */
	readonly year: number;
	readonly population: number;
};

/** Where the figures are from; to be said wherever they are shown. */
export const ECONOMIES_SOURCE: string = table.source;

/** All 218 economies, by code. */
export const ECONOMIES: ReadonlyMap<string, Economy> = new Map(
	table.economies.map((row) => {
		const economy = readRow(row);
		return [economy.code, economy];
	}),
);

function readRow(row: readonly (string | number)[]): Economy {
	const [code, name, incomeGroup, dollarsPerYear, measure, year, population] = row;
	return {
		code: String(code),
		name: String(name),
		incomeGroup: incomeGroup as IncomeGroup,
		income: amount(BigInt(String(dollarsPerYear)) * NANOS_PER_DOLLAR),
		measure: measure as Economy["measure"],
		year: Number(year),
		population: Number(population),
	};
}

/** How a price follows from an income. A market's own people may choose others; they are shown with the price. */
export type NeedRule = {
	/** the part of a month's income that messaging may cost, in parts per million */
	readonly partPpm: number;
	/** what those whom it is for earn of the mean, in parts per million */
	readonly earnPpm: number;
	/** what they get for it, in MB a month */
	readonly basketMb: bigint;
};

/**
 * Half a percent of the monthly income of the poorer 40 %, who are taken to earn 0.45 of the mean (an assumption: income shares by country are not in
 * the table), for 100 MB of messaging a month.
 */
export const NEED: NeedRule = { partPpm: 5_000, earnPpm: 450_000, basketMb: 100n };

/** The measure of the UN Broadband Commission, shown beside ours: 2 % of the mean income, for the same basket. */
export const TWO_PERCENT: NeedRule = { partPpm: 20_000, earnPpm: 1_000_000, basketMb: 100n };

const MONTHS = 12n;
const PPM = 1_000_000n;

/** What people of an economy can pay for an MB, everything included, in nano-dollars rounded down. */
export function needPerMb(economy: Economy, rule: NeedRule = NEED): Amount {
	return amount((economy.income * BigInt(rule.partPpm) * BigInt(rule.earnPpm)) / (PPM * PPM * MONTHS * rule.basketMb));
}

/** Whether a relay asks little enough to be paid from the commons or from a pool. */
export function isPoolEligible(tariff: Tariff): boolean {
	return tariff.sendPerMb <= LIMIT.poolSendPerMbMax && tariff.storePerMbDay <= LIMIT.poolStorePerMbDayMax;
}

/** A relay's ask for an MB that is kept for so many days. */
function askPerMb(tariff: Tariff, days: bigint): Amount {
	return amount(tariff.sendPerMb + tariff.storePerMbDay * days);
}

/**
 * The part of each bill without solidarity fee that a person pays at the need price, in parts per million rounded down; undefined for whoever
 * can afford the full price. Reckoned on mail that is kept for as long as the commons pay for: so no MB ever costs them more than the need price.
 */
export function payerPpm(need: Amount, tariff: Tariff, fees: FeeRates): number | undefined {
	const ask = askPerMb(tariff, BigInt(LIMIT.poolTtlDaysMax));
	// exact: a bill of one MB has its fees rounded down, one of many has them not
	const asked = (feesPpm: number) => ask * (PPM + BigInt(feesPpm));
	if (need * PPM >= asked(fees.marketPpm + fees.solidarityPpm)) return undefined;
	const reduced = asked(fees.marketPpm);
	return need * PPM >= reduced ? Number(PPM) : Number((need * PPM * PPM) / reduced);
}

/** What an amount of traffic costs whom at the need price and at the full price. */
export type NeedPrice = {
	/** what the relay asks */
	readonly ask: Amount;
	/** the bill of whoever pays the full price */
	readonly full: Bill;
	/** the bill of whoever does not, which has no solidarity fee */
	readonly reduced: Bill;
	/** who pays what of that */
	readonly split: Split;
	/** what people of the economy can pay for an MB */
	readonly needPerMb: Amount;
	/** their part of the reduced bill, in parts per million; undefined where they pay the full price */
	readonly payerPpm: number | undefined;
	/**
	 * - `need`: they pay the need price at most and no solidarity fee, the commons the rest
	 * - `affordable`: the full price is within what they can pay, and they pay that
	 * - `asks-too-much`: the relay asks more than the commons pay for, so it is the full price
	 */
	readonly why: "need" | "affordable" | "asks-too-much";
};

/** The price of so many MB, kept for so many days, to somebody of an economy. */
export function needPrice(
	economy: Economy,
	tariff: Tariff,
	fees: FeeRates,
	{ mb, days }: { readonly mb: bigint; readonly days: bigint },
	rule: NeedRule = NEED,
): NeedPrice {
	const ask = amount(askPerMb(tariff, days) * mb);
	const full = bill(ask, fees);
	const reduced = bill(ask, { ...fees, solidarityPpm: 0 });
	const need = needPerMb(economy, rule);
	const ppm = isPoolEligible(tariff) ? payerPpm(need, tariff, fees) : undefined;
	if (ppm !== undefined)
		return { ask, full, reduced, split: split(reduced.total, ppm), needPerMb: need, payerPpm: ppm, why: "need" };
	const why = isPoolEligible(tariff) ? "affordable" : "asks-too-much";
	return {
		ask,
		full,
		reduced,
		split: { payer: full.total, rest: amount(0n) },
		needPerMb: need,
		payerPpm: undefined,
		why,
	};
}
