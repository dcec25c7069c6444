/** How the sender of the main job gets money: by a Lightning invoice that the payer's wallet pays, or play money where there is no Lightning. */

import { randomUUID } from "node:crypto";
import { type Amount, amount, formatAmount, formatDollars, parseDollars } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import type { Client } from "#sdk/client";
import { attempt } from "#sdk/door";
import { orThrow } from "#sdk/error";
import type { Hub } from "./lightning/hub.ts";
import { LIGHTNING_RAIL } from "./lightning/rail.ts";

/** A payment over Lightning that was made: its hash in hex, and what it put on a balance or took from one. */
export type Deposited = { readonly paymentHash: string; readonly nanos: Amount };

/** What the sender has to begin with: enough for some ten gigabytes at the default ask. */
const ENOUGH = parseDollars("5") as Amount;
/** Whoever has enough pays a little in all the same, so that every run shows it. */
const LEAST = parseDollars("0.01") as Amount;
/** What the way to the market may cost; it is next door. */
const FEE_MSAT_MAX = 1_000n;
/** How long a payment and its credit may take; together they take a fifth of a second. */
const PAY_MS = 10_000;
const POLL_MS = 50;

/** Gives the sender play money where they have too little. */
export async function fundByPlay(sender: Client): Promise<undefined> {
	if ((await sender.balance()) >= ENOUGH) return undefined;
	const order = { id: randomUUID(), amount: formatAmount(ENOUGH) };
	orThrow(await attempt(() => sender.market.api.funding.play.mutate(order)));
	return undefined;
}

/** Has the payer's wallet pay somebody's deposit, and waits until it is on their balance. */
export async function fundByLightning(
	hub: Hub,
	sender: Client,
	say: (text: string) => void,
	who = "sender",
): Promise<Deposited | Problem> {
	const balance = await sender.balance();
	const wanted = balance + LEAST > ENOUGH ? LEAST : amount(ENOUGH - balance);
	const { id, pay, quote } = await sender.deposits.start({ rail: LIGHTNING_RAIL, amount: wanted });
	if (pay?.kind !== "invoice") return problem("unavailable", "The market asked for no invoice.", { spent: "no" });
	say(
		`The ${who} wants ${formatDollars(wanted)} on the balance: an invoice over ${quote.units} millisatoshi, by ${quote.rateSays}.`,
	);
	const order = `deposit-${id}`;
	hub.wallets.payer.send({ id: order, invoice: pay.invoice, feeMsatMax: FEE_MSAT_MAX });
	const paid = await hub.wallets.payer.over(order, PAY_MS);
	if (paid?.state !== "done")
		return problem("unavailable", `The payer's wallet did not pay: ${paid?.says ?? "too slow"}.`);
	const credited = await untilCredited(sender, id);
	return typeof credited === "bigint" ? { paymentHash: paid.hash, nanos: credited } : credited;
}

async function untilCredited(sender: Client, id: string): Promise<Amount | Problem> {
	const deadline = performance.now() + PAY_MS;
	while (performance.now() < deadline) {
		const { credited } = await sender.deposits.status(id);
		if (credited !== undefined) return credited;
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
	return problem("unavailable", "The deposit was paid and not credited in time.", { spent: "unknown" });
}
