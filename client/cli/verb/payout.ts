/** `farelay payout`: where an operator's money goes, from how much on and how often; pays out now; lists what was paid out. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { foundLines } from "#cli/desk";
import { HOME_OPTIONS, HOME_USAGE } from "#cli/home";
import { payoutHeads, payoutRow, planLines, sayPayout } from "#cli/payouts";
import { askMarket, openPerson, type Person } from "#cli/person";
import { table } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { formatAmount, parseDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { PayoutJson, PayoutKind, PayoutPlanJson } from "#sdk/api";

/** How long `now` waits for the end: most payouts take seconds, and one whose failure is confirmed half a minute. */
const WAIT_MS = 90_000;
const LOOK_EVERY_MS = 1_000;
/** Payouts asked for at once. */
const PAGE = 200;

const SCHEDULES = ["daily", "weekly", "never"] as const;

/** What somebody means by where to: an account of Stripe's, the word `invoice`, or else an address. */
function kindOf(to: string): { kind: PayoutKind; to: string } {
	if (to === "invoice") return { kind: "invoice", to: "" };
	return to.startsWith("acct_") ? { kind: "stripe", to } : { kind: "lightning", to };
}

/** Percent with up to four decimals, as parts per million. */
function ppmOf(text: string): number | undefined {
	const found = /^(\d{1,3})(?:\.(\d{1,4}))?%?$/.exec(text);
	if (!found) return undefined;
	const ppm = Number(found[1]) * 10_000 + Number((found[2] ?? "").padEnd(4, "0"));
	return ppm <= 1_000_000 ? ppm : undefined;
}

type Wishes = Parameters<Parameters<Parameters<typeof askMarket>[1]>[0]["operator"]["payout"]["set"]["mutate"]>[0];

/** What `set` is told; `default` gives back to the market what it chooses. */
function wishesOf(call: Call): Wishes | Problem {
	const [to, from, fee, every] = ["to", "threshold", "fee", "every"].map((name) => textOf(call, name));
	const wishes: Wishes = {};
	if (to !== undefined) wishes.destination = kindOf(to);
	if (from !== undefined) {
		const threshold = from === "default" ? null : parseDollars(from);
		if (threshold === undefined || threshold === 0n)
			return problem("usage", "--threshold takes dollars above nothing, like 5, or the word default.");
		wishes.threshold = threshold === null ? null : formatAmount(threshold);
	}
	if (fee !== undefined) {
		const ppm = fee === "default" ? null : ppmOf(fee);
		if (ppm === undefined) return problem("usage", "--fee takes percent, like 1 or 0.5, or the word default.");
		wishes.feeMaxPpm = ppm;
	}
	if (every !== undefined) {
		const schedule = SCHEDULES.find((one) => one === every);
		if (!schedule) return problem("usage", "--every takes daily, weekly or never.");
		wishes.schedule = schedule;
	}
	if (Object.keys(wishes).length > 0) return wishes;
	return problem("usage", "Say what to set: --to, --threshold, --fee or --every.");
}

async function set(call: Call, person: Person): Promise<Problem | undefined> {
	const wishes = wishesOf(call);
	if (isProblem(wishes)) return wishes;
	return shown(call, await askMarket(person, (api) => api.operator.payout.set.mutate(wishes)));
}

/** How payouts go, and what holds some of what was earned back. */
async function show(call: Call, person: Person): Promise<Problem | undefined> {
	const plan = await askMarket(person, (api) => api.operator.payout.show.query());
	if (isProblem(plan)) return plan;
	const earnings = await askMarket(person, (api) => api.operator.earnings.query());
	if (isProblem(earnings)) return earnings;
	const { findings } = earnings;
	call.screen.answer({ ...plan, findings }, [...planLines(plan), ...findings.flatMap(foundLines)]);
	return undefined;
}

function shown(call: Call, plan: PayoutPlanJson | Problem): Problem | undefined {
	if (isProblem(plan)) return plan;
	call.screen.answer(plan, planLines(plan));
	return undefined;
}

/** Asks for a payout and waits until it has ended, or for as long as a person would. */
async function now(call: Call, person: Person, dollars: string | undefined): Promise<Problem | undefined> {
	const wanted = dollars === undefined ? undefined : parseDollars(dollars);
	if (dollars !== undefined && !wanted)
		return problem("usage", "Say how much at most, in dollars: farelay payout now 5; without it everything goes.");
	const invoice = textOf(call, "invoice");
	const id = textOf(call, "id") ?? randomUUID();
	const asked = { id, ...(wanted && { amount: formatAmount(wanted) }), ...(invoice && { invoice }) };
	let payout: PayoutJson | Problem = await askMarket(person, (api) => api.operator.payout.now.mutate(asked));
	const endMs = performance.now() + WAIT_MS;
	while (!isProblem(payout) && payout.lookAtMs !== null && performance.now() < endMs && !call.stop.aborted) {
		await sleep(LOOK_EVERY_MS, undefined, { signal: call.stop }).catch(() => {});
		const found: PayoutJson = payout;
		payout = await askMarket(person, (api) => api.operator.payout.get.query({ payout: found.payout }));
	}
	if (isProblem(payout)) return payout;
	if (payout.state === "sent") {
		call.screen.answer({ id, ...payout }, [sayPayout(payout)]);
		return undefined;
	}
	const { state, why } = payout;
	if (state === "failed") return problem("unavailable", `It was not paid out. ${why ?? ""}`.trim(), { spent: "no" });
	const text = `Payout ${payout.payout.slice(0, 8)} is ${state}${why ? `: ${why}` : "."} The market goes on with it; farelay payout list shows it.`;
	return problem("unavailable", text, { spent: state === "queued" || state === "reserved" ? "no" : "unknown" });
}

async function list(call: Call, person: Person): Promise<Problem | undefined> {
	const payouts: PayoutJson[] = [];
	let after: string | undefined;
	do {
		const page = await askMarket(person, (api) => api.operator.payout.list.query({ after, limit: PAGE }));
		if (isProblem(page)) return page;
		payouts.push(...page.payouts);
		after = page.next ?? undefined;
	} while (after !== undefined);
	payouts.sort((a, b) => a.askedAtMs - b.askedAtMs);
	const lines = payouts.length > 0 ? table(payoutHeads, payouts.map(payoutRow)) : ["Nothing was paid out yet."];
	call.screen.answer({ payouts }, lines);
	return undefined;
}

/** An account at Stripe, as it names them. */
const ACCOUNT = /^acct_[0-9A-Za-z]{1,64}$/;

/** Opens an account that can be paid out to, or goes on with the one that was opened. */
async function signUp(call: Call, person: Person): Promise<Problem | undefined> {
	const [country, email] = [textOf(call, "country")?.toLowerCase(), textOf(call, "email")];
	if (!country || !email || !/^[a-z]{2}$/.test(country))
		return problem("usage", "Say who you are to Stripe: farelay payout sign-up --country US --email you@example.com.");
	const rail = textOf(call, "rail") ?? "card";
	const signed = await askMarket(person, (api) => api.operator.signUp.mutate({ rail, country, email }));
	if (isProblem(signed)) return signed;
	const { to, ready, url } = signed;
	// a market is not trusted with a terminal
	if (!ACCOUNT.test(to) || (url !== null && !/^https?:\/\/[!-~]{1,8000}$/.test(url)))
		return problem("malformed", "The market's answer names no account at Stripe.", { spent: "no" });
	const set = `farelay payout set --to ${to}`;
	call.screen.answer(
		signed,
		ready
			? [`${to} can be paid out to. If you have not said so yet: ${set}`]
			: [
					`${to} is your account at Stripe. Tell Stripe here what it wants to know; the link holds for some minutes:`,
					"",
					url ?? "",
					"",
					`Then: ${set}. The same again (sign-up) says whether anything is missing, with a new link.`,
				],
	);
	return undefined;
}

export const verb: Verb = {
	summary: "pays out what your relays earned: where to, from how much on, how often, or now",
	usage: [
		"farelay payout [options]                        where payouts go, from how much on, how often",
		"farelay payout set --to WHERE [--threshold DOLLARS] [--fee PERCENT] [--every daily|weekly|never]",
		"farelay payout now [DOLLARS] [--invoice INVOICE] [--id ID]     pays out at once, at most so much",
		"farelay payout sign-up --country US --email YOU@EXAMPLE.COM    opens an account at Stripe to be paid out to",
		"farelay payout list                             every payout: gross, market fee, rail fee, net",
		"",
		"  --to WHERE            a Lightning address (you@example.com), a Stripe account (acct_...), or the word invoice: then each",
		"                        payout is by an invoice that you bring. A changed destination is used after a day, and the old one",
		"                        not any more",
		"  --threshold DOLLARS   paid out by itself from this on ($1 by Lightning, $50 by Stripe); default gives that back",
		"  --fee PERCENT         the most that the rail may take of a payout (1 by Lightning, 5 by Stripe)",
		"  --every HOW-OFTEN     daily, weekly or never (daily)",
		"  --invoice INVOICE     a BOLT11 invoice over what is to be paid out",
		"  --country, --email    where you are, in two letters, and an address, for Stripe; the market keeps neither",
		"  --rail NAME           the market's rail that the account is for (card)",
		"  --id ID               names this payout, so that asking again pays nothing twice (a new one unless given)",
		...HOME_USAGE,
	],
	options: () => ({
		...HOME_OPTIONS,
		to: { type: "string" },
		threshold: { type: "string" },
		fee: { type: "string" },
		every: { type: "string" },
		invoice: { type: "string" },
		id: { type: "string" },
		country: { type: "string" },
		email: { type: "string" },
		rail: { type: "string" },
	}),
	words: true,
	async run(call) {
		const [asked, dollars, ...more] = call.words;
		const extra = asked === "now" ? more[0] : dollars;
		if (extra !== undefined) return problem("usage", `"${extra}" says nothing here. farelay payout --help says how.`);
		if (asked !== undefined && !["set", "now", "list", "sign-up"].includes(asked))
			return problem("usage", `A payout has no "${asked}": it has set, now, sign-up and list.`);
		const person = await openPerson(call);
		if (isProblem(person)) return person;
		if (asked === "set") return set(call, person);
		if (asked === "now") return now(call, person, dollars);
		if (asked === "list") return list(call, person);
		if (asked === "sign-up") return signUp(call, person);
		return show(call, person);
	},
};
