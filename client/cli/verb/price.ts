/** `farelay price`: what messaging costs somebody in a country, who pays the rest, and how that was reckoned. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { sayCount } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Amount, amount, formatDollars, parseDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import {
	ECONOMIES,
	ECONOMIES_SOURCE,
	type Economy,
	NEED,
	type NeedPrice,
	needPerMb,
	needPrice,
	TWO_PERCENT,
} from "#contracts/need";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { FeeRates } from "#contracts/tab";
import type { Tariff } from "#contracts/tariff";

/** What is reckoned with where nobody is asked: the fees of a market as it comes, and what keeping costs by default. */
const FEES: FeeRates = { marketPpm: 20_000, solidarityPpm: 20_000 };
const STORE_PER_MB_DAY = amount(1_000n);
/** How long mail is kept unless told otherwise. */
const DAYS = BigInt(LIMIT.ttlSDefault / 86_400);
/** Far more than anybody sends in a month; beyond it is a typing error. */
const MB_MAX = 1_000_000n;

/** What it is reckoned for. */
type Asked = { readonly tariff: Tariff; readonly fees: FeeRates; readonly relay: string | undefined };

export const verb: Verb = {
	summary: "explains what people of a country pay, and who pays the rest",
	usage: [
		"farelay price --country CC [--mb N] [--days N] [--ask DOLLARS]",
		"",
		"  --country CC     two letters, e.g. KE",
		`  --mb N           how much is sent (${NEED.basketMb})`,
		`  --days N         how long it is kept for whoever it is for (${DAYS}; at most ${LIMIT.poolTtlDaysMax} is paid for from the commons)`,
		"  --ask DOLLARS    what a relay asks for an MB: nobody is asked then; otherwise the cheapest relay of the market",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		country: { type: "string" },
		mb: { type: "string" },
		days: { type: "string" },
		ask: { type: "string" },
	}),
	async run(call) {
		const economy = ECONOMIES.get((textOf(call, "country") ?? "").toUpperCase());
		if (!economy) return problem("usage", "--country takes the two letters of a country that has figures, e.g. KE.");
		const mb = countOf(call, "mb", NEED.basketMb, MB_MAX);
		const days = countOf(call, "days", DAYS, BigInt(LIMIT.poolTtlDaysMax));
		if (isProblem(mb)) return mb;
		if (isProblem(days)) return days;
		const asked = await askedOf(call);
		if (isProblem(asked)) return asked;
		const said = needPrice(economy, asked.tariff, asked.fees, { mb, days });
		const twoPercent = needPerMb(economy, TWO_PERCENT);
		const { income, code, incomeGroup, year, measure } = economy;
		call.screen.answer(
			{ country: code, incomeGroup, income, year, measure, mb, days, ...asked, ...said, twoPercentPerMb: twoPercent },
			[
				...incomeLines(economy, said.needPerMb, twoPercent),
				...priceLines(said, asked, mb, days),
				"",
				`Figures: ${ECONOMIES_SOURCE}.`,
			],
		);
		return undefined;
	},
};

function countOf(call: Call, name: string, otherwise: bigint, most: bigint): bigint | Problem {
	const text = textOf(call, name);
	if (text === undefined) return otherwise;
	const count = /^\d{1,9}$/.test(text) ? BigInt(text) : 0n;
	if (count >= 1n && count <= most) return count;
	return problem("usage", `--${name} takes a whole number from 1 to ${most}.`);
}

async function askedOf(call: Call): Promise<Asked | Problem> {
	const text = textOf(call, "ask");
	if (text !== undefined) {
		const sendPerMb = parseDollars(text);
		if (sendPerMb === undefined || sendPerMb > LIMIT.priceNanosMax)
			return problem("usage", "--ask takes dollars for an MB, e.g. 0.0005.");
		return { tariff: { sendPerMb, storePerMbDay: STORE_PER_MB_DAY }, fees: FEES, relay: undefined };
	}
	const person = await openPerson(call);
	if (isProblem(person)) return person;
	const terms = await person.client.market.terms();
	if (isProblem(terms)) return terms;
	const offers = await person.client.market.relays();
	if (isProblem(offers)) return offers;
	const [cheapest] = offers;
	if (!cheapest) return problem("not-found", "No relay is listed now; --ask DOLLARS reckons with a price of your own.");
	return { tariff: cheapest.tariff, fees: terms.fees, relay: toHex(cheapest.key) };
}

function incomeLines({ name, code, income, year, measure }: Economy, need: Amount, twoPercent: Amount): string[] {
	const what =
		measure === "gni" ? "gross national income" : "gross domestic product (no newer national income is known)";
	return [
		`${name} (${code}): ${formatDollars(income)} a person in ${year}, ${what}.`,
		`What the poorer 40 % can afford, half a percent of their income for ${NEED.basketMb} MB a month: ${formatDollars(need)} a MB.`,
		`By the UN Broadband Commission's measure, 2 % of the mean income: ${formatDollars(twoPercent)} a MB.`,
	];
}

function priceLines(
	{ ask, full, reduced, split, why }: NeedPrice,
	{ relay }: Asked,
	mb: bigint,
	days: bigint,
): string[] {
	const who = relay === undefined ? "A relay" : `The cheapest relay (${relay.slice(0, 8)})`;
	const lines = [
		"",
		`${who} asks ${formatDollars(ask)} for ${mb} MB, kept for ${sayCount(days, "day")}. With the market's fee of ${formatDollars(full.marketFee)} and`,
		`the solidarity fee of ${formatDollars(full.solidarityFee)} that is ${formatDollars(full.total)}, the full price.`,
		"",
	];
	if (why === "asks-too-much")
		return [
			...lines,
			`They pay ${formatDollars(split.payer)}: the relay asks more than the commons pay for (${formatDollars(LIMIT.poolSendPerMbMax)} a MB).`,
		];
	if (why === "affordable")
		return [...lines, `They pay ${formatDollars(split.payer)}, the full price: it is within what they can afford.`];
	return [
		...lines,
		`They pay ${formatDollars(split.payer)} of ${formatDollars(reduced.total)}, without solidarity fee; the commons pay ${formatDollars(split.rest)}.`,
		`The relay gets all that it asks. This is for up to ${NEED.basketMb} MB a month, as long as the commons have it; beyond that it is the full price.`,
	];
}
