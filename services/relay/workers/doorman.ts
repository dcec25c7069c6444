/**
 * The relay's one port when it has several workers: reads a request's head and no byte more, and hands the connection on, unread otherwise,
 * to the worker of the shard in its path. Everything that is no upgrade is answered here.
 *
 * A socket can only be passed to another process while nothing of it is read meanwhile: what was read here and not told on would be lost.
 * With a high-water mark of 0 Node reads one chunk when asked and then stops, by its public API; a test sees bytes lost without it.
 */

import {
	createServer as createHttp,
	type Server as HttpServer,
	type IncomingMessage,
	type ServerResponse,
} from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { LIMIT } from "#contracts/limit";
import type { Problem } from "#contracts/problem";
import { shardOfPath } from "#contracts/shard";
import type { Cancel, Clock } from "#host/clock";
import { listenOn } from "#host/listening";
import type { RelayLimits } from "#relay/limit";
import { Doorstep } from "#relay/session/doorstep";

/** A request's head; as much as a worker takes. */
const HEAD_BYTES_MAX = 8_192;
const HEAD_END = "\r\n\r\n";

/** What a doorman needs. */
export type DoormanDeps = {
	readonly host: string;
	readonly port: number;
	readonly helloMs: number;
	readonly clock: Clock;
	readonly limits: RelayLimits;
	/** A proxy's address says nothing of who comes. */
	readonly trustProxy: boolean;
	/** Hands a connection to a worker with what was read of it; false when that worker cannot take it. `shard` is undefined where the path names none. */
	readonly hand: (shard: number | undefined, socket: Socket, read: Uint8Array) => boolean;
	/** Answers a plain request. */
	readonly answer: (request: IncomingMessage, response: ServerResponse) => void;
};

/** The doorman. */
export class Doorman {
	private readonly deps: DoormanDeps;
	private readonly door: Server;
	private readonly http: HttpServer;
	/** Connections that were not handed on: their head is not whole yet, or asks for no worker. */
	private readonly doorstep: Doorstep;
	private readonly stopSweeping: Cancel;
	private draining = false;

	constructor(deps: DoormanDeps) {
		this.deps = deps;
		this.doorstep = new Doorstep(deps);
		this.stopSweeping = deps.clock.every(deps.limits.sweepEveryMs, () => this.doorstep.sweep());
		this.door = createServer({ highWaterMark: 0, pauseOnConnect: true, noDelay: true }, (socket) => this.greet(socket));
		this.http = createHttp({ maxHeaderSize: HEAD_BYTES_MAX, connectionsCheckingInterval: 2_000 });
		this.http.headersTimeout = LIMIT.helloMs;
		this.http.requestTimeout = LIMIT.helloMs;
		this.http.on("request", (request, response) => {
			// the next request on this connection might be an upgrade, and then nobody would look where to
			response.setHeader("connection", "close");
			deps.answer(request, response);
		});
		this.http.on("clientError", (_error, socket) => socket.destroy());
	}

	/** Starts to listen; the port that was taken, or why none. */
	listen(): Promise<number | Problem> {
		return listenOn(this.door, this.deps.host, this.deps.port);
	}

	/** Hands on nobody new; plain requests are still answered. */
	drain(): void {
		this.draining = true;
	}

	close(): void {
		this.door.close();
		this.stopSweeping();
		this.doorstep.clear();
		this.http.closeAllConnections();
	}

	/** Reads the head: one chunk at a time, and none after it is whole. */
	private greet(socket: Socket): void {
		socket.on("error", () => socket.destroy());
		if (!this.doorstep.enter(socket, this.deps.trustProxy)) return;
		let read: Buffer = Buffer.alloc(0);
		const take = (): void => {
			const chunk = socket.read() as Buffer | null;
			if (!chunk) return;
			read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
			const end = read.indexOf(HEAD_END);
			if (end < 0 && read.length <= HEAD_BYTES_MAX) {
				// asks for the next chunk
				socket.read(0);
				return;
			}
			socket.off("readable", take);
			if (end < 0) {
				socket.destroy();
				return;
			}
			const shard = shardOf(read.toString("latin1", 0, end));
			if (shard !== "none") {
				this.doorstep.leave(socket);
				this.pass(socket, read, shard);
				return;
			}
			// what asks for no worker keeps its place, and its time, until it is over: nobody else looks how long it takes
			socket.unshift(read);
			this.http.emit("connection", socket);
		};
		socket.on("readable", take);
		socket.read(0);
	}

	private pass(socket: Socket, read: Buffer, shard: number | undefined): void {
		if (!this.draining && this.deps.hand(shard, socket, read)) return;
		socket.end(
			"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
			() => socket.destroy(),
		);
	}
}

/** The shard that an upgrade names, undefined where it names none; "none" for what is no upgrade. */
function shardOf(head: string): number | undefined | "none" {
	const path = /^GET (\S+) HTTP\/1\.1\r\n/.exec(head)?.[1];
	const upgrades = /\r\nupgrade:[ \t]*websocket[ \t]*(\r\n|$)/i.test(head);
	return path !== undefined && upgrades ? shardOfPath(path) : "none";
}
