/**
 * What Stripe posts to the market's door. An event is believed only so far that something is asked for: it becomes the reference of a deposit or the id of a
 * payout, and the rest of it is not read (threat 16). So a doubled, late or reordered event can do no harm, and a forged one does not even cause a question.
 */

import type Stripe from "stripe";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Rail } from "./rail.ts";
import { askFor, idOf, type StripeParts } from "./stripe-client.ts";

/** Stripe signs when it posts, also when it posts again: what is older than this was kept by somebody. */
const TOLERANCE_S = 300;

/** Events whose ids are remembered, so that one that is played over and over causes one question: far more than come in {@link TOLERANCE_S}. */
const SEEN_MAX = 10_000;

/** Takes what is posted, and calls `hint`. A problem tells Stripe to post it again later (or somebody else that it is not believed). */
export function eventDoor(parts: StripeParts, hint: (reference: string) => void): NonNullable<Rail["receive"]> {
	const { options, clock } = parts;
	const seen = new Set<string>();

	function read(body: Uint8Array, signature: string): Stripe.Event | Stripe.V2.Core.EventNotification | Problem {
		const { stripe } = parts;
		const nowMs = clock.nowMs();
		const readers = [
			() => stripe.webhooks.constructEvent(body, signature, options.eventSecret, TOLERANCE_S, undefined, nowMs),
			() => {
				const secret = options.thinEventSecret;
				if (!secret) throw new Error("no second destination");
				return stripe.parseEventNotification(body, signature, secret, TOLERANCE_S, undefined, nowMs);
			},
		];
		for (const reader of readers) {
			try {
				return reader();
			} catch {
				// not by this secret, too old, or not JSON: the package says which in words that hold the body and the signature
			}
		}
		return problem("signature-bad", "Stripe did not sign this event, or did so long ago.");
	}

	return async (body, headers) => {
		const signature = headers["stripe-signature"];
		if (!signature) return problem("signature-bad", "The event carries no signature.");
		const event = read(body, signature);
		if (isProblem(event)) return event;
		if (typeof event.id !== "string" || typeof event.type !== "string" || event.livemode !== parts.live)
			return problem("malformed", "The event is not one of the market's own mode.");
		if (seen.has(event.id)) return undefined;
		const references = await referencesOf(parts, event);
		// not remembered: Stripe posts it again, and then it is asked again
		if (isProblem(references)) return references;
		if (seen.size >= SEEN_MAX) for (const oldest of [...seen].slice(0, SEEN_MAX / 2)) seen.delete(oldest);
		seen.add(event.id);
		for (const reference of references) hint(reference);
		return undefined;
	};
}

type Anything = { readonly [field: string]: unknown };

/** Of which deposits and payouts something may have changed. An event that the market does not know is none of its business. */
async function referencesOf(
	parts: StripeParts,
	event: Stripe.Event | Stripe.V2.Core.EventNotification,
): Promise<readonly string[] | Problem> {
	if (event.object === "v2.core.event") {
		const related = (event as { related_object?: { id?: unknown } | null }).related_object?.id;
		return wordsOf(related);
	}
	const { type } = event;
	const object = event.data.object as unknown as Anything;
	if (type.startsWith("checkout.session.")) return wordsOf(object.id);
	if (type.startsWith("transfer.")) return wordsOf(object.transfer_group);
	if (type.startsWith("customer.subscription.")) return await sessionsOf(parts, "subscription", word(object.id));
	if (type.startsWith("invoice.")) return await monthsOf(parts, object);
	if (type.startsWith("charge.") || type.startsWith("refund.")) {
		// a charge, a dispute and a refund all name the payment that they are of: of a top-up's session, or of a month's invoice
		const intent = word(idOf(object.payment_intent as string | { id: string } | null | undefined));
		const sessions = await sessionsOf(parts, "payment_intent", intent);
		return isProblem(sessions) || sessions.length > 0 ? sessions : await invoicesOf(parts, intent);
	}
	return [];
}

/** A month, and the session in which it was agreed to: one that is new here is found by that. */
async function monthsOf(parts: StripeParts, invoice: Anything): Promise<readonly string[] | Problem> {
	const parent = invoice.parent as Stripe.Invoice.Parent | null | undefined;
	const subscription = word(idOf(parent?.subscription_details?.subscription));
	const sessions = await sessionsOf(parts, "subscription", subscription);
	return isProblem(sessions) ? sessions : [...sessions, ...wordsOf(invoice.id)];
}

async function sessionsOf(
	parts: StripeParts,
	by: "payment_intent" | "subscription",
	id: string | undefined,
): Promise<readonly string[] | Problem> {
	if (!id) return [];
	const found = await askFor(() => parts.stripe.checkout.sessions.list({ [by]: id, limit: 10 }));
	return isProblem(found) ? found : (found?.data ?? []).flatMap(({ id: session }) => wordsOf(session));
}

async function invoicesOf(parts: StripeParts, intent: string | undefined): Promise<readonly string[] | Problem> {
	if (!intent) return [];
	const payment = { type: "payment_intent", payment_intent: intent } as const;
	const found = await askFor(() => parts.stripe.invoicePayments.list({ payment, limit: 10 }));
	return isProblem(found) ? found : (found?.data ?? []).flatMap(({ invoice }) => wordsOf(idOf(invoice)));
}

/** What can be a reference or an id; the rest is nobody's. */
function wordsOf(found: unknown): readonly string[] {
	return typeof found === "string" && /^[\w:-]{1,200}$/.test(found) ? [found] : [];
}

function word(found: unknown): string | undefined {
	return wordsOf(found)[0];
}
