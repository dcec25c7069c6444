/**
 * The way to one other worker: routes, copies in their order, and the window that bounds what is on its way and not taken. While the other
 * worker is away nothing is handed over, and what was under way stays charged until that worker's disk says what became of it.
 */

import { connect } from "node:net";
import { advance, type Cursor, cursor } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Cancel, Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { Link, Route, RouteTerms } from "#relay/session/far";
import type { Tags } from "#relay/tag/tags";
import {
	HOP,
	type HopHello,
	readHopAnswer,
	readHopGaps,
	readHopKnown,
	readHopNumber,
	writeHopFilled,
	writeHopHello,
	writeHopNumber,
	writeHopRoute,
	writeHopWord,
} from "./hop.ts";
import { Pipe } from "./pipe.ts";
import { NearRoute } from "./route.ts";

/** Bytes on their way to another worker and not taken by it, beyond which senders wait: some turns of a full link. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** What a copy counts for besides its bytes: its place in a route's ring. */
const COPY_BYTES = 16;
/** A worker that is away comes back within a second or so; asking is cheap. */
const RETRY_MS = 50;

/** What a link needs. */
export type LinkDeps = {
	readonly path: string;
	readonly hello: HopHello;
	readonly tags: Tags;
	readonly clock: Clock;
	readonly log: Log;
};

/** A link, from now on until it is stopped. */
export class NearLink implements Link {
	private readonly deps: LinkDeps;
	private readonly routes = new Map<number, NearRoute>();
	private pipe: Pipe | undefined;
	private ready = false;
	private nextRoute = 0;
	/** Counted as they are sent and as the other end says that it took them; both start again with each connection. */
	private sentBytes = 0;
	private takenBytes = 0;
	private waiting: (() => void)[] = [];
	private quiet: (() => void)[] = [];
	private stopped = false;
	private cancelRetry: Cancel | undefined;
	private readonly c: Cursor = cursor();

	constructor(deps: LinkDeps) {
		this.deps = deps;
		this.connect();
	}

	get up(): boolean {
		return this.ready;
	}

	get congestion(): Promise<void> | undefined {
		if (this.sentBytes - this.takenBytes < WINDOW_BYTES) return undefined;
		return new Promise((resolve) => this.waiting.push(resolve));
	}

	open(terms: RouteTerms): Route {
		// a relay that runs for years: a number that is still in use is passed over
		do this.nextRoute = (this.nextRoute + 1) >>> 0;
		while (this.routes.has(this.nextRoute));
		const route = new NearRoute(this.nextRoute, terms, this.deps.tags, (over) => this.leave(over));
		this.routes.set(route.number, route);
		if (this.ready) this.pipe?.frame(writeHopRoute(route.told));
		return route;
	}

	pass(message: Uint8Array, start: number, end: number): void {
		this.sentBytes += end - start + COPY_BYTES;
		this.pipe?.pass(message, start, end);
	}

	copy(route: number, seq: number, bytes: Uint8Array, start: number, end: number): void {
		this.sentBytes += (this.pipe?.copy(route, seq, bytes, start, end) ?? 0) + COPY_BYTES;
	}

	/** Asks the other worker to send to its disk what its readers have not acknowledged. */
	spill(): void {
		this.pipe?.frame(writeHopWord(HOP.spill));
	}

	/** Resolves when everything handed over is answered. */
	settled(): Promise<void> {
		for (const route of this.routes.values())
			if (route.underWay) return new Promise((resolve) => this.quiet.push(resolve));
		return Promise.resolve();
	}

	stop(): void {
		this.stopped = true;
		this.cancelRetry?.();
		this.pipe?.destroy();
	}

	private connect(): void {
		const socket = connect({ path: this.deps.path });
		let pipe: Pipe;
		const events = {
			take: (bytes: Uint8Array) => this.take(bytes),
			turn: () => {},
			closed: () => {
				if (this.pipe === pipe) this.lost();
				if (!this.stopped) this.cancelRetry = this.deps.clock.after(RETRY_MS, () => this.connect());
			},
		};
		pipe = new Pipe(socket, events);
		socket.once("connect", () => {
			pipe.frame(writeHopHello(this.deps.hello));
			this.pipe = pipe;
		});
	}

	/** The other worker is gone, or its end of the link is. */
	private lost(): void {
		this.pipe = undefined;
		this.ready = false;
		for (const route of this.routes.values()) route.interrupted();
		this.relieve();
	}

	private take(bytes: Uint8Array): number {
		const { c } = this;
		c.next = 0;
		while (advance(bytes, c)) this.frame(c.type, bytes.subarray(c.start, c.end));
		this.calm();
		return c.next;
	}

	private frame(type: number, body: Uint8Array): void {
		if (type === HOP.ready) this.begin();
		else if (type === HOP.taken) {
			this.takenBytes += readHopNumber(body);
			if (this.sentBytes - this.takenBytes < WINDOW_BYTES / 2) this.relieve();
		} else if (type === HOP.answer) {
			const { route, kind, code, ranges } = readHopAnswer(body);
			this.routes.get(route)?.answered(kind, code, ranges);
		} else if (type === HOP.known) {
			const { route, ranges } = readHopKnown(body);
			this.routes.get(route)?.resolved(ranges, ranges.length < LIMIT.rangesMax);
		} else if (type === HOP.gaps) this.fill(readHopGaps(body));
		else throw new Error(`a link's frame of type ${type}`);
	}

	/** The other worker is there, and what its former links brought is on its disk. */
	private begin(): void {
		this.sentBytes = 0;
		this.takenBytes = 0;
		this.ready = true;
		for (const route of this.routes.values()) this.pipe?.frame(writeHopRoute(route.told));
	}

	/** Tells the other worker which numbers of a tag are answered here, so that its record of the tag has no gaps for them. */
	private fill(id: string): void {
		const tag = this.deps.tags.known(id);
		if (tag) for (const frame of writeHopFilled(id, tag.settled)) this.pipe?.frame(frame);
	}

	private leave(route: NearRoute): void {
		this.routes.delete(route.number);
		if (this.ready) this.pipe?.frame(writeHopNumber(HOP.leave, route.number));
	}

	private relieve(): void {
		for (const resolve of this.waiting.splice(0)) resolve();
	}

	private calm(): void {
		if (this.quiet.length === 0) return;
		for (const route of this.routes.values()) if (route.underWay) return;
		for (const resolve of this.quiet.splice(0)) resolve();
	}
}
