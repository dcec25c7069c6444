/** `farelay wallet`: the Lightning wallets of a box on this machine. With them `farelay fund` and `farelay payout` can be tried without any real money. */

import { join, resolve } from "node:path";
import type { WalletSays } from "#box/lightning/door";
import { askOwned } from "#cli/door";
import { type Call, textOf, type Verb } from "#cli/verb";
import { isProblem, type Problem, problem } from "#contracts/problem";

const MSAT_PER_SAT = 1_000n;

/** Thousandths of a satoshi only where there are some. */
function sayMsat(text: string): string {
	const msat = BigInt(text);
	const rest = msat % MSAT_PER_SAT;
	return `${msat / MSAT_PER_SAT}${rest === 0n ? "" : `.${`${rest}`.padStart(3, "0")}`} satoshi`;
}

/** Satoshi as people write them, with up to three places: those are millisatoshi. */
function readSats(text: string): string | undefined {
	const [, whole = "", part = ""] = /^(\d{1,8})(?:\.(\d{1,3}))?$/.exec(text) ?? [];
	const msat = whole === "" ? 0n : BigInt(whole) * MSAT_PER_SAT + BigInt(part.padEnd(3, "0"));
	return msat > 0n ? `${msat}` : undefined;
}

function questionOf({ words }: Call, wallet: string): { path: string; question?: object } | Problem {
	const [verb, given = ""] = words;
	if (words.length === 0) return { path: "/state" };
	if (verb === "pay" && words.length === 2) return { path: "/pay", question: { wallet, invoice: given } };
	const msat = verb === "invoice" && words.length === 2 ? readSats(given) : undefined;
	if (msat !== undefined) return { path: "/invoice", question: { wallet, msat } };
	return problem("usage", "Say farelay wallet, farelay wallet pay INVOICE, or farelay wallet invoice SATOSHI.");
}

function linesOf({ wallets, paid, invoice }: WalletSays): string[] {
	if (paid)
		return [`Paid ${sayMsat(paid.msat)}, and ${sayMsat(paid.feeMsat)} for the way. Payment hash ${paid.paymentHash}.`];
	if (invoice) return [invoice.invoice];
	const each = Object.entries(wallets ?? {}).map(([name, { msat }]) => `  ${name.padEnd(10)} can pay ${sayMsat(msat)}`);
	return ["Wallets of this box, on a chain that is made up here: their coins have no worth.", ...each];
}

export const verb: Verb = {
	summary: "the Lightning wallets of a box on this machine: pays and makes invoices, for trying",
	usage: [
		"farelay wallet [--data PATH]",
		"farelay wallet pay INVOICE            pays what farelay fund asks for",
		"farelay wallet invoice SATOSHI        makes an invoice for farelay payout, by the operator's wallet",
		"",
		"  --wallet NAME    payer or operator: which of the box's two wallets (pay: payer, invoice: operator)",
		"  --data PATH      the box's folder (FARELAY_DATA, or ./.farelay)",
	],
	options: () => ({ wallet: { type: "string" }, data: { type: "string" } }),
	words: true,
	async run(call) {
		const wallet = textOf(call, "wallet") ?? (call.words[0] === "pay" ? "payer" : "operator");
		if (wallet !== "payer" && wallet !== "operator") return problem("usage", "--wallet takes payer or operator.");
		const asked = questionOf(call, wallet);
		if (isProblem(asked)) return asked;
		const data = resolve(call.folder, textOf(call, "data") ?? (call.env.FARELAY_DATA || ".farelay"));
		const says = await askOwned<WalletSays>(join(data, "lightning"), asked.path, "box", asked.question);
		if (isProblem(says)) return says;
		call.screen.answer(says, linesOf(says));
		return undefined;
	},
};
