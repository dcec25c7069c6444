/**
 * coturn with clients on TCP (RFC 8656): two allocations for each lane, a channel between them. What goes from one allocation to the
 * other crosses the loopback as UDP inside the server, as it does between any two clients of a TURN server.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenLanes } from "#test/bench/generator";
import { CORE, startProgram } from "#test/bench/measure";
import { dial } from "#test/bench/wire";
import { debian, versionOf } from "./depot.ts";
import { ended, freePort, listening, type Peer, windowOf } from "./peer.ts";
import { Counter, payloadOf, ready } from "./records.ts";

/** On TCP it cuts a channel's data off at 16,380 bytes (4.6.1): what is larger goes in slices. */
const DATA_BYTES_MAX = 16_380;
const SLICE_BYTES = 8 * 1024;

/** Bytes under way on a lane: a UDP socket holds some 200 KiB with its bookkeeping, and what is more is lost. */
const WINDOW_BYTES = 32 * 1024;
const WINDOW_PAYLOADS_MAX = 64;

export const coturn: Peer = {
	name: "coturn",
	gathers: false,
	async start() {
		const program = await debian("coturn", "turnserver");
		const folder = mkdtempSync(join(tmpdir(), "farelay-coturn-"));
		const port = await freePort();
		const words = [
			...["-n", "--no-auth", "--no-tls", "--no-dtls", "--no-cli", "--no-udp", "--allow-loopback-peers"],
			...["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", `--listening-port=${port}`, "--relay-threads=1"],
			...["--min-port=40000", "--max-port=49151", "--simple-log", `--log-file=${join(folder, "log")}`],
			...[`--pidfile=${join(folder, "pid")}`, `--userdb=${join(folder, "db")}`],
		];
		const child = startProgram(CORE.server, program.path, words, program);
		const stop = async () => {
			await ended(child);
			rmSync(folder, { recursive: true, force: true });
		};
		await listening(child, port, "turnserver").catch(async (error) => {
			await stop();
			throw error;
		});
		return {
			version: versionOf(program, ["--version"]),
			tell: ({ recipients: _, lone, size, ...what }) => {
				const slices = size > DATA_BYTES_MAX ? size / SLICE_BYTES : 1;
				const window = Math.max(2, Math.min(WINDOW_PAYLOADS_MAX, Math.floor(WINDOW_BYTES / (size / slices))));
				const job = { lanes: import.meta.url, port, size: size / slices, ...what, window, ...windowOf(lone) };
				return { pid: child.pid ?? 0, slices, job, ...(slices > 1 ? { note: "the peer in slices of 8 KiB" } : {}) };
			},
			stop,
		};
	},
};

const COOKIE = 0x2112a442;
const METHOD = { allocate: 0x003, bind: 0x009 };
const ATTRIBUTE = { channel: 0x0c, peer: 0x12, relayed: 0x16, transport: 0x19 };
const CHANNEL = 0x4000;
const UDP = 17;
const HEAD_BYTES = 20;

function attribute(type: number, value: Buffer): Buffer {
	const head = Buffer.alloc(4);
	head.writeUInt16BE(type);
	head.writeUInt16BE(value.length, 2);
	return Buffer.concat([head, value]);
}

/** Asks and waits for the answer's attributes. */
async function ask(socket: Socket, method: number, ...attributes: Buffer[]): Promise<Map<number, Buffer>> {
	const body = Buffer.concat(attributes);
	const head = Buffer.alloc(8);
	head.writeUInt16BE(method);
	head.writeUInt16BE(body.length, 2);
	head.writeUInt32BE(COOKIE, 4);
	const heard = Promise.withResolvers<Buffer>();
	let got = Buffer.alloc(0);
	const listen = (chunk: Buffer) => {
		got = Buffer.concat([got, chunk]);
		if (got.length >= HEAD_BYTES && got.length >= HEAD_BYTES + got.readUInt16BE(2)) heard.resolve(got);
	};
	socket.on("data", listen);
	socket.write(Buffer.concat([head, randomBytes(12), body]));
	const answer = await heard.promise;
	socket.off("data", listen);
	if (answer.readUInt16BE() !== (method | 0x100)) throw new Error(`coturn answered ${answer.toString("hex", 0, 2)}`);
	const found = new Map<number, Buffer>();
	for (let at = HEAD_BYTES; at < answer.length; ) {
		const bytes = answer.readUInt16BE(at + 2);
		found.set(answer.readUInt16BE(at), answer.subarray(at + 4, at + 4 + bytes));
		at += 4 + ((bytes + 3) & ~3);
	}
	return found;
}

/** A client on TCP with an allocation; its relayed address as it came. */
async function allocate(port: number) {
	const socket = await dial(port);
	const found = await ask(socket, METHOD.allocate, attribute(ATTRIBUTE.transport, Buffer.from([UDP, 0, 0, 0])));
	const relayed = found.get(ATTRIBUTE.relayed);
	if (!relayed) throw new Error("coturn gave no relayed address");
	return { socket, relayed: Buffer.from(relayed) };
}

/** Binds the channel to a peer's relayed address. */
async function bind(socket: Socket, peer: Buffer) {
	const channel = Buffer.alloc(4);
	channel.writeUInt16BE(CHANNEL);
	await ask(socket, METHOD.bind, attribute(ATTRIBUTE.channel, channel), attribute(ATTRIBUTE.peer, peer));
}

export const openLanes: OpenLanes = async ({ port, size, pairs }, arrived) =>
	Promise.all(
		Array.from({ length: pairs }, async (_, lane) => {
			const [sender, reader] = [await allocate(port), await allocate(port)];
			await bind(sender.socket, reader.relayed);
			await bind(reader.socket, sender.relayed);
			// on TCP a channel's data is padded to four bytes, there and back
			const one = Buffer.alloc(4 + ((size + 3) & ~3));
			one.writeUInt16BE(CHANNEL);
			one.writeUInt16BE(size, 2);
			payloadOf(lane, size).copy(one, 4);
			const shape = { mark: CHANNEL >> 8, bytes: one.length, payloadAt: 4, payloadBytes: size };
			const counter = new Counter(shape, pairs);
			reader.socket.on("data", (chunk: Buffer) => {
				counter.take(chunk, 0, chunk.length);
				counter.tell(arrived);
			});
			return ready(sender.socket, reader.socket, one, 1, { lossy: true });
		}),
	);
