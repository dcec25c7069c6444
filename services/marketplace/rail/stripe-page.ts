/** The pages of Stripe's that somebody pays on, once or every month: Checkout Sessions, cards only. */

import type Stripe from "stripe";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Started, StartOrder } from "./rail.ts";
import { type ask, askFor, centsFor, isRefused, type StripeParts } from "./stripe-client.ts";

/** Stripe keeps a session open for half an hour at least, counted from when it hears of it. */
const OPEN_MS_MIN = 30 * 60_000;

/** What every page of Stripe's is asked for that somebody pays on. */
export function pageOf({ options }: StripeParts, order: StartOrder): Stripe.Checkout.SessionCreateParams {
	return {
		client_reference_id: order.id,
		allowed_payment_method_types: ["card"],
		// the bank asks who pays: a stolen card is then its loss and not the market's
		payment_method_options: { card: { request_three_d_secure: "any" } },
		// one currency from the card to the ledger, and back
		adaptive_pricing: { enabled: false },
		expires_at: Math.ceil((order.expiresAtMs + OPEN_MS_MIN) / 1_000),
		success_url: options.returnUrl,
		cancel_url: options.returnUrl,
	};
}

/** What is bought, as Stripe's page shows it. */
export function linesOf(
	order: Pick<StartOrder, "amount" | "text">,
	every?: "month",
): Stripe.Checkout.SessionCreateParams.LineItem[] {
	const price = {
		currency: "usd",
		unit_amount: centsFor(order.amount),
		product_data: { name: order.text || "Farelay" },
	};
	return [{ quantity: 1, price_data: every ? { ...price, recurring: { interval: every } } : price }];
}

/** A new session as what can be paid now. */
export function startedOf(session: Awaited<ReturnType<typeof ask<Stripe.Checkout.Session>>>): Started | Problem {
	if (isProblem(session)) return session;
	if (isRefused(session)) return problem("rail-closed", `Stripe began no payment (${session.refused}).`);
	if (!session.url) return problem("unavailable", "Stripe gave no page to pay on.");
	return {
		reference: session.id,
		pay: { kind: "link", url: session.url },
		expiresAtMs: session.expires_at * 1_000,
	};
}

/** A session by its reference; undefined for what is none of Stripe's. */
export async function sessionOf(
	parts: StripeParts,
	reference: string,
): Promise<Stripe.Checkout.Session | undefined | Problem> {
	if (!/^cs_[0-9A-Za-z_]{1,200}$/.test(reference)) return undefined;
	return await askFor(() => parts.stripe.checkout.sessions.retrieve(reference));
}
