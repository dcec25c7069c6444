/** The double's socket: reads requests as Stripe does, keeps its rules for keys and idempotency, and does harm when told to. */

import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Answer, ENDPOINTS, PENDING, refuse, transfersOf } from "./endpoints.ts";
import { type Json, makePayment, makeSettled, makeWorld, newId, type StripeWorld, settleCharge } from "./world.ts";

/**
 * What goes wrong with a request:
 * - `lost`: it is done, and the connection ends before an answer; `silent`: it is done, and no answer ever comes
 * - `dropped`: the connection ends before anything is done
 * - a status: Stripe answers that and does nothing
 */
export type Fault = "lost" | "silent" | "dropped" | 401 | 409 | 429 | 500 | 503;

/** An event as it is posted: the body and its signature. */
export type Posted = { readonly body: Uint8Array; readonly headers: Record<string, string> };

/** A request, and what was done for it. */
export type Asked = {
	readonly method: string;
	readonly path: string;
	readonly search: string;
	readonly raw: string;
	readonly key: string | undefined;
	readonly authorization: string | undefined;
	answer?: Answer;
};

export interface StripeDouble {
	readonly world: StripeWorld;
	readonly host: string;
	readonly port: number;
	/** what was asked, newest last: method, path, idempotency key and authorization */
	readonly asked: Asked[];
	/** Lets the next requests whose method and path fit go wrong, in this order. */
	fail(on: RegExp, ...faults: Fault[]): void;
	/** Asked before each request: a fault or none. */
	misbehave(how: ((method: string, path: string) => Fault | undefined) | undefined): void;
	/** Somebody pays on Stripe's page. Answers the payment intent's id. */
	pay(session: string, how?: { cents?: number; settle?: boolean; currency?: string; country?: string }): string;
	settle(intent: string): void;
	expire(session: string): void;
	/** The payer's bank asks (`inquiry`) or takes the money back. */
	dispute(intent: string, how?: { cents?: number; inquiry?: boolean }): string;
	win(dispute: string): void;
	/** A refund that the card's bank did not take. */
	refundFails(refund: string): void;
	/** The next month of a subscription is paid: the invoice's id. */
	renew(subscription: string): string;
	/** The card does not pay the next month: the invoice's id. */
	decline(subscription: string): string;
	/** Tried again later, it does. Answers the payment intent's id. */
	retry(invoice: string): string;
	/** Stripe, or whoever owns the account there, ends a subscription. */
	endSubscription(subscription: string): void;
	/** The payment that an invoice was paid by. */
	intentOf(invoice: string): string;
	/** An operator told Stripe all that it must know. */
	activate(account: string): void;
	reverse(transfer: string, cents: number): void;
	/** An event as Stripe posts it; another secret, time or body for one that Stripe never posted. */
	posted(event: Json, how?: { secret?: string; atMs?: number; body?: string }): Posted;
	/** The newest event of a type. */
	event(type: string): Json;
	/** A thin event of Accounts v2. */
	thin(type: string, account: string): Json;
	close(): Promise<void>;
}

/** The double's key and secrets. */
export const STRIPE_KEY = "sk_test_double0123456789";
export const EVENT_SECRET = "whsec_double_snapshot";
export const THIN_SECRET = "whsec_double_thin";

export async function startStripe(nowMs: () => number = Date.now): Promise<StripeDouble> {
	const world = makeWorld(nowMs);
	const replies = new Map<string, { readonly request: string; readonly answer: Answer }>();
	const faults: { readonly on: RegExp; readonly how: Fault }[] = [];
	const asked: StripeDouble["asked"] = [];
	let chance: ((method: string, path: string) => Fault | undefined) | undefined;

	function emit(type: string, object: Json): void {
		world.events.push({
			id: newId("evt"),
			object: "event",
			api_version: "2026-10-28.endive",
			created: world.nowS(),
			data: { object: structuredClone(object) },
			livemode: false,
			pending_webhooks: 1,
			request: { id: null, idempotency_key: null },
			type,
		});
	}

	function faultOf(method: string, path: string): Fault | undefined {
		const i = faults.findIndex(({ on }) => on.test(`${method} ${path}`));
		if (i >= 0) return faults.splice(i, 1)[0]?.how;
		return chance?.(method, path);
	}

	async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
		let raw = "";
		for await (const chunk of request) raw += chunk;
		const url = new URL(request.url ?? "/", "http://stripe.test");
		const method = request.method ?? "GET";
		const key = request.headers["idempotency-key"] as string | undefined;
		const { pathname: path, search } = url;
		const entry: Asked = { method, path, search, raw, key, authorization: request.headers.authorization };
		asked.push(entry);
		const fault = faultOf(method, url.pathname);
		if (fault === "dropped") return void request.socket.destroy();
		if (typeof fault === "number") return send(response, errorOf(fault));
		if (request.headers.authorization !== `Bearer ${STRIPE_KEY}`)
			return send(response, refuse(401, undefined, "Invalid API Key provided: sk_test_****"));
		const answer = answerOf(method, url, raw, key, String(request.headers["content-type"] ?? ""));
		entry.answer = answer;
		if (fault === "lost") return void request.socket.destroy();
		if (fault !== "silent") send(response, answer);
	}

	function answerOf(method: string, url: URL, raw: string, key: string | undefined, type: string): Answer {
		const kept = method === "POST" && key ? replies.get(key) : undefined;
		const whole = `${url.pathname}?${raw}`;
		if (kept && kept.request !== whole)
			return refuse(400, undefined, "Keys can only be used with the same parameters.", "idempotency_error");
		if (kept) return kept.answer;
		for (const [wanted, path, run] of ENDPOINTS) {
			const found = method === wanted ? path.exec(url.pathname) : null;
			if (!found) continue;
			const fields =
				method !== "POST"
					? formOf(url.search.slice(1))
					: type.includes("json")
						? (JSON.parse(raw || "{}") as Json)
						: formOf(raw);
			const answer = run(world, { fields, id: found[1] ?? "" }, emit);
			// what fails validation is not kept: nothing was begun
			if (method === "POST" && key && !/^parameter_/.test(String((answer.body.error as Json | undefined)?.code ?? "")))
				replies.set(key, { request: whole, answer });
			return answer;
		}
		return refuse(404, undefined, `Unrecognized request URL (${method}: ${url.pathname}).`);
	}

	const server = createServer((request, response) => {
		serve(request, response).catch(() => response.destroy());
	});
	const { promise, resolve } = Promise.withResolvers<void>();
	server.unref();
	server.listen(0, "127.0.0.1", resolve);
	await promise;

	function get(from: Map<string, Json>, id: string): Json {
		const found = from.get(id);
		if (!found) throw new Error(`the double has no ${id}`);
		return found;
	}

	function chargeOf(intent: string): Json {
		return get(world.charges, get(world.intents, intent).latest_charge as string);
	}

	/** A month's invoice that is open yet. */
	function bill(subscription: Json): Json {
		const id = newId("in");
		const made: Json = {
			id,
			object: "invoice",
			amount_paid: 0,
			attempt_count: 0,
			created: world.nowS(),
			currency: "usd",
			hosted_invoice_url: `https://invoice.stripe.test/i/${id}`,
			livemode: false,
			parent: {
				quote_details: null,
				subscription_details: { metadata: subscription.metadata, subscription: subscription.id },
				type: "subscription_details",
			},
			status: "open",
		};
		world.invoices.set(id, made);
		subscription.latest_invoice = id;
		return made;
	}

	/** The card pays it. Answers the payment intent's id. */
	function payBill(made: Json, settle = true): string {
		const subscription = subscriptionOf(made);
		const cents = subscription.cents as number;
		const intent = makePayment(world, cents, {}, settle);
		const payment: Json = {
			id: newId("inpay"),
			object: "invoice_payment",
			created: world.nowS(),
			invoice: made.id,
			payment: { payment_intent: intent.id, type: "payment_intent" },
			status: "paid",
		};
		world.invoicePayments.set(payment.id as string, payment);
		made.amount_paid = cents;
		made.status = "paid";
		if (subscription.status !== "canceled") subscription.status = "active";
		emit("charge.succeeded", chargeOf(intent.id as string));
		emit("invoice.paid", made);
		return intent.id as string;
	}

	function subscriptionOf(made: Json): Json {
		const { subscription_details: details } = made.parent as { subscription_details: { subscription: string } };
		return get(world.subscriptions, details.subscription);
	}

	return {
		world,
		host: "127.0.0.1",
		port: (server.address() as AddressInfo).port,
		asked,
		fail: (on, ...hows) => faults.push(...hows.map((how) => ({ on, how }))),
		misbehave: (how) => {
			chance = how;
		},
		pay: (id, { cents, settle = true, currency = "usd", country } = {}) => {
			const session = get(world.sessions, id);
			if (session.status !== "open") throw new Error("Stripe lets nobody pay a session that is not open");
			session.status = "complete";
			session.payment_status = "paid";
			const pending = PENDING.get(session);
			if (session.mode === "subscription") {
				const subscription: Json = {
					id: newId("sub"),
					object: "subscription",
					cents: session.amount_total,
					latest_invoice: null,
					livemode: false,
					metadata: pending?.subscription ?? {},
					status: "active",
				};
				world.subscriptions.set(subscription.id as string, subscription);
				session.subscription = subscription.id;
				const made = bill(subscription);
				session.invoice = made.id;
				payBill(made, settle);
				emit("checkout.session.completed", session);
				return subscription.id as string;
			}
			const asked = session.amount_total as number;
			const intent = makePayment(world, cents ?? asked, pending?.intent ?? {}, settle, country);
			intent.currency = currency;
			session.payment_intent = intent.id;
			emit("charge.succeeded", chargeOf(intent.id as string));
			emit("checkout.session.completed", session);
			return intent.id as string;
		},
		settle: (intent) => {
			settleCharge(world, chargeOf(intent));
			emit("charge.updated", chargeOf(intent));
		},
		expire: (id) => {
			const session = get(world.sessions, id);
			session.status = "expired";
			emit("checkout.session.expired", session);
		},
		dispute: (intent, { cents, inquiry = false } = {}) => {
			const charge = chargeOf(intent);
			const taken = cents ?? (charge.amount_captured as number);
			charge.disputed = true;
			const dispute: Json = {
				id: newId("du"),
				object: "dispute",
				amount: taken,
				balance_transactions: inquiry ? [] : [makeSettled(world, -taken, 1_500, "adjustment")],
				charge: charge.id,
				created: world.nowS(),
				currency: "usd",
				is_charge_refundable: inquiry,
				livemode: false,
				metadata: {},
				payment_intent: intent,
				reason: "fraudulent",
				status: inquiry ? "warning_needs_response" : "needs_response",
			};
			world.disputes.set(dispute.id as string, dispute);
			emit("charge.dispute.created", dispute);
			if (!inquiry) emit("charge.dispute.funds_withdrawn", dispute);
			return dispute.id as string;
		},
		win: (id) => {
			const dispute = get(world.disputes, id);
			dispute.status = "won";
			(dispute.balance_transactions as Json[]).push(makeSettled(world, dispute.amount as number, 0, "adjustment"));
			emit("charge.dispute.funds_reinstated", dispute);
			emit("charge.dispute.closed", dispute);
		},
		refundFails: (id) => {
			const refund = get(world.refunds, id);
			const charge = get(world.charges, refund.charge as string);
			refund.status = "failed";
			charge.amount_refunded = (charge.amount_refunded as number) - (refund.amount as number);
			emit("refund.failed", refund);
		},
		renew: (id) => {
			const made = bill(get(world.subscriptions, id));
			payBill(made);
			return made.id as string;
		},
		decline: (id) => {
			const subscription = get(world.subscriptions, id);
			const made = bill(subscription);
			made.attempt_count = 1;
			subscription.status = "past_due";
			emit("invoice.payment_failed", made);
			emit("customer.subscription.updated", subscription);
			return made.id as string;
		},
		retry: (id) => payBill(get(world.invoices, id)),
		endSubscription: (id) => {
			const subscription = get(world.subscriptions, id);
			subscription.status = "canceled";
			emit("customer.subscription.deleted", subscription);
		},
		intentOf: (id) => {
			const payment = [...world.invoicePayments.values()].find(({ invoice }) => invoice === id)?.payment;
			return (payment as Json).payment_intent as string;
		},
		activate: (id) => {
			const transfers = transfersOf(get(world.accounts, id));
			transfers.status = "active";
			transfers.status_details = [];
		},
		reverse: (id, cents) => {
			const transfer = get(world.transfers, id);
			transfer.amount_reversed = (transfer.amount_reversed as number) + cents;
			transfer.reversed = transfer.amount_reversed === transfer.amount;
			makeSettled(world, cents, 0, "transfer_refund");
			emit("transfer.reversed", transfer);
		},
		posted: (event, { secret, atMs = nowMs(), body = JSON.stringify(event) } = {}) => {
			const at = Math.floor(atMs / 1_000);
			const key = secret ?? (event.object === "v2.core.event" ? THIN_SECRET : EVENT_SECRET);
			const v1 = createHmac("sha256", key).update(`${at}.${body}`).digest("hex");
			return { body: Buffer.from(body), headers: { "stripe-signature": `t=${at},v1=${v1}` } };
		},
		event: (type) => {
			const found = world.events.findLast((event) => event.type === type);
			if (!found) throw new Error(`the double posted no ${type}`);
			return found;
		},
		thin: (type, account) => ({
			id: newId("evt"),
			object: "v2.core.event",
			created: new Date(nowMs()).toISOString(),
			livemode: false,
			related_object: { id: account, type: "v2.core.account", url: `/v2/core/accounts/${account}` },
			type,
		}),
		close: async () => {
			const { promise: closed, resolve: done } = Promise.withResolvers<void>();
			server.close(() => done());
			server.closeAllConnections();
			await closed;
		},
	};
}

function send(response: ServerResponse, { status, body }: Answer): void {
	response.writeHead(status, { "content-type": "application/json", "request-id": newId("req") });
	response.end(JSON.stringify(body));
}

function errorOf(status: number): Answer {
	const types: Record<number, string> = { 409: "idempotency_error", 429: "rate_limit_error" };
	return refuse(status, status === 409 ? "idempotency_key_in_use" : undefined, "told to", types[status] ?? "api_error");
}

/** Stripe's form encoding: `a[b][0][c]=d`. */
function formOf(raw: string): Json {
	const fields: Json = {};
	for (const [name, value] of new URLSearchParams(raw)) {
		const path = name.replaceAll("]", "").split("[");
		let at = fields;
		for (const [i, part] of path.entries()) {
			if (i === path.length - 1) at[part] = value;
			else {
				at[part] ??= /^\d+$/.test(path[i + 1] ?? "") ? [] : {};
				at = at[part] as Json;
			}
		}
	}
	return fields;
}
