/** uWebSockets.js, as public as it is had: `@rjweb/uws` has a binary for Node 20, which comes with it. One payload in a message. */
import { join } from "node:path";
import { CORE, startProgram } from "#test/bench/measure";
import { npm } from "./depot.ts";
import { ended, freePort, listening, type Peer, windowOf } from "./peer.ts";

const UWS = "1.5.0";
/** The last line of Node that it has a binary for. */
const NODE = "20.20.2";
const BARE_LANES = import.meta.resolve("#test/bench/bare-lanes");

/** `publish` is the faster of its two ways for small payloads, `send` for large ones: each is measured its faster way. */
const PUBLISHED_BYTES_MAX = 4096;

export const uws: Peer = {
	name: "uws",
	gathers: false,
	async start() {
		if (process.platform !== "linux") throw new Error("only fetched for Linux");
		const node = `node-linux-${process.arch}`;
		const folder = await npm(`uws-${UWS}-node-${NODE}`, [`@rjweb/uws@${UWS}`, `${node}@${NODE}`]);
		const begin = async (way: string) => {
			const port = await freePort();
			const words = [join(import.meta.dirname, "uws-server.mjs"), String(port), folder, way];
			const child = startProgram(CORE.server, join(folder, "node_modules", node, "bin/node"), words);
			await listening(child, port, `\`node uws-server.mjs\` on Node ${NODE}`);
			return { child, port };
		};
		const publish = await begin("publish");
		const send = await begin("send");
		return {
			version: `${UWS} on Node ${NODE}`,
			tell: ({ recipients: _, lone, ...what }) => {
				const { child, port } = what.size <= PUBLISHED_BYTES_MAX && !lone ? publish : send;
				return { pid: child.pid ?? 0, slices: 1, job: { lanes: BARE_LANES, port, ...what, ...windowOf(lone) } };
			},
			stop: async () => {
				await Promise.all([publish, send].map(({ child }) => ended(child)));
			},
		};
	},
};
