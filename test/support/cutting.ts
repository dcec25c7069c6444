/** A network between us and a database that cuts where it hurts: before a request arrives, after it was done, or so that it arrives late. */

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** What becomes of a connection when a request with the awaited words passes. */
export type Cut =
	/** the request never arrives */
	| "before"
	/** the database has done it, and its answer never arrives */
	| "after"
	/** the client is cut off at once, and the request arrives when {@link Cutting.release} is called */
	| "late";

export type Cutting = {
	/** the same database, by way of the proxy */
	readonly url: string;
	/** Cuts the next `times` connections on which a request with these words passes. */
	cutAt(words: string, cut: Cut, times?: number): void;
	/** How many were cut. */
	readonly cuts: () => number;
	/** Lets late requests arrive; resolves when the database has answered them. */
	release(): Promise<void>;
	close(): Promise<void>;
};

/** Stands before the database of a URL. */
export async function cuttingProxy(url: string): Promise<Cutting> {
	const target = new URL(url);
	let plan: { words: string; cut: Cut; left: number } | undefined;
	let cuts = 0;
	const late: (() => Promise<void>)[] = [];
	const sockets = new Set<Socket>();

	const server = createServer((client) => {
		const upstream = connect(Number(target.port), target.hostname);
		for (const socket of [client, upstream]) {
			sockets.add(socket);
			socket.on("error", () => {});
			socket.on("close", () => sockets.delete(socket));
		}
		let mode: Cut | undefined;
		client.on("data", (bytes) => {
			if (mode !== undefined) return;
			if (plan && plan.left > 0 && bytes.includes(plan.words)) {
				plan.left -= 1;
				mode = plan.cut;
				cuts += 1;
			}
			if (mode === "before") {
				client.destroy();
				upstream.destroy();
			} else if (mode === "late") {
				client.destroy();
				late.push(async () => {
					const answered = once(upstream, "data");
					upstream.write(bytes);
					await answered;
					upstream.destroy();
				});
			} else upstream.write(bytes);
		});
		upstream.on("data", (bytes) => {
			if (mode === undefined) client.write(bytes);
			else if (mode === "after") {
				// the answer is written after the commit, so it has happened
				client.destroy();
				upstream.destroy();
			}
		});
		client.on("close", () => {
			if (mode !== "late") upstream.destroy();
		});
		upstream.on("close", () => client.destroy());
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	const through = new URL(url);
	through.hostname = "127.0.0.1";
	through.port = typeof address === "object" && address ? String(address.port) : "";
	return {
		url: through.href,
		cutAt: (words, cut, times = 1) => {
			plan = { words, cut, left: times };
		},
		cuts: () => cuts,
		release: async () => {
			for (const arrive of late.splice(0)) await arrive();
		},
		close: async () => {
			for (const socket of sockets) socket.destroy();
			server.close();
			await once(server, "close");
		},
	};
}
