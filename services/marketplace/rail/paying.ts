/**
 * How Lightning's engines pay an invoice, whatever the provider is: it is asked before and after, told at most once for each payment hash, and
 * believed only for what it has under the hash. An error is never an end (threat 19).
 */

import { isProblem, type Problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { expectInvoice, hasEnded, type Invoice, type Network } from "./bolt11.ts";
import { outOfRange } from "./msat.ts";
import type { PaymentState, PayOrder, Rail, RailRange } from "./rail.ts";

/** The provider's answer to one order, which it will not begin any more; what it has under the hash is another question. */
export type Refused = { readonly refused: string };

/** The provider's side of it. */
export type Payer = {
	readonly network: Network;
	readonly range: RailRange | undefined;
	/** Tells the provider to pay. What is lost is `unknown`. */
	readonly send: (invoice: Invoice, order: PayOrder) => Promise<PaymentState | Refused>;
	/** What the provider has under the invoice's hash. */
	readonly find: (invoice: Invoice, order: PayOrder) => Promise<PaymentState | "none" | Problem>;
	/** So long after an invoice's end an order that the provider does not have cannot begin any more. */
	readonly absentAfterMs: number;
};

/** What this process told is remembered for this many payments: far more than are ever open at once. */
const TOLD_MAX = 10_000;

/** The two methods of a rail that are about payments out. */
export function makePaying(payer: Payer, clock: Clock): Pick<Rail, "pay" | "payment"> {
	const { network, range } = payer;
	const told = new Map<string, Promise<PaymentState>>();

	const payment = async (order: PayOrder): Promise<PaymentState | Problem> => {
		const invoice = expectInvoice(order.to, { network, amountMsat: order.amount });
		// such an order is refused before anything leaves
		if (isProblem(invoice)) return { state: "absent" };
		const found = await payer.find(invoice, order);
		if (found !== "none") return found;
		const before = told.get(invoice.paymentHash);
		const said = before && (await Promise.race([before, undefined]));
		if (said?.state === "failed") return said;
		if (invoice.expiresAtMs + payer.absentAfterMs < clock.nowMs()) return { state: "absent" };
		return { state: "unknown", why: "the provider does not have it, and an order on its way could still begin" };
	};

	const tell = async (invoice: Invoice, order: PayOrder): Promise<PaymentState> => {
		const before = await payer.find(invoice, order);
		if (isProblem(before)) return { state: "unknown", why: before.detail };
		if (before !== "none") return before;
		if (hasEnded(invoice, clock.nowMs())) return { state: "failed", why: "the invoice has ended" };
		const said = await payer.send(invoice, order);
		if ("state" in said && (said.state === "sent" || said.state === "failed")) return said;
		const found = await payer.find(invoice, order);
		if (isProblem(found)) return { state: "unknown", why: found.detail };
		if (found !== "none") return found;
		// it answered this one order, and has nothing: it never began
		return "refused" in said ? { state: "failed", why: said.refused } : said;
	};

	const pay = async (order: PayOrder): Promise<PaymentState> => {
		const invoice = expectInvoice(order.to, { network, amountMsat: order.amount });
		if (isProblem(invoice)) return { state: "failed", why: invoice.detail };
		const outside = outOfRange(range, order.amount);
		if (outside) return { state: "failed", why: outside.detail };
		const before = told.get(invoice.paymentHash);
		if (before) {
			await before;
			const found = await payment(order);
			return isProblem(found) ? { state: "unknown", why: found.detail } : found;
		}
		const telling = tell(invoice, order);
		told.set(invoice.paymentHash, telling);
		const [oldest] = told.keys();
		if (told.size > TOLD_MAX && oldest !== undefined) told.delete(oldest);
		return telling;
	};

	return { pay, payment };
}
