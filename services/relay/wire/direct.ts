/**
 * Our own end of a WebSocket (RFC 6455; docs/decisions/direct-wires.md). Messages are unmasked from the memory that was read into straight
 * into an arena, with room for the head that they need on their way out, so that what one reader gets of a read leaves as one piece.
 * Only what was cut by the end of a read is copied. The plain way is `plain.ts`; a test holds this one against it.
 */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { adopt } from "./adopt.ts";
import { type Arena, Arenas } from "./arena.ts";
import { answerTo } from "./handshake.ts";
import { Inlet } from "./inlet.ts";
import { HEAD_BYTES_MAX, type Wire, type WireEvents, type Wiring } from "./wire.ts";

/** Pings of one read that are answered each: of more than anybody needs only the last is, as RFC 6455 (5.5.3) lets us. A pong is a system call. */
const PONGS_MAX = 64;

/** What a message's first byte says on its way out: binary, or what came before goes on; and whether it is the last piece. */
const BINARY = 2;
const GOES_ON = 0;
const LAST = 128;
const CLOSE = 0x88;
const PONG = 0x8a;

/** Direct wires. `byeMs`: how long the peer may take to answer a goodbye. */
export function directWiring(byeMs: number): Wiring {
	const arenas = new Arenas();
	return {
		accept: (request: IncomingMessage, socket: Socket, head: Buffer) => {
			const answer = answerTo(request);
			if (!answer.open) {
				socket.once("finish", () => socket.destroy());
				socket.end(answer.text);
				return undefined;
			}
			return new DirectWire(socket, head, answer.text, arenas, byeMs);
		},
	};
}

/** Bytes of the head of a message of this length from a server. */
function headBytes(length: number): number {
	return length < 126 ? 2 : length < 65_536 ? 4 : HEAD_BYTES_MAX;
}

function writeHead(to: Uint8Array, at: number, first: number, length: number): void {
	to[at] = first;
	if (length < 126) to[at + 1] = length;
	else if (length < 65_536) {
		to[at + 1] = 126;
		to[at + 2] = length >> 8;
		to[at + 3] = length;
	} else {
		to.fill(0, at + 2, at + 6);
		to[at + 1] = 127;
		to[at + 6] = length >>> 24;
		to[at + 7] = length >>> 16;
		to[at + 8] = length >>> 8;
		to[at + 9] = length;
	}
}

class DirectWire implements Wire {
	events: WireEvents | undefined;
	onTaken: (() => void) | undefined;
	private readonly socket: Socket;
	private readonly arenas: Arenas;
	private readonly byeMs: number;
	private readonly inlet: Inlet;
	/** What goes out at the next flush; the last piece is still open to what stands right behind it. */
	private pieces: Buffer[] = [];
	private open: Buffer | undefined;
	private openStart = 0;
	private openEnd = 0;
	/** Whether the message's other pieces are still to come. */
	private midway = false;
	/** Whether this turn sent something of the arena, and the arenas of which the system left something. */
	private lent = false;
	private held: Arena[] = [];
	/** Pongs since the system last had nothing left to take, and the last ping that was not answered. */
	private pongs = 0;
	private unanswered: Buffer | undefined;
	private saidBye = false;
	private heardBye = false;
	private over = false;
	private timer: NodeJS.Timeout | undefined;
	private readonly taken = () => this.took();

	constructor(accepted: Socket, head: Buffer, answer: string, arenas: Arenas, byeMs: number) {
		this.arenas = arenas;
		this.byeMs = byeMs;
		this.inlet = new Inlet(arenas, this);
		const socket = adopt(accepted, arenas.input, (bytes) => this.read(bytes));
		this.socket = socket;
		socket.setNoDelay(true);
		socket.on("drain", () => this.events?.drained());
		socket.on("end", () => socket.end());
		socket.on("error", () => this.events?.broken());
		socket.on("close", () => this.end());
		socket.write(answer, "latin1");
		// what came with the request is in memory of its own, which no closure must keep
		if (head.length > 0) process.nextTick((wire: DirectWire, bytes: Buffer) => wire.read(bytes), this, head);
		socket.resume();
	}

	get unsentBytes(): number {
		return this.socket.writableLength;
	}

	get readBytes(): number {
		return this.socket.bytesRead;
	}

	get wroteBytes(): number {
		return this.socket.bytesWritten;
	}

	send(bytes: Uint8Array, start: number, end: number, room: boolean, last: boolean): void {
		if (this.saidBye || this.over) return;
		const length = end - start;
		const first = (this.midway ? GOES_ON : BINARY) | (last ? LAST : 0);
		this.midway = !last;
		const head = headBytes(length);
		const { bytes: memory } = this.arenas.arena;
		// a whole message of the arena has room before it
		if (!room && start === 0 && bytes.buffer === memory.buffer && bytes.byteOffset >= head) {
			this.lent = true;
			this.append(memory, bytes.byteOffset - head, bytes.byteOffset + length, length, first);
		} else if (room) this.append(bytes as Buffer, start - head, end, length, first);
		else {
			const own = Buffer.allocUnsafe(head);
			this.append(own, 0, head, length, first);
			if (bytes.buffer === memory.buffer) this.lent = true;
			this.shut();
			this.pieces.push(Buffer.from(bytes.buffer, bytes.byteOffset + start, length) as Buffer);
		}
	}

	flush(): void {
		this.shut();
		const { pieces, socket, lent } = this;
		this.lent = false;
		if (pieces.length === 0) return;
		this.pieces = [];
		if (this.over || !socket.writable) return;
		if (pieces.length === 1) socket.write(pieces[0] as Buffer, this.taken);
		else {
			socket.cork();
			for (const piece of pieces) socket.write(piece, this.taken);
			socket.uncork();
		}
		const { arena } = this.arenas;
		if (!lent || socket.writableLength === 0 || this.held.includes(arena)) return;
		this.held.push(arena);
		arena.holds++;
	}

	pause(): void {
		this.socket.pause();
	}

	resume(): void {
		this.socket.resume();
	}

	close(code: number, reason: string): void {
		if (this.saidBye || this.over) return;
		this.flush();
		this.saidBye = true;
		const text = Buffer.from(reason);
		const body = Buffer.alloc(2 + text.length);
		body.writeUInt16BE(code);
		text.copy(body, 2);
		this.control(CLOSE, body);
		// a paused socket would never see the other side's goodbye
		this.socket.resume();
		if (this.heardBye) this.socket.end();
		this.timer ??= setTimeout(() => this.socket.destroy(), this.byeMs);
	}

	terminate(): void {
		this.socket.destroy();
	}

	/** From the inlet: a whole message. */
	message(message: Uint8Array): void {
		this.events?.message(message);
	}

	/** From the inlet: a whole text. */
	text(): void {
		this.events?.text();
	}

	/** From the inlet: a ping is answered with its own bytes. */
	ping(body: Buffer): void {
		if (this.saidBye || this.over) return;
		this.unanswered = body;
		if (this.pongs < PONGS_MAX) this.pong();
	}

	private pong(): void {
		const { unanswered } = this;
		if (!unanswered || this.saidBye) return;
		this.unanswered = undefined;
		this.pongs++;
		this.control(PONG, unanswered);
	}

	/** Where the system has taken everything, the last ping is answered however many there were. */
	private rested(): void {
		if (this.socket.writableLength > 0) return;
		this.pong();
		this.pongs = 0;
	}

	/** From the inlet: the peer's goodbye, answered with the same. */
	bye(body: Buffer): void {
		this.heardBye = true;
		if (!this.saidBye) {
			this.flush();
			this.saidBye = true;
			this.control(CLOSE, body);
		}
		this.timer ??= setTimeout(() => this.socket.destroy(), this.byeMs);
		this.socket.end();
	}

	/** From the inlet: bytes that are no WebSocket. */
	broken(code: number): void {
		this.events?.broken();
		this.heardBye = true;
		this.close(code, "");
		this.socket.end();
	}

	private read(bytes: Buffer): void {
		this.arenas.begin();
		this.inlet.take(bytes);
		this.rested();
	}

	/** Puts a head before a message that has room for it, and lengthens the open piece if it stands right behind it. */
	private append(bytes: Buffer, start: number, end: number, length: number, first: number): void {
		writeHead(bytes, start, first, length);
		if (this.open === bytes && this.openEnd === start) {
			this.openEnd = end;
			return;
		}
		this.shut();
		this.open = bytes;
		this.openStart = start;
		this.openEnd = end;
	}

	private shut(): void {
		if (this.open) this.pieces.push(this.open.subarray(this.openStart, this.openEnd));
		this.open = undefined;
	}

	private control(first: number, body: Buffer): void {
		const frame = Buffer.alloc(2 + body.length);
		frame[0] = first;
		frame[1] = body.length;
		body.copy(frame, 2);
		if (this.socket.writable) this.socket.write(frame, this.taken);
	}

	private took(): void {
		this.onTaken?.();
		if (this.unanswered) this.rested();
		if (this.held.length === 0 || this.socket.writableLength > 0) return;
		for (const arena of this.held) this.arenas.release(arena);
		this.held = [];
	}

	private end(): void {
		if (this.over) return;
		this.over = true;
		clearTimeout(this.timer);
		// what the system still has of it is never given to another read
		this.held = [];
		this.events?.closed();
	}
}
