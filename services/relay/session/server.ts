/**
 * The relay's one port: WebSocket upgrades with their bounds, `/health`, `/metrics` (PROTOCOL.md, "Transport"; threat 11).
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { BlockList, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Registry } from "prom-client";
import { SUBPROTOCOL } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { type Problem, problem } from "#contracts/problem";
import { clientAddress, isIn } from "#host/address";
import type { Health } from "#host/health";
import { listenOn } from "#host/listening";
import { isFromHere } from "#host/loopback";
import type { RelayParts } from "#relay/parts";
import type { DoorReason } from "#relay/reason";
import { directWiring } from "#relay/wire/direct";
import { plainWiring } from "#relay/wire/plain";
import type { Wire, Wiring } from "#relay/wire/wire";
import { Admission } from "./admission.ts";
import { Doorstep } from "./doorstep.ts";
import { Post } from "./outbox.ts";
import { Connection, type Passed } from "./socket.ts";

/** A request's headers: names, a key, a cookie from somewhere else. */
const HEADER_BYTES_MAX = 8_192;
/** What a port needs. */
export type PortDeps = {
	readonly parts: RelayParts;
	readonly health: Health;
	readonly metrics: Registry;
	readonly host: string;
	readonly port: number;
	/** Proxies of the operator's own, whose `X-Forwarded-For` is believed. */
	readonly trusted: BlockList;
	readonly helloMs: number;
	readonly idleMs: number;
};

/** The port and its connections. */
export class Port {
	private readonly deps: PortDeps;
	private readonly http: Server;
	private readonly wiring: Wiring;
	private readonly post: Post;
	private readonly connections = new Set<Connection>();
	private readonly admission: Admission;
	private readonly doorstep: Doorstep;
	/** What passed all sockets since it was last asked for. */
	private passed: Passed = { readBytes: 0, wroteBytes: 0 };
	private draining = false;

	constructor(deps: PortDeps) {
		this.deps = deps;
		const { limits, clock, counts, plain } = deps.parts;
		this.admission = new Admission(limits, clock, counts);
		this.doorstep = new Doorstep({
			limits,
			clock,
			helloMs: deps.helloMs,
			onRefused: (reason) => counts.doors[reason]++,
			onGone: () => counts.drops.silent++,
		});
		this.http = createServer({ maxHeaderSize: HEADER_BYTES_MAX, connectionsCheckingInterval: 2_000 });
		this.http.headersTimeout = LIMIT.helloMs;
		this.http.requestTimeout = LIMIT.helloMs;
		// above what is served, so that the rest hears why, and that who asks for nothing takes nobody's place
		this.http.maxConnections = limits.connectionsMax + limits.strangersMax + 64;
		this.post = new Post(plain);
		this.wiring = plain ? plainWiring(limits.byeMs) : directWiring(limits.byeMs);
		this.http.on("connection", (socket) => this.doorstep.enter(socket, this.isProxy(socket)));
		this.http.on("request", (request, response) => void this.answer(request, response));
		this.http.on("upgrade", (request, socket, head) => this.upgrade(request, socket, head));
		this.http.on("clientError", (_error, socket) => socket.destroy());
	}

	/** Starts to listen; the port that was taken, or why none. */
	listen(): Promise<number | Problem> {
		return listenOn(this.http, this.deps.host, this.deps.port);
	}

	/** Takes over a connection that somebody else accepted, and of which these bytes were read. */
	take(socket: Socket, read: Uint8Array): void {
		socket.unshift(read);
		this.http.emit("connection", socket);
	}

	/** Ends what is overdue; answers what passed the sockets since the last time. */
	sweep(): Passed {
		const { parts, helloMs, idleMs } = this.deps;
		const elapsedMs = parts.clock.elapsedMs();
		this.admission.look();
		this.doorstep.sweep();
		for (const connection of this.connections) {
			connection.sweep(elapsedMs, helloMs, idleMs);
			connection.count(this.passed);
		}
		const { passed } = this;
		this.passed = { readBytes: 0, wroteBytes: 0 };
		return passed;
	}

	/** Takes nobody new and says goodbye to everyone, each asked to come back at another moment. */
	drain(): void {
		this.draining = true;
		this.http.close();
		const { drainSpreadMs } = this.deps.parts.limits;
		let i = 0;
		for (const connection of [...this.connections]) {
			i++;
			const retryAfterMs = Math.ceil((drainSpreadMs * i) / (this.connections.size + 1));
			connection.session.bye(problem("draining", undefined, { retryAfterMs }));
		}
	}

	/** Ends every socket that is still there. */
	close(): void {
		for (const connection of this.connections) connection.terminate();
		this.http.close();
		this.http.closeAllConnections();
	}

	/** How many connections are open. */
	get open(): number {
		return this.connections.size;
	}

	/** How many of them have not said hello. */
	get unknown(): number {
		return this.admission.unknown;
	}

	private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const { health, metrics } = this.deps;
		const path = request.url?.split("?")[0];
		this.doorstep.heard(request.socket);
		response.setHeader("cache-control", "no-store").setHeader("x-content-type-options", "nosniff");
		if (request.method !== "GET") response.writeHead(405).end();
		else if (path === "/health") {
			const now = health.now();
			response.writeHead(now.ok ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(now));
		} else if (path === "/metrics" && isFromHere(request)) {
			// for the operator alone: it says what was earned, and counting walks all tabs
			const text = await metrics.metrics();
			response.writeHead(200, { "content-type": metrics.contentType }).end(text);
		} else response.writeHead(404).end();
	}

	private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
		const { parts } = this.deps;
		socket.on("error", () => socket.destroy());
		const named = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
		const address = this.addressOf(request, socket as Socket);
		const refused = this.refuses(named, address);
		if (refused) {
			parts.counts.doors[refused]++;
			const [status, after] =
				refused === "subprotocol" ? ["400 Bad Request", ""] : ["503 Service Unavailable", "retry-after: 5\r\n"];
			// a peer that never closes its half would keep the socket, and a place, for ever
			socket.once("finish", () => socket.destroy());
			socket.end(`HTTP/1.1 ${status}\r\n${after}connection: close\r\ncontent-length: 0\r\n\r\n`);
			return;
		}
		const wire = this.wiring.accept(request, socket as Socket, head);
		if (!wire) return;
		this.doorstep.leave(socket as Socket);
		this.begin(wire, address);
	}

	/** Apart from the upgrade, whose request and accepted socket must not live as long as the connection. */
	private begin(wire: Wire, address: string): void {
		const { counts } = this.deps.parts;
		const connection = new Connection(wire, address, this.post, this.deps.parts, () => {
			connection.count(this.passed);
			this.connections.delete(connection);
			this.admission.leave(connection);
			counts.open--;
		});
		counts.accepted++;
		counts.open++;
		this.connections.add(connection);
		this.admission.enter(connection, address);
	}

	private refuses(protocols: readonly string[], address: string): DoorReason | undefined {
		if (!protocols.includes(SUBPROTOCOL)) return "subprotocol";
		return this.draining ? "draining" : this.admission.refuses(address);
	}

	private isProxy({ remoteAddress = "" }: Socket): boolean {
		return isIn(this.deps.trusted, remoteAddress);
	}

	private addressOf(request: IncomingMessage, socket: Socket): string {
		const forwarded = request.headers["x-forwarded-for"];
		const named = Array.isArray(forwarded) ? forwarded.join() : forwarded;
		return clientAddress(socket.remoteAddress ?? "", named, this.deps.trusted);
	}
}
