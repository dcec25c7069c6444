/**
 * Lanes for a peer whose readers get records of one length: a head, the payload, a tail. What is sent is ready-made; what arrives
 * is looked at where each record begins and where its payload begins and ends, so that a shifted, cut or strange one shows.
 */
import type { Socket } from "node:net";
import type { Lane } from "#test/bench/generator";

/** The last byte of every payload; the first names its lane. */
const EDGE = 0xfa;

/** Bytes of ready-made messages that one write may take. */
const WRITE_BYTES_MAX = 256 * 1024;

/** The payload of a lane. */
export function payloadOf(lane: number, size: number): Buffer {
	const payload = Buffer.alloc(size, 0x5a);
	payload[0] = lane & 0xff;
	payload[size - 1] = EDGE;
	return payload;
}

/** How a reader's records look. */
export type Shape = {
	/** The first byte of a record. */
	readonly mark: number;
	/** Bytes of a record, all told. */
	readonly bytes: number;
	/** Where the payload begins. */
	readonly payloadAt: number;
	/** Bytes from the payload's first to its last: all payloads of a record, where it carries several. */
	readonly payloadBytes: number;
	/** Payloads in a record, if not one. */
	readonly payloads?: number;
	/** What may stand between records and counts for nothing: its first byte and its bytes, all told. */
	readonly aside?: { readonly mark: number; readonly bytes: number };
};

/** Takes pieces of a stream as they come and counts whole records for each lane. */
export class Counter {
	readonly #shape: Shape;
	readonly #counts: Uint32Array;
	#at = 0;
	#lane = 0;
	/** Bytes of what stands between records that are still to come. */
	#asideLeft = 0;

	constructor(shape: Shape, lanes: number) {
		this.#shape = shape;
		this.#counts = new Uint32Array(lanes);
	}

	take(chunk: Buffer, start: number, end: number): void {
		const { mark, bytes, payloadAt, payloadBytes, payloads = 1, aside } = this.#shape;
		const lastAt = payloadAt + payloadBytes - 1;
		let from = start - this.#at;
		for (;;) {
			if (aside && from >= start && from < end && this.#asideLeft === 0 && chunk[from] === aside.mark)
				this.#asideLeft = aside.bytes;
			if (this.#asideLeft > 0) {
				const gone = Math.min(this.#asideLeft, end - from);
				this.#asideLeft -= gone;
				from += gone;
				if (from === end) break;
				continue;
			}
			// only what is in this piece is looked at; what was before it is known, what comes after it will be
			const here = (at: number) => from + at >= start && from + at < end;
			if (here(0) && chunk[from] !== mark) throw new Error(`a record began with ${chunk[from]}, not with ${mark}`);
			if (here(payloadAt)) this.#lane = chunk[from + payloadAt] as number;
			if (here(lastAt) && chunk[from + lastAt] !== EDGE) throw new Error("a payload arrived other than it was sent");
			if (from + bytes > end) break;
			const count = this.#counts[this.#lane];
			if (count === undefined) throw new Error("a payload of a lane that is none");
			this.#counts[this.#lane] = count + payloads;
			from += bytes;
		}
		this.#at = end - from;
	}

	/** Hands on what was counted since the last time. */
	tell(arrived: (lane: number, payloads: number) => void): void {
		for (let lane = 0; lane < this.#counts.length; lane++) {
			const count = this.#counts[lane] as number;
			if (count === 0) continue;
			this.#counts[lane] = 0;
			arrived(lane, count);
		}
	}
}

/** A lane that writes copies of ready-made bytes: `one` carries `payloads` payloads. */
export function ready(socket: Socket, reader: Socket, one: Buffer, payloads: number, more: Partial<Lane> = {}): Lane {
	const copies = Math.max(1, Math.floor(WRITE_BYTES_MAX / one.length));
	const many = Buffer.concat(Array.from({ length: copies }, () => one));
	return {
		socket,
		reader,
		...more,
		send(payloadsMax: number) {
			const count = Math.min(Math.floor(payloadsMax / payloads), copies);
			if (count > 0) socket.write(many.subarray(0, count * one.length));
			return count * payloads;
		},
	};
}
