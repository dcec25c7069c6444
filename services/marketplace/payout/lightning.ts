/** What payouts need of Lightning before a rail is told: an invoice, read or asked for. The engines' own parts are in `rail/`; a test brings others. */

import { isProblem, type Problem } from "#contracts/problem";
import { type AddressDeps, invoiceOfAddress } from "#marketplace/rail/address";
import { readInvoice } from "#marketplace/rail/bolt11";

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
}

/** As a market has it: addresses are asked over the public network only. */
export function openLightning(deps: AddressDeps): Lightning {
	return {
		readInvoice,
		invoiceFrom: async (address, amountMsat) => {
			const invoice = await invoiceOfAddress(address, amountMsat, deps);
			return isProblem(invoice) ? invoice : invoice.text;
		},
	};
}
