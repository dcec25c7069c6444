/** One WebSocket: messages in to its session, frames out by its outbox (PROTOCOL.md, "Transport"; threats 10 and 11). */

import { PROBLEMS, type ProblemCode, problem } from "#contracts/problem";
import type { Held } from "#relay/operator/throttle";
import type { RelayParts } from "#relay/parts";
import type { Wire, WireEvents } from "#relay/wire/wire";
import type { Line } from "./line.ts";
import { Outbox, type Post } from "./outbox.ts";
import { Session } from "./session.ts";

/** RFC 6455: what a peer did against the protocol; what the project's own codes begin at. */
const CLOSE_PROTOCOL_ERROR = 1002;
const CLOSE_OWN = 4000;

/** What passed sockets, in bytes as the system counts them: with the heads of WebSocket, without those of TCP and TLS. */
export type Passed = { readBytes: number; wroteBytes: number };

/** A connection from its first byte to its last. */
export class Connection implements Held, Line, WireEvents {
	readonly session: Session;
	readonly outbox: Outbox;
	readonly address: string;
	readonly openedAtMs: number;
	private readonly parts: RelayParts;
	private readonly wire: Wire;
	private readonly onEnd: () => void;
	private reason: ProblemCode | "client" = "client";
	/** Why it is not read: it waits for a disk, or for the bandwidth cap. */
	private readonly stopped = { stalled: false, held: false };
	/** What was counted of it. */
	private read = 0;
	private wrote = 0;

	constructor(wire: Wire, address: string, post: Post, parts: RelayParts, onEnd: () => void) {
		this.parts = parts;
		this.wire = wire;
		this.address = address;
		this.onEnd = onEnd;
		this.openedAtMs = parts.clock.elapsedMs();
		this.outbox = new Outbox(wire, post, parts.clock.elapsedMs, parts.limits);
		this.session = new Session(parts, this);
		// methods and no closures, here and for the session: most connections only wait, and each closure is kept for each of them
		wire.events = this;
	}

	/** From the wire. */
	message(message: Uint8Array): void {
		this.session.feed(message);
		this.parts.throttle.took(this, message.length);
	}

	/** From the wire. */
	text(): void {
		this.session.bye(problem("malformed", "Messages are binary."));
	}

	/** From the wire. */
	drained(): void {
		this.session.drained();
	}

	/** From the wire, which closes by itself what the transport refuses: too long, not masked, not WebSocket. */
	broken(): void {
		this.reason = "malformed";
	}

	/** From the wire. */
	closed(): void {
		this.session.end();
		this.parts.throttle.forget(this);
		this.parts.counts.close(this.reason);
		this.onEnd();
	}

	/** From the session: it waits for a disk. */
	pause(): void {
		this.stop("stalled", true);
	}

	/** From the session. */
	resume(): void {
		this.stop("stalled", false);
	}

	/** Looks for what is due: a hello that did not come, silence, a socket that takes nothing. */
	sweep(elapsedMs: number, helloMs: number, idleMs: number): void {
		const { session, outbox, parts } = this;
		if (!session.introduced && elapsedMs - this.openedAtMs > helloMs) session.bye(problem("hello-late"));
		else if (!this.stopped.held && elapsedMs - session.heardAtMs > (session.idleMs ?? idleMs))
			session.bye(problem("idle"));
		else if (outbox.overflown || (outbox.unsentBytes > 0 && elapsedMs - outbox.movedAtMs > parts.limits.unsentMsMax))
			session.bye(problem("reader-slow"));
	}

	/** Adds what passed since the last count. */
	count(passed: Passed): void {
		const { readBytes, wroteBytes } = this.wire;
		passed.readBytes += readBytes - this.read;
		passed.wroteBytes += wroteBytes - this.wrote;
		this.read = readBytes;
		this.wrote = wroteBytes;
	}

	/** Reads no more until it is let go: the relay has read as much as it may. */
	hold(): void {
		this.stop("held", true);
	}

	letGo(): void {
		// what it said meanwhile was not read: its silence is ours
		this.session.heardAtMs = this.parts.clock.elapsedMs();
		this.stop("held", false);
	}

	/** Ends a connection that does not end by itself. */
	terminate(): void {
		this.wire.terminate();
	}

	private stop(why: "stalled" | "held", on: boolean): void {
		this.stopped[why] = on;
		if (this.stopped.stalled || this.stopped.held) this.wire.pause();
		else this.wire.resume();
	}

	/** From the session: sends what waits and closes. */
	close(reason: ProblemCode): void {
		this.reason = reason;
		this.outbox.send();
		const code = reason === "malformed" ? CLOSE_PROTOCOL_ERROR : CLOSE_OWN + PROBLEMS[reason].wire;
		this.wire.close(code, reason);
	}
}
