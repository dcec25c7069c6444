/** Payments onto an account, as lines for people. */

import { formatDollars } from "#contracts/amount";
import type { Funding, FundingMonthly, FundingQuote, FundingRail } from "#sdk/funding";
import { sayDay, sayMinute, table } from "./screen.ts";

function sayTime(ms: number): string {
	return `${new Date(ms).toISOString().slice(11, 16)} UTC`;
}

/** So much of what a rail counts in, as people say it. */
function sayUnits(unit: FundingQuote["unit"], units: bigint): string {
	if (unit === "nano") return formatDollars(units);
	if (unit === "cent") return `$${units / 100n}.${(units % 100n).toString().padStart(2, "0")}`;
	const rest = (units % 1_000n).toString().padStart(3, "0");
	return `${units / 1_000n}${rest === "000" ? "" : `.${rest}`} sat`;
}

function about({ feeIsAbout }: FundingQuote): string {
	return feeIsAbout ? "about " : "";
}

/** The ways to pay as a table. */
export function railLines(rails: readonly FundingRail[]): string[] {
	if (rails.length === 0) return ["This market has no way to pay open."];
	const cells = rails.map(({ rail, quote, refused }) =>
		quote
			? [
					rail,
					sayUnits(quote.unit, quote.units),
					`${about(quote)}${formatDollars(quote.feeNanos)}`,
					formatDollars(quote.spread),
					`${about(quote)}${formatDollars(quote.credited)}`,
					"",
				]
			: [rail, "-", "-", "-", "-", refused ?? ""],
	);
	return table(["rail", "you pay", "its fee", "rate's spread", "arrives", ""], cells);
}

/** What is to be paid, where, and what arrives. */
export function payLines({ quote, payUntilMs, monthly }: Funding, pay: NonNullable<Funding["pay"]>): string[] {
	const where = pay.kind === "invoice" ? pay.invoice : pay.kind === "link" ? pay.url : "";
	const what = `${sayUnits(quote.unit, quote.units)}${monthly ? " every month" : ""}`;
	const known = quote.feeIsAbout ? " It is known when you have paid; what is left of what you pay arrives." : "";
	return [
		`${monthly ? "Agree to pay" : "Pay"} ${what} by ${quote.rail} until ${sayTime(payUntilMs)}: ${about(quote)}${formatDollars(quote.credited)} ${monthly ? "arrive each time" : "arrive"}.`,
		`Its fee is ${about(quote)}${formatDollars(quote.feeNanos)}, the rate's spread ${formatDollars(quote.spread)}${quote.rateSays ? ` (${quote.rateSays})` : ""}.${known}`,
		...(quote.rateSays ? [`The rate holds until ${sayTime(quote.untilMs)}.`] : []),
		"",
		where,
		"",
	];
}

/** What came, and what was kept of it where that is not what was said before. */
export function cameLine({ quote, credited, fee }: Funding, balance: bigint): string {
	const kept =
		quote.feeIsAbout && fee !== undefined && fee !== quote.fee
			? ` (${quote.rail} kept ${sayUnits(quote.unit, fee)}, not ${sayUnits(quote.unit, quote.fee)})`
			: "";
	return `Funded with ${formatDollars(credited ?? 0n)} by ${quote.rail}${kept}; the balance is ${formatDollars(balance)}.`;
}

/** How it stands with what comes every month. */
export function monthlyLine(id: string, { quote }: Funding, monthly: FundingMonthly): string {
	const what = `${formatDollars(quote.credited)} every month by ${quote.rail}`;
	if (monthly.isOver) return `${what} has ended after ${monthly.months} of them: no more will come.`;
	if (monthly.isStopped) return `${what} is being ended: the market asks until it is told that no more will come.`;
	if (monthly.isFailing)
		return `${what}: the newest could not be had. It is tried again in the days to come${monthly.url ? `; pay it or change the card here: ${monthly.url}` : ""}.`;
	return `${what}, credited when each has come. To end it: farelay fund --stop ${id}`;
}

/** Every payment as a table, in the order they were begun. */
export function historyLines(deposits: readonly Funding[]): string[] {
	if (deposits.length === 0) return ["Nothing was paid in yet."];
	const rows = deposits.map((deposit) => {
		const { id, state, quote, credited, fee, startedMs } = deposit;
		return [
			sayMinute(startedMs),
			id,
			state,
			quote.rail,
			credited === undefined ? "-" : formatDollars(credited),
			fee === undefined ? "-" : sayUnits(quote.unit, fee),
			noteOf(deposit),
		];
	});
	return table(["when (UTC)", "id", "state", "rail", "came", "its fee", ""], rows);
}

const REFUND = {
	sending: "is on its way back to the card",
	sent: "went back to the card",
	failed: "could not go back to the card",
} as const;

function noteOf(deposit: Funding): string {
	const { monthly, refund, says, of, backUntilMs, id } = deposit;
	if (monthly) return monthlyLine(id, deposit, monthly);
	const notes = [
		of === undefined ? "" : `a month of ${of}`,
		refund ? `${formatDollars(refund.amount)} ${REFUND[refund.state]}` : "",
		says ?? "",
		backUntilMs === undefined ? "" : `can be taken back until ${sayDay(backUntilMs)}`,
	];
	return notes.filter(Boolean).join("; ");
}

/** What became of a payment that was to go back to its card. */
export function refundLine({ id, refund }: Funding): string {
	if (!refund) return "Nothing went back.";
	const where = refund.state === "sending" ? `; farelay fund --history shows when it is there` : "";
	return `${formatDollars(refund.amount)} of ${id} ${REFUND[refund.state]}${where}.`;
}
