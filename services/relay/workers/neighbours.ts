/**
 * All other workers as one of them sees them: a link to each, and a door for each on a unix socket of its own, in a folder that only the
 * relay's owner can enter. Who links shows the secret that the parent gave to its workers in this run.
 */

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { same } from "#contracts/bytes";
import { advance, cursor } from "#contracts/frame";
import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { Desk } from "#relay/mailbox/desk";
import type { RelayParts } from "#relay/parts";
import type { Far, Link } from "#relay/session/far";
import type { Tags } from "#relay/tag/tags";
import { Gate } from "./gate.ts";
import { HOP, readHopHello } from "./hop.ts";
import { NearLink } from "./link.ts";
import { type Share, workerOfId } from "./share.ts";

/** How long a socket may take to say who it is. */
const HELLO_MS = 5_000;
/** A hello and what may stand behind it. */
const HELLO_BYTES_MAX = 1024 * 1024;

/** What neighbours need. */
export type NeighboursDeps = {
	readonly share: Share;
	/** Where each worker's socket is, by its number. */
	readonly paths: readonly string[];
	readonly secret: Uint8Array;
	readonly clock: Clock;
	readonly log: Log;
};

/** The other workers. */
export class Neighbours implements Far {
	private readonly deps: NeighboursDeps;
	private readonly links: (NearLink | undefined)[] = [];
	private readonly gates = new Map<number, Gate>();
	private readonly strangers = new Set<Socket>();
	private server: Server | undefined;

	constructor(deps: NeighboursDeps) {
		this.deps = deps;
	}

	to(mailbox: Uint8Array): Link | undefined {
		return this.links[workerOfId(mailbox, this.deps.share.workers)];
	}

	spill(): void {
		for (const link of this.links) link?.spill();
	}

	/** Starts to link to the others; before the first session. */
	link(tags: Tags): void {
		const { share, paths, secret, clock, log } = this.deps;
		for (const [worker, path] of paths.entries())
			if (worker !== share.worker)
				this.links[worker] = new NearLink({ path, hello: { secret, worker: share.worker }, tags, clock, log });
	}

	/** Opens the door for the others; a problem when it cannot be. */
	serve(parts: RelayParts, desk: Desk): Promise<Problem | undefined> {
		const path = this.deps.paths[this.deps.share.worker] as string;
		const server = createServer((socket) => this.greet(socket, parts, desk));
		this.server = server;
		return new Promise((resolve) => {
			const failed = (error: NodeJS.ErrnoException): void =>
				resolve(problem("disk", `The socket ${path} between workers cannot be made (${error.code ?? "unknown"}).`));
			server.once("error", failed);
			// what a killed worker left there
			rmSync(path, { force: true });
			server.listen(path, () => {
				chmodSync(path, 0o600);
				resolve(undefined);
			});
		});
	}

	/** Hands what was taken live to the store, now and then. */
	flush(): void {
		for (const gate of this.gates.values()) gate.flush();
	}

	/** Resolves when everything that was handed to other workers is answered. */
	async settled(): Promise<void> {
		await Promise.all(this.links.map((link) => link?.settled()));
	}

	stop(): void {
		for (const link of this.links) link?.stop();
		for (const gate of this.gates.values()) gate.destroy();
		for (const socket of this.strangers) socket.destroy();
		this.server?.close();
	}

	/** Reads the hello, and opens the gate once the same worker's former gate is over. */
	private greet(socket: Socket, parts: RelayParts, desk: Desk): void {
		let bytes = new Uint8Array(0);
		const cancel = this.deps.clock.after(HELLO_MS, () => socket.destroy());
		this.strangers.add(socket);
		socket.on("error", () => socket.destroy());
		socket.once("close", () => {
			cancel();
			this.strangers.delete(socket);
		});
		const take = (more: Uint8Array): void => {
			bytes = new Uint8Array(Buffer.concat([bytes, more]));
			const c = cursor();
			if (!advance(bytes, c)) {
				if (bytes.length > HELLO_BYTES_MAX) socket.destroy();
				return;
			}
			socket.off("data", take);
			socket.pause();
			const worker = this.nameOf(c.type, bytes.subarray(c.start, c.end));
			if (worker === undefined) {
				socket.destroy();
				return;
			}
			cancel();
			this.strangers.delete(socket);
			const former = this.gates.get(worker);
			former?.destroy();
			this.gates.set(worker, new Gate(socket, parts, desk, former?.over ?? Promise.resolve()));
			if (c.next < bytes.length) socket.unshift(bytes.subarray(c.next));
			socket.resume();
		};
		socket.on("data", take);
	}

	private nameOf(type: number, body: Uint8Array): number | undefined {
		const { share, secret } = this.deps;
		if (type !== HOP.hello) return undefined;
		try {
			const hello = readHopHello(body);
			const known = same(hello.secret, secret) && hello.worker < share.workers && hello.worker !== share.worker;
			return known ? hello.worker : undefined;
		} catch {
			return undefined;
		}
	}
}
