/** What the browser test's page runs: the SDK as an app would use it, bundled for a browser. */

import { type Client, createClient } from "#sdk/client";
import { bytesSink } from "#sdk/file";
import { type IndexedDbStorage, indexedDbStorage } from "#sdk/indexeddb";

type Heard = { text: string } | { name: string; bytes: number; first: number; last: number };

const clients = new Map<string, Client>();
const heard: Heard[] = [];

const storages = new Map<string, IndexedDbStorage>();

function storage(name: string): IndexedDbStorage {
	const found = storages.get(name) ?? indexedDbStorage(name);
	storages.set(name, found);
	return found;
}

const page = {
	/** The storage by name, in what a test can hand over: numbers for bytes. */
	storage: {
		get: async (name: string, key: string) => {
			const value = await storage(name).get(key);
			return value && [...value];
		},
		put: (name: string, key: string, value: readonly number[]) => storage(name).put(key, Uint8Array.from(value)),
		delete: (name: string, key: string) => storage(name).delete(key),
		list: (name: string, prefix: string) => storage(name).list(prefix),
	},
	/** Puts the middle of a buffer and writes over it at once. */
	async storeView() {
		const view = Uint8Array.of(1, 2, 3, 4, 5).subarray(1, 4);
		const putting = storage("view").put("view", view);
		view.fill(9);
		await putting;
		const kept = await storage("view").get("view");
		return { bytes: [...(kept ?? [])], bufferBytes: kept?.buffer.byteLength };
	},
	/** Deletes a database that is open, as another tab would, then uses the storage again. */
	async deletedUnderneath() {
		await storage("gone").put("key", Uint8Array.of(1));
		await new Promise((resolve, reject) => {
			const request = indexedDB.deleteDatabase("gone");
			request.onsuccess = resolve;
			request.onerror = reject;
			request.onblocked = () => reject(new Error("the storage holds its database open"));
		});
		return (await storage("gone").get("key")) ? "the old one" : "a new one";
	},
	async start(name: string, market: string, nanos: string) {
		const client = await createClient({ market, storage: indexedDbStorage(name) });
		clients.set(name, client);
		if (nanos !== "0") await client.market.api.funding.play.mutate({ id: "start-money", amount: nanos });
		return client.account;
	},
	account: (name: string) => client(name).account,
	card: (name: string) => client(name).card({ name }),
	publish: (name: string) => client(name).publishCard({ name }),
	nameOn: async (name: string, link: string) => (await client(name).resolve(link)).name,
	async send(name: string, card: string, text: string) {
		const { tick, cost } = await client(name).send(card, text);
		return { tick, total: cost.total.toString() };
	},
	/** Sends a `File` of so many bytes, each its index modulo 251. */
	async sendFile(name: string, card: string, fileName: string, sizeBytes: number) {
		const bytes = Uint8Array.from({ length: sizeBytes }, (_, index) => index % 251);
		return (await client(name).send(card, new File([bytes], fileName))).tick;
	},
	async listen(name: string) {
		const sinks = new Map<string, ReturnType<typeof bytesSink>>();
		await client(name).listen({
			text: ({ text }) => void heard.push({ text }),
			file({ stream, sizeBytes }) {
				const sink = bytesSink(sizeBytes);
				sinks.set(stream, sink);
				return sink;
			},
			received({ stream, name: fileName }) {
				const bytes = sinks.get(stream)?.bytes ?? new Uint8Array(0);
				heard.push({ name: fileName, bytes: bytes.length, first: bytes[1] ?? -1, last: bytes.at(-1) ?? -1 });
			},
		});
	},
	heard: () => heard,
	async settle(name: string) {
		const settled = await client(name).settle();
		return settled.map(({ agreement }) => agreement !== undefined);
	},
	balance: async (name: string) => (await client(name).balance()).toString(),
};

function client(name: string): Client {
	const found = clients.get(name);
	if (!found) throw new Error(`${name} was not started`);
	return found;
}

export type Page = typeof page;

Object.assign(globalThis, { page });
