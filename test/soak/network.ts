/**
 * A bad network: a TCP proxy in front of a relay that delays, slows, cuts, resets and half-opens connections as a seeded chance
 * has it, and counts what it did. A byte that it passes on is the one that came; it never makes any up.
 */

import { createServer, connect as dial, type Server, type Socket } from "node:net";
import type { Chance } from "./chance.ts";

/** What it does to a connection; `none` passes everything on at once. */
export type Fault = "none" | "delay" | "slow" | "cut" | "reset" | "half-open";

/** How often each is drawn, of 100 connections. Most fail in some way: a phone's do. */
const DRAWN: readonly (readonly [Fault, number])[] = [
	["none", 25],
	["delay", 20],
	["slow", 15],
	["cut", 15],
	["reset", 15],
	["half-open", 10],
];

/** Bytes that wait in a proxied direction before its source is paused: the proxy itself must not be a bottomless buffer. */
const HELD_BYTES_MAX = 256 * 1024;

/** What is done to one direction of a connection on its way. */
type Way = { readonly delayMs: number; readonly bytesPerS: number };
const PLAIN: Way = { delayMs: 0, bytesPerS: Number.POSITIVE_INFINITY };

export class Network {
	/** Connections that were treated, by what was done to them. */
	readonly counts: Record<Exclude<Fault, "none">, number> = { delay: 0, slow: 0, cut: 0, reset: 0, "half-open": 0 };
	/** The relay's port; connections are refused while there is none. */
	target: number | undefined;
	/** While calm, new connections are passed on as they are. */
	calm = true;
	private readonly server: Server;
	private readonly chance: Chance;
	private readonly links = new Set<Link>();

	private constructor(server: Server, chance: Chance) {
		this.server = server;
		this.chance = chance;
	}

	static async open(chance: Chance): Promise<Network> {
		const server = createServer({ allowHalfOpen: true });
		const network = new Network(server, chance);
		server.on("connection", (socket) => network.pass(socket));
		const { promise, resolve } = Promise.withResolvers<void>();
		server.listen(0, "127.0.0.1", resolve);
		await promise;
		return network;
	}

	get port(): number {
		const address = this.server.address();
		return typeof address === "object" && address ? address.port : 0;
	}

	/** All faults so far. */
	get faults(): number {
		return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
	}

	/** Ends every connection there is, with a reset. */
	resetAll(): void {
		for (const link of this.links) link.reset();
	}

	async close(): Promise<void> {
		const { promise, resolve } = Promise.withResolvers<void>();
		this.server.close(() => resolve());
		this.resetAll();
		await promise;
	}

	/** Passes a connection on with a fault of one's choice; drawn by chance when none is named. */
	pass(client: Socket, fault: Fault = this.calm ? "none" : this.draw()): void {
		if (this.target === undefined) return void client.resetAndDestroy();
		if (fault !== "none") this.counts[fault]++;
		const relay = dial({ port: this.target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
		client.setNoDelay(true);
		const { chance } = this;
		const lossy = fault === "cut" || fault === "reset" || fault === "half-open";
		const link: Link = new Link(client, relay, {
			up: fault === "delay" ? { ...PLAIN, delayMs: chance.whole(5, 300) } : PLAIN,
			down:
				fault === "slow"
					? { ...PLAIN, bytesPerS: chance.whole(8, 128) * 1024 }
					: fault === "delay"
						? { ...PLAIN, delayMs: chance.whole(5, 300) }
						: PLAIN,
			...(lossy && { end: fault, afterBytes: chance.whole(300, 400_000), afterMs: chance.whole(50, 20_000) }),
			// which end does not learn of it
			blind: chance.one(["both", "client", "relay"]),
			closed: () => this.links.delete(link),
		});
		this.links.add(link);
	}

	private draw(): Fault {
		let at = this.chance.next() * 100;
		for (const [fault, share] of DRAWN) {
			at -= share;
			if (at < 0) return fault;
		}
		return "none";
	}
}

type Terms = {
	readonly up: Way;
	readonly down: Way;
	readonly end?: "cut" | "reset" | "half-open";
	readonly afterBytes?: number;
	readonly afterMs?: number;
	readonly blind: "both" | "client" | "relay";
	closed(): void;
};

/** How long a half-open connection stays so before the network gives it up: longer than most clients' patience. */
const HALF_OPEN_MS = 45_000;

/** One connection through the network: two sockets, and what becomes of them. */
class Link {
	private readonly client: Socket;
	private readonly relay: Socket;
	private readonly terms: Terms;
	private readonly timers = new Set<NodeJS.Timeout>();
	private passedBytes = 0;
	/** Both directions swallow what comes: the connection is half open. */
	private silent = false;
	private over = false;

	constructor(client: Socket, relay: Socket, terms: Terms) {
		this.client = client;
		this.relay = relay;
		this.terms = terms;
		this.carry(client, relay, terms.up);
		this.carry(relay, client, terms.down);
		if (terms.afterMs !== undefined) this.later(terms.afterMs, () => this.fail());
	}

	reset(): void {
		if (this.over) return;
		this.over = true;
		for (const timer of this.timers) clearTimeout(timer);
		this.client.resetAndDestroy();
		this.relay.resetAndDestroy();
		this.terms.closed();
	}

	private later(delayMs: number, run: () => void): void {
		const timer = setTimeout(() => {
			this.timers.delete(timer);
			run();
		}, delayMs);
		this.timers.add(timer);
	}

	/** What this connection was drawn to come to. */
	private fail(): void {
		if (this.over || this.silent) return;
		if (this.terms.end === "reset") this.reset();
		else if (this.terms.end === "cut") {
			this.client.end();
			this.relay.end();
		} else {
			this.silent = true;
			if (this.terms.blind === "client") this.relay.destroy();
			if (this.terms.blind === "relay") this.client.destroy();
			this.later(HALF_OPEN_MS, () => this.reset());
		}
	}

	/** Moves bytes from one socket to the other, in their order, as late and as slowly as the way is. */
	private carry(from: Socket, to: Socket, way: Way): void {
		let heldBytes = 0;
		/** When the last chunk that was taken leaves. */
		let freeAtMs = 0;
		from.on("data", (chunk: Buffer) => {
			if (this.silent || this.over) return;
			const { afterBytes } = this.terms;
			const left = afterBytes === undefined ? chunk.length : Math.max(0, afterBytes - this.passedBytes);
			this.passedBytes += chunk.length;
			// the last bytes before a failure are the beginning of what came, not all of it
			const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
			if (way === PLAIN) {
				if (!to.write(part)) from.pause();
			} else {
				const nowMs = performance.now();
				freeAtMs = Math.max(freeAtMs, nowMs) + (part.length / way.bytesPerS) * 1000;
				heldBytes += part.length;
				if (heldBytes > HELD_BYTES_MAX || way.bytesPerS < Number.POSITIVE_INFINITY) from.pause();
				this.later(freeAtMs - nowMs + way.delayMs, () => {
					heldBytes -= part.length;
					if (!this.silent && !to.destroyed) to.write(part);
					from.resume();
				});
			}
			if (part.length < chunk.length) this.fail();
		});
		to.on("drain", () => from.resume());
		from.on("end", () =>
			this.later(Math.max(0, freeAtMs - performance.now()) + way.delayMs, () => this.silent || to.end()),
		);
		from.on("error", () => this.silent || to.destroy());
		from.on("close", () => {
			// a half-open connection is one whose other end is not told
			if (this.silent) return;
			if (this.client.destroyed && this.relay.destroyed) return this.reset();
			if (!to.writableEnded && way === PLAIN) to.end();
		});
	}
}
