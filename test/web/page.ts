/** What the browser test's page runs: the SDK as an app would use it, bundled for a browser. */

import { type Client, createClient } from "#sdk/client";
import { bytesSink } from "#sdk/file";

type Heard = { text: string } | { name: string; bytes: number; first: number; last: number };

const clients = new Map<string, Client>();
const heard: Heard[] = [];

const page = {
	async start(name: string, market: string, nanos: string) {
		const client = await createClient({ market });
		clients.set(name, client);
		if (nanos !== "0") await client.market.api.funding.play.mutate({ id: "start-money", amount: nanos });
		return client.account;
	},
	card: (name: string) => client(name).card({ name }),
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
