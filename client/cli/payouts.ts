/** Payouts and how an operator is paid, as lines for people. */

import { formatDollars } from "#contracts/amount";
import type { PayoutJson, PayoutPlanJson } from "#sdk/api";
import { sayMinute } from "./screen.ts";

/** A destination in words: of an invoice only its beginning, which tells it from others. */
function whereOf({ kind, to }: Pick<PayoutJson, "kind" | "to">): string {
	if (kind !== "invoice") return to;
	return to === "" ? "invoices that you bring" : `${to.slice(0, 16)}…`;
}

const WAYS = { lightning: "Lightning addresses", invoice: "invoices", stripe: "Stripe accounts" } as const;

/** How somebody is paid. */
export function planLines(plan: PayoutPlanJson): string[] {
	const { destination, schedule, threshold, feeMaxPpm, leaving, newest, ways } = plan;
	const lines = [`paid to     ${destination ? whereOf(destination) : "nowhere yet: farelay payout set --to WHERE"}`];
	if (destination?.waitsUntilMs)
		lines.push(`            it was changed: nothing is paid out before ${sayMinute(destination.waitsUntilMs)} UTC`);
	if (destination?.kind === "invoice") lines.push("when        when you ask: farelay payout now --invoice INVOICE");
	else if (schedule === "never") lines.push("when        when you ask: farelay payout now");
	else lines.push(`when        ${schedule}, from ${formatDollars(BigInt(threshold))} on`);
	lines.push(`at most     ${feeMaxPpm / 10_000} % for the rail`);
	if (BigInt(leaving) > 0n) lines.push(`on its way  ${formatDollars(BigInt(leaving))}`);
	if (newest) lines.push(`newest      ${sayPayout(newest)}`);
	const open = ways.map(({ kind, rail }) => `${WAYS[kind]} by ${rail}`);
	lines.push(`this market pays ${open.length > 0 ? `to ${open.join(", to ")}` : "nothing out now"}`);
	return lines;
}

/** One payout in a line. */
export function sayPayout(payout: PayoutJson): string {
	const { state, gross, net, marketFee, railFee, why } = payout;
	if (gross === null || net === null)
		return `${state} since ${sayMinute(payout.askedAtMs)} UTC${why ? `: ${why}` : ""}`;
	const [all, arrived, market, rail] = [gross, net, marketFee, railFee].map((nanos) =>
		formatDollars(BigInt(nanos ?? "0")),
	);
	const over = BigInt(payout.over ?? "0");
	const more = over > 0n ? ` (the market bore ${formatDollars(over)} more that the rail took beyond its ceiling)` : "";
	return `${arrived} arrived at ${whereOf(payout)} by ${payout.rail}: ${all} less ${market} for the market's exchange and ${rail} for the rail${more}`;
}

export const payoutHeads = [
	"when (UTC)",
	"payout",
	"state",
	"to",
	"rail",
	"gross",
	"market fee",
	"rail fee",
	"net",
	"",
] as const;

/** The cells of a payout under {@link payoutHeads}. */
export function payoutRow(payout: PayoutJson): string[] {
	const money = (nanos: string | null) => (nanos === null ? "-" : formatDollars(BigInt(nanos)));
	const { gross, marketFee, railFee, net } = payout;
	return [
		sayMinute(payout.askedAtMs),
		payout.payout.slice(0, 8),
		payout.state,
		whereOf(payout),
		payout.rail,
		...[gross, marketFee, railFee, net].map(money),
		payout.state === "sent" ? "" : (payout.why ?? ""),
	];
}
