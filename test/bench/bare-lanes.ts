/** The lanes of the bare forwarder: one payload for each WebSocket message, each checked at the reader. */
import type { OpenLanes } from "./generator.ts";
import { message, open, read } from "./wire.ts";

/** Bytes of ready-made messages that one write may take. */
const WRITE_BYTES_MAX = 256 * 1024;

/** The byte at which every payload begins and ends, so that a shifted or cut one shows. */
const EDGE = 0xfa;

export const openLanes: OpenLanes = async ({ port, size, pairs }, arrived) => {
	const payload = Buffer.alloc(size, 0x5a);
	payload[0] = payload[size - 1] = EDGE;
	const one = message(payload);
	const copies = Math.max(1, Math.floor(WRITE_BYTES_MAX / one.length));
	const many = Buffer.concat(Array.from({ length: copies }, () => one));

	return Promise.all(
		Array.from({ length: pairs }, async (_, i) => {
			const reader = await open(port, `/r/${i}`);
			let got = 0;
			let whole = 0;
			read(reader, (chunk, start, end, last) => {
				if ((got === 0 && chunk[start] !== EDGE) || (last && (chunk[end - 1] !== EDGE || got + end - start !== size)))
					throw new Error("a payload arrived other than it was sent");
				got = last ? 0 : got + end - start;
				if (last) whole++;
			});
			// Told once a read and not once a payload: the window is refilled in large writes.
			reader.on("data", () => {
				const count = whole;
				whole = 0;
				if (count > 0) arrived(i, count);
			});
			const socket = await open(port, `/t/${i}`);
			socket.resume();
			return {
				socket,
				reader,
				send(payloadsMax: number) {
					const count = Math.min(payloadsMax, copies);
					socket.write(many.subarray(0, count * one.length));
					return count;
				},
			};
		}),
	);
};
