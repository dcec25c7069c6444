/**
 * n0's iroh-relay, built from crates.io: WebSocket messages between clients named by their Ed25519 keys. Small payloads for one reader
 * stand in one message as a batch of datagrams, which the relay passes on whole. It drops what a reader's queue has no room for.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crypto } from "#host/crypto";
import type { OpenLanes } from "#test/bench/generator";
import { CORE, startProgram } from "#test/bench/measure";
import { message, open, read } from "#test/bench/wire";
import { deriveKey } from "./blake3.ts";
import { cargo } from "./depot.ts";
import { ended, freePort, listening, type Peer, windowOf } from "./peer.ts";
import { Counter, payloadOf, ready } from "./records.ts";

const VERSION = "1.4.1";

/** A frame is refused above this, its head and all: a payload of 64 KiB goes in slices. */
const FRAME_BYTES_MAX = 64 * 1024;
const SLICE_BYTES = 16 * 1024;

/** Bytes of datagrams in one message, as much as ours gathers; and messages under way, fewer than it queues (512). */
const BATCH_BYTES = 16 * 1024;
const WINDOW_MESSAGES = 64;

type More = { readonly batch: number };

export const irohRelay: Peer = {
	name: "iroh-relay",
	gathers: false,
	async start(buildMsMax) {
		const program = await cargo("iroh-relay", VERSION, ["server"], buildMsMax);
		const folder = mkdtempSync(join(tmpdir(), "farelay-iroh-"));
		const port = await freePort();
		const path = join(folder, "relay.toml");
		writeFileSync(path, `http_bind_addr = "127.0.0.1:${port}"\nenable_metrics = false\n`);
		const child = startProgram(CORE.server, program.path, ["--dev", "--config-path", path], {
			env: { RUST_LOG: "error" },
		});
		const stop = async () => {
			await ended(child);
			rmSync(folder, { recursive: true, force: true });
		};
		await listening(child, port, "iroh-relay").catch(async (error) => {
			await stop();
			throw error;
		});
		return {
			version: VERSION,
			tell: ({ recipients: _, lone, size, ...what }) => {
				const slices = size + 64 > FRAME_BYTES_MAX ? size / SLICE_BYTES : 1;
				const batch = lone ? 1 : Math.max(1, Math.floor(BATCH_BYTES / (size / slices)));
				const more: More = { batch };
				const window = batch * WINDOW_MESSAGES;
				const job = { lanes: import.meta.url, port, size: size / slices, ...what, window, ...windowOf(lone), more };
				const notes = [
					...(batch > 1 ? ["the peer in batches for one reader"] : []),
					...(slices > 1 ? ["the peer in slices of 16 KiB, too"] : []),
				];
				return { pid: child.pid ?? 0, slices, job, ...(notes.length > 0 ? { note: notes.join("; ") } : {}) };
			},
			stop,
		};
	},
};

const FRAME = { challenge: 0, auth: 1, confirmed: 2, send: 4, sendBatch: 5, receive: 6, receiveBatch: 7 };
const KEY_BYTES = 32;
const CHALLENGE_BYTES = 16;

/** A client that the relay knows by its key. What comes after the handshake goes to `onBytes`. */
async function enter(port: number, onBytes: (chunk: Buffer, start: number, end: number) => void) {
	const { publicKey, secretKey } = crypto.keyPair(crypto.random(32));
	const socket = await open(port, "/relay", "iroh-relay-v2");
	const confirmed = Promise.withResolvers<void>();
	let said = Buffer.alloc(0);
	let greeted = false;
	read(socket, (chunk, start, end, last) => {
		if (greeted) return onBytes(chunk, start, end);
		said = Buffer.concat([said, chunk.subarray(start, end)]);
		if (!last) return;
		const [type, body] = [said[0], said.subarray(1)];
		said = Buffer.alloc(0);
		if (type === FRAME.challenge && body.length === CHALLENGE_BYTES) {
			const signed = crypto.sign(deriveKey("iroh-relay handshake v1 challenge signature", body), secretKey);
			// the signature is told with its length before it
			socket.write(
				message(Buffer.concat([Buffer.from([FRAME.auth]), publicKey, Buffer.from([signed.length]), signed])),
			);
		} else if (type === FRAME.confirmed) {
			greeted = true;
			confirmed.resolve();
		} else confirmed.reject(new Error(`iroh-relay sent frame ${type}: ${body.toString("latin1")}`));
	});
	await confirmed.promise;
	return { socket, key: publicKey };
}

export const openLanes: OpenLanes = async ({ port, size, pairs, more }, arrived) => {
	const { batch } = more as More;
	return Promise.all(
		Array.from({ length: pairs }, async (_, lane) => {
			// type, key, a byte for congestion marks, and the size of a datagram where there are several
			const head = 1 + KEY_BYTES + 1 + (batch > 1 ? 2 : 0);
			const shape = {
				mark: batch > 1 ? FRAME.receiveBatch : FRAME.receive,
				bytes: head + size * batch,
				payloadAt: head,
				payloadBytes: size * batch,
				payloads: batch,
			};
			const counter = new Counter(shape, pairs);
			const reader = await enter(port, (chunk, start, end) => counter.take(chunk, start, end));
			reader.socket.on("data", () => counter.tell(arrived));
			const { socket } = await enter(port, () => {});
			const about = Buffer.alloc(head - 1 - KEY_BYTES);
			if (batch > 1) about.writeUInt16BE(size, 1);
			const payloads = Array.from({ length: batch }, () => payloadOf(lane, size));
			const kind = batch > 1 ? FRAME.sendBatch : FRAME.send;
			const one = Buffer.concat([Buffer.from([kind]), reader.key, about, ...payloads]);
			return ready(socket, reader.socket, message(one), batch, { lossy: true });
		}),
	);
};
