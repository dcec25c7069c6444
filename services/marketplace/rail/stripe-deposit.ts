/**
 * Money in by card: a Checkout Session that Stripe shows to who pays, what became of it as Stripe says now, and giving it back to the card that paid.
 * Only cards: other ways of paying at Stripe can be taken back for longer than {@link FRESH_MS}.
 */

import type Stripe from "stripe";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { DepositState, PaymentState, Rail, Started, StartOrder } from "./rail.ts";
import { ask, askFor, centsFor, centsOf, idOf, isOurs, isRefused, type StripeParts } from "./stripe-client.ts";
import { isInvoice, monthlyOf, paymentOfMonth } from "./stripe-monthly.ts";
import { linesOf, pageOf, sessionOf, startedOf } from "./stripe-page.ts";

/** How long card money is fresh: most of what comes back is on its way by then (money.md, "Cards come back"). */
export const FRESH_MS = 14 * 86_400_000;

/** Begins a top-up. Everything that is sent follows from the order, so that the same order again is the same request. */
export async function startDeposit(parts: StripeParts, order: StartOrder): Promise<Started | Problem> {
	const session = await ask(() =>
		parts.stripe.checkout.sessions.create(
			{
				...pageOf(parts, order),
				mode: "payment",
				metadata: { deposit: order.id },
				line_items: linesOf(order),
				payment_intent_data: { capture_method: "automatic", metadata: { deposit: order.id } },
			},
			{ idempotencyKey: order.id },
		),
	);
	return startedOf(session);
}

/** Asks what became of a top-up, of a month, or of what comes every month. */
export async function depositOf(parts: StripeParts, reference: string): Promise<DepositState | Problem> {
	const payment = await paymentOf(parts, reference);
	return typeof payment === "string" ? await intentOf(parts, payment) : payment;
}

/** The payment intent that a reference was paid by; a state where there is none. */
async function paymentOf(parts: StripeParts, reference: string): Promise<string | DepositState | Problem> {
	if (isInvoice(reference)) return await paymentOfMonth(parts, reference);
	const session = await sessionOf(parts, reference);
	if (isProblem(session)) return session;
	if (session?.mode === "subscription") return await monthlyOf(parts, session);
	// the market's Stripe account may sell other things too
	if (!session?.metadata?.deposit || session.mode !== "payment" || !isOurs(parts, session)) return { state: "absent" };
	if (session.status === "expired") return { state: "ended" };
	const intent = idOf(session.payment_intent);
	if (session.status !== "complete" || session.payment_status !== "paid" || !intent) return { state: "waiting" };
	return intent;
}

/** What a payment intent's charge says: paid, on its way, or taken back. */
export async function intentOf(parts: StripeParts, id: string): Promise<DepositState | Problem> {
	const intent = await askFor(() =>
		parts.stripe.paymentIntents.retrieve(id, {
			expand: ["latest_charge.balance_transaction"],
		}),
	);
	if (isProblem(intent)) return intent;
	if (!intent || !isOurs(parts, intent)) return { state: "absent" };
	const charge = intent.latest_charge;
	if (intent.status !== "succeeded" || typeof charge !== "object" || !charge?.captured) return { state: "waiting" };
	const settled = charge.balance_transaction;
	// it follows a moment after the charge, with an event of its own; until then the fee is not known
	if (typeof settled !== "object" || !settled) return { state: "waiting" };
	const amount = centsOf(charge.amount_captured);
	const fee = feeOf(settled, amount);
	const refunded = centsOf(charge.amount_refunded);
	if (amount === undefined || fee === undefined || refunded === undefined) return odd();
	const disputed = charge.disputed ? await disputedOf(parts, id) : NEVER;
	if (isProblem(disputed)) return disputed;
	const given = refunded > 0n ? await givenBack(parts, id) : NEVER;
	if (isProblem(given)) return given;
	const penalty = disputed.penalty + given.penalty;
	const beside = penalty > 0n ? { penalty } : {};
	const atMs = charge.created * 1_000;
	const of = { amount, fee, atMs, backUntilMs: atMs + FRESH_MS };
	if (disputed.cents > 0n)
		return { state: "returned", amount: disputed.cents + refunded, atMs: disputed.atMs, why: "dispute", of, ...beside };
	if (refunded > 0n)
		return { state: "returned", amount: refunded, atMs: Math.max(atMs, given.atMs), why: "refund", of, ...beside };
	const card = charge.payment_method_details?.card?.fingerprint;
	const country = countryOf(charge);
	return { state: "paid", ...of, ...beside, ...(card && { card }), ...(country !== undefined && { country }) };
}

/** Where the bank is that issued the card; Stripe does not always know. Nothing else of the card is read. */
function countryOf({ payment_method_details: details }: Stripe.Charge): string | undefined {
	const country = details?.card?.country;
	return typeof country === "string" && /^[A-Z]{2}$/.test(country) ? country : undefined;
}

/** What went back of a payment, when, and what Stripe charged the market for that. */
type Back = { readonly cents: bigint; readonly atMs: number; readonly penalty: bigint };

const NEVER: Back = { cents: 0n, atMs: 0, penalty: 0n };

/** When the newest refund was, and what refunds cost: nothing in most countries. */
async function givenBack({ stripe }: StripeParts, intent: string): Promise<Back | Problem> {
	const refunds = await askFor(() =>
		stripe.refunds.list({ payment_intent: intent, limit: 100, expand: ["data.balance_transaction"] }),
	);
	if (isProblem(refunds)) return refunds;
	let [cents, penalty] = [0n, 0n];
	let atMs = 0;
	for (const refund of refunds?.data ?? []) {
		const about = centsOf(refund.amount);
		const settled = refund.balance_transaction;
		const cost = typeof settled === "object" && settled ? penaltyOf(settled, about) : 0n;
		if (about === undefined || cost === undefined) return odd();
		cents += about;
		penalty += cost;
		atMs = Math.max(atMs, refund.created * 1_000);
	}
	return { cents, atMs, penalty };
}

/** What Stripe charged for moving so many cents back, or gave back of that. */
function penaltyOf(
	{ fee, amount, currency }: Stripe.BalanceTransaction,
	cents: bigint | undefined,
): bigint | undefined {
	if (!Number.isSafeInteger(fee) || !Number.isSafeInteger(amount) || cents === undefined) return undefined;
	if (currency === "usd" || fee === 0 || amount === 0) return BigInt(fee);
	const moved = BigInt(amount);
	return (BigInt(fee) * cents) / (moved < 0n ? -moved : moved);
}

/**
 * What Stripe kept of a payment, in cents of a dollar. An account that is settled in another currency is told it in that one's units: of yen or dinars, which have
 * no hundredths or a thousand parts, the number would be far from cents.
 */
function feeOf(settled: Stripe.BalanceTransaction, cents: bigint | undefined): bigint | undefined {
	const fee = centsOf(settled.fee);
	const of = centsOf(settled.amount);
	if (settled.currency === "usd" || !fee || !of || cents === undefined) return fee;
	return (fee * cents + of - 1n) / of;
}

/**
 * What disputes took back of a payment, when the first did, and what Stripe charged for them. Not by their states, of which there are ten and more to come, but by what they moved: an
 * inquiry moves nothing, a dispute takes at once, one that is won gives again. What they are about is in dollars; what was moved may be in the currency that the
 * account is settled in, and says which part of that is gone.
 */
async function disputedOf(parts: StripeParts, intent: string): Promise<Back | Problem> {
	const disputes = await askFor(() => parts.stripe.disputes.list({ payment_intent: intent, limit: 100 }));
	if (isProblem(disputes)) return disputes;
	let [cents, penalty] = [0n, 0n];
	let atMs = Number.MAX_SAFE_INTEGER;
	for (const dispute of disputes?.data ?? []) {
		atMs = Math.min(atMs, dispute.created * 1_000);
		const about = centsOf(dispute.amount);
		if (about === undefined) return odd();
		let taken = 0n;
		let gone = 0n;
		for (const settled of dispute.balance_transactions) {
			const { amount } = settled;
			const cost = penaltyOf(settled, about);
			if (cost === undefined) return odd();
			penalty += cost;
			gone -= BigInt(amount);
			taken -= amount < 0 ? BigInt(amount) : 0n;
		}
		// won in another month it may give more of a currency than it took
		if (gone > 0n) cents += (about * gone + taken - 1n) / taken;
	}
	return { cents, atMs, penalty };
}

function odd(): Problem {
	return problem("unavailable", "Stripe answers an amount that is none.");
}

/** Gives a payment back to the card that paid it, all or a part. What was given back under the same id before is found and not given again. */
export async function giveBack(
	parts: StripeParts,
	order: Parameters<NonNullable<Rail["giveBack"]>>[0],
): Promise<PaymentState> {
	const { stripe } = parts;
	const intent = await paymentOf(parts, order.reference);
	if (isProblem(intent)) return unknown(intent);
	if (typeof intent !== "string") return { state: "failed", why: "Stripe knows no such payment of this market's." };
	const before = await askFor(() => stripe.refunds.list({ payment_intent: intent, limit: 100 }));
	if (isProblem(before)) return unknown(before);
	const found = before?.data.find((refund) => refund.metadata?.refund === order.id);
	const refund =
		found ??
		(await ask(() =>
			stripe.refunds.create(
				{ payment_intent: intent, amount: centsFor(order.amount), metadata: { refund: order.id } },
				{ idempotencyKey: order.id },
			),
		));
	if (isProblem(refund)) return unknown(refund);
	if (isRefused(refund)) return { state: "failed", why: `Stripe gives nothing back (${refund.refused}).` };
	if (refund.status === "failed" || refund.status === "canceled")
		return { state: "failed", why: "The card's bank did not take it back." };
	const amount = centsOf(refund.amount);
	if (refund.status !== "succeeded" || amount === undefined) return { state: "sending" };
	return { state: "sent", amount, fee: 0n, proof: refund.id, atMs: refund.created * 1_000 };
}

function unknown({ detail }: Problem): PaymentState {
	return { state: "unknown", why: detail };
}
