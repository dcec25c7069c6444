/** A node of a hub as what a wallet's double stands on: its invoices are real, and so are the payments both ways. */

import { randomUUID } from "node:crypto";
import type { Hub } from "#box/lightning/hub";
import type { Payment } from "#box/lightning/store";
import { readInvoice } from "#marketplace/rail/bolt11";
import { fine } from "#test/support/market";
import type { Holdings, Incoming, Outgoing } from "./purse.ts";

/** What the wallet pays for the way at most: nobody asks it, for NIP-47 knows no ceiling. */
const FEE_MSAT_MAX = 10_000n;
/** How long a payment between nodes of one process may take. */
const PAY_MS = 20_000;
/** How long an invoice is good for that does not say. */
const EXPIRY_S = 3_600;

/** The market's node of a hub. */
export function holdingsOf(hub: Hub): Holdings {
	const { market } = hub.wallets;
	return {
		get balanceMsat() {
			return market.balance().outMsat;
		},
		incoming: {
			get: (hash) => {
				const found = market.incoming(hash);
				return found && incomingOf(found);
			},
		},
		// each is begun under its own hash, and so once
		outgoing: {
			get: (hash) => {
				const found = market.outgoing(hash);
				return found && outgoingOf(found);
			},
		},
		onPaid: (listener) =>
			hub.onChange("market", (reference) => {
				const came = market.incoming(reference);
				if (came?.state === "done") listener(incomingOf(came));
			}),
		invoice: (msat, { text = "", expiryS = EXPIRY_S }) => {
			const expiresAtMs = Date.now() + expiryS * 1_000;
			return incomingOf(fine(market.invoice({ id: randomUUID(), msat, text, expiresAtMs })));
		},
		pay: async (invoice) => {
			const { paymentHash: id } = fine(readInvoice(invoice));
			market.send({ id, invoice, feeMsatMax: FEE_MSAT_MAX });
			const over = await market.over(id, PAY_MS);
			if (!over) return "it is under way";
			return over.state === "done" ? outgoingOf(over) : over.says;
		},
	};
}

const incomingOf = ({ invoice, hash, msat, says, state, atMs }: Payment): Incoming => ({
	...{ invoice, hash, label: "", amountMsat: msat, text: "", madeMs: atMs },
	preimage: says,
	...(state === "done" && { paidMs: atMs }),
});

const outgoingOf = ({ invoice, hash, msat, feeMsat, says, state, atMs }: Payment): Outgoing => ({
	...{ invoice, hash, amountMsat: msat, feeMsat, madeMs: atMs },
	...(state === "done" && { preimage: says }),
	...(state !== "sending" && { endedMs: atMs }),
});
