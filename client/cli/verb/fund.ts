/** `farelay fund AMOUNT`: puts money on your account, once or every month, by any of the ways that the market has open; ends what comes every month; gives a payment back to its card. */

import { cameLine, historyLines, monthlyLine, payLines, railLines, refundLine } from "#cli/deposits";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { openPerson } from "#cli/person";
import { qrLines } from "#cli/qr";
import { type Call, textOf, type Verb } from "#cli/verb";
import { type Amount, amount as amountOf, formatDollars, parseDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import type { Funding, FundingRail } from "#sdk/funding";

/** What ways to pay are shown for where nobody says how much: the least that a card is worth its fee for. */
const LISTED = amountOf(5_000_000_000n);

export const verb: Verb = {
	summary: "puts money on your account, by Lightning, card or play money, whatever the market has open",
	usage: [
		"farelay fund DOLLARS [--rail NAME] [options]",
		"farelay fund DOLLARS --monthly [--rail NAME]    so much every month, by card, until you end it",
		"farelay fund DOLLARS --pool ID [--monthly]      so much for a pool, anybody's, instead of your balance",
		"farelay fund --stop ID                          ends what comes every month",
		"farelay fund --refund ID [DOLLARS]              gives a payment back to the card that paid it, all of it or so much, once",
		"farelay fund --history                          every payment with its id, what came of it and what went back",
		"",
		"  --rail NAME      how to pay; without it play money is taken where there is some, or the only way that there is",
		"  --list           shows the ways to pay and what each costs (for $5 unless DOLLARS is given), and begins nothing",
		"  --id ID          names this payment: asking again by it begins nothing new and goes on waiting (a new one unless given)",
		"  --no-wait        says how to pay and does not wait until it has come",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		id: { type: "string" },
		rail: { type: "string" },
		pool: { type: "string" },
		list: { type: "boolean" },
		"no-wait": { type: "boolean" },
		monthly: { type: "boolean" },
		stop: { type: "string" },
		refund: { type: "string" },
		history: { type: "boolean" },
	}),
	words: true,
	async run(call) {
		const asked = readAsked(call);
		if (isProblem(asked)) return asked;
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		try {
			return await asked(person.client);
		} catch (error) {
			if (!(error instanceof FarelayError)) throw error;
			const { problem: refused } = error;
			if (refused.problem !== "rail-closed" || call.screen.json || !call.words[0]) return refused;
			return { ...refused, detail: `${refused.detail} ${again(call, "--list")} shows the ways.` };
		}
	},
};

/** The same call again, with more, for the same account at the same market. */
function again(call: Call, ...more: string[]): string {
	const said = ["home", "market"].flatMap((name) => {
		const value = textOf(call, name);
		return value === undefined
			? []
			: [`--${name}`, /^[\w./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`];
	});
	const monthly = call.options.monthly === true ? ["--monthly"] : [];
	const pool = textOf(call, "pool");
	const whose = pool === undefined ? [] : ["--pool", pool];
	return ["farelay fund", call.words[0] ?? "", ...monthly, ...whose, ...more, ...said].join(" ");
}

type Asked = (client: Client) => Promise<Problem | undefined>;

/** One thing of those that the verb does. */
function readAsked(call: Call): Asked | Problem {
	const [stop, refund] = [textOf(call, "stop"), textOf(call, "refund")];
	const { history, monthly, rail, list, id } = call.options;
	const others = [stop, refund, history].filter((one) => one !== undefined && one !== false);
	const [dollars, ...more] = call.words;
	if (others.length > 1 || (others.length > 0 && (monthly || rail || list || id)) || more.length > 0)
		return problem("usage", "These do not go together. farelay fund --help says what does.");
	const pool = textOf(call, "pool");
	if (pool !== undefined && (!/^[0-9a-f]{32}$/.test(pool) || others.length > 0))
		return problem("usage", "A pool is named by its 32 hex digits, and says where what you pay goes.");
	const amount = dollars === undefined ? undefined : parseDollars(dollars);
	if (dollars !== undefined && !amount) return problem("usage", "Say how much, in dollars above nothing: 5, or 0.25.");
	if (refund !== undefined) return (client) => giveBack(call, client, refund, amount);
	if (others.length > 0) {
		if (amount) return problem("usage", `"${dollars}" says nothing here. farelay fund --help says how.`);
		return stop === undefined ? (client) => showHistory(call, client) : (client) => end(call, client, stop);
	}
	if (!amount && list) return (client) => fund(call, client, LISTED);
	if (!amount) return problem("usage", "Say how much, in dollars: farelay fund 5, or farelay fund 0.25.");
	return (client) => fund(call, client, amount);
}

async function fund(call: Call, client: Client, amount: Amount): Promise<Problem | undefined> {
	const named = textOf(call, "rail");
	if (named !== undefined && !call.options.list) return await pay(call, client, amount, named);
	const rails = await client.deposits.rails(amount, call.options.monthly === true);
	if (call.options.list) {
		call.screen.answer({ amount, rails }, [`To bring ${formatDollars(amount)}:`, ...railLines(rails)]);
		return undefined;
	}
	const chosen = choose(rails);
	if (chosen !== undefined) return await pay(call, client, amount, chosen);
	for (const line of railLines(rails)) call.screen.line(line);
	const none = call.options.monthly ? "Nothing can be paid every month here." : "There is no way to pay that here.";
	const says = rails.some(({ quote }) => quote)
		? `There are several ways to pay; choose one: ${again(call, "--rail NAME")}.`
		: none;
	// beside the problem, so that a program sees what to choose from
	return { ...problem("usage", says), ...{ rails } };
}

/** The way that needs no choice: made-up money, or the only one. */
function choose(rails: readonly FundingRail[]): string | undefined {
	const open = rails.filter(({ quote }) => quote);
	return (open.find(({ rail }) => rail === "play") ?? (open.length === 1 ? open[0] : undefined))?.rail;
}

async function pay(call: Call, client: Client, amount: Amount, rail: string): Promise<Problem | undefined> {
	const { screen, stop } = call;
	const monthly = call.options.monthly === true;
	const id = textOf(call, "id") ?? client.deposits.newId();
	const pool = textOf(call, "pool");
	const begun = await client.deposits.start({ rail, amount, id, monthly, pool });
	const goOn = again(call, "--rail", rail, "--id", id);
	if (begun.pay && begun.state === "waiting") {
		const lines = payLines(begun, begun.pay);
		if (call.options["no-wait"]) {
			screen.answer({ ...begun, amount }, lines);
			return undefined;
		}
		for (const line of lines) screen.line(line);
		showCode(call, begun.pay);
		screen.line(`Waiting until ${monthly ? "it is agreed to" : "it has come"}. If you stop here: ${goOn} goes on.`);
	}
	const deposit = begun.state === "waiting" ? await client.deposits.settled(id, stop) : begun;
	if (deposit.state === "monthly" && deposit.monthly) {
		screen.answer({ ...deposit, amount }, [monthlyLine(id, deposit, deposit.monthly)]);
		return undefined;
	}
	if (deposit.state !== "credited") return { ...notCome(deposit, goOn, stop.aborted), ...{ id, deposit } };
	if (pool !== undefined) {
		const came = formatDollars(deposit.credited ?? 0n);
		const given = { id, amount, rail, pool, credited: deposit.credited ?? null, fee: deposit.fee ?? null };
		screen.answer(given, [
			`Given ${came} to pool ${pool} by ${rail}. farelay pool show ${pool} says what becomes of it.`,
		]);
		return undefined;
	}
	const balance = await client.balance();
	const said = { id, amount, rail, credited: deposit.credited ?? null, fee: deposit.fee ?? null, balance };
	screen.answer(said, [cameLine(deposit, balance)]);
	return undefined;
}

/** Why nothing is on the balance, and what becomes of money that is on its way. */
function notCome(deposit: Funding, goOn: string, stopped: boolean): Problem {
	if (stopped && deposit.state === "waiting")
		return problem("unpaid", `Nothing has come yet. ${goOn} goes on waiting.`, { spent: "unknown" });
	const late = "What was paid all the same is credited when it arrives, at the rate of that moment.";
	return problem("unpaid", `${deposit.says ?? "It was not paid in time."} ${late}`, { spent: "no" });
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

async function end({ screen }: Call, client: Client, id: string): Promise<Problem | undefined> {
	const deposit = await client.deposits.stop(id);
	screen.answer(deposit, [deposit.monthly ? monthlyLine(id, deposit, deposit.monthly) : "It has ended."]);
	return undefined;
}

/** Gives a payment back: all of it, unless so much was said, or something is on its way back already. */
async function giveBack(
	{ screen }: Call,
	client: Client,
	id: string,
	dollars: Amount | undefined,
): Promise<Problem | undefined> {
	const before = await client.deposits.status(id);
	const amount = dollars ?? before.refund?.amount ?? before.credited;
	if (amount === undefined)
		return problem("conflict", "Nothing came of this payment, so nothing can go back.", { spent: "no" });
	const deposit = await client.deposits.refund(id, amount);
	if (deposit.refund?.state === "failed")
		return problem("unavailable", `${refundLine(deposit)} ${deposit.says ?? ""} It is on your balance.`, {
			spent: "no",
		});
	screen.answer(deposit, [refundLine(deposit)]);
	return undefined;
}

async function showHistory({ screen }: Call, client: Client): Promise<undefined> {
	const deposits: Funding[] = [];
	for (let page = await client.deposits.list(); page.length > 0; page = await client.deposits.list(page.at(-1)?.id))
		deposits.push(...page);
	deposits.sort((a, b) => a.startedMs - b.startedMs);
	screen.answer({ deposits }, historyLines(deposits));
}
