/**
 * The peer that everything is held against: the least forwarder that `ws` allows. A reader connects to `/r/N`, a sender
 * to `/t/N`; each message of a sender goes to its reader as it is. No names, no prices, no disk, no bounds.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

const readers = new Map<string, WebSocket>();
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false, maxPayload: 1 << 22 });
sockets.on("connection", (socket, request) => {
	const [, side, name = ""] = (request.url ?? "").split("/");
	socket.on("error", () => socket.terminate());
	if (side === "r") {
		readers.set(name, socket);
		socket.on("close", () => readers.delete(name));
		return;
	}
	const reader = readers.get(name);
	socket.on("message", (data) => reader?.send(data, { binary: true }));
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
process.on("SIGTERM", () => process.exit(0));
