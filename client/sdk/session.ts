/**
 * One session on a link: hello, welcome, the relay's clock, keepalive, goodbye. What is written right after the hello
 * travels with it: nothing waits for the welcome (PROTOCOL.md, "Hello").
 */

import { toHex } from "#contracts/bytes";
import { readPong, readProblem, writePing } from "#contracts/control";
import { FRAME, frame } from "#contracts/frame";
import { helloHash, readClock, readWelcome, signHello, type Welcome } from "#contracts/handshake";
import { type KeyPair, NONCE_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { shardUrl } from "#contracts/shard";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import { Link } from "./link.ts";
import { type Pace, STEADY } from "./pace.ts";

/** How long a keepalive's answer may take, or anything else that the relay says: a full message on the slowest line. */
const PONG_MS = 30_000;
/** What a client in the background says: that it will be gone. */
export const REST_MS = 10_000;

/** How far each relay's clock is ahead of this machine's, by relay key in hex. Shared by all sessions of a client. */
export type Clocks = Map<string, number>;

/** The time at a relay, as far as known. */
export function relayNow(device: Device, clocks: Clocks, relay: Relay): number {
	return device.nowMs() + (clocks.get(toHex(relay.key)) ?? 0);
}

/** Who says hello, and the id of the tab or the mailbox that the connection is for: a relay of several workers has it at one of them. */
export type Who = {
	readonly tag: Uint8Array;
	readonly grant?: Uint8Array | undefined;
	readonly key: KeyPair;
	readonly at: Uint8Array;
};

export type SessionEvents = {
	/** The relay's signed answer to the hello. */
	welcome(welcome: Welcome): void;
	/** Any frame that the session does not deal with itself. `body` ends with the call. */
	frame(type: number, body: Uint8Array): void;
	/** A refusal that leaves the session open. */
	problem(problem: Problem): void;
	/** The session is over; `why` is the relay's goodbye, or this end's reason. */
	closed(why: Problem | undefined): void;
};

export class Session {
	readonly relay: Relay;
	readonly key: KeyPair;
	/** What listens of this session are bound to. */
	readonly helloHash: Uint8Array;
	/** Whether the relay has answered the hello. */
	welcomed = false;
	private readonly device: Device;
	private readonly clocks: Clocks;
	private readonly events: SessionEvents;
	private readonly hello: Uint8Array;
	private readonly link: Link;
	private goodbye: Problem | undefined;
	private heard = true;
	/** Whether anything but keepalives was said since the last one. */
	private stirred = true;
	private marks = 0;
	private readonly pace: Pace;
	private cancelTimer: () => void;

	constructor(device: Device, relay: Relay, who: Who, clocks: Clocks, events: SessionEvents, pace: Pace = STEADY) {
		this.device = device;
		this.pace = pace;
		this.relay = relay;
		this.key = who.key;
		this.clocks = clocks;
		this.events = events;
		const nonce = device.crypto.random(NONCE_BYTES);
		const atMs = Math.max(0, relayNow(device, clocks, relay));
		this.hello = signHello(device.crypto, { tag: who.tag, atMs, nonce, grant: who.grant }, relay.key, who.key);
		this.helloHash = helloHash(device.crypto, this.hello);
		this.link = new Link(device, shardUrl(relay.url, who.at), {
			frame: (type, body) => this.take(type, body),
			closed: (why) => {
				this.cancelTimer();
				events.closed(this.goodbye ?? why);
			},
		});
		this.link.write(frame(FRAME.hello, this.hello));
		this.cancelTimer = device.after(LIMIT.helloMs, () => this.keepAlive());
	}

	write(frame: Uint8Array): void {
		this.stirred = true;
		this.link.write(frame);
	}

	/** Says that the client is in the background and will be gone; {@link wake} takes that back. */
	rest(): void {
		this.cancelTimer();
		this.link.write(writePing({ mark: ++this.marks, nextMs: REST_MS }));
		this.stirred = true;
	}

	wake(): void {
		this.cancelTimer();
		this.keepAlive();
	}

	close(why?: Problem): void {
		this.link.close(why);
	}

	/** What the relay sent makes no sense or is not signed: the session ends. */
	garbage(detail: string): void {
		this.link.garbage(detail);
	}

	private keepAlive() {
		if (!this.welcomed) return this.gone();
		const nextMs = this.pace.everyMs;
		const waitMs = Math.min(PONG_MS, nextMs);
		// a round in which more was said shows nothing about how long this network bears silence
		const quiet = !this.stirred;
		this.stirred = false;
		this.heard = false;
		this.link.write(writePing({ mark: ++this.marks, nextMs }));
		this.cancelTimer = this.device.after(waitMs, () => {
			if (!this.heard) {
				this.pace.missed();
				return this.gone();
			}
			if (quiet) this.pace.clean();
			this.cancelTimer = this.device.after(nextMs - waitMs, () => this.keepAlive());
		});
	}

	private gone() {
		this.close(problem("unavailable", "The relay does not answer.", { spent: "no" }));
	}

	private take(type: number, body: Uint8Array) {
		this.heard = true;
		if (type !== FRAME.pong) this.stirred = true;
		if (type === FRAME.welcome) return this.takeWelcome(body);
		if (type === FRAME.clock) return this.takeClock(body);
		if (type === FRAME.problem || type === FRAME.bye) {
			const refusal = readProblem(body);
			if (!refusal) return this.garbage("The relay's refusal is none.");
			if (type === FRAME.problem) return this.events.problem(refusal);
			this.goodbye = refusal;
			return this.close();
		}
		if (type === FRAME.pong) {
			if (readPong(body) === undefined) this.garbage("The relay's pong is none.");
			return;
		}
		// Before its signed welcome a relay may be anybody.
		if (!this.welcomed) return this.garbage("The relay spoke before its welcome.");
		this.events.frame(type, body);
	}

	private takeWelcome(body: Uint8Array) {
		if (this.welcomed) return this.garbage("The relay welcomed twice.");
		const welcome = readWelcome(this.device.crypto, body, this.relay.key, this.hello);
		if (isProblem(welcome)) return this.close(welcome);
		this.welcomed = true;
		this.events.welcome(welcome);
	}

	private takeClock(body: Uint8Array) {
		const atMs = readClock(this.device.crypto, body, this.relay.key, this.hello);
		if (isProblem(atMs)) return this.close(atMs);
		this.clocks.set(toHex(this.relay.key), atMs - this.device.nowMs());
		this.close(problem("clock"));
	}
}
