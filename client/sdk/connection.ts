/**
 * A connection that stays: one session after another to the same relay, with growing pauses and jitter between failures, one
 * retry at once when only the clock was off, and the relay's own wish of when to come back (PROTOCOL.md, "Ending").
 */

import type { Welcome } from "#contracts/handshake";
import { type Problem, problem } from "#contracts/problem";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Paces } from "./pace.ts";
import { type Clocks, REST_MS, Session, type SessionEvents, type Who } from "./session.ts";

/** The first pause after a failure; each further one is twice as long. */
const PAUSE_MS_FIRST = 250;
/** The longest pause: someone who looks at the screen waits no longer than this for a relay that came back. */
const PAUSE_MS_MAX = 30_000;
/** A relay may ask for a longer pause, up to this. */
const RETRY_AFTER_MS_MAX = 10 * 60_000;

export type ConnectionEvents = {
	/** Who to be in the next session. */
	who(): Who;
	/** A session began; what is written now travels with its hello. */
	started(session: Session): void;
	welcome(session: Session, welcome: Welcome): void;
	frame(session: Session, type: number, body: Uint8Array): void;
	/** A refusal: of something in the session, or the reason why it ended (then a next one is tried). */
	problem(problem: Problem): void;
	/** The session is over. Answers whether to try again. */
	ended(why: Problem | undefined): boolean;
};

export class Connection {
	private readonly device: Device;
	private readonly relay: Relay;
	private readonly clocks: Clocks;
	private readonly events: ConnectionEvents;
	private session: Session | undefined;
	private wanted = false;
	private failures = 0;
	private clockRetried = false;
	private cancelPause: (() => void) | undefined;
	/** The network on which the session under way began. */
	private network = "";
	/** In the background: ends soon, and begins again when that is over. */
	private cancelRest: (() => void) | undefined;
	private resting = false;
	private readonly paces: Paces | undefined;

	/** `paces` for a connection that is held open while nothing is said. */
	constructor(device: Device, relay: Relay, clocks: Clocks, events: ConnectionEvents, paces?: Paces) {
		this.paces = paces;
		this.device = device;
		this.relay = relay;
		this.clocks = clocks;
		this.events = events;
	}

	/** The session under way, welcomed or not. */
	get current(): Session | undefined {
		return this.session;
	}

	/** Connects, now if nothing is under way, and stays connected until {@link close}. */
	open(): void {
		this.wanted = true;
		if (!this.session && !this.cancelPause && !this.resting) this.start();
	}

	/** In the background: says so, and is closed after 10 s; out of it again, it is there again. */
	background(on: boolean): void {
		this.cancelRest?.();
		this.cancelRest = undefined;
		if (this.resting === on) return;
		this.resting = on;
		if (!on) {
			if (this.session) this.session.wake();
			else if (this.wanted && !this.cancelPause) this.start();
			return;
		}
		this.cancelPause?.();
		this.cancelPause = undefined;
		this.session?.rest();
		this.cancelRest = this.device.after(REST_MS, () => this.session?.close());
	}

	/** Tries again at once, as when a network came back; a session that began on another network is given up. */
	hurry(): void {
		if (this.session && this.network !== this.networkNow) this.session.close();
		if (!this.cancelPause) return;
		this.cancelPause();
		this.cancelPause = undefined;
		this.failures = 0;
		if (this.wanted) this.start();
	}

	/** Ends the session under way, so that the next one begins with what {@link ConnectionEvents.who} says then. */
	restart(): void {
		this.session?.close();
	}

	private get networkNow(): string {
		const { kind, name } = this.device.network();
		return `${kind} ${name}`;
	}

	close(why?: Problem): void {
		this.wanted = false;
		this.cancelRest?.();
		this.cancelRest = undefined;
		this.cancelPause?.();
		this.cancelPause = undefined;
		this.session?.close(why);
	}

	private start(): void {
		this.cancelPause = undefined;
		this.network = this.networkNow;
		const events: SessionEvents = {
			welcome: (welcome) => {
				this.failures = 0;
				this.clockRetried = false;
				this.events.welcome(session, welcome);
			},
			frame: (type, body) => this.events.frame(session, type, body),
			problem: (refusal) => this.events.problem(refusal),
			closed: (why) => this.over(why),
		};
		let session: Session;
		try {
			session = new Session(this.device, this.relay, this.events.who(), this.clocks, events, this.paces?.now());
		} catch {
			// The runtime refuses the URL or has no network at all: like a relay that is not there.
			this.over(problem("unavailable", "The relay's address cannot be used.", { spent: "no" }));
			return;
		}
		this.session = session;
		this.events.started(session);
	}

	private over(why: Problem | undefined): void {
		this.session = undefined;
		const again = this.events.ended(why) && this.wanted;
		if (!again) this.wanted = false;
		if (!again || this.resting) return;
		if (why?.problem === "clock" && !this.clockRetried) {
			this.clockRetried = true;
			this.cancelPause = this.device.after(0, () => this.start());
			return;
		}
		this.cancelPause = this.device.after(this.pauseMs(why), () => this.start());
	}

	/** Exponential, with full jitter above half, so that a relay's thousand clients do not come back as one. */
	private pauseMs(why: Problem | undefined): number {
		const longest = Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** Math.min(this.failures++, 16));
		const chance = (this.device.crypto.random(1)[0] as number) / 256;
		const asked = Math.min(why?.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX);
		return asked + Math.ceil(longest * (0.5 + chance / 2));
	}
}
