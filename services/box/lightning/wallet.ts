/**
 * A wallet on a node: invoices made and paid, with our own record of each by its hash. LDK forgets a payment minutes after it is over and would take or pay
 * it again, it takes what comes after an invoice's time, and pays an invoice that is too old: all three are refused here.
 */

import * as ldk from "lightningdevkit";
import { toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { held } from "./ldk.ts";
import { bytes32, type Node, type NodeEvent } from "./node.ts";
import type { NodeStore, Payment } from "./store.ts";
import type { Turns } from "./turn.ts";

/** An invoice to make: the same `id` again is the same invoice. */
export type InvoiceOrder = {
	readonly id: string;
	readonly msat: bigint;
	readonly text: string;
	readonly expiresAtMs: number;
};

/** An invoice to pay: the same `id` again pays nothing more. */
export type SendOrder = {
	readonly id: string;
	readonly invoice: string;
	/** what the invoice must ask for; whatever it asks for when left out */
	readonly msat?: bigint;
	readonly feeMsatMax: bigint;
};

/** A wallet. Its methods throw when the nodes have died. */
export interface Wallet {
	/** Makes an invoice. */
	invoice(order: InvoiceOrder): Payment | Problem;
	/** What became of an invoice of ours, by its hash; one whose time has passed is `failed` and can never be paid any more. */
	incoming(hash: string): Payment | undefined;
	/** Pays an invoice, or says (as `failed`) why it is not paid. The answer is `sending` until the payment is over. */
	send(order: SendOrder): Payment;
	outgoing(id: string): Payment | undefined;
	/** Waits until a payment out is over; undefined when it takes longer. */
	over(id: string, waitMs: number): Promise<Payment | undefined>;
	/** What can be paid out of the channels now, and what is just being paid. */
	balance(): { readonly outMsat: bigint; readonly sendingMsat: bigint };
	/** told in a turn by the wallet's node */
	happened(event: NodeEvent): void;
}

/** What a wallet is made of. */
export type WalletDeps = {
	readonly node: Node;
	readonly store: NodeStore;
	readonly turns: Turns;
	readonly clock: Clock;
	/** Mines a block when the newest is old: LDK reads the time from it. In a turn. */
	readonly refresh: () => void;
	/** told after the turn in which something changed: an invoice's hash, or the id of a payment out */
	readonly changed: (reference: string) => void;
};

/** What an invoice has room for, and how long one is that anybody would pay. */
const TEXT_CHARS_MAX = 150;
const INVOICE_CHARS_MAX = 8_000;

/** How often a payment tries another way by itself; there is one channel, so this is for a channel that was busy. */
const ATTEMPTS = 3;

/** What an invoice says, or why it is none that can be paid here. */
type Read = {
	readonly invoice: ldk.Bolt11Invoice;
	readonly hash: string;
	readonly msat: bigint;
	readonly expiresAtMs: number;
};

function readInvoice(text: string): Read | string {
	if (text.length > INVOICE_CHARS_MAX) return "this is not a Lightning invoice";
	const read = ldk.Bolt11Invoice.constructor_from_str(text);
	if (!(read instanceof ldk.Result_Bolt11InvoiceParseOrSemanticErrorZ_OK)) return "this is not a Lightning invoice";
	const invoice = read.res;
	if (invoice.currency() !== ldk.Currency.LDKCurrency_Regtest)
		return "this invoice is of another network; here is only regtest, where nothing has any worth";
	const asked = invoice.amount_milli_satoshis();
	if (!(asked instanceof ldk.Option_u64Z_Some)) return "this invoice names no amount";
	const expiresAtMs = Number(invoice.duration_since_epoch() + invoice.expiry_time()) * 1000;
	return { invoice, hash: toHex(invoice.payment_hash()), msat: asked.some, expiresAtMs };
}

/** Why a payment failed, for people; LDK's own word where there is none. */
function sayWhy(word = ""): string {
	const reason = word.replace(/^LDK\w+?_/, "");
	if (reason === "RouteNotFound") return "there is no way to it with room for so much";
	return reason === "RecipientRejected"
		? "it was not taken: too late, or paid already"
		: reason || "it did not get there";
}

/** Makes the wallet of a node. */
export function makeWallet({ node, store, turns, clock, refresh, changed }: WalletDeps): Wallet {
	function put(payment: Payment): Payment {
		store.putPayment(payment);
		turns.after(() => changed(payment.way === "in" ? payment.hash : payment.id));
		return payment;
	}
	const end = (payment: Payment, state: "done" | "failed", what: Partial<Payment>): Payment =>
		put({ ...payment, state, atMs: clock.nowMs(), ...what });

	/** An invoice whose time has passed without a payment never takes one: the answer once given stays true. */
	function expire(payment: Payment | undefined): Payment | undefined {
		if (payment?.state !== "waiting" || clock.nowMs() < payment.expiresAtMs) return payment;
		return end(payment, "failed", { says: "expired" });
	}

	return {
		invoice({ id, msat, text, expiresAtMs }) {
			return turns.take(() => {
				const before = store.payment("in", "id", id);
				if (before) return before.msat === msat ? before : problem("conflict", "This id is of another invoice.");
				refresh();
				// LDK counts from its newest block's time, which is never ahead of ours
				const nowS = Math.floor(clock.nowMs() / 1000);
				const seconds = Math.floor(expiresAtMs / 1000) - nowS;
				if (seconds < 1) return problem("usage", "An invoice needs some time to be paid in.");
				const words = held<ldk.Description>(
					ldk.Description.constructor_new(text.slice(0, TEXT_CHARS_MAX)),
					"an invoice's text",
				);
				const made = node.manager.create_bolt11_invoice(
					ldk.Option_u64Z.constructor_some(msat),
					ldk.Bolt11InvoiceDescription.constructor_direct(words),
					ldk.Option_u32Z.constructor_some(seconds),
					ldk.Option_u16Z.constructor_none(),
					ldk.Option_ThirtyTwoBytesZ.constructor_none(),
				);
				const invoice = held<ldk.Bolt11Invoice>(made, "an invoice");
				const hash = toHex(invoice.payment_hash());
				return put({
					...{ way: "in", id, hash, invoice: invoice.to_str(), msat, feeMsat: 0n, state: "waiting" },
					...{ expiresAtMs, atMs: clock.nowMs(), says: "" },
				});
			});
		},
		incoming: (hash) => turns.take(() => expire(store.payment("in", "hash", hash))),
		send({ id, invoice: text, msat, feeMsatMax }) {
			return turns.take(() => {
				const before = store.payment("out", "id", id);
				if (before) return before;
				const read = readInvoice(text);
				const row: Payment = {
					...{
						way: "out",
						id,
						hash: "",
						invoice: text.slice(0, INVOICE_CHARS_MAX),
						msat: msat ?? 0n,
						feeMsat: 0n,
						state: "sending",
					},
					...{ expiresAtMs: 0, atMs: clock.nowMs(), says: "" },
				};
				if (typeof read === "string") return end(row, "failed", { says: read });
				const { hash, expiresAtMs, invoice } = read;
				const asked: Payment = { ...row, hash, expiresAtMs, msat: read.msat };
				const refuse = (says: string) => end(asked, "failed", { says });
				if (msat !== undefined && msat !== read.msat) return refuse("this invoice asks for another amount");
				if (expiresAtMs <= clock.nowMs()) return refuse("this invoice has expired");
				const earlier = store.payment("out", "hash", hash);
				if (earlier && earlier.state !== "failed") return refuse("this invoice is paid already, or is just being paid");
				const terms = held<ldk.ThreeTuple_ThirtyTwoBytesRecipientOnionFieldsRouteParametersZ>(
					ldk.UtilMethods.constructor_payment_parameters_from_invoice(invoice),
					"reading an invoice",
				);
				const route = terms.get_c();
				route.set_max_total_routing_fee_msat(ldk.Option_u64Z.constructor_some(feeMsatMax));
				const retry = ldk.Retry.constructor_attempts(ATTEMPTS);
				// under its hash, so that LDK too refuses a second one at once
				const sent = node.manager.send_payment(terms.get_a(), terms.get_b(), terms.get_a(), route, retry);
				if (!(sent instanceof ldk.Result_NoneRetryableSendFailureZ_Err)) return put(asked);
				return refuse(sayWhy(ldk.RetryableSendFailure[sent.err]));
			});
		},
		outgoing: (id) => turns.take(() => store.payment("out", "id", id)),
		async over(id, waitMs) {
			const now = () => store.payment("out", "id", id);
			await turns.until(() => now()?.state !== "sending", waitMs);
			const payment = now();
			return payment?.state === "sending" ? undefined : payment;
		},
		balance: () =>
			turns.take(() => {
				const channels = node.manager.list_usable_channels();
				const outMsat = channels.reduce((sum, channel) => sum + channel.get_outbound_capacity_msat(), 0n);
				return { outMsat, sendingMsat: store.sending().reduce((sum, { msat }) => sum + msat, 0n) };
			}),
		happened(event) {
			switch (event.kind) {
				case "claimable": {
					const payment = expire(store.payment("in", "hash", event.hash));
					if (payment?.state === "waiting" && event.preimage) {
						put({ ...payment, state: "taking", says: event.preimage });
						node.manager.claim_funds(bytes32(event.preimage));
					} else if (payment?.state === "taking" && event.preimage) {
						node.manager.claim_funds(bytes32(event.preimage));
					} else node.manager.fail_htlc_backwards(bytes32(event.hash));
					return;
				}
				case "claimed": {
					const payment = store.payment("in", "hash", event.hash);
					if (payment?.state === "taking") end(payment, "done", { msat: event.msat });
					return;
				}
				case "sent": {
					const payment = store.payment("out", "hash", event.hash);
					if (payment?.state === "sending") end(payment, "done", { feeMsat: event.feeMsat, says: event.preimage });
					return;
				}
				case "failed": {
					const payment = store.payment("out", "hash", event.hash);
					if (payment?.state === "sending") end(payment, "failed", { says: sayWhy(event.why) });
				}
			}
		},
	};
}
