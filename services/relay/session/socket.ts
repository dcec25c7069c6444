/** One WebSocket: messages in to its session, frames out by its outbox (PROTOCOL.md, "Transport"; threats 10 and 11). */

import type { Socket } from "node:net";
import type { RawData, WebSocket } from "ws";
import { PROBLEMS, type ProblemCode, problem } from "#contracts/problem";
import type { RelayParts } from "#relay/parts";
import { Outbox, type Post } from "./outbox.ts";
import { Session } from "./session.ts";

/** RFC 6455: what a peer did against the protocol; what the project's own codes begin at. */
const CLOSE_PROTOCOL_ERROR = 1002;
const CLOSE_OWN = 4000;

/** A connection from its first byte to its last. */
export class Connection {
	readonly session: Session;
	readonly openedAtMs: number;
	private readonly parts: RelayParts;
	private readonly ws: WebSocket;
	private readonly outbox: Outbox;
	private reason: ProblemCode | "client" = "client";

	constructor(ws: WebSocket, socket: Socket, address: string, post: Post, parts: RelayParts, onEnd: () => void) {
		this.parts = parts;
		this.ws = ws;
		this.openedAtMs = parts.clock.elapsedMs();
		const outbox = new Outbox(ws, socket, post, parts.clock.elapsedMs, parts.limits);
		this.outbox = outbox;
		const session = new Session(parts, {
			outbox,
			address,
			pause: () => ws.pause(),
			resume: () => ws.resume(),
			close: (reason) => this.close(reason),
		});
		this.session = session;
		socket.setNoDelay(true);
		socket.on("drain", () => session.drained());
		ws.on("message", (data: RawData, binary: boolean) => {
			// with nodebuffer as binary type a message is one Buffer
			if (binary) session.feed(data as Buffer);
			else session.bye(problem("malformed", "Messages are binary."));
		});
		// what the transport itself refuses (too long, not masked, not WebSocket) it closes by itself
		ws.on("error", () => {
			this.reason = "malformed";
		});
		ws.on("close", () => {
			session.end();
			parts.counts.close(this.reason);
			onEnd();
		});
	}

	/** Looks for what is due: a hello that did not come, silence, a socket that takes nothing. */
	sweep(elapsedMs: number, helloMs: number, idleMs: number): void {
		const { session, outbox, parts } = this;
		if (!session.introduced && elapsedMs - this.openedAtMs > helloMs) session.bye(problem("hello-late"));
		else if (elapsedMs - session.heardAtMs > (session.idleMs ?? idleMs)) session.bye(problem("idle"));
		else if (outbox.overflown || (outbox.unsentBytes > 0 && elapsedMs - outbox.movedAtMs > parts.limits.unsentMsMax))
			session.bye(problem("reader-slow"));
	}

	/** Ends a connection that does not end by itself. */
	terminate(): void {
		this.ws.terminate();
	}

	private close(reason: ProblemCode): void {
		this.reason = reason;
		this.outbox.send();
		// a paused socket would never see the other side's goodbye
		this.ws.resume();
		const code = reason === "malformed" ? CLOSE_PROTOCOL_ERROR : CLOSE_OWN + PROBLEMS[reason].wire;
		this.ws.close(code, reason);
	}
}
