/**
 * One WebSocket to a relay: frames out gathered into messages of 16 KiB, frames in walked and handed on. Knows nothing of
 * what they mean (PROTOCOL.md, "Transport" and "Frames").
 */

import { advance, cursor } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { type Problem, problem } from "#contracts/problem";
import type { Device, Socket } from "./device.ts";

export type LinkEvents = {
	/** A frame; `body` is a view into the message and ends with the call. Whatever it throws closes the link. */
	frame(type: number, body: Uint8Array): void;
	/** The link is over, once; with the reason if this end gave it up. */
	closed(why: Problem | undefined): void;
};

/** What is gathered into one message: a full slice with the voucher and the handles that go before it. */
const MESSAGE_BYTES = LIMIT.batchBytes + 1024;

export class Link {
	private readonly socket: Socket;
	private readonly events: LinkEvents;
	private waiting: Uint8Array[] = [];
	private waitingBytes = 0;
	private open = false;
	private over = false;
	private flushing = false;

	/** @throws whatever the runtime throws for a URL that it cannot take; none of the URLs in cards and listings are such. */
	constructor(device: Device, url: string, events: LinkEvents) {
		this.events = events;
		this.socket = device.connect(url);
		this.socket.binaryType = "arraybuffer";
		this.socket.onopen = () => {
			this.open = true;
			this.flush();
		};
		this.socket.onmessage = ({ data }) => this.take(data);
		this.socket.onerror = () => this.end(problem("unavailable", "The relay could not be reached.", { spent: "no" }));
		this.socket.onclose = () => this.end(undefined);
	}

	/** Queues a frame. Frames of one turn share messages; order is kept. */
	write(frame: Uint8Array): void {
		if (this.over) return;
		if (this.waitingBytes > 0 && this.waitingBytes + frame.length > MESSAGE_BYTES) this.flush();
		this.waiting.push(frame);
		this.waitingBytes += frame.length;
		if (this.flushing) return;
		this.flushing = true;
		queueMicrotask(() => {
			this.flushing = false;
			this.flush();
		});
	}

	private flush(): void {
		if (!this.open || this.over || this.waiting.length === 0) return;
		// Before the socket opened more than one message may have gathered.
		let from = 0;
		while (from < this.waiting.length) {
			let to = from;
			let bytes = 0;
			while (to < this.waiting.length) {
				const length = (this.waiting[to] as Uint8Array).length;
				if (to > from && bytes + length > MESSAGE_BYTES) break;
				bytes += length;
				to++;
			}
			const message = new Uint8Array(bytes);
			let at = 0;
			for (; from < to; from++) {
				const frame = this.waiting[from] as Uint8Array;
				message.set(frame, at);
				at += frame.length;
			}
			this.socket.send(message);
		}
		this.waiting = [];
		this.waitingBytes = 0;
	}

	private take(data: unknown) {
		if (this.over) return;
		if (!(data instanceof ArrayBuffer) || data.byteLength > LIMIT.messageBytesMax) return this.garbage();
		const message = new Uint8Array(data);
		const at = cursor();
		while (!this.over && advance(message, at)) this.events.frame(at.type, message.subarray(at.start, at.end));
		if (!this.over && at.next !== message.length) this.garbage();
	}

	/** The relay sent what the protocol does not allow: nothing after it can be trusted to mean what it says. */
	garbage(detail = "The relay sent bytes that are no frames."): void {
		this.close(problem("malformed", detail));
	}

	/** Sends what waits and closes. */
	close(why?: Problem): void {
		if (this.over) return;
		this.flush();
		this.end(why);
	}

	private end(why: Problem | undefined): void {
		if (this.over) return;
		this.over = true;
		this.waiting = [];
		try {
			this.socket.close();
		} catch {
			// Already closed, or never opened: either way it is over.
		}
		this.events.closed(why);
	}
}
