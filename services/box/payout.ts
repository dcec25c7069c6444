/** How the operator of the main job is paid: what it earned goes to its Lightning wallet, by an invoice of that wallet. */

import { randomUUID } from "node:crypto";
import { type Amount, add, formatDollars, NOTHING, parseAmount } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { msatOfNanos } from "#marketplace/rate/rate";
import type { Client } from "#sdk/client";
import { attempt } from "#sdk/door";
import { orThrow } from "#sdk/error";
import type { Hub } from "./lightning/hub.ts";
import { LIGHTNING_RAIL } from "./lightning/rail.ts";

/** A payout that was made. `nanos` was taken from what was earned: `net`, the rail's fee and what the market keeps by the rate. */
export type PaidOut = {
	readonly paymentHash: string;
	readonly nanos: Amount;
	readonly railFee: Amount;
	readonly marketFee: Amount;
	readonly net: Amount;
};

/** How long a payout may take; it takes a fifth of a second. */
const PAY_MS = 10_000;
const POLL_MS = 50;
/** How long the invoice is good for. */
const INVOICE_MS = 600_000;

/** Pays an operator all that was earned; undefined when that is less than the smallest payment there is, or a run that was killed left a payout that has not ended. */
export async function payOut(
	hub: Hub,
	operator: Client,
	say: (text: string) => void,
): Promise<PaidOut | Problem | undefined> {
	const { api } = operator.market;
	const earnings = orThrow(await attempt(() => api.operator.earnings.query()));
	const earned = parseAmount(earnings.earned) ?? NOTHING;
	const msat = await msatFor(operator, earned);
	if (msat === 0n) return undefined;
	const id = randomUUID();
	const expiresAtMs = Date.now() + INVOICE_MS;
	const invoice = hub.wallets.operator.invoice({ id, msat, text: "what a relay earned", expiresAtMs });
	if (isProblem(invoice)) return invoice;
	say(`The operator has earned ${formatDollars(earned)} and brings an invoice over ${msat} millisatoshi: the payout.`);
	const asked = await attempt(() => api.operator.payout.now.mutate({ id, invoice: invoice.invoice }));
	if (isProblem(asked) && asked.problem === "too-many") {
		say("A payout of an earlier run has not ended yet: what was earned now goes out with the next one.");
		return undefined;
	}
	let payout = orThrow(asked);
	const deadline = performance.now() + PAY_MS;
	while (payout.state !== "sent" && payout.state !== "failed" && performance.now() < deadline) {
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		payout = orThrow(await attempt(() => api.operator.payout.get.query({ payout: payout.payout })));
	}
	const amounts = [payout.gross, payout.railFee, payout.marketFee, payout.net].map((text) => parseAmount(text));
	const [nanos, railFee, marketFee, net] = amounts;
	const sent = payout.state === "sent" && nanos !== undefined && railFee !== undefined && net !== undefined;
	if (!sent || marketFee === undefined)
		return problem("unavailable", `The payout did not arrive: ${payout.why ?? payout.state}.`, { spent: "unknown" });
	if (nanos !== add(net, railFee, marketFee) || hub.wallets.operator.incoming(invoice.hash)?.msat !== msat)
		return problem("conflict", "The payout is not what arrived and what was kept of it.", { spent: "yes" });
	return { paymentHash: invoice.hash, nanos, railFee, marketFee, net };
}

/** What can be had for so much, by the market's rate. */
async function msatFor(operator: Client, earned: Amount): Promise<bigint> {
	if (earned === NOTHING) return 0n;
	const { rails } = orThrow(await attempt(() => operator.market.api.funding.rails.query({ amount: "1000000000" })));
	const rate = rails.find(({ rail }) => rail === LIGHTNING_RAIL)?.quote?.rate;
	if (!rate) return 0n;
	return msatOfNanos(earned, { ...rate, msatPerDollar: BigInt(rate.msatPerDollar), atMs: 0 }, "out");
}
