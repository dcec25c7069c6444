/** What payouts need of Lightning before a rail is told: an invoice, read or asked for. The engines' own parts are in `rail/`; a test brings others. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { invoiceOfAddress } from "#marketplace/rail/address";
import { type Network, readInvoice } from "#marketplace/rail/bolt11";
import { openOutside } from "#marketplace/rail/outside";

/** What an invoice says, as far as a payout depends on it. */
export type InvoiceTerms = {
	/** undefined: whoever pays chooses */
	readonly amountMsat: bigint | undefined;
	/** in hex; no two payouts are of the same */
	readonly paymentHash: string;
	readonly expiresAtMs: number;
};

/** Reads invoices and asks Lightning addresses for them. */
export interface Lightning {
	readInvoice(text: string): InvoiceTerms | Problem;
	/** An invoice over exactly so much, from whoever answers for an address. */
	invoiceFrom(address: string, amountMsat: bigint): Promise<string | Problem>;
	close(): Promise<void>;
}

/** As a market has it: on one network, and with no address inside its own. */
export function openLightning(network: Network, clock: Clock): Lightning {
	const outside = openOutside(clock);
	return {
		readInvoice: (text) => {
			const invoice = readInvoice(text);
			if (isProblem(invoice) || invoice.network === network) return invoice;
			return problem("malformed", `The invoice is for ${invoice.network}, and this market pays on ${network}.`);
		},
		invoiceFrom: async (address, amountMsat) => {
			const invoice = await invoiceOfAddress(address, amountMsat, { outside, network, nowMs: () => clock.nowMs() });
			return isProblem(invoice) ? invoice : invoice.text;
		},
		close: () => outside.close(),
	};
}
