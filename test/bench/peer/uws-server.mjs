// @ts-check
/**
 * The least forwarder that uWebSockets.js allows, with the doors of `bare.ts`: `/r/N` reads what `/t/N` sends. Plain JavaScript, run by the
 * Node that its binary is for. `node uws-server.mjs PORT FOLDER WAY`: FOLDER has `node_modules`; WAY is `send` (one send for each
 * message) or `publish` (a topic for each reader, gathered by the server until the turn of its loop ends).
 */
import { createRequire } from "node:module";
import { join } from "node:path";

const [port = "", folder = "", way = ""] = process.argv.slice(2);
const uws = createRequire(join(folder, "package.json"))("@rjweb/uws");
const readers = new Map();
const server = uws.App();
server.ws("/*", {
	compression: 0,
	maxPayloadLength: 1 << 22,
	maxBackpressure: 1 << 26,
	idleTimeout: 0,
	upgrade(response, request, context) {
		const [, side, name] = request.getUrl().split("/");
		const [key, protocol, extensions] = ["key", "protocol", "extensions"].map((word) =>
			request.getHeader(`sec-websocket-${word}`),
		);
		response.upgrade({ side, name }, key, protocol, extensions, context);
	},
	open(socket) {
		const about = socket.getUserData();
		if (about.side === "t") about.reader = readers.get(about.name);
		else if (way === "publish") socket.subscribe(about.name);
		else readers.set(about.name, socket);
	},
	message(socket, payload) {
		const { name, reader } = socket.getUserData();
		if (way === "publish") server.publish(name, payload, true, false);
		else reader?.send(payload, true, false);
	},
	close(socket) {
		const { side, name } = socket.getUserData();
		if (side === "r") readers.delete(name);
	},
});
server.listen("127.0.0.1", Number(port), (socket) => {
	if (!socket) process.exit(1);
});
process.on("SIGTERM", () => process.exit(0));
