/**
 * Clients that are there and do nothing, in a process of their own. A line "open N" opens N more, "churn N" closes N and opens as many,
 * "stuff N BYTES" has N readers stop reading and sends each so much; each line is answered by one when it is done.
 */
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { writeListen } from "#contracts/control";
import { FRAME, frame } from "#contracts/frame";
import { helloHash, signHello, signListen } from "#contracts/handshake";
import { crypto } from "#host/crypto";
import { bytes, each, unexpected, walk } from "./relay-lanes.ts";
import { SUBPROTOCOL } from "./relay-process.ts";
import { message, open } from "./wire.ts";

const [portText = "", relayHex = ""] = process.argv.slice(2);
const port = Number(portText);
const sockets: Socket[] = [];
let made = 0;

/** Each as from an address of its own: a relay bounds what one address may make. */
function address(): string {
	const n = made++;
	return `X-Forwarded-For: 10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}\r\n`;
}

/** A session that said hello and listens on a mailbox of its own. */
async function listener(): Promise<Socket> {
	const relay = bytes(relayHex);
	const [session, mailbox] = [crypto.keyPair(crypto.random(32)), crypto.keyPair(crypto.random(32))];
	const socket = await open(port, "/", SUBPROTOCOL, address());
	const said = { tag: crypto.random(16), atMs: Date.now(), nonce: crypto.random(16), grant: undefined };
	const hello = signHello(crypto, said, relay, session);
	const scope = {
		relay,
		helloHash: helloHash(crypto, hello),
		session: session.publicKey,
		mailbox: mailbox.publicKey,
		tokenHash: new Uint8Array(32),
		device: new Uint8Array(16).fill(1),
	};
	const listening = Promise.withResolvers<void>();
	walk(socket, {
		deliver: () => {},
		other(type, body) {
			if (type === FRAME.listening) listening.resolve();
			else if (type !== FRAME.welcome && type !== FRAME.devices && type !== FRAME.bye) unexpected(type, body);
		},
	});
	const listen = writeListen({ handle: 1, ...scope, signature: signListen(crypto, scope, mailbox.secretKey) });
	socket.write(Buffer.concat([message(frame(FRAME.hello, hello)), message(listen)]));
	await listening.promise;
	socket.on("error", () => {});
	return socket;
}

/** A reader of the bare forwarder. */
async function bareReader(): Promise<Socket> {
	const socket = await open(port, `/r/${made++}`);
	socket.resume();
	socket.on("error", () => {});
	return socket;
}

const come = relayHex === "" ? bareReader : listener;
for await (const line of createInterface({ input: process.stdin })) {
	const [verb, n] = line.split(" ");
	const all = Array.from({ length: Number(n) }, (_, i) => i);
	if (verb === "churn") for (const socket of sockets.splice(0, all.length)) socket.destroy();
	sockets.push(...(await each(all, () => come())));
	process.stdout.write("done\n");
}
process.exit(0);
