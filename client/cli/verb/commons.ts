/** `farelay commons`: the shared fund of a market, for anybody: what came in and went out, how long it lasts, and the fee that follows from it. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { askMarket, openPerson } from "#cli/person";
import { sayDay, sayMinute, table } from "#cli/screen";
import type { Verb } from "#cli/verb";
import { formatDollars, NOTHING, parseAmount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import type { CommonsJson } from "#sdk/pools";

const dollars = (text: string): string =>
	text.startsWith("-") ? `-${dollars(text.slice(1))}` : formatDollars(parseAmount(text) ?? NOTHING);
const percent = (ppm: number): string => `${ppm / 10_000} %`;

export const verb: Verb = {
	summary: "the fund that pays the rest for people who cannot pay the full price: in, out, and the fee that fills it",
	usage: ["farelay commons", "", ...HOME_USAGE],
	options: () => HOME_OPTIONS,
	async run(call) {
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		const page = await askMarket(person, (api) => api.commons.show.query());
		if (isProblem(page)) return page;
		call.screen.answer(page, linesOf(page));
		return undefined;
	},
};

function linesOf(page: CommonsJson): string[] {
	const { fee, forecast } = page;
	const next = fee.next
		? `; from ${sayMinute(fee.next.fromMs)} UTC on it is ${percent(fee.next.feePpm)}`
		: "; it is looked at again each day";
	const fees = `The solidarity fee is ${percent(fee.nowPpm)} of the full price${next}. It stops at ${percent(fee.maxPpm)}, and moves by at most ${percent(fee.stepPpm)} a day.`;
	if (page.atMs === null) return ["The commons have just begun: their first figures come with the next day.", fees];
	const cover =
		forecast.daysOfCover === null
			? "At this pace it lasts for as long as this goes on."
			: `At this pace it lasts for ${forecast.daysOfCover} days. ${forecast.says}`;
	return [
		`As of ${sayMinute(page.atMs)} UTC ${dollars(page.left)} are left and ${dollars(page.reserved)} are reserved for tabs that are open.`,
		`A day brings ${dollars(page.inADay)} and takes ${dollars(page.outADay)}; people would have had ${dollars(page.wantedADay)} with their whole quota. Today at most ${dollars(page.dayLimit)} may go out.`,
		cover,
		fees,
		...(page.days.length === 0 ? [] : ["", ...dayTable(page.days)]),
	];
}

function dayTable(days: CommonsJson["days"]): string[] {
	return table(
		["day", "fees", "left by pools", "out"],
		days.map(({ atMs, fees, given, out }) => [sayDay(atMs), dollars(fees), dollars(given), dollars(out)]),
	);
}
