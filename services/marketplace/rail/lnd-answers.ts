/** What LND's REST says, decoded at the door: invoices, payments, refusals. What is not as its documentation has it is not believed. */

import * as z from "zod";
import { type Invoice, proves } from "./bolt11.ts";
import { wholeMoney } from "./msat.ts";
import type { DepositState, PaymentState } from "./rail.ts";

/** A payment hash as LND's invoices have it: 32 bytes in base64. */
const hash64 = z.base64().transform((text) => Buffer.from(text, "base64").toString("hex"));

/** An invoice of ours. */
export const lndInvoice = z.object({
	r_hash: hash64,
	payment_request: z.string(),
	value_msat: wholeMoney,
	amt_paid_msat: wholeMoney,
	settle_date: z.string().regex(/^\d{1,12}$/),
	settle_index: z.string().regex(/^\d{1,20}$/),
	state: z.enum(["OPEN", "SETTLED", "CANCELED", "ACCEPTED"]),
});

const lndPayment = z.object({
	payment_hash: z.string(),
	payment_preimage: z.string(),
	value_msat: wholeMoney,
	fee_msat: wholeMoney,
	status: z.enum(["UNKNOWN", "INITIATED", "IN_FLIGHT", "SUCCEEDED", "FAILED"]),
	failure_reason: z.string(),
	htlcs: z.array(z.object({ resolve_time_ns: z.string().regex(/^\d{1,20}$/) })),
});

/** A refusal: of a stream inside `error`, of anything else bare. */
const refusal = z.object({ code: z.int(), message: z.string() });
const lndError = z.union([z.object({ error: refusal }).transform(({ error }) => error), refusal]);

/** One line of a stream. */
const lndLine = z.object({ result: z.unknown() });

/** gRPC's code for what does not exist. */
const CODE_NOT_FOUND = 5;

/** LND's refusal in an answer, in its own words: bounded, for they go to logs and people. */
export function refusalOf(json: unknown): { readonly notFound: boolean; readonly says: string } | undefined {
	const read = lndError.safeParse(json);
	if (!read.success) return undefined;
	// whatever might be a key, a macaroon's or a preimage's bytes among it, is not repeated
	const says = read.data.message
		.replaceAll(/[0-9a-f]{32,}/gi, "(hex)")
		.slice(0, 200)
		.replaceAll(/\p{Cc}/gu, " ");
	return { notFound: read.data.code === CODE_NOT_FOUND, says };
}

/** What a line of a stream is about; undefined for a refusal or nonsense. */
export function resultOf(json: unknown): unknown {
	const read = lndLine.safeParse(json);
	return read.success ? read.data.result : undefined;
}

/** What an invoice of ours says about its deposit. */
export function depositOf(found: z.infer<typeof lndInvoice>): DepositState {
	if (found.state === "SETTLED")
		return { state: "paid", amount: found.amt_paid_msat, fee: 0n, atMs: Number(found.settle_date) * 1_000 };
	return { state: found.state === "CANCELED" ? "ended" : "waiting" };
}

/** Why LND gave up, for people. */
const FAILURES: Record<string, string> = {
	FAILURE_REASON_TIMEOUT: "no way to the receiver was found in time",
	FAILURE_REASON_NO_ROUTE: "there is no way to the receiver within the fee ceiling",
	FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: "the receiver does not know the invoice, or not any more",
	FAILURE_REASON_INSUFFICIENT_BALANCE: "the market's node has not enough to send at the moment",
	FAILURE_REASON_CANCELED: "it was cancelled at the market's node",
};

/** What LND says of a payment, held against what was ordered: success needs its proof, and another payment is not ours. */
export function paymentOf(json: unknown, invoice: Invoice, amountMsat: bigint): PaymentState {
	const read = lndPayment.safeParse(json);
	if (!read.success || read.data.payment_hash !== invoice.paymentHash)
		return { state: "unknown", why: "LND's answer about the payment cannot be read" };
	const { status, value_msat, fee_msat, payment_preimage, failure_reason, htlcs } = read.data;
	if (status === "FAILED")
		return { state: "failed", why: FAILURES[failure_reason] ?? "the market's node could not send it" };
	if (status !== "SUCCEEDED") return { state: "sending" };
	if (!proves(payment_preimage, invoice.paymentHash))
		return { state: "unknown", why: "LND says that it was paid and cannot prove it" };
	if (value_msat !== amountMsat) return { state: "unknown", why: "LND says that it paid another amount" };
	const atMs = Math.max(0, ...htlcs.map((htlc) => Number(BigInt(htlc.resolve_time_ns) / 1_000_000n)));
	return { state: "sent", amount: value_msat, fee: fee_msat, proof: payment_preimage, atMs };
}
