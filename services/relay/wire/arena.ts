/**
 * The memory that all direct wires share: one buffer that the system reads into, one that messages are unmasked into. Both stay in
 * the processor's cache, and reading makes no garbage (docs/decisions/direct-wires.md).
 */

import { bufferUtil } from "./mask.ts";

/** One read of a socket. Four times what Node reads by itself: fewer system calls, and still within a core's own cache together with the arena. */
export const READ_BYTES = 256 * 1024;

/** Arenas kept for later: one is lent for each reader that the system did not take everything for. */
const POOL_MAX = 16;

/** Below this a mask is undone here: a call into native code costs more. */
const NATIVE_BYTES_MIN = 48;

/** Memory of messages, and how many wires still wait for the system to take something of it. */
export class Arena {
	readonly bytes: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
	holds = 0;
}

/** What a relay's direct wires read with. */
export class Arenas {
	/** What the system reads into: every socket names it, and what is in it is worked off before the next read. */
	readonly input: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
	private current = new Arena();
	private to = 0;
	private readonly pool: Arena[] = [];

	/** A read begins: everything of the one before was flushed, so its memory is free unless somebody waits for the system. */
	begin(): void {
		this.to = 0;
		if (this.current.holds > 0) this.current = this.pool.pop() ?? new Arena();
	}

	/** Room for a message with `before` bytes in front of it; where the message begins in {@link arena}. What a read held always fits. */
	take(before: number, length: number): number {
		if (this.to + before + length > READ_BYTES) {
			this.current = this.pool.pop() ?? new Arena();
			this.to = 0;
		}
		const at = this.to + before;
		this.to = at + length;
		return at;
	}

	/** Where messages are put now. */
	get arena(): Arena {
		return this.current;
	}

	/** A wire no longer waits for the system to take something of an arena. */
	release(arena: Arena): void {
		arena.holds--;
		if (arena.holds === 0 && arena !== this.current && this.pool.length < POOL_MAX) this.pool.push(arena);
	}
}

const rotated = Buffer.alloc(4);

/**
 * Undoes a mask (little-endian, as it stands on the wire) on the way from one place to another. `phase`: how many bytes of the frame
 * came before these.
 */
export function unmask(
	from: Buffer,
	start: number,
	end: number,
	mask: number,
	phase: number,
	to: Buffer,
	at: number,
): void {
	for (let i = 0; i < 4; i++) rotated[i] = mask >>> (8 * ((i + phase) & 3));
	const length = end - start;
	if (length >= NATIVE_BYTES_MIN) {
		bufferUtil.mask(from.subarray(start, end), rotated, to, at, length);
		return;
	}
	for (let i = 0; i < length; i++) to[at + i] = (from[start + i] as number) ^ (rotated[i & 3] as number);
}
