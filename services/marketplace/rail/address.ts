/** Lightning addresses (LUD-16): `name@host` becomes an invoice over an exact amount, which is held against what the host promised before. */

import { createHash } from "node:crypto";
import * as z from "zod";
import { isProblem, type Problem, plainDetail, problem } from "#contracts/problem";
import { expectInvoice, hasEnded, type Invoice, type Network } from "./bolt11.ts";
import { wholeMoney } from "./msat.ts";
import type { Outside } from "./outside.ts";

/** What LUD-16 allows before the @, and a host name with a public end, without a port, behind it. */
const ADDRESS = /^(?=.{3,320}$)([a-z0-9._+-]{1,64})@((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})$/;

/** A callback with everything that a service may need to know its customer by. */
const URL_CHARS_MAX = 2_000;

const refusal = z.object({ status: z.literal("ERROR"), reason: z.string().optional() });
const payRequest = z.object({
	tag: z.literal("payRequest"),
	callback: z.string().max(URL_CHARS_MAX),
	minSendable: wholeMoney,
	maxSendable: wholeMoney,
	metadata: z.string(),
});
const payment = z.object({ pr: z.string() });

/** Whether a text looks like a Lightning address. */
export function isLightningAddress(text: string): boolean {
	const name = ADDRESS.exec(text)?.[1];
	// a name of nothing but dots is a step up in a path
	return name !== undefined && !/^\.+$/.test(name);
}

/** Asks a Lightning address for an invoice over an amount; nothing is paid by asking. */
export async function invoiceOfAddress(
	address: string,
	amountMsat: bigint,
	{ outside, network, nowMs }: { readonly outside: Outside; readonly network: Network; readonly nowMs: () => number },
): Promise<Invoice | Problem> {
	const [, name, host] = (isLightningAddress(address) && ADDRESS.exec(address)) || [];
	if (name === undefined || host === undefined)
		return problem("malformed", "That is not a Lightning address, like name@example.com.");
	const asked = await outside.get(`https://${host}/.well-known/lnurlp/${name}`);
	if (isProblem(asked)) return asked;
	const promise = payRequest.safeParse(asked.json);
	if (!promise.success) return refused(host, asked.json, "does not know how to take a payment for this name");
	const { minSendable, maxSendable, metadata } = promise.data;
	if (amountMsat < minSendable || amountMsat > maxSendable)
		return problem(
			"malformed",
			`${address} takes from ${minSendable} to ${maxSendable} msat, and that is ${amountMsat} msat.`,
		);
	const callback = URL.parse(promise.data.callback);
	if (!callback) return refused(host, undefined, "does not say where to ask for an invoice");
	callback.searchParams.set("amount", String(amountMsat));
	const answered = await outside.get(callback.href);
	if (isProblem(answered)) return answered;
	const paid = payment.safeParse(answered.json);
	if (!paid.success) return refused(host, answered.json, "gives no invoice");
	const invoice = expectInvoice(paid.data.pr, { network, amountMsat });
	if (isProblem(invoice)) return refused(host, undefined, `gives an invoice that is not for this. ${invoice.detail}`);
	if (invoice.amountMsat === undefined) return refused(host, undefined, "gives an invoice without an amount");
	const promised = createHash("sha256").update(metadata).digest("hex");
	if (invoice.descriptionHash !== promised)
		return refused(host, undefined, "gives an invoice for something else than it promised");
	if (hasEnded(invoice, nowMs())) return refused(host, undefined, "gives an invoice that has ended");
	return invoice;
}

function refused(host: string, json: unknown, says: string): Problem {
	const own = refusal.safeParse(json);
	const reason = own.success && own.data.reason ? plainDetail(`${host} refused: ${own.data.reason}`) : undefined;
	return problem("unavailable", reason ?? `${host} ${says}`, { spent: "no" });
}
