/** mosquitto through its WebSocket listener: a topic for each reader, quality of service 0. One PUBLISH in a message, as its clients send it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenLanes } from "#test/bench/generator";
import { CORE, startProgram } from "#test/bench/measure";
import { message, open, read } from "#test/bench/wire";
import { debian, versionOf } from "./depot.ts";
import { ended, freePort, listening, type Peer, windowOf } from "./peer.ts";
import { Counter, payloadOf, ready } from "./records.ts";

export const mosquitto: Peer = {
	name: "mosquitto",
	gathers: false,
	async start() {
		const program = await debian("mosquitto", "mosquitto");
		const folder = mkdtempSync(join(tmpdir(), "farelay-mosquitto-"));
		const port = await freePort();
		// nothing logged, nothing kept, and no bound on what waits for a reader; some builds do not start without a plain listener
		const settings = [
			`listener ${await freePort()} 127.0.0.1`,
			`listener ${port} 127.0.0.1`,
			"protocol websockets",
			"socket_domain ipv4",
			"allow_anonymous true",
			"set_tcp_nodelay true",
			"max_queued_messages 0",
			"max_queued_bytes 0",
			"log_type none",
			"persistence false",
			...(process.getuid?.() === 0 ? ["user root"] : []),
		];
		writeFileSync(join(folder, "mosquitto.conf"), `${settings.join("\n")}\n`);
		const child = startProgram(CORE.server, program.path, ["-c", join(folder, "mosquitto.conf")], program);
		const stop = async () => {
			await ended(child);
			rmSync(folder, { recursive: true, force: true });
		};
		await listening(child, port, "mosquitto").catch(async (error) => {
			await stop();
			throw error;
		});
		return {
			version: versionOf(program, ["-h"]),
			tell: ({ recipients: _, lone, ...what }) => ({
				pid: child.pid ?? 0,
				slices: 1,
				job: { lanes: import.meta.url, port, ...what, ...windowOf(lone) },
			}),
			stop,
		};
	},
};

const TYPE = { connect: 0x10, accepted: 0x20, publish: 0x30, subscribe: 0x82, subscribed: 0x90 };

/** A string with its length before it. */
function text(words: string): Buffer {
	const out = Buffer.from(`  ${words}`);
	out.writeUInt16BE(words.length);
	return out;
}

/** A packet: its type, the bytes of the rest in seven bits each, the rest. */
function packet(type: number, ...parts: Uint8Array[]): Buffer {
	const body = Buffer.concat(parts);
	const length: number[] = [];
	let left = body.length;
	do {
		length.push((left & 127) | (left > 127 ? 128 : 0));
		left >>= 7;
	} while (left > 0);
	return Buffer.concat([Buffer.from([type, ...length]), body]);
}

const topic = (lane: number) => text(`p${String(lane).padStart(3, "0")}`);

/** A connection that was accepted, and subscribed if it reads. */
async function greet(port: number, name: string, reads?: Buffer) {
	const socket = await open(port, "/mqtt", "mqtt");
	let heard = Promise.withResolvers<number>();
	let onBytes = (chunk: Buffer, start: number, _end: number) => heard.resolve(chunk[start] as number);
	read(socket, (chunk, start, end) => onBytes(chunk, start, end));
	const ask = async (one: Buffer, answer: number) => {
		socket.write(message(one));
		const got = await heard.promise;
		heard = Promise.withResolvers();
		if (got !== answer) throw new Error(`mosquitto answered with packet ${got}`);
	};
	// version 4 (3.1.1), a clean session, no keepalive
	await ask(packet(TYPE.connect, text("MQTT"), Buffer.from([4, 2, 0, 0]), text(name)), TYPE.accepted);
	if (reads) await ask(packet(TYPE.subscribe, Buffer.from([0, 1]), reads, Buffer.from([0])), TYPE.subscribed);
	const onward = (next: typeof onBytes) => {
		onBytes = next;
	};
	return { socket, onward };
}

export const openLanes: OpenLanes = async ({ port, size, pairs }, arrived) =>
	Promise.all(
		Array.from({ length: pairs }, async (_, lane) => {
			const publish = packet(TYPE.publish, topic(lane), payloadOf(lane, size));
			const reader = await greet(port, `r${lane}.${process.pid}`, topic(lane));
			const shape = { mark: TYPE.publish, bytes: publish.length, payloadAt: publish.length - size, payloadBytes: size };
			const counter = new Counter(shape, pairs);
			reader.onward((chunk, start, end) => counter.take(chunk, start, end));
			reader.socket.on("data", () => counter.tell(arrived));
			const { socket } = await greet(port, `t${lane}.${process.pid}`);
			return ready(socket, reader.socket, message(publish), 1, { lossy: true });
		}),
	);
