/**
 * Money out to an operator's Stripe account: one transfer, with our payout's id as its group and as the idempotency key. Stripe forgets such a key after a day,
 * so a transfer of the same id is looked for first (threat 19).
 */

import type Stripe from "stripe";
import { isProblem, type Problem } from "#contracts/problem";
import type { PaymentState, PayOrder, RailQuote } from "./rail.ts";
import { ask, askFor, CENTS_MAX, centsFor, centsOf, isOurs, isRefused, type StripeParts } from "./stripe-client.ts";

/** What Stripe charges the market for a payout: a quarter of a percent, a quarter dollar, and two dollars for each account that is paid in a month. */
const FEE = { perMille: 25n, scale: 10_000n, each: 25n, monthly: 200n };

/** A request of ours cannot begin at Stripe any more when this much time has passed since it was sent. */
const ON_ITS_WAY_MS = 10 * 60_000;

/**
 * What is looked up before Stripe is told takes seconds. A process that was stopped meanwhile for longer tells nothing any more: another one may have asked
 * what became of the payout, heard that there is none, and given the money back. Together with {@link ON_ITS_WAY_MS} less than anybody waits for that.
 */
const LOOKED_UP_MS = 60_000;

/** When this process last sent a payout, by id, and what Stripe refused of it. After a restart, nothing is known of what the process before it sent. */
export type Sent = { readonly sinceMs: number; readonly last: Map<string, { readonly atMs: number; why?: string }> };

/** Ids remembered: those of {@link ON_ITS_WAY_MS} matter, and a market does not begin this many payouts in it. */
const SENT_MAX = 10_000;

/** What a payout of an amount costs now; `to` tells whether the account was paid this month already. */
export async function payoutQuote(parts: StripeParts, amount: bigint, to?: string): Promise<RailQuote | Problem> {
	const first = to === undefined ? true : await isFirstOfMonth(parts, to);
	if (isProblem(first)) return first;
	return { fee: feeOf(amount, first), isAbout: false };
}

function feeOf(amount: bigint, first: boolean): bigint {
	const share = (amount * FEE.perMille + FEE.scale - 1n) / FEE.scale;
	return share + FEE.each + (first ? FEE.monthly : 0n);
}

async function isFirstOfMonth({ stripe, clock }: StripeParts, destination: string): Promise<boolean | Problem> {
	const now = new Date(clock.nowMs());
	const month = Date.UTC(now.getUTCFullYear(), now.getUTCMonth()) / 1_000;
	const found = await askFor(() => stripe.transfers.list({ destination, created: { gte: month }, limit: 1 }));
	return isProblem(found) ? found : !found?.data.length;
}

/** Pays, unless the same id was paid before. */
export async function payOut(parts: StripeParts, sent: Sent, order: PayOrder): Promise<PaymentState> {
	if (!/^acct_[0-9A-Za-z]{1,64}$/.test(order.to)) return { state: "failed", why: "That is no account at Stripe." };
	if (order.amount < 1n || order.amount > CENTS_MAX)
		return { state: "failed", why: "Stripe transfers no such amount at once." };
	const { clock } = parts;
	const [atMs, elapsedMs] = [clock.nowMs(), clock.elapsedMs()];
	const before = await transferOf(parts, order);
	if (isProblem(before)) return { state: "unknown", why: before.detail };
	if (before) return stateOf(before);
	const first = await isFirstOfMonth(parts, order.to);
	if (isProblem(first)) return { state: "unknown", why: first.detail };
	const fee = feeOf(order.amount, first);
	if (fee > order.feeMax) return { state: "failed", why: `Stripe's fee of ${fee} cents is more than the ceiling.` };
	// a machine that slept counts by its wall clock alone, and a wall clock that is set back by what is counted
	if (Math.max(clock.nowMs() - atMs, clock.elapsedMs() - elapsedMs) >= LOOKED_UP_MS)
		return { state: "unknown", why: "It was too late to tell Stripe." };
	for (const oldest of sent.last.keys()) {
		if (sent.last.size < SENT_MAX) break;
		sent.last.delete(oldest);
	}
	const attempt: { atMs: number; why?: string } = { atMs: clock.nowMs() };
	sent.last.set(order.id, attempt);
	const made = await ask(() =>
		parts.stripe.transfers.create(
			{
				amount: centsFor(order.amount),
				currency: "usd",
				destination: order.to,
				transfer_group: order.id,
				metadata: { payout: order.id, fee: fee.toString() },
			},
			{ idempotencyKey: order.id },
		),
	);
	if (isProblem(made)) return { state: "unknown", why: made.detail };
	if (!isRefused(made)) return stateOf(made);
	attempt.why = `Stripe did not transfer it (${made.refused}).`;
	return { state: "failed", why: attempt.why };
}

/**
 * Asks what became of a payout. That Stripe lists no transfer is certain only once a request that is still on its way could not begin any more; a request that
 * comes all the same meets the idempotency key of the first.
 */
export async function payoutOf(parts: StripeParts, sent: Sent, order: PayOrder): Promise<PaymentState | Problem> {
	const found = await transferOf(parts, order);
	if (isProblem(found)) return found;
	if (found) return stateOf(found);
	const last = sent.last.get(order.id);
	if (last?.why !== undefined) return { state: "failed", why: last.why };
	if (parts.clock.nowMs() - (last?.atMs ?? sent.sinceMs) < ON_ITS_WAY_MS)
		return { state: "unknown", why: "Stripe has no such transfer yet, and one could still be on its way." };
	return { state: "absent" };
}

async function transferOf(parts: StripeParts, order: PayOrder): Promise<Stripe.Transfer | undefined | Problem> {
	const found = await askFor(() => parts.stripe.transfers.list({ transfer_group: order.id, limit: 10 }));
	if (isProblem(found)) return found;
	return found?.data.find((transfer) => transfer.metadata.payout === order.id && isOurs(parts, transfer));
}

function stateOf(transfer: Stripe.Transfer): PaymentState {
	const amount = centsOf(transfer.amount);
	const reversed = centsOf(transfer.amount_reversed);
	const fee = /^\d{1,9}$/.test(transfer.metadata.fee ?? "") ? BigInt(transfer.metadata.fee as string) : undefined;
	if (amount === undefined || fee === undefined || reversed === undefined)
		return { state: "unknown", why: "Stripe shows a transfer that the market did not make like this." };
	if (reversed === amount) return { state: "failed", why: "The transfer was reversed: all of it came back." };
	if (reversed > 0n) return { state: "unknown", why: "A part of the transfer was reversed; somebody must look at it." };
	return { state: "sent", amount, fee, proof: transfer.id, atMs: transfer.created * 1_000 };
}
