/** LND's REST as a test uses it: everything, with the node's own administrator's macaroon, and answers as they come. */

import { readFileSync } from "node:fs";
import { Agent, fetch } from "undici";

export type Json = Record<string, unknown>;

/** What a node has told: JSON, with numbers as LND writes them. */
export class LndNode {
	readonly url: string;
	readonly macaroonPath: string;
	readonly certPath: string;
	private readonly dispatcher: Agent;

	constructor(url: string, macaroonPath: string, certPath: string) {
		this.url = url;
		this.macaroonPath = macaroonPath;
		this.certPath = certPath;
		this.dispatcher = new Agent({
			headersTimeout: 0,
			bodyTimeout: 0,
			connect: { ca: readFileSync(certPath) },
		});
	}

	async call(path: string, body?: unknown): Promise<Json> {
		const response = await fetch(`${this.url}${path}`, {
			method: body === undefined ? "GET" : "POST",
			dispatcher: this.dispatcher,
			headers: { "grpc-metadata-macaroon": readFileSync(this.macaroonPath).toString("hex") },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await response.text();
		if (!response.ok) throw new Error(`LND: ${path} answered ${response.status}: ${text.slice(0, 300)}`);
		// a stream's last line is its result
		const last = text.trim().split("\n").at(-1) ?? "";
		const json = JSON.parse(last) as Json;
		return (json.result as Json | undefined) ?? json;
	}

	/** Pays an invoice, and resolves when it is paid. */
	async pay(invoice: string, amountMsat?: bigint): Promise<Json> {
		const paid = await this.call("/v2/router/send", {
			payment_request: invoice,
			timeout_seconds: 30,
			fee_limit_msat: "100000",
			no_inflight_updates: true,
			...(amountMsat === undefined ? {} : { amt_msat: String(amountMsat) }),
		});
		if (paid.status !== "SUCCEEDED") throw new Error(`LND: the payment ended as ${paid.status} ${paid.failure_reason}`);
		return paid;
	}

	/** An invoice of this node. */
	async invoice(amountMsat: bigint | undefined, memo = "test", expiryS = 3_600): Promise<string> {
		const made = await this.call("/v1/invoices", {
			memo,
			expiry: String(expiryS),
			...(amountMsat === undefined ? {} : { value_msat: String(amountMsat) }),
		});
		return String(made.payment_request);
	}

	async close(): Promise<void> {
		await this.dispatcher.destroy();
	}
}
