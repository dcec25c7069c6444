/** `farelay market payout`: payouts that have not ended, what is known of one, and its end by the word of whoever runs the market. */

import { formatDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { askOwned } from "./door.ts";
import { settingsOf } from "./owner.ts";
import { sayCount } from "./screen.ts";
import { type Call, type Options, textOf } from "./verb.ts";

/** A rail is asked before anything is said of a payout: the slowest takes half a minute. */
const ANSWER_MS_MAX = 60_000;

/** What the verb takes beside the market's settings. */
export const BY_HAND_OPTIONS: Options = {
	sent: { type: "boolean" },
	failed: { type: "boolean" },
	fee: { type: "string" },
	note: { type: "string" },
};

/** A payout as the door has it, amounts as text. */
type Told = {
	readonly id: string;
	readonly account: string;
	readonly rail: string;
	readonly askedAtMs: number;
	readonly invoice?: string;
	readonly target: { readonly kind: string; readonly to: string };
	readonly to?: string;
	readonly terms?: {
		readonly reserved: string;
		readonly amount: string;
		readonly feeMax: string;
		readonly exchange: { readonly unit: string };
	};
	readonly course: {
		readonly state: string;
		readonly begunAtMs?: number;
		readonly looks: number;
		readonly why?: string;
		readonly byHand?: string;
	};
};
type Known = {
	readonly payout: Told;
	readonly says?: { readonly state?: string; readonly why?: string; readonly detail?: string };
	readonly failsFromMs: number;
	readonly refused: { readonly sent?: string; readonly failed?: string };
};

/** Lists them, shows one, or ends it. */
export async function marketPayout(call: Call, id: string | undefined): Promise<Problem | undefined> {
	const config = await settingsOf(call);
	if (isProblem(config)) return config;
	const ask = <Answer>(path: string, question: object) =>
		askOwned<Answer>(config.dataPath, path, "market", question, ANSWER_MS_MAX);
	const { sent, failed } = call.options;
	if (id === undefined) {
		if (sent || failed) return problem("usage", "Which one? farelay market payout ID --sent or --failed.");
		const found = await ask<{ payouts: readonly Told[] }>("/payouts", {});
		if (isProblem(found)) return found;
		call.screen.answer(found, found.payouts.length > 0 ? found.payouts.map(lineOf) : ["No payout is under way."]);
		return undefined;
	}
	if (!/^[0-9a-f]{32}$/.test(id))
		return problem("usage", "A payout's id has 32 hex digits; farelay market payout lists them.");
	if (!sent && !failed) return show(call, await ask<Known>("/payout", { id }));
	const note = textOf(call, "note") ?? "";
	if (sent && failed) return problem("usage", "It was sent or it failed.");
	if (note === "" || note.length > 200)
		return problem("usage", '--note "..." says how you know, in up to 200 letters: it stays with the payout.');
	const fee = textOf(call, "fee");
	if (sent ? fee === undefined || !/^(0|[1-9]\d{0,17})$/.test(fee) : fee !== undefined)
		return problem(
			"usage",
			"--sent takes --fee N, what the rail took for it in its own unit (0 if nothing); --failed has none.",
		);
	const ended = await ask<{ payout: Told }>("/payout", {
		id,
		end: { how: sent ? "sent" : "failed", fee: fee ?? "0", note },
	});
	if (isProblem(ended)) return ended;
	const back = sent ? "" : " What was set aside is its operator's again.";
	call.screen.answer(ended, [`Payout ${id} is ${ended.payout.course.state}, by your word.${back}`]);
	return undefined;
}

function show(call: Call, known: Known | Problem): Problem | undefined {
	if (isProblem(known)) return known;
	const { payout, says, failsFromMs, refused } = known;
	const { course, terms, target, rail } = payout;
	const rails = says?.detail ?? (says?.why ? `${says.state}: ${says.why}` : says?.state);
	const way = (how: string, why: string | undefined) =>
		`--${how}`.padEnd(12) + (why === undefined ? "may be said now" : why);
	call.screen.answer(known, [
		lineOf(payout),
		`operator    ${payout.account}`,
		`to          ${payout.to ?? (payout.invoice || target.to)}`,
		...(terms
			? [
					`set aside   ${dollars(terms.reserved)}: ${terms.amount} ${terms.exchange.unit}, and at most ${terms.feeMax} for the rail`,
				]
			: []),
		course.begunAtMs === undefined
			? `the rail    ${rail} was never told`
			: `the rail    ${rail} was told at ${at(course.begunAtMs)}, asked ${sayCount(course.looks, "time")}, and says now: ${rails ?? "nothing, for it is not set up here"}`,
		...(failsFromMs > 0 ? [`could begin until ${at(failsFromMs)}, should its order have got lost`] : []),
		...(course.byHand === undefined ? [] : [`by hand     ${course.byHand}`]),
		way("sent", refused.sent),
		way("failed", refused.failed),
	]);
	return undefined;
}

/** To the second: whoever ends a payout holds it against a wallet's own list. */
const at = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
const dollars = (nanos: string) => formatDollars(BigInt(nanos));

function lineOf({ id, course, terms, askedAtMs }: Told): string {
	const worth = terms ? `${dollars(terms.reserved)}, ` : "";
	return `${id}  ${course.state.padEnd(8)} ${worth}asked for at ${at(askedAtMs)}${course.why ? `: ${course.why}` : ""}`;
}
