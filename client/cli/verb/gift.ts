/** `farelay gift`: some of your own money for a friend, to their account or by a link. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { asPerson } from "#cli/person";
import { type Call, textOf, type Verb } from "#cli/verb";
import { formatDollars, parseDollars } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import type { OfferedGift } from "#sdk/gifts";

export const verb: Verb = {
	summary: "gives a friend some of your money, to an account or by a link; claims one",
	usage: [
		"farelay gift DOLLARS --to ACCOUNT         gives it at once: 64 hex digits, as farelay account shows",
		"farelay gift DOLLARS [--days N]           makes a link: whoever has it may claim the money, once (30 days, then it is yours again)",
		"farelay gift claim LINK                   claims one",
		"farelay gift back GIFT                    takes one back that nobody claimed yet: its id, link or code",
		"farelay gift                              the gifts that you made links for",
		"",
		"  --id ID          names a gift to an account: asking again by it gives nothing more",
		...HOME_USAGE,
	],
	options: () => ({ ...HOME_OPTIONS, to: { type: "string" }, days: { type: "string" }, id: { type: "string" } }),
	words: true,
	run: (call) => asPerson(call, readAsked(call)),
};

function readAsked(call: Call): ((client: Client) => Promise<void>) | Problem {
	const { screen } = call;
	const [first, second, ...more] = call.words;
	const [to, days, id] = [textOf(call, "to"), textOf(call, "days"), textOf(call, "id")];
	const wrong = problem("usage", "Say how much, in dollars: farelay gift 2. farelay gift --help says the rest.");
	if (more.length > 0) return wrong;
	if (first === "claim" && second !== undefined)
		return async ({ gifts }) => {
			const amount = await gifts.claim(second);
			screen.answer({ amount }, [`${formatDollars(amount)} are on your account.`]);
		};
	if (first === "back" && second !== undefined)
		return async ({ gifts }) => {
			const gift = await gifts.takeBack(second);
			screen.answer(gift, [`${formatDollars(gift.amount)} are on your account again.`]);
		};
	if (first === undefined)
		return async ({ gifts }) => {
			const list = await gifts.list();
			screen.answer({ gifts: list }, list.length > 0 ? list.map(giftLine) : ["You made no link for a gift."]);
		};
	const amount = parseDollars(first);
	if (
		!amount ||
		second !== undefined ||
		(to !== undefined && days !== undefined) ||
		(id !== undefined && to === undefined)
	)
		return wrong;
	if (to !== undefined) {
		if (!/^[0-9a-f]{64}$/.test(to)) return problem("usage", "--to takes an account: 64 hex digits.");
		return async ({ gifts }) => {
			await gifts.give(to, amount, id);
			screen.answer({ to, amount }, [`${formatDollars(amount)} are on account ${to.slice(0, 8)}.`]);
		};
	}
	return async ({ gifts }) => {
		const gift = await gifts.offer(amount, days === undefined ? undefined : Number(days));
		screen.answer(gift, [
			gift.link,
			"",
			`Whoever has this link may claim ${formatDollars(amount)}, once, until ${dayOf(gift.untilMs)}; then they are yours again.`,
		]);
	};
}

function giftLine({ id, state, amount, untilMs }: OfferedGift): string {
	const says = { gift: `waits until ${dayOf(untilMs)}`, claimed: "claimed", returned: "back with you" }[state];
	return `${formatDollars(amount)}  ${says}  ${id}`;
}

function dayOf(ms: number): string {
	return new Date(ms).toISOString().slice(0, 10);
}
