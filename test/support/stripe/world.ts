/** What the double of Stripe keeps, in the shapes that Stripe's API answers with. Amounts are cents, as there. */

import { randomBytes } from "node:crypto";

export type Json = { [field: string]: unknown };

/** Everything at this Stripe account. */
export type StripeWorld = {
	readonly nowS: () => number;
	readonly sessions: Map<string, Json>;
	readonly intents: Map<string, Json>;
	readonly charges: Map<string, Json>;
	readonly settled: Map<string, Json>;
	readonly refunds: Map<string, Json>;
	readonly disputes: Map<string, Json>;
	readonly transfers: Map<string, Json>;
	readonly subscriptions: Map<string, Json>;
	readonly invoices: Map<string, Json>;
	readonly invoicePayments: Map<string, Json>;
	readonly accounts: Map<string, Json>;
	readonly events: Json[];
	available: number;
	/** Stripe bills its fees for payouts at once, instead of at the month's end */
	billsAtOnce: boolean;
};

export function makeWorld(nowMs: () => number): StripeWorld {
	return {
		nowS: () => Math.floor(nowMs() / 1_000),
		sessions: new Map(),
		intents: new Map(),
		charges: new Map(),
		settled: new Map(),
		refunds: new Map(),
		disputes: new Map(),
		transfers: new Map(),
		subscriptions: new Map(),
		invoices: new Map(),
		invoicePayments: new Map(),
		accounts: new Map(),
		events: [],
		available: 0,
		billsAtOnce: false,
	};
}

export function newId(prefix: string): string {
	return `${prefix}_${randomBytes(12).toString("hex")}`;
}

/** What Stripe keeps of a card payment: 2.9 % and 30 cents. */
function feeOf(cents: number): number {
	return Math.round(cents * 0.029) + 30;
}

/** A payment that succeeded: intent, charge and what settles it (`settle: false`: that follows later). */
export function makePayment(
	world: StripeWorld,
	cents: number,
	metadata: Json,
	settle = true,
	country: string | null = null,
): Json {
	const intentId = newId("pi");
	const charge: Json = {
		id: newId("ch"),
		object: "charge",
		amount: cents,
		amount_captured: cents,
		amount_refunded: 0,
		balance_transaction: null,
		captured: true,
		created: world.nowS(),
		currency: "usd",
		disputed: false,
		livemode: false,
		metadata,
		paid: true,
		payment_intent: intentId,
		// the issuer's country is null where the network does not say it
		payment_method_details: { type: "card", card: { brand: "visa", country, funding: "debit", last4: "4242" } },
		refunded: false,
		status: "succeeded",
	};
	const intent: Json = {
		id: intentId,
		object: "payment_intent",
		amount: cents,
		amount_received: cents,
		created: world.nowS(),
		currency: "usd",
		latest_charge: charge.id,
		livemode: false,
		metadata,
		status: "succeeded",
	};
	world.charges.set(charge.id as string, charge);
	world.intents.set(intentId, intent);
	if (settle) settleCharge(world, charge);
	return intent;
}

/** The balance transaction that follows a charge. */
export function settleCharge(world: StripeWorld, charge: Json): void {
	const cents = charge.amount_captured as number;
	const settled = makeSettled(world, cents, feeOf(cents), "charge");
	charge.balance_transaction = settled.id;
}

export function makeSettled(world: StripeWorld, amount: number, fee: number, type: string): Json {
	const settled: Json = {
		id: newId("txn"),
		object: "balance_transaction",
		amount,
		available_on: world.nowS(),
		created: world.nowS(),
		currency: "usd",
		description: null,
		exchange_rate: null,
		fee,
		fee_details: [],
		net: amount - fee,
		reporting_category: type,
		source: null,
		status: "available",
		type,
	};
	world.settled.set(settled.id as string, settled);
	world.available += amount - fee;
	return settled;
}

/** A list as Stripe answers it: newest first. */
export function listOf(found: readonly Json[], url: string, limit = 10): Json {
	const newest = found.toReversed();
	return { object: "list", data: newest.slice(0, limit), has_more: newest.length > limit, url };
}

/** Puts whole objects where ids stand, for `expand` paths like `latest_charge.balance_transaction`. */
export function expand(world: StripeWorld, object: Json, paths: readonly string[]): Json {
	const copy = structuredClone(object);
	for (const path of paths) {
		let at: Json | undefined = copy;
		for (const name of path.split(".")) {
			if (!at) break;
			at[name] = wholeOf(world, name, at);
			at = at[name] as Json | undefined;
		}
	}
	return copy;
}

function wholeOf(world: StripeWorld, name: string, at: Json): unknown {
	const found = at[name];
	if (name === "refunds") {
		const refunds = [...world.refunds.values()].filter(({ charge }) => charge === at.id);
		return structuredClone(listOf(refunds, `/v1/charges/${at.id}/refunds`));
	}
	if (name === "payments") {
		const payments = [...world.invoicePayments.values()].filter(({ invoice }) => invoice === at.id);
		return structuredClone(listOf(payments, "/v1/invoice_payments"));
	}
	if (typeof found !== "string") return found;
	const whole =
		world.charges.get(found) ??
		world.settled.get(found) ??
		world.intents.get(found) ??
		world.subscriptions.get(found) ??
		world.invoices.get(found);
	return whole ? structuredClone(whole) : found;
}
