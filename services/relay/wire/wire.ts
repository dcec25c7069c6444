/** The seam between a socket and a session: whole binary messages in, whole binary messages out. Engines: `direct.ts` and `plain.ts`. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** What a wire tells. */
export type WireEvents = {
	/**
	 * A whole binary message. Its memory may be written to, and is the receiver's until the end of this turn; longer only if the wire
	 * that sends it on still waits for the system.
	 */
	message(message: Uint8Array): void;
	/** A text message came, which the protocol has none of. */
	text(): void;
	/** The system took everything that waited. */
	drained(): void;
	/** The peer broke the protocol of WebSockets, or the socket broke. */
	broken(): void;
	/** It is over. Once, and nothing is told after it. */
	closed(): void;
};

/** One WebSocket. */
export interface Wire {
	/** Told from the moment it is set, which is in the turn in which the wire is made. */
	events: WireEvents | undefined;
	/** Bytes that the system has not taken yet. */
	readonly unsentBytes: number;
	/** Bytes that passed the socket so far, its handshake and its heads included. */
	readonly readBytes: number;
	readonly wroteBytes: number;
	/** When the system last took something that waited; told by `taken`. */
	onTaken: (() => void) | undefined;
	/**
	 * Sends `bytes[start, end)` at the next {@link flush}: as one message, or with `last` false as a piece of one that goes on. With `room`
	 * the ten bytes before `start` may be written to.
	 * The memory must not change until the system has taken it, see {@link unsentBytes}.
	 */
	send(bytes: Uint8Array, start: number, end: number, room: boolean, last: boolean): void;
	/** Hands over what was sent since the last time, in one system call if it can be. */
	flush(): void;
	/** Reads no more, and reads on. What was read already may still come. */
	pause(): void;
	resume(): void;
	/** Says goodbye; the wire is closed when the peer has answered, or a while later. */
	close(code: number, reason: string): void;
	/** Ends it now. */
	terminate(): void;
}

/** Makes wires of upgraded requests. One per relay. */
export interface Wiring {
	/** Answers the request with a wire, or refuses it on the socket and gives none. */
	accept(request: IncomingMessage, socket: Socket, head: Buffer): Wire | undefined;
}

/** Bytes of the longest head of a message from a server (RFC 6455, 5.2). */
export const HEAD_BYTES_MAX = 10;
