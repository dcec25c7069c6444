/** The board in plain maps: the oracle that the other engines are compared with, and the board of tests. It keeps nothing when the process ends. */

import { toHex } from "#contracts/bytes";
import { type Board, type Note, PAGE_MAX, type Posting } from "./board.ts";

type Hung = { readonly origin: string; readonly postings: readonly (Posting & { readonly place: number })[] };

/** An empty board in memory. */
export function openMemoryBoard(): Board {
	const relays = new Map<string, Hung>();
	const notes = new Map<string, Note>();
	const used = new Map<string, number>();
	let newest = 0;

	/** Takes down relays whose last posting is over; how many. */
	function takeDown(nowMs: number, of: (hung: Hung) => boolean): number {
		const over = [...relays].filter(
			([, hung]) => of(hung) && hung.postings.every(({ validUntilMs }) => validUntilMs <= nowMs),
		);
		for (const [relay] of over) relays.delete(relay);
		return over.length;
	}

	const from = (origin: string) => [...relays.values()].filter((hung) => hung.origin === origin).length;

	return {
		post: async (posting, room, nowMs) => {
			const relay = toHex(posting.relay);
			const valid = relays.get(relay)?.postings.filter(({ validUntilMs }) => validUntilMs > nowMs) ?? [];
			if (valid.length === 0) relays.delete(relay);
			if (valid.some(({ issuedAtMs }) => issuedAtMs >= posting.issuedAtMs)) return "older";
			const before = relays.get(relay);
			const origin = before?.origin ?? posting.origin;
			if (!before) {
				if (relays.size >= room.relays) takeDown(nowMs, () => true);
				if (relays.size >= room.relays) return "full";
				if (origin !== "" && from(origin) >= room.relaysOfOrigin) takeDown(nowMs, (hung) => hung.origin === origin);
				if (origin !== "" && from(origin) >= room.relaysOfOrigin) return "crowded";
			}
			newest += 1;
			const others = valid.filter(({ tariff }) => tariff !== posting.tariff);
			const postings = [{ ...posting, place: newest }, ...others].slice(0, room.postingsOfRelay);
			relays.set(relay, { origin, postings });
			return "posted";
		},
		postingsOf: async (relay) => (relays.get(toHex(relay))?.postings ?? []).map(({ bytes }) => bytes),
		postingsAfter: async (after) => {
			const later = [...relays.values()]
				.flatMap(({ postings }) => postings)
				.filter(({ place }) => place > after)
				.sort((a, b) => a.place - b.place)
				.slice(0, PAGE_MAX);
			return { postings: later.map(({ bytes }) => bytes), last: later.at(-1)?.place ?? after, newest };
		},
		note: async (name) => notes.get(name),
		writeNote: async (name, expect, text) => {
			if ((notes.get(name)?.version ?? 0) !== expect) return false;
			notes.set(name, { version: expect + 1, text });
			return true;
		},
		use: async (mark, untilMs) => {
			const known = used.has(toHex(mark));
			if (!known) used.set(toHex(mark), untilMs);
			return !known;
		},
		sweep: async (nowMs) => {
			const over = [...used].filter(([, untilMs]) => untilMs <= nowMs);
			for (const [mark] of over) used.delete(mark);
			return over.length + takeDown(nowMs, () => true);
		},
		close: async () => {},
	};
}
