/**
 * BOLT11 invoices as we believe them. `light-bolt11-decoder` takes the text apart; what a payment depends on is checked here: which network, how
 * much, until when, and that there is exactly one payment hash. The signature is not: whoever pays (a node) checks it before it pays.
 */

import { createHash } from "node:crypto";
import { decode } from "light-bolt11-decoder";
import { type Problem, problem } from "#contracts/problem";

/** The networks that an invoice can be for; money is real on the first alone. */
export const NETWORKS = ["bitcoin", "testnet", "signet", "regtest", "simnet"] as const;
export type Network = (typeof NETWORKS)[number];

/** What an invoice's text begins with, by network. */
const PREFIX: Record<string, Network> = { bc: "bitcoin", tb: "testnet", tbs: "signet", bcrt: "regtest", sb: "simnet" };

/** An invoice with long descriptions and many route hints stays far under this; decoding takes time by length. */
const INVOICE_CHARS_MAX = 4_096;

/** What an invoice that does not say until when it can be paid means (BOLT11). */
const EXPIRY_MS_DEFAULT = 3_600_000;

/** An invoice that is about to end is not paid: a payment needs a while on its way. */
const MARGIN_MS = 10_000;

/** What an invoice says. */
export type Invoice = {
	readonly text: string;
	readonly network: Network;
	/** undefined: the payer chooses */
	readonly amountMsat: bigint | undefined;
	/** in hex */
	readonly paymentHash: string;
	readonly expiresAtMs: number;
	/** in hex, where the description stands elsewhere */
	readonly descriptionHash: string | undefined;
};

/** Reads an invoice; what it says is not judged yet, but for being possible. */
export function readInvoice(text: string): Invoice | Problem {
	if (text.length > INVOICE_CHARS_MAX) return malformed("The invoice is longer than any invoice is.");
	let sections: readonly { name: string; value?: unknown }[];
	try {
		sections = decode(text).sections;
	} catch {
		return malformed("That is not a BOLT11 invoice, or some of it is missing.");
	}
	const valuesOf = (name: string) => sections.filter((each) => each.name === name).map((each) => each.value);
	const [coin] = valuesOf("coin_network") as { bech32: string }[];
	const network = coin && Object.hasOwn(PREFIX, coin.bech32) ? PREFIX[coin.bech32] : undefined;
	if (!network) return malformed("The invoice is for a network that is not known here.");
	// a second one would be the one that another program reads
	const hashes = valuesOf("payment_hash");
	const [paymentHash] = hashes;
	if (hashes.length !== 1 || typeof paymentHash !== "string" || !/^[0-9a-f]{64}$/.test(paymentHash))
		return malformed("The invoice must have exactly one payment hash.");
	const [amount] = valuesOf("amount");
	const amountMsat = typeof amount === "string" ? BigInt(amount) : undefined;
	if (amountMsat === 0n) return malformed("The invoice asks for nothing.");
	const [at] = valuesOf("timestamp");
	const expiries = valuesOf("expiry");
	const expiryMs = expiries.length === 0 ? EXPIRY_MS_DEFAULT : Number(expiries[0]) * 1_000;
	const expiresAtMs = Number(at) * 1_000 + expiryMs;
	if (expiries.length > 1 || !Number.isSafeInteger(expiresAtMs)) return malformed("The invoice's expiry is not one.");
	const descriptions = valuesOf("description_hash");
	const [descriptionHash] = descriptions;
	if (descriptions.length > 1) return malformed("The invoice must have at most one description hash.");
	return {
		text: text.toLowerCase(),
		network,
		amountMsat,
		paymentHash,
		expiresAtMs,
		descriptionHash: typeof descriptionHash === "string" ? descriptionHash : undefined,
	};
}

/** What an invoice must be to be paid. */
export type Expected = { readonly network: Network; readonly amountMsat: bigint };

/** Reads an invoice and holds it against what is to be paid; when it ends is another question ({@link hasEnded}). */
export function expectInvoice(text: string, { network, amountMsat }: Expected): Invoice | Problem {
	const invoice = readInvoice(text);
	if ("problem" in invoice) return invoice;
	if (invoice.network !== network)
		return malformed(`The invoice is for ${invoice.network}, and money is sent on ${network} here.`);
	if (invoice.amountMsat !== undefined && invoice.amountMsat !== amountMsat)
		return malformed(`The invoice is over ${invoice.amountMsat} msat, and ${amountMsat} msat are to be paid.`);
	return invoice;
}

/** Whether it is too late to begin paying an invoice. */
export function hasEnded(invoice: Invoice, nowMs: number): boolean {
	return invoice.expiresAtMs - MARGIN_MS <= nowMs;
}

/** Whether a preimage in hex is the proof that an invoice was paid. */
export function proves(preimage: unknown, paymentHash: string): preimage is string {
	if (typeof preimage !== "string" || !/^[0-9a-f]{64}$/.test(preimage)) return false;
	return createHash("sha256").update(Buffer.from(preimage, "hex")).digest("hex") === paymentHash;
}

function malformed(detail: string): Problem {
	return problem("malformed", detail);
}
