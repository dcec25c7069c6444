/**
 * Bytes as the wire has them: fixed-width little-endian integers, minimal LEB128 varints, lowercase hex.
 * Reading is total: a reader that runs past its end says so at {@link Reader.done} and hands out zeros until then,
 * so a decoder is straight-line code with one check at its end (PROTOCOL.md, "Encoding").
 */

const text = new TextEncoder();
const strictText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a domain: `farelay/<what>/v1` and a zero byte, in front of whatever is signed or hashed. */
export function domain(what: string): Uint8Array {
	return text.encode(`farelay/${what}/v1\0`);
}

/** Joins byte strings. */
export function join(...parts: Uint8Array[]): Uint8Array {
	const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		all.set(part, at);
		at += part.length;
	}
	return all;
}

/** Whether two byte strings are the same. Not constant time: for public bytes only. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
	if (a.length !== b.length) return false;
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
	return true;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lowercase hex. */
export function toHex(bytes: Uint8Array): string {
	let hex = "";
	for (let i = 0; i < bytes.length; i++) hex += HEX[bytes[i] as number];
	return hex;
}

/** Reads lowercase hex of exactly `length` bytes (any length if left out); undefined for anything else. */
export function fromHex(hex: unknown, length?: number): Uint8Array | undefined {
	if (typeof hex !== "string" || hex.length % 2 !== 0) return undefined;
	if (length !== undefined && hex.length !== length * 2) return undefined;
	if (!/^[0-9a-f]*$/.test(hex)) return undefined;
	const bytes = new Uint8Array(hex.length / 2);
	for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16);
	return bytes;
}

/** Reads UTF-8 in its one form, a byte order mark kept as it is; undefined for anything else. */
export function textOf(bytes: Uint8Array): string | undefined {
	try {
		return strictText.decode(bytes);
	} catch {
		return undefined;
	}
}

/** Reads fixed-layout bytes from front to back. */
export class Reader {
	private readonly bytes: Uint8Array;
	private readonly view: DataView;
	private at: number;
	private readonly end: number;
	private ok = true;

	constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		this.at = start;
		this.end = end;
	}

	private step(length: number): number {
		if (this.at + length > this.end) {
			this.ok = false;
			return -1;
		}
		const at = this.at;
		this.at += length;
		return at;
	}

	u8(): number {
		const at = this.step(1);
		return at < 0 ? 0 : this.view.getUint8(at);
	}

	u16(): number {
		const at = this.step(2);
		return at < 0 ? 0 : this.view.getUint16(at, true);
	}

	u32(): number {
		const at = this.step(4);
		return at < 0 ? 0 : this.view.getUint32(at, true);
	}

	u64(): bigint {
		const at = this.step(8);
		return at < 0 ? 0n : this.view.getBigUint64(at, true);
	}

	/** A u64 that must fit a JS number exactly: times in Unix milliseconds and counts. */
	count(): number {
		const value = this.u64();
		if (value > 9_007_199_254_740_991n) this.ok = false;
		return Number(value);
	}

	/** A minimal LEB128 varint of at most five bytes (32 bits). */
	varint(): number {
		let value = 0;
		for (let i = 0; i < 5; i++) {
			const byte = this.u8();
			value += (byte & 127) * 2 ** (7 * i);
			if (byte < 128) {
				if ((i > 0 && byte === 0) || value > 0xffffffff) this.ok = false;
				return value;
			}
		}
		this.ok = false;
		return 0;
	}

	/** A copy of the next bytes (an own copy, so that nothing pins or changes it); zeros past the end. */
	take(length: number): Uint8Array {
		const at = this.step(length);
		return at < 0 ? new Uint8Array(Math.min(length, 256)) : this.bytes.slice(at, at + length);
	}

	/** Bytes left to read. */
	get left(): number {
		return this.end - this.at;
	}

	/** Whether everything read was there. */
	get sound(): boolean {
		return this.ok;
	}

	/** Whether everything read was there and nothing is left over. */
	get done(): boolean {
		return this.ok && this.at === this.end;
	}
}

/** @throws RangeError for what the width cannot hold: a number that wrapped would be signed as another. */
function fitting(value: number, max: number): number {
	if (!Number.isInteger(value) || value < 0 || value > max) throw new RangeError(`not an integer up to ${max}`);
	return value;
}

/** Writes a u32 as a minimal LEB128 varint at `at`, where there is room for five bytes; answers where it ends. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
	let to = at;
	let rest = value;
	while (rest > 127) {
		bytes[to++] = rest | 128;
		rest >>>= 7;
	}
	bytes[to++] = rest;
	return to;
}

/** Writes fixed-layout bytes from front to back. A value that does not fit its width is a bug and throws RangeError. */
export class Writer {
	private bytes: Uint8Array;
	private view: DataView;
	private at = 0;

	constructor(capacity = 256) {
		this.bytes = new Uint8Array(capacity);
		this.view = new DataView(this.bytes.buffer);
	}

	/** Makes room, before {@link view} is taken: it may be another afterwards. */
	private room(length: number): number {
		if (this.at + length > this.bytes.length) {
			const more = new Uint8Array(Math.max(this.bytes.length * 2, this.at + length));
			more.set(this.bytes);
			this.bytes = more;
			this.view = new DataView(more.buffer);
		}
		const at = this.at;
		this.at += length;
		return at;
	}

	u8(value: number): this {
		fitting(value, 0xff);
		const at = this.room(1);
		this.view.setUint8(at, value);
		return this;
	}

	u16(value: number): this {
		fitting(value, 0xffff);
		const at = this.room(2);
		this.view.setUint16(at, value, true);
		return this;
	}

	u32(value: number): this {
		fitting(value, 0xffffffff);
		const at = this.room(4);
		this.view.setUint32(at, value, true);
		return this;
	}

	/** @throws RangeError for what a u64 cannot hold. */
	u64(value: bigint | number): this {
		const wide = BigInt(value);
		if (wide < 0n || wide >= 1n << 64n) throw new RangeError("not a u64");
		const at = this.room(8);
		this.view.setBigUint64(at, wide, true);
		return this;
	}

	varint(value: number): this {
		let rest = fitting(value, 0xffffffff);
		while (rest > 127) {
			this.u8((rest % 128) | 128);
			rest = Math.floor(rest / 128);
		}
		return this.u8(rest);
	}

	/** @throws RangeError when `length` is given and the bytes have another. */
	put(bytes: Uint8Array, length?: number): this {
		if (length !== undefined && bytes.length !== length) throw new RangeError(`not ${length} bytes`);
		const at = this.room(bytes.length);
		this.bytes.set(bytes, at);
		return this;
	}

	/** What was written, as an own copy. */
	finish(): Uint8Array {
		return this.bytes.slice(0, this.at);
	}
}
