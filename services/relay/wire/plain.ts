/** Wires by the library `ws`: the plain way, and the oracle that `direct.ts` is held against. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { SUBPROTOCOL } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Wire, WireEvents, Wiring } from "./wire.ts";

/** Pieces of one message on the wire, so that a byte at a time does not cost an object each. */
const FRAGMENTS_MAX = 256;
const CHUNKS_MAX = 2_048;
const BINARY = { binary: true, fin: true, compress: false, mask: false };
const PIECE = { ...BINARY, fin: false };

/** Wires of `ws`. `byeMs`: how long the peer may take to answer a goodbye. */
export function plainWiring(byeMs: number): Wiring {
	const options = {
		noServer: true,
		clientTracking: false,
		perMessageDeflate: false,
		maxPayload: LIMIT.messageBytesMax,
		maxFragments: FRAGMENTS_MAX,
		maxBufferedChunks: CHUNKS_MAX,
		closeTimeout: byeMs,
		handleProtocols: () => SUBPROTOCOL,
	};
	const server = new WebSocketServer(options);
	return {
		accept: (request: IncomingMessage, socket: Socket, head: Buffer) => {
			let wire: Wire | undefined;
			server.handleUpgrade(request, socket, head, (ws) => {
				wire = new PlainWire(ws, socket);
			});
			return wire;
		},
	};
}

class PlainWire implements Wire {
	events: WireEvents | undefined;
	onTaken: (() => void) | undefined;
	private readonly ws: WebSocket;
	private readonly socket: Socket;
	private corked = false;
	private readonly taken = () => this.onTaken?.();

	constructor(ws: WebSocket, socket: Socket) {
		this.ws = ws;
		this.socket = socket;
		socket.setNoDelay(true);
		socket.on("drain", () => this.events?.drained());
		ws.on("message", (data: RawData, binary: boolean) => {
			// with nodebuffer as binary type a message is one Buffer
			const { buffer, byteOffset, length } = data as Buffer;
			if (binary) this.events?.message(new Uint8Array(buffer, byteOffset, length));
			else this.events?.text();
		});
		// what the transport itself refuses (too long, not masked, not WebSocket) it closes by itself
		ws.on("error", () => this.events?.broken());
		ws.on("close", () => this.events?.closed());
	}

	get unsentBytes(): number {
		return this.ws.bufferedAmount;
	}

	get readBytes(): number {
		return this.socket.bytesRead;
	}

	get wroteBytes(): number {
		return this.socket.bytesWritten;
	}

	send(bytes: Uint8Array, start: number, end: number, _room: boolean, last: boolean): void {
		if (this.ws.readyState !== this.ws.OPEN) return;
		if (!this.corked) this.socket.cork();
		this.corked = true;
		this.ws.send(bytes.subarray(start, end), last ? BINARY : PIECE, this.taken);
	}

	flush(): void {
		if (this.corked) this.socket.uncork();
		this.corked = false;
	}

	pause(): void {
		this.ws.pause();
	}

	resume(): void {
		this.ws.resume();
	}

	close(code: number, reason: string): void {
		// a paused socket would never see the other side's goodbye
		this.ws.resume();
		this.ws.close(code, reason);
	}

	terminate(): void {
		this.ws.terminate();
	}
}
