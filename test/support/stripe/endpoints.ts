/** What each address of Stripe's API does to the double's world, and the errors that Stripe's documents name. */

import { expand, type Json, listOf, makeSettled, newId, type StripeWorld } from "./world.ts";

/** One request: its fields as Stripe's form encoding or JSON has them, by the path's own id. */
export type Asked = { readonly fields: Json; readonly id: string };
export type Answer = { readonly status: number; readonly body: Json };
type Endpoint = readonly [
	method: string,
	path: RegExp,
	run: (world: StripeWorld, asked: Asked, emit: (type: string, object: Json) => void) => Answer,
];

export function refuse(
	status: number,
	code: string | undefined,
	message: string,
	type = "invalid_request_error",
): Answer {
	return { status, body: { error: { ...(code && { code }), message, type } } };
}

const ok = (body: Json): Answer => ({ status: 200, body });
const missing = (what: string, id: unknown): Answer => refuse(404, "resource_missing", `No such ${what}: '${id}'`);
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

function retrieved(world: StripeWorld, from: Map<string, Json>, what: string, { id, fields }: Asked): Answer {
	const found = from.get(id);
	return found ? ok(expand(world, found, (fields.expand as string[] | undefined) ?? [])) : missing(what, id);
}

function listed(from: Map<string, Json>, url: string, fields: Json, by: readonly string[]): Answer {
	const since = Number((fields.created as Json | undefined)?.gte ?? 0);
	const found = [...from.values()].filter(
		(object) =>
			by.every((name) => fields[name] === undefined || object[name] === fields[name]) &&
			Number(object.created) >= since,
	);
	return ok(structuredClone(listOf(found, url, Number(fields.limit ?? 10))));
}

function createSession(world: StripeWorld, { fields }: Asked): Answer {
	const { mode } = fields;
	if (mode !== "payment" && mode !== "subscription")
		return refuse(400, "parameter_missing", "Missing required param: mode.");
	const line = (fields.line_items as Json[] | undefined)?.[0];
	const price = line?.price_data as Json | undefined;
	const cents = Number(price?.unit_amount) * Number(line?.quantity ?? 1);
	if (!Number.isSafeInteger(cents) || cents <= 0) return refuse(400, "parameter_invalid_integer", "Invalid integer");
	if (cents < 50) return refuse(400, "amount_too_small", "The total amount due must add up to at least $0.50 usd");
	const expires = Number(fields.expires_at ?? world.nowS() + 86_400);
	if (expires < world.nowS() + 1_800 || expires > world.nowS() + 86_400)
		return refuse(400, "parameter_invalid", "`expires_at` must be between 30 minutes and 24 hours from now.");
	if (!fields.success_url) return refuse(400, "parameter_missing", "Missing required param: success_url.");
	const id = newId("cs_test");
	const session: Json = {
		id,
		object: "checkout.session",
		amount_subtotal: cents,
		amount_total: cents,
		cancel_url: fields.cancel_url ?? null,
		client_reference_id: fields.client_reference_id ?? null,
		created: world.nowS(),
		currency: price?.currency,
		expires_at: expires,
		invoice: null,
		livemode: false,
		metadata: fields.metadata ?? {},
		mode,
		payment_intent: null,
		payment_status: "unpaid",
		status: "open",
		subscription: null,
		success_url: fields.success_url,
		url: `https://checkout.stripe.test/c/pay/${id}`,
	};
	world.sessions.set(id, session);
	PENDING.set(session, {
		intent: ((fields.payment_intent_data as Json | undefined)?.metadata as Json | undefined) ?? {},
		subscription: ((fields.subscription_data as Json | undefined)?.metadata as Json | undefined) ?? {},
	});
	return ok(structuredClone(session));
}

/** What a session passes on to what is made when it is paid. */
export const PENDING = new WeakMap<Json, { readonly intent: Json; readonly subscription: Json }>();

function createRefund(world: StripeWorld, { fields }: Asked, emit: (type: string, object: Json) => void): Answer {
	const intent = world.intents.get(text(fields.payment_intent) ?? "");
	const charge = world.charges.get(text(intent?.latest_charge) ?? "");
	if (!intent || !charge) return missing("payment_intent", fields.payment_intent);
	if (charge.disputed) return refuse(400, "charge_disputed", "Charge has been charged back; cannot issue a refund.");
	const left = (charge.amount_captured as number) - (charge.amount_refunded as number);
	const cents = Number(fields.amount ?? left);
	if (left === 0) return refuse(400, "charge_already_refunded", "Charge has already been refunded.");
	if (cents > left) return refuse(400, undefined, "Refund amount is greater than unrefunded amount on charge");
	charge.amount_refunded = (charge.amount_refunded as number) + cents;
	charge.refunded = charge.amount_refunded === charge.amount_captured;
	const refund: Json = {
		id: newId("re"),
		object: "refund",
		amount: cents,
		balance_transaction: makeSettled(world, -cents, 0, "refund").id,
		charge: charge.id,
		created: world.nowS(),
		currency: "usd",
		metadata: fields.metadata ?? {},
		payment_intent: intent.id,
		reason: null,
		receipt_number: null,
		status: "succeeded",
	};
	world.refunds.set(refund.id as string, refund);
	emit("charge.refunded", charge);
	emit("refund.created", refund);
	return ok(structuredClone(refund));
}

function createTransfer(world: StripeWorld, { fields }: Asked, emit: (type: string, object: Json) => void): Answer {
	const account = world.accounts.get(text(fields.destination) ?? "");
	if (!account) return refuse(400, "resource_missing", `No such destination: '${fields.destination}'`);
	if (transfersOf(account).status !== "active")
		return refuse(
			400,
			"insufficient_capabilities_for_transfer",
			"Your destination account needs the transfers capability.",
		);
	const cents = Number(fields.amount);
	if (!Number.isSafeInteger(cents) || cents < 1)
		return refuse(400, "parameter_invalid_integer", "Invalid positive integer");
	if (cents > world.available) return refuse(400, "balance_insufficient", "You have insufficient available funds.");
	const transfer: Json = {
		id: newId("tr"),
		object: "transfer",
		amount: cents,
		amount_reversed: 0,
		balance_transaction: makeSettled(world, -cents, 0, "transfer").id,
		created: world.nowS(),
		currency: fields.currency,
		description: fields.description ?? null,
		destination: fields.destination,
		livemode: false,
		metadata: fields.metadata ?? {},
		reversals: listOf([], "/v1/transfers/reversals"),
		reversed: false,
		source_transaction: null,
		transfer_group: fields.transfer_group ?? null,
	};
	world.transfers.set(transfer.id as string, transfer);
	if (world.billsAtOnce) world.available -= Number((fields.metadata as Json).fee);
	emit("transfer.created", transfer);
	return ok(structuredClone(transfer));
}

/** The one capability that a payout needs, inside an account of Accounts v2. */
export function transfersOf(account: Json): { status: string; status_details: Json[] } {
	const { recipient } = account.configuration as { recipient: Json };
	const { stripe_balance } = recipient.capabilities as { stripe_balance: Json };
	return stripe_balance.stripe_transfers as { status: string; status_details: Json[] };
}

function createAccount(world: StripeWorld, { fields }: Asked): Answer {
	const recipient = (fields.configuration as Json | undefined)?.recipient as Json | undefined;
	if (!recipient) return refuse(400, "missing_required_parameter", "configuration is required.");
	const account: Json = {
		id: newId("acct"),
		object: "v2.core.account",
		applied_configurations: ["recipient"],
		configuration: {
			recipient: {
				applied: true,
				capabilities: {
					stripe_balance: {
						stripe_transfers: {
							status: "restricted",
							status_details: [{ code: "requirements_past_due", resolution: "provide_info" }],
						},
					},
				},
			},
		},
		contact_email: fields.contact_email ?? null,
		created: new Date(world.nowS() * 1_000).toISOString(),
		dashboard: fields.dashboard,
		livemode: false,
		metadata: fields.metadata ?? {},
	};
	world.accounts.set(account.id as string, account);
	return ok(accountShown(account, fields.include));
}

/** Accounts v2 answers null for what was not asked for by `include`. */
function accountShown(account: Json, include: unknown): Json {
	const wanted = Array.isArray(include) && include.includes("configuration.recipient");
	return { ...structuredClone(account), ...(!wanted && { configuration: null }) };
}

function createLink(world: StripeWorld, { fields }: Asked): Answer {
	if (!world.accounts.has(text(fields.account) ?? "")) return refuse(404, "not_found", "No such account.");
	return ok({
		object: "v2.core.account_link",
		account: fields.account,
		created: new Date(world.nowS() * 1_000).toISOString(),
		expires_at: new Date((world.nowS() + 300) * 1_000).toISOString(),
		livemode: false,
		url: `https://connect.stripe.test/setup/${newId("s")}`,
		use_case: fields.use_case,
	});
}

/** Stripe's addresses, as far as the market uses them. */
export const ENDPOINTS: readonly Endpoint[] = [
	["POST", /^\/v1\/checkout\/sessions$/, createSession],
	[
		"GET",
		/^\/v1\/checkout\/sessions$/,
		(world, { fields }) => listed(world.sessions, "/v1/checkout/sessions", fields, ["payment_intent", "subscription"]),
	],
	[
		"GET",
		/^\/v1\/checkout\/sessions\/([^/]+)$/,
		(world, asked) => retrieved(world, world.sessions, "checkout.session", asked),
	],
	[
		"GET",
		/^\/v1\/payment_intents\/([^/]+)$/,
		(world, asked) => retrieved(world, world.intents, "payment_intent", asked),
	],
	[
		"GET",
		/^\/v1\/disputes$/,
		(world, { fields }) => listed(world.disputes, "/v1/disputes", fields, ["payment_intent", "charge"]),
	],
	["POST", /^\/v1\/refunds$/, createRefund],
	[
		"GET",
		/^\/v1\/refunds$/,
		(world, { fields }) => {
			const answer = listed(world.refunds, "/v1/refunds", fields, ["payment_intent", "charge"]);
			const within = ((fields.expand as string[] | undefined) ?? []).map((path) => path.replace(/^data\./, ""));
			const data = (answer.body.data as Json[]).map((refund) => expand(world, refund, within));
			return { ...answer, body: { ...answer.body, data } };
		},
	],
	["POST", /^\/v1\/transfers$/, createTransfer],
	[
		"GET",
		/^\/v1\/transfers$/,
		(world, { fields }) => listed(world.transfers, "/v1/transfers", fields, ["transfer_group", "destination"]),
	],
	[
		"POST",
		/^\/v1\/checkout\/sessions\/([^/]+)\/expire$/,
		(world, { id }, emit) => {
			const found = world.sessions.get(id);
			if (!found) return missing("checkout.session", id);
			if (found.status !== "open")
				return refuse(400, undefined, 'Only Checkout Sessions with a status in ["open"] can be expired.');
			found.status = "expired";
			emit("checkout.session.expired", found);
			return ok(structuredClone(found));
		},
	],
	[
		"GET",
		/^\/v1\/invoices$/,
		(world, { fields }) => {
			const { subscription, ...rest } = fields;
			const own = [...world.invoices].filter(([, { parent }]) => {
				const { subscription_details: details } = parent as { subscription_details: Json };
				return subscription === undefined || details.subscription === subscription;
			});
			return listed(new Map(own), "/v1/invoices", rest, ["status"]);
		},
	],
	[
		"GET",
		/^\/v1\/invoice_payments$/,
		(world, { fields }) => {
			const intent = (fields.payment as Json | undefined)?.payment_intent;
			const own = [...world.invoicePayments].filter(
				([, { payment }]) => intent === undefined || (payment as Json).payment_intent === intent,
			);
			return listed(new Map(own), "/v1/invoice_payments", {}, []);
		},
	],
	["GET", /^\/v1\/invoices\/([^/]+)$/, (world, asked) => retrieved(world, world.invoices, "invoice", asked)],
	[
		"GET",
		/^\/v1\/subscriptions\/([^/]+)$/,
		(world, asked) => retrieved(world, world.subscriptions, "subscription", asked),
	],
	[
		"DELETE",
		/^\/v1\/subscriptions\/([^/]+)$/,
		(world, { id }, emit) => {
			const found = world.subscriptions.get(id);
			// what was canceled before is not found any more by who would cancel it
			if (!found || found.status === "canceled") return missing("subscription", id);
			found.status = "canceled";
			emit("customer.subscription.deleted", found);
			return ok(structuredClone(found));
		},
	],
	[
		"GET",
		/^\/v1\/balance$/,
		(world) => {
			const one = (amount: number): Json[] => [{ amount, currency: "usd", source_types: { card: amount } }];
			return ok({ object: "balance", available: one(world.available), livemode: false, pending: one(0) });
		},
	],
	["POST", /^\/v2\/core\/accounts$/, createAccount],
	[
		"GET",
		/^\/v2\/core\/accounts\/([^/]+)$/,
		(world, { id, fields }) => {
			const found = world.accounts.get(id);
			return found ? ok(accountShown(found, fields.include)) : refuse(404, "not_found", "No such account.");
		},
	],
	["POST", /^\/v2\/core\/account_links$/, createLink],
];
