/**
 * Tailscale's derper, built from the Go module proxy: DERP frames over TCP after an HTTP upgrade, clients named by their Curve25519 keys
 * (the handshake is a NaCl box). A frame carries one packet. It drops what a reader's queue of 32 packets has no room for.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sodium from "libsodium-wrappers";
import type { OpenLanes } from "#test/bench/generator";
import { CORE, startProgram } from "#test/bench/measure";
import { dial } from "#test/bench/wire";
import { go } from "./depot.ts";
import { ended, freePort, listening, type Peer, windowOf } from "./peer.ts";
import { Counter, payloadOf, ready } from "./records.ts";

/** The newest that the toolchain of early 2026 (Go 1.26) builds. */
const VERSION = "v1.102.5";

/** Packets that it holds for a reader; what is under way beyond them may be dropped. */
const QUEUE_PACKETS = 32;

export const derper: Peer = {
	name: "derper",
	gathers: false,
	async start(buildMsMax) {
		const program = await go("derper", "tailscale.com/cmd/derper", VERSION, buildMsMax);
		const folder = mkdtempSync(join(tmpdir(), "farelay-derper-"));
		const port = await freePort();
		const words = ["-a", `127.0.0.1:${port}`, "-http-port", "-1", "-stun=false", "-c", join(folder, "key")];
		const child = startProgram(CORE.server, program.path, [...words, "-hostname", "127.0.0.1"], { cwd: folder });
		const stop = async () => {
			await ended(child);
			rmSync(folder, { recursive: true, force: true });
		};
		await listening(child, port, "derper").catch(async (error) => {
			await stop();
			throw error;
		});
		return {
			version: VERSION,
			tell: ({ recipients: _, lone, ...what }) => ({
				pid: child.pid ?? 0,
				slices: 1,
				job: { lanes: import.meta.url, port, ...what, window: QUEUE_PACKETS, ...windowOf(lone) },
			}),
			stop,
		};
	},
};

const FRAME = { serverKey: 1, clientInfo: 2, serverInfo: 3, send: 4, receive: 5 };
const HEAD_BYTES = 5;
const KEY_BYTES = 32;
const MAGIC_BYTES = 8;

function frame(type: number, ...parts: Uint8Array[]): Buffer {
	const body = Buffer.concat(parts);
	const head = Buffer.alloc(HEAD_BYTES);
	head[0] = type;
	head.writeUInt32BE(body.length, 1);
	return Buffer.concat([head, body]);
}

/** A client that the server knows by its key. What comes after the handshake goes to `onBytes`. */
async function enter(port: number, onBytes: (chunk: Buffer) => void) {
	const socket = await dial(port);
	const { publicKey, privateKey } = sodium.crypto_box_keypair();
	let got = Buffer.alloc(0);
	let more = Promise.withResolvers<void>();
	let greeted = false;
	socket.on("data", (chunk: Buffer) => {
		if (greeted) onBytes(chunk);
		else {
			got = Buffer.concat([got, chunk]);
			more.resolve();
		}
	});
	/** The bytes up to `length()`, as soon as they are there. */
	const take = async (length: () => number): Promise<Buffer> => {
		while (got.length < length()) {
			await more.promise;
			more = Promise.withResolvers();
		}
		const taken = got.subarray(0, length());
		got = got.subarray(taken.length);
		return taken;
	};
	const next = async (type: number) => {
		const one = await take(() => (got.length < HEAD_BYTES ? HEAD_BYTES : HEAD_BYTES + got.readUInt32BE(1)));
		if (one[0] !== type) throw new Error(`derper sent frame ${one[0]}`);
		return one.subarray(HEAD_BYTES);
	};
	// no answer to the upgrade is asked for: the server speaks DERP at once
	socket.write(
		"GET /derp HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n\r\n",
	);
	const server = (await next(FRAME.serverKey)).subarray(MAGIC_BYTES, MAGIC_BYTES + KEY_BYTES);
	const nonce = sodium.randombytes_buf(sodium.crypto_box_NONCEBYTES);
	const info = sodium.crypto_box_easy(JSON.stringify({ version: 2 }), nonce, server, privateKey);
	socket.write(frame(FRAME.clientInfo, publicKey, nonce, info));
	await next(FRAME.serverInfo);
	greeted = true;
	return { socket, key: publicKey };
}

export const openLanes: OpenLanes = async ({ port, size, pairs }, arrived) => {
	await sodium.ready;
	return Promise.all(
		Array.from({ length: pairs }, async (_, lane) => {
			const head = HEAD_BYTES + KEY_BYTES;
			const counter = new Counter(
				{ mark: FRAME.receive, bytes: head + size, payloadAt: head, payloadBytes: size },
				pairs,
			);
			const reader = await enter(port, (chunk) => {
				counter.take(chunk, 0, chunk.length);
				counter.tell(arrived);
			});
			const { socket } = await enter(port, () => {});
			return ready(socket, reader.socket, frame(FRAME.send, reader.key, payloadOf(lane, size)), 1, { lossy: true });
		}),
	);
};
