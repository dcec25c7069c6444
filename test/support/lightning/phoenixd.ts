/** phoenixd's HTTP API as its documentation has it, on a purse; and what a test makes go wrong. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { WebSocketServer } from "ws";
import type { Incoming, Outgoing, Purse } from "./purse.ts";

export const PASSWORD = "correct-horse-battery";

/** What becomes of one answer: left alone, lost after it was done, or in other words. */
export type Mishap = (path: string, json: unknown) => unknown | "lost";

export async function startPhoenixd(purse: Purse, chain = "regtest") {
	const asked: string[] = [];
	const double = { mishap: ((_, json) => json) as Mishap, asked, url: "", close: async () => {} };
	const server = createServer(async (request, answer) => {
		const url = new URL(request.url ?? "", "http://phoenixd");
		const form = new URLSearchParams(await text(request));
		const path = `${request.method} ${url.pathname}`;
		asked.push(path);
		const authorized = request.headers.authorization === `Basic ${Buffer.from(`:${PASSWORD}`).toString("base64")}`;
		const found = authorized ? await respond(path, url.searchParams, form) : 401;
		const said = double.mishap(path, found);
		if (said === "lost") return void request.socket.destroy();
		if (typeof said === "number") return void answer.writeHead(said).end("refused");
		answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
	});
	const respond = async (path: string, query: URLSearchParams, form: URLSearchParams): Promise<unknown> => {
		const hash = path.split("/").at(-1) ?? "";
		if (path === "GET /getinfo") return { nodeId: "02", channels: [], chain, blockHeight: 1, version: "0.8.0" };
		if (path === "GET /getbalance") return { balanceSat: Number(purse.balanceMsat / 1_000n), feeCreditSat: 0 };
		if (path === "GET /payments/incoming")
			return [...purse.incoming.values()].filter((each) => each.label === query.get("externalId")).map(incomingOf);
		if (path.startsWith("GET /payments/incoming/")) {
			const found = purse.incoming.get(hash);
			return found ? incomingOf(found) : 404;
		}
		if (path.startsWith("GET /payments/outgoingbyhash/")) {
			const found = purse.outgoing.get(hash);
			return found ? outgoingOf(found) : 404;
		}
		if (path === "POST /createinvoice") {
			const made = purse.invoice(BigInt(form.get("amountSat") ?? "") * 1_000n, {
				text: form.get("description") ?? "",
				expiryS: Number(form.get("expirySeconds")),
				label: form.get("externalId") ?? "",
			});
			return { amountSat: Number(made.amountMsat / 1_000n), paymentHash: made.hash, serialized: made.invoice };
		}
		if (path === "POST /payinvoice") {
			const sat = form.get("amountSat");
			const paid = await purse.pay(form.get("invoice") ?? "", sat === null ? undefined : BigInt(sat) * 1_000n);
			if (typeof paid === "string") return { paymentHash: hash, reason: paid };
			return {
				recipientAmountSat: Number(paid.amountMsat / 1_000n),
				routingFeeSat: Number(paid.feeMsat / 1_000n),
				paymentId: "00000000-0000-0000-0000-000000000000",
				paymentHash: paid.hash,
				paymentPreimage: paid.preimage,
			};
		}
		return 404;
	};
	const sockets = new WebSocketServer({ server, path: "/websocket" });
	const silence = purse.onPaid((came) => {
		const event = { type: "payment_received", amountSat: 1, paymentHash: came.hash, externalId: came.label };
		for (const socket of sockets.clients) socket.send(JSON.stringify(event));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	double.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	double.close = async () => {
		silence();
		for (const socket of sockets.clients) socket.terminate();
		sockets.close();
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	};
	return double;
}

const incomingOf = (found: Incoming) => ({
	type: "incoming_payment",
	subType: "lightning",
	paymentHash: found.hash,
	preimage: found.preimage,
	externalId: found.label,
	description: found.text,
	invoice: found.invoice,
	isPaid: found.paidMs !== undefined,
	receivedSat: found.paidMs === undefined ? 0 : Number(found.amountMsat / 1_000n),
	fees: 0,
	...(found.paidMs === undefined ? {} : { completedAt: found.paidMs }),
	createdAt: found.madeMs,
});

const outgoingOf = (found: Outgoing) => ({
	type: "outgoing_payment",
	subType: "lightning",
	paymentHash: found.hash,
	...(found.preimage ? { preimage: found.preimage } : {}),
	// true of every payment that has ended, as some versions tell it
	isPaid: found.endedMs !== undefined,
	sent: Number((found.amountMsat + found.feeMsat) / 1_000n),
	fees: Number(found.feeMsat),
	invoice: found.invoice,
	...(found.endedMs === undefined ? {} : { completedAt: found.endedMs }),
	createdAt: found.madeMs,
});
