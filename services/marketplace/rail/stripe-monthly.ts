/**
 * Money that comes by card every month: a subscription that who pays begins on Stripe's own page, and that Stripe charges. What each month brought is an invoice of its own;
 * the subscription says only whether more will come.
 */

import type Stripe from "stripe";
import { isProblem, type Problem } from "#contracts/problem";
import type { DepositState, Started, StartOrder } from "./rail.ts";
import { ask, askFor, idOf, isOurs, type StripeParts } from "./stripe-client.ts";
import { linesOf, pageOf, sessionOf, startedOf } from "./stripe-page.ts";

/** Months told of: eight years. Each is asked about within hours of being paid, so what is older is known. */
const MONTHS_MAX = 100;

const ABSENT = { state: "absent" } as const;

/** Begins it. Everything that is sent follows from the order, so that the same order again is the same request. */
export async function startMonthly(parts: StripeParts, order: StartOrder): Promise<Started | Problem> {
	const session = await ask(() =>
		parts.stripe.checkout.sessions.create(
			{
				...pageOf(parts, order),
				mode: "subscription",
				metadata: { monthly: order.id },
				line_items: linesOf(order, "month"),
				// each invoice carries it too: that is how the market knows a month for its own
				subscription_data: { metadata: { monthly: order.id } },
			},
			{ idempotencyKey: order.id },
		),
	);
	return startedOf(session);
}

/** What Stripe says of a session in which somebody agreed to pay each month, or did not. */
export async function monthlyOf(parts: StripeParts, session: Stripe.Checkout.Session): Promise<DepositState | Problem> {
	if (!session.metadata?.monthly || !isOurs(parts, session)) return ABSENT;
	if (session.status === "expired") return { state: "ended" };
	const id = idOf(session.subscription);
	if (session.status !== "complete" || !id) return { state: "waiting" };
	const subscription = await askFor(() => parts.stripe.subscriptions.retrieve(id, { expand: ["latest_invoice"] }));
	if (isProblem(subscription)) return subscription;
	if (!subscription) return ABSENT;
	// asked for after the subscription: where that has ended, these are all that there are
	const paid = await askFor(() => parts.stripe.invoices.list({ subscription: id, status: "paid", limit: MONTHS_MAX }));
	if (isProblem(paid)) return paid;
	const { status, latest_invoice: newest } = subscription;
	const isFailing = status === "past_due" || status === "unpaid" || status === "incomplete";
	const open = isFailing && typeof newest === "object" && newest?.status === "open" ? newest : undefined;
	return {
		state: "monthly",
		months: (paid?.data ?? []).map(({ id: invoice }) => invoice).filter((invoice) => isInvoice(invoice)),
		isFailing,
		isOver: status === "canceled" || status === "incomplete_expired",
		url: open?.hosted_invoice_url ?? undefined,
	};
}

/** Ends it at once: nothing more is charged. Whatever Stripe answers to that, what it says then is what counts. */
export async function stopMonthly(parts: StripeParts, reference: string): Promise<DepositState | Problem> {
	const { stripe } = parts;
	const before = await sessionOf(parts, reference);
	if (isProblem(before)) return before;
	if (!before?.metadata?.monthly) return ABSENT;
	const id = idOf(before.subscription);
	const done =
		before.status === "open"
			? await ask(() => stripe.checkout.sessions.expire(reference))
			: id && (await ask(() => stripe.subscriptions.cancel(id)));
	if (isProblem(done)) return done;
	const now = await sessionOf(parts, reference);
	return !now || isProblem(now) ? (now ?? ABSENT) : await monthlyOf(parts, now);
}

/** Whether a reference is that of an invoice: of a month. */
export function isInvoice(reference: unknown): reference is string {
	return typeof reference === "string" && /^in_[0-9A-Za-z_]{1,100}$/.test(reference);
}

/** The payment that a month's invoice was paid by; a state where there is none, or not one that counts here. */
export async function paymentOfMonth(parts: StripeParts, reference: string): Promise<string | DepositState | Problem> {
	const invoice = await askFor(() => parts.stripe.invoices.retrieve(reference, { expand: ["payments"] }));
	if (isProblem(invoice)) return invoice;
	if (!invoice?.parent?.subscription_details?.metadata?.monthly || !isOurs(parts, invoice)) return ABSENT;
	if (invoice.status === "void" || invoice.status === "uncollectible") return { state: "ended" };
	if (invoice.status !== "paid") return { state: "waiting" };
	const paid = (invoice.payments?.data ?? []).filter(({ status }) => status === "paid");
	const intent = idOf(paid[0]?.payment.payment_intent);
	// whoever runs the market can mark an invoice as paid elsewhere: by the card nothing came
	return intent && paid.length === 1 ? intent : { state: "ended" };
}
