/** A wallet that speaks Nostr Wallet Connect, on a purse or a node, and the Nostr relay between: all of it in memory, on loopback. */

import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { NWCWalletService, NWCWalletServiceKeyPair } from "@getalby/sdk/nwc";
import { finalizeEvent, getPublicKey, matchFilters, nip44 } from "nostr-tools";
import { type WebSocket, WebSocketServer } from "ws";
import type { Holdings, Incoming, Outgoing } from "./purse.ts";

type Event = Parameters<typeof matchFilters>[1];
type Filter = Parameters<typeof matchFilters>[0][number];

/** A Nostr relay as far as wallets need one; `drop` loses events on their way. */
async function startRelay() {
	const kept: Event[] = [];
	const asked = new Map<WebSocket, Map<string, Filter[]>>();
	const relay = {
		url: "",
		/** whether an event is lost on its way */
		drop: (_: Event): boolean => false,
		/** how many asked for events of a kind */
		listeners: (kind: number): number =>
			[...asked.values()].filter((wants) => [...wants.values()].flat().some((filter) => filter.kinds?.includes(kind)))
				.length,
		/** gives an event to whoever asked for such */
		pass: (event: Event): void => {
			for (const [peer, wants] of asked)
				for (const [id, each] of wants) if (matchFilters(each, event)) peer.send(JSON.stringify(["EVENT", id, event]));
		},
		close: async () => {},
	};
	const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
	server.on("connection", (socket) => {
		const own = new Map<string, Filter[]>();
		asked.set(socket, own);
		socket.on("close", () => asked.delete(socket));
		socket.on("message", (data) => {
			const [type, first, ...filters] = JSON.parse(String(data));
			if (type === "CLOSE") own.delete(first);
			if (type === "REQ") {
				own.set(first, filters);
				for (const event of kept)
					if (matchFilters(filters, event)) socket.send(JSON.stringify(["EVENT", first, event]));
				socket.send(JSON.stringify(["EOSE", first]));
			}
			if (type !== "EVENT") return;
			socket.send(JSON.stringify(["OK", first.id, true, ""]));
			if (relay.drop(first)) return;
			if (first.kind === 13_194) kept.push(first);
			relay.pass(first);
		});
	});
	await new Promise<void>((resolve) => server.on("listening", resolve));
	relay.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
	relay.close = async () => {
		for (const socket of server.clients) socket.terminate();
		await new Promise((resolve) => server.close(resolve));
	};
	return relay;
}

/** The kinds of NIP-47's events. */
export const KIND = { request: 23_194, response: 23_195, notification: 23_197 } as const;

/** Starts a wallet and its relay. `refuse` answers a payment with an error of NIP-47; `twist` changes what is looked up. */
export async function startWallet(purse: Holdings, network = "regtest") {
	const [walletSecret, clientSecret] = [randomBytes(32), randomBytes(32)];
	const [wallet, client] = [getPublicKey(walletSecret), getPublicKey(clientSecret)];
	const relay = await startRelay();
	const service = new NWCWalletService({ relayUrls: [relay.url] });
	const methods = ["get_info", "get_balance", "make_invoice", "pay_invoice", "lookup_invoice"] as const;
	await service.publishWalletServiceInfoEvent(walletSecret.toString("hex"), [...methods], ["payment_received"]);
	const world = {
		relay,
		methods: [...methods] as string[],
		paid: 0,
		refuse: undefined as { code: string; message: string } | undefined,
		twist: (found: object): object => found,
		connection: `nostr+walletconnect://${wallet}?relay=${encodeURIComponent(relay.url)}&secret=${clientSecret.toString("hex")}`,
		/** an event of the wallet's with any content at all, in answer to a request */
		say: async (requestId: string, content: string) => {
			const key = nip44.getConversationKey(walletSecret, client);
			const tags = [
				["p", client],
				["e", requestId],
			];
			const event = {
				kind: KIND.response,
				created_at: seconds(Date.now()),
				tags,
				content: nip44.encrypt(content, key),
			};
			// whether the relay still says that it has it is of no interest
			await Promise.any(service.pool.publish([relay.url], finalizeEvent(event, walletSecret))).catch(() => {});
		},
		/** a notification with anything in it */
		tell: async (note: object) => {
			const key = nip44.getConversationKey(walletSecret, client);
			const content = nip44.encrypt(JSON.stringify(note), key);
			const event = { kind: KIND.notification, created_at: seconds(Date.now()), tags: [["p", client]], content };
			await Promise.any(service.pool.publish([relay.url], finalizeEvent(event, walletSecret))).catch(() => {});
		},
		close: async () => {
			silence();
			unsubscribe();
			service.close();
			await relay.close();
		},
	};
	const ok = <T>(result: T) => ({ result: result as never, error: undefined });
	const failed = (code: string, message: string) => ({ result: undefined, error: { code, message } });
	const unsubscribe = await service.subscribe(new NWCWalletServiceKeyPair(walletSecret.toString("hex"), client), {
		getInfo: async () => ok({ alias: "purse", network, methods: world.methods, pubkey: wallet }),
		getBalance: async () => ok({ balance: Number(purse.balanceMsat) }),
		makeInvoice: async ({ amount, description, expiry }) => {
			const more = { text: description ?? "", ...(expiry === undefined ? {} : { expiryS: expiry }) };
			return ok(incomingOf(purse.invoice(BigInt(amount), more)));
		},
		lookupInvoice: async ({ payment_hash = "" }) => {
			const [came, left] = [purse.incoming.get(payment_hash), purse.outgoing.get(payment_hash)];
			if (came) return ok(world.twist(incomingOf(came)));
			return left ? ok(world.twist(outgoingOf(left))) : failed("NOT_FOUND", "no such transaction");
		},
		payInvoice: async ({ invoice, amount }) => {
			if (world.refuse) return failed(world.refuse.code, world.refuse.message);
			world.paid++;
			const paid = await purse.pay(invoice, amount === undefined ? undefined : BigInt(amount));
			if (typeof paid === "string") return failed("PAYMENT_FAILED", paid);
			return ok({ preimage: paid.preimage, fees_paid: Number(paid.feeMsat) });
		},
	});
	const silence = purse.onPaid((came) => {
		void world.tell({ notification_type: "payment_received", notification: incomingOf(came) });
	});
	return world;
}

const seconds = (ms: number): number => Math.floor(ms / 1_000);

const incomingOf = (found: Incoming) => ({
	type: "incoming",
	state: found.paidMs === undefined ? "pending" : "settled",
	invoice: found.invoice,
	description: found.text,
	payment_hash: found.hash,
	amount: Number(found.amountMsat),
	fees_paid: 0,
	created_at: seconds(found.madeMs),
	...(found.paidMs === undefined ? {} : { preimage: found.preimage, settled_at: seconds(found.paidMs) }),
});

const outgoingOf = (found: Outgoing) => ({
	type: "outgoing",
	state: found.endedMs === undefined ? "pending" : found.preimage ? "settled" : "failed",
	invoice: found.invoice,
	payment_hash: found.hash,
	amount: Number(found.amountMsat),
	fees_paid: Number(found.feeMsat),
	created_at: seconds(found.madeMs),
	...(found.preimage ? { preimage: found.preimage, settled_at: seconds(found.endedMs ?? 0) } : {}),
});
