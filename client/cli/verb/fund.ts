/** `farelay fund AMOUNT`: puts money on your account, by any of the ways that the market has open. */

import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { qrLines } from "#cli/qr";
import { table } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Amount, formatDollars, parseDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import type { Funding, FundingQuote, FundingRail } from "#sdk/funding";

export const verb: Verb = {
	summary: "puts money on your account, by Lightning, card or play money, whatever the market has open",
	usage: [
		"farelay fund DOLLARS [--rail NAME] [options]",
		"",
		"  --rail NAME      how to pay; without it play money is taken where there is some, or the only way that there is",
		"  --list           shows the ways to pay and what each costs, and begins nothing",
		"  --id ID          names this payment: asking again by it begins nothing new and goes on waiting (a new one unless given)",
		"  --no-wait        says how to pay and does not wait until it has come",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		id: { type: "string" },
		rail: { type: "string" },
		list: { type: "boolean" },
		"no-wait": { type: "boolean" },
	}),
	words: true,
	async run(call) {
		const amount = call.words.length === 1 ? parseDollars(call.words[0] ?? "") : undefined;
		if (amount === undefined || amount === 0n)
			return problem("usage", "Say how much, in dollars: farelay fund 5, or farelay fund 0.25.");
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		try {
			return await fund(call, person.client, amount);
		} catch (error) {
			if (!(error instanceof FarelayError)) throw error;
			const { problem: refused } = error;
			if (refused.problem !== "rail-closed" || call.screen.json) return refused;
			return { ...refused, detail: `${refused.detail} farelay fund ${call.words[0]} --list shows the ways.` };
		}
	},
};

async function fund(call: Call, client: Client, amount: Amount): Promise<Problem | undefined> {
	const named = textOf(call, "rail");
	if (named === undefined || call.options.list) {
		const rails = await client.deposits.rails(amount);
		if (call.options.list) {
			call.screen.answer({ amount, rails }, listed(rails));
			return undefined;
		}
		const chosen = choose(rails);
		if (chosen !== undefined) return await pay(call, client, amount, chosen);
		for (const line of listed(rails)) call.screen.line(line);
		const says = rails.some(({ quote }) => quote)
			? `There are several ways to pay; choose one: farelay fund ${call.words[0]} --rail NAME.`
			: "There is no way to pay that here.";
		// beside the problem, so that a program sees what to choose from
		return { ...problem("usage", says), ...{ rails } };
	}
	return await pay(call, client, amount, named);
}

/** The way that needs no choice: made-up money, or the only one. */
function choose(rails: readonly FundingRail[]): string | undefined {
	const open = rails.filter(({ quote }) => quote);
	return (open.find(({ rail }) => rail === "play") ?? (open.length === 1 ? open[0] : undefined))?.rail;
}

async function pay(call: Call, client: Client, amount: Amount, rail: string): Promise<Problem | undefined> {
	const { screen, stop } = call;
	const id = textOf(call, "id") ?? client.deposits.newId();
	const begun = await client.deposits.start({ rail, amount, id });
	const again = `farelay fund ${call.words[0]} --rail ${rail} --id ${id}`;
	if (begun.pay && begun.state === "waiting") {
		const lines = howToPay(begun, begun.pay);
		if (call.options["no-wait"]) {
			screen.answer({ ...begun, amount }, lines);
			return undefined;
		}
		for (const line of lines) screen.line(line);
		showCode(call, begun.pay);
		screen.line(`Waiting until it has come. If you stop here: ${again} goes on.`);
	}
	const deposit = begun.state === "waiting" ? await client.deposits.settled(id, stop) : begun;
	if (deposit.state !== "credited") return { ...notCome(deposit, again, stop.aborted), ...{ id, deposit } };
	const balance = await client.balance();
	screen.answer({ id, amount, rail, credited: deposit.credited ?? null, balance }, [
		`Funded with ${formatDollars(deposit.credited ?? 0n)} by ${rail}; the balance is ${formatDollars(balance)}.`,
	]);
	return undefined;
}

/** Why nothing is on the balance, and what becomes of money that is on its way. */
function notCome(deposit: Funding, again: string, stopped: boolean): Problem {
	if (stopped && deposit.state === "waiting")
		return problem("unpaid", `Nothing has come yet. ${again} goes on waiting.`, { spent: "unknown" });
	const late = "What was paid all the same is credited when it arrives, at the rate of that moment.";
	return problem("unpaid", `${deposit.says ?? "It was not paid in time."} ${late}`, { spent: "no" });
}

/** The ways to pay as a table. */
function listed(rails: readonly FundingRail[]): string[] {
	if (rails.length === 0) return ["This market has no way to pay open."];
	const cells = rails.map(({ rail, quote, refused }) =>
		quote
			? [rail, sayUnits(quote), sayFee(quote), formatDollars(quote.spread), formatDollars(quote.credited), ""]
			: [rail, "-", "-", "-", "-", refused ?? ""],
	);
	return table(["rail", "you pay", "its fee", "rate's spread", "arrives", ""], cells);
}

function howToPay(deposit: Funding, pay: NonNullable<Funding["pay"]>): string[] {
	const { quote, payUntilMs } = deposit;
	const where = pay.kind === "invoice" ? pay.invoice : pay.kind === "link" ? pay.url : "";
	return [
		`Pay ${sayUnits(quote)} by ${quote.rail} until ${sayTime(payUntilMs)}: ${formatDollars(quote.credited)} arrive.`,
		`Its fee is ${sayFee(quote)}, the rate's spread ${formatDollars(quote.spread)}${quote.rateSays ? ` (${quote.rateSays})` : ""}.`,
		...(quote.rateSays ? [`The rate holds until ${sayTime(quote.untilMs)}.`] : []),
		"",
		where,
		"",
	];
}

/** The invoice or link as a code, where a person looks on and it fits. */
function showCode({ screen }: Call, pay: NonNullable<Funding["pay"]>): void {
	if (!screen.live || pay.kind === "nothing") return;
	// upper case makes a smaller code, and an invoice is the same in it
	const lines = qrLines(pay.kind === "invoice" ? `LIGHTNING:${pay.invoice.toUpperCase()}` : pay.url);
	if (lines.length * 2 > screen.columns) return;
	for (const line of lines) screen.line(line);
	screen.line();
}

/** What is to be paid, as people say it. */
function sayUnits({ unit, units }: FundingQuote): string {
	if (unit === "nano") return formatDollars(units);
	if (unit === "cent") return `$${units / 100n}.${(units % 100n).toString().padStart(2, "0")}`;
	const rest = (units % 1_000n).toString().padStart(3, "0");
	return `${units / 1_000n}${rest === "000" ? "" : `.${rest}`} sat`;
}

function sayFee({ feeNanos, feeIsAbout }: FundingQuote): string {
	return `${feeIsAbout ? "about " : ""}${formatDollars(feeNanos)}`;
}

function sayTime(atMs: number): string {
	return `${new Date(atMs).toISOString().slice(11, 16)} UTC`;
}
