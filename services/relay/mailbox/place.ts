/**
 * How far one of several devices has come in its mailbox: everything up to its cursor is acknowledged but the holes. Mail is given out in
 * order and a window bounds what is unacknowledged, so holes are few, and mail needs no row for each device.
 */

import { LIMIT } from "#contracts/limit";

/** A device's place; `holes` are positions at or before the cursor. */
export type Place = { readonly cursor: number; readonly holes: ReadonlySet<number> };

/** Holes at most: a window of unacknowledged mail. */
export const HOLES_MAX: number = LIMIT.windowFrames;

/** Whether a device has not acknowledged this position. */
export function lacks({ cursor, holes }: Place, position: number): boolean {
	return position > cursor || holes.has(position);
}

/** Holes as they lie in a row: 64-bit floats, which hold every position. */
export function packHoles(holes: Iterable<number>): Uint8Array {
	return new Uint8Array(Float64Array.from(holes).buffer);
}

/** Reads what {@link packHoles} wrote. */
export function unpackHoles(bytes: unknown): Set<number> {
	if (!(bytes instanceof Uint8Array) || bytes.length === 0) return new Set();
	return new Set(new Float64Array(bytes.slice().buffer));
}
