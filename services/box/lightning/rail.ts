/** The box's Lightning as a rail of its market: the market's own node behind the seam that every provider has. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { DepositState, PaymentState, Rail, RailRange } from "#marketplace/rail/rail";
import type { Hub } from "./hub.ts";
import type { Payment } from "./store.ts";

/** Its name in statements and results. */
export const LIGHTNING_RAIL = "lightning-regtest";

/** From one millisatoshi to about a third of a channel, so that a few large ones do not empty it. */
const RANGE: RailRange = { min: 1n, max: 5_000_000_000n };

/** How long a payout is waited for before it is told as under way; between these nodes it takes a fifth of a second. */
const PAY_MS = 10_000;

const DOWN = "The embedded Lightning nodes do not work; stop the box and start it again.";

/** The hub's market as a rail. Whoever opened the hub stops it. */
export function makeLightningRail(hub: Hub): Rail {
	const { market } = hub.wallets;

	/** The nodes' answer once they are connected; a problem when they have died. */
	async function ask<T>(work: () => T): Promise<T | Problem> {
		try {
			if (await hub.ready()) return work();
		} catch {
			// said by the hub, in its log, when it happened
		}
		return problem("unavailable", DOWN);
	}

	return {
		name: LIGHTNING_RAIL,
		world: "world:lightning",
		unit: "msat",
		ranges: { in: RANGE, out: RANGE },
		// a payer pays for the way to us, and from here both wallets are next door
		quote: async (_way, amount) => refuse(amount) ?? { fee: 0n, isAbout: false },
		async start({ id, amount, text, expiresAtMs }) {
			const refused = refuse(amount);
			if (refused) return refused;
			const made = await ask(() => market.invoice({ id, msat: amount, text, expiresAtMs }));
			if (isProblem(made)) return made;
			return {
				reference: made.hash,
				pay: { kind: "invoice", invoice: made.invoice },
				expiresAtMs: made.expiresAtMs,
			};
		},
		onEvent: (hint) => hub.onChange("market", hint),
		deposit: (reference) => ask(() => depositOf(market.incoming(reference))),
		payment: (order) => ask(() => paymentOf(market.outgoing(order.id))),
		async pay({ id, to, amount, feeMax }) {
			const refused = refuse(amount) ?? (feeMax < 0n ? problem("malformed", "A fee is not below nothing.") : undefined);
			if (refused) return { state: "failed", why: refused.detail };
			const sent = await ask(() => market.send({ id, invoice: to, msat: amount, feeMsatMax: feeMax }));
			if (isProblem(sent)) return { state: "unknown", why: sent.detail };
			return paymentOf((await market.over(id, PAY_MS)) ?? sent);
		},
		balance: () =>
			ask(() => {
				const { outMsat, sendingMsat } = market.balance();
				return { spendable: outMsat, pending: sendingMsat, stake: hub.stakeMsat };
			}),
		async check() {
			const up = await ask(() => undefined);
			return isProblem(up) ? up : undefined;
		},
		close: async () => {},
	};
}

function refuse(amount: bigint): Problem | undefined {
	if (amount >= RANGE.min && amount <= RANGE.max) return undefined;
	return problem("malformed", `A payment here is of ${RANGE.min} to ${RANGE.max} millisatoshi.`);
}

function depositOf(payment: Payment | undefined): DepositState {
	if (!payment) return { state: "absent" };
	if (payment.state === "done") return { state: "paid", amount: payment.msat, fee: 0n, atMs: payment.atMs };
	return { state: payment.state === "failed" ? "ended" : "waiting" };
}

function paymentOf(payment: Payment | undefined): PaymentState {
	if (!payment) return { state: "absent" };
	const { state, msat, feeMsat, says, atMs } = payment;
	if (state === "done") return { state: "sent", amount: msat, fee: feeMsat, proof: says, atMs };
	return state === "failed" ? { state, why: says } : { state: "sending" };
}
