/**
 * The door of the box's wallets, for `farelay wallet`: `GET /state` says what each has, `POST /pay` pays an invoice, `POST /invoice` makes one.
 * They hold coins of no worth; the door is for whoever owns the box's folder.
 */

import { randomUUID } from "node:crypto";
import { z } from "zod";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import { openOwnerDoor } from "#host/ownerdoor";
import type { Hub } from "./hub.ts";

/** What a wallet answers; amounts in millisatoshi, as decimal strings. */
export type WalletSays = {
	readonly wallets?: Readonly<Record<string, { readonly msat: string }>>;
	readonly paid?: { readonly paymentHash: string; readonly msat: string; readonly feeMsat: string };
	readonly invoice?: { readonly invoice: string; readonly paymentHash: string; readonly expiresAtMs: number };
};

const wallet = z.enum(["payer", "operator"]);
const PAY = z.strictObject({ wallet, invoice: z.string().min(1).max(8_000) });
const INVOICE = z.strictObject({ wallet, msat: z.string().regex(/^[1-9]\d{0,11}$/) });

/** A routing fee for which there is no reason here. */
const FEE_MSAT_MAX = 1_000n;
/** How long a payment between nodes of one process may take. */
const PAY_MS = 10_000;
/** What an invoice is good for: longer than a payout takes. */
const INVOICE_MS = 3_600_000;

/** Opens the door; a problem where no socket can be made. */
export function openWalletDoor(
	hub: Hub,
	{ folder, clock, log }: { readonly folder: string; readonly clock: Clock; readonly log: Log },
): Promise<{ close(): void } | Problem> {
	async function pay(order: z.infer<typeof PAY>): Promise<WalletSays | Problem> {
		const id = randomUUID();
		const from = hub.wallets[order.wallet];
		from.send({ id, invoice: order.invoice, feeMsatMax: FEE_MSAT_MAX });
		const paid = await from.over(id, PAY_MS);
		if (!paid) return problem("unavailable", "The payment is under way.", { spent: "unknown" });
		if (paid.state === "failed") return problem("conflict", `Nothing was paid: ${paid.says}.`);
		return { paid: { paymentHash: paid.hash, msat: `${paid.msat}`, feeMsat: `${paid.feeMsat}` } };
	}

	function invoice(order: z.infer<typeof INVOICE>): WalletSays | Problem {
		const expiresAtMs = clock.nowMs() + INVOICE_MS;
		const words = { id: randomUUID(), msat: BigInt(order.msat), text: `to the box's ${order.wallet}`, expiresAtMs };
		const made = hub.wallets[order.wallet].invoice(words);
		if (isProblem(made)) return made;
		return { invoice: { invoice: made.invoice, paymentHash: made.hash, expiresAtMs: made.expiresAtMs } };
	}

	return openOwnerDoor({
		folder,
		log,
		async answer(asked, body) {
			if (!(await hub.ready()))
				return problem("unavailable", "The box's Lightning nodes do not work.", { spent: "no" });
			if (asked === "GET /state") {
				const has = (name: "payer" | "operator") => ({ msat: `${hub.wallets[name].balance().outMsat}` });
				return { wallets: { payer: has("payer"), operator: has("operator") } } satisfies WalletSays;
			}
			const read = asked === "POST /pay" ? PAY.safeParse(body) : undefined;
			if (read?.success) return pay(read.data);
			const order = asked === "POST /invoice" ? INVOICE.safeParse(body) : undefined;
			if (order?.success) return invoice(order.data);
			return read || order ? problem("malformed", "Neither an invoice nor an amount.") : problem("not-found");
		},
	});
}
