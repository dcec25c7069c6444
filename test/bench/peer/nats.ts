/** nats-server through its WebSocket door: a subject for each reader; many PUBs stand in one message, as its clients gather them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenLanes } from "#test/bench/generator";
import { CORE, startProgram } from "#test/bench/measure";
import { message, open, read } from "#test/bench/wire";
import { debian, versionOf } from "./depot.ts";
import { ended, freePort, listening, type Peer, windowOf } from "./peer.ts";
import { Counter, payloadOf, ready } from "./records.ts";

/** Bytes of PUBs in one WebSocket message, as much as ours gathers. */
const MESSAGE_BYTES = 16 * 1024;

type More = { readonly recipients: number; readonly lone: boolean };

export const nats: Peer = {
	name: "nats",
	gathers: true,
	async start() {
		const program = await debian("nats-server", "nats-server");
		const folder = mkdtempSync(join(tmpdir(), "farelay-nats-"));
		const port = await freePort();
		// no pings during a run, nothing logged, and no reader cut off for being slow
		const settings = [
			`listen: "127.0.0.1:${await freePort()}"`,
			"max_payload: 8MB",
			"max_pending: 256MB",
			'ping_interval: "10m"',
			`websocket { listen: "127.0.0.1:${port}", no_tls: true, compression: false }`,
		];
		writeFileSync(join(folder, "nats.conf"), `${settings.join("\n")}\n`);
		const child = startProgram(CORE.server, program.path, ["-c", join(folder, "nats.conf")], program);
		const stop = async () => {
			await ended(child);
			rmSync(folder, { recursive: true, force: true });
		};
		await listening(child, port, "nats-server").catch(async (error) => {
			await stop();
			throw error;
		});
		return {
			version: versionOf(program, ["--version"]),
			tell: ({ recipients, lone, ...what }) => ({
				pid: child.pid ?? 0,
				slices: 1,
				job: { lanes: import.meta.url, port, ...what, ...windowOf(lone), more: { recipients, lone } satisfies More },
			}),
			stop,
		};
	},
};

const subject = (lane: number) => `p${String(lane).padStart(3, "0")}`;

/** A connection that has said what it wants and was answered. */
async function greet(port: number, wants: string) {
	const socket = await open(port, "/");
	const said = Promise.withResolvers<void>();
	let text = "";
	let onBytes = (chunk: Buffer, start: number, end: number) => {
		text += chunk.toString("latin1", start, end);
		if (text.includes("-ERR")) said.reject(new Error(`nats-server said ${text.slice(text.indexOf("-ERR")).trim()}`));
		else if (text.includes("PONG\r\n")) said.resolve();
	};
	read(socket, (chunk, start, end) => onBytes(chunk, start, end));
	const hello = { verbose: false, pedantic: false, echo: false, protocol: 1 };
	socket.write(message(Buffer.from(`CONNECT ${JSON.stringify(hello)}\r\n${wants}PING\r\n`)));
	await said.promise;
	const onward = (next: typeof onBytes) => {
		onBytes = next;
	};
	return { socket, onward };
}

export const openLanes: OpenLanes = async ({ port, size, pairs, more }, arrived) => {
	const { recipients, lone } = more as More;
	const lanes = Array.from({ length: pairs }, (_, lane) => lane);
	const readers = await Promise.all(
		lanes.map(async (lane) => {
			const { socket, onward } = await greet(port, `SUB ${subject(lane)} 1\r\n`);
			const head = `MSG ${subject(lane)} 1 ${size}\r\n`.length;
			const shape = {
				mark: "M".charCodeAt(0),
				bytes: head + size + 2,
				payloadAt: head,
				payloadBytes: size,
				// it pings once, some seconds after a client came
				aside: { mark: "P".charCodeAt(0), bytes: "PING\r\n".length },
			};
			const counter = new Counter(shape, pairs);
			onward((chunk, start, end) => counter.take(chunk, start, end));
			socket.on("data", () => counter.tell(arrived));
			return socket;
		}),
	);
	return Promise.all(
		readers.map(async (reader, lane) => {
			const { socket } = await greet(port, "");
			const pubs = Array.from({ length: recipients }, (_, k) =>
				Buffer.concat([
					Buffer.from(`PUB ${subject((lane + k) % pairs)} ${size}\r\n`),
					payloadOf(lane, size),
					Buffer.from("\r\n"),
				]),
			);
			const fitting = lone ? 1 : Math.floor(MESSAGE_BYTES / (pubs[0] as Buffer).length);
			const payloads = recipients * Math.max(1, Math.floor(fitting / recipients));
			const one = Buffer.concat(Array.from({ length: payloads }, (_, k) => pubs[k % recipients] as Buffer));
			return ready(socket, reader, message(one), payloads);
		}),
	);
};
