/**
 * The relay's one port: WebSocket upgrades with their bounds, `/health`, `/metrics` (PROTOCOL.md, "Transport"; threat 11).
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Registry } from "prom-client";
import { WebSocketServer } from "ws";
import { SUBPROTOCOL } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { type Problem, problem } from "#contracts/problem";
import type { Health } from "#host/health";
import { isFromHere } from "#host/loopback";
import type { RelayParts } from "#relay/parts";
import { Post } from "./outbox.ts";
import { Connection } from "./socket.ts";

/** A request's headers: names, a key, a cookie from somewhere else. */
const HEADER_BYTES_MAX = 8_192;
/** Pieces of one message on the wire, so that a byte at a time does not cost an object each. */
const FRAGMENTS_MAX = 256;
const CHUNKS_MAX = 2_048;

/** What a port needs. */
export type PortDeps = {
	readonly parts: RelayParts;
	readonly health: Health;
	readonly metrics: Registry;
	readonly host: string;
	readonly port: number;
	/** Behind a proxy of the operator's own, whose last `X-Forwarded-For` entry is the client. */
	readonly trustProxy: boolean;
	readonly helloMs: number;
	readonly idleMs: number;
};

/** The port and its connections. */
export class Port {
	private readonly deps: PortDeps;
	private readonly http: Server;
	private readonly ws: WebSocketServer;
	private readonly post = new Post();
	private readonly connections = new Set<Connection>();
	/** Those that have not said hello, by address. */
	private readonly strangers = new Map<Connection, string>();
	private readonly perAddress = new Map<string, number>();
	private draining = false;
	private accepts = 0;
	private acceptsSinceMs = 0;

	constructor(deps: PortDeps) {
		this.deps = deps;
		this.http = createServer({ maxHeaderSize: HEADER_BYTES_MAX, connectionsCheckingInterval: 2_000 });
		this.http.headersTimeout = LIMIT.helloMs;
		this.http.requestTimeout = LIMIT.helloMs;
		// a few above what is served, so that the rest hears why
		this.http.maxConnections = deps.parts.limits.connectionsMax + 64;
		const options = {
			noServer: true,
			clientTracking: false,
			perMessageDeflate: false,
			maxPayload: LIMIT.messageBytesMax,
			maxFragments: FRAGMENTS_MAX,
			maxBufferedChunks: CHUNKS_MAX,
			closeTimeout: deps.parts.limits.byeMs,
			handleProtocols: () => SUBPROTOCOL,
		};
		this.ws = new WebSocketServer(options);
		this.http.on("request", (request, response) => void this.answer(request, response));
		this.http.on("upgrade", (request, socket, head) => this.upgrade(request, socket, head));
		this.http.on("clientError", (_error, socket) => socket.destroy());
	}

	/** Starts to listen; the port that was taken, or why none. */
	listen(): Promise<number | Problem> {
		const { host, port } = this.deps;
		return new Promise((resolve) => {
			this.http.once("error", (error: NodeJS.ErrnoException) => {
				if (error.code === "EADDRINUSE") resolve(problem("port-in-use", `Another program listens on port ${port}.`));
				else resolve(problem("unavailable", `Listening on ${host}:${port} failed (${error.code ?? "unknown"}).`));
			});
			this.http.listen(port, host, () => resolve((this.http.address() as AddressInfo).port));
		});
	}

	/** Takes over a connection that somebody else accepted, and of which these bytes were read. */
	take(socket: Socket, read: Uint8Array): void {
		socket.unshift(read);
		this.http.emit("connection", socket);
	}

	/** Ends what is overdue. */
	sweep(): void {
		const { parts, helloMs, idleMs } = this.deps;
		const elapsedMs = parts.clock.elapsedMs();
		for (const [connection, address] of this.strangers)
			if (connection.session.introduced) this.known(connection, address);
		for (const connection of this.connections) connection.sweep(elapsedMs, helloMs, idleMs);
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
		return this.strangers.size;
	}

	private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const { health, metrics } = this.deps;
		const path = request.url?.split("?")[0];
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
			parts.counts.refuse(refused.problem);
			const [status, after] = refused.retry
				? ["503 Service Unavailable", "retry-after: 5\r\n"]
				: ["400 Bad Request", ""];
			// a peer that never closes its half would keep the socket, and a place, for ever
			socket.once("finish", () => socket.destroy());
			socket.end(`HTTP/1.1 ${status}\r\n${after}connection: close\r\ncontent-length: 0\r\n\r\n`);
			return;
		}
		this.ws.handleUpgrade(request, socket, head, (ws) => {
			const connection = new Connection(ws, socket as Socket, address, this.post, parts, () => {
				this.connections.delete(connection);
				this.known(connection, address);
				parts.counts.open--;
			});
			parts.counts.accepted++;
			parts.counts.open++;
			this.connections.add(connection);
			this.strangers.set(connection, address);
			this.perAddress.set(address, (this.perAddress.get(address) ?? 0) + 1);
		});
	}

	private refuses(protocols: readonly string[], address: string): Problem | undefined {
		const { limits, clock } = this.deps.parts;
		if (!protocols.includes(SUBPROTOCOL)) return problem("version-unknown");
		if (this.draining) return problem("draining");
		const elapsedMs = clock.elapsedMs();
		if (elapsedMs - this.acceptsSinceMs >= 1_000) {
			this.acceptsSinceMs = elapsedMs;
			this.accepts = 0;
		}
		this.accepts++;
		const crowded =
			this.accepts > limits.acceptsPerSecondMax ||
			this.connections.size >= limits.connectionsMax ||
			this.strangers.size >= limits.strangersMax ||
			(this.perAddress.get(address) ?? 0) >= limits.strangersPerAddressMax;
		if (!crowded) return undefined;
		// who has said hello since the last look counts no more
		for (const [connection, from] of this.strangers) if (connection.session.introduced) this.known(connection, from);
		const full =
			this.accepts > limits.acceptsPerSecondMax ||
			this.connections.size >= limits.connectionsMax ||
			this.strangers.size >= limits.strangersMax ||
			(this.perAddress.get(address) ?? 0) >= limits.strangersPerAddressMax;
		return full ? problem("too-many") : undefined;
	}

	private known(connection: Connection, address: string): void {
		if (!this.strangers.delete(connection)) return;
		const left = (this.perAddress.get(address) ?? 1) - 1;
		if (left > 0) this.perAddress.set(address, left);
		else this.perAddress.delete(address);
	}

	private addressOf(request: IncomingMessage, socket: Socket): string {
		const forwarded = this.deps.trustProxy ? request.headers["x-forwarded-for"] : undefined;
		const last = (Array.isArray(forwarded) ? forwarded.join() : forwarded)?.split(",").pop()?.trim();
		return last || socket.remoteAddress || "";
	}
}
