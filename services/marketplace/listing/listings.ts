/**
 * The relays' offers that are valid now, newest first for each relay. They hang on the board, so that every process of the market shows the
 * same and a restart shows them at once; a listing lives 15 minutes at most, and relays say theirs again well before (PROTOCOL.md, "Listing").
 */

import { hash } from "node:crypto";
import { same, toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { type Listing, readListing } from "#contracts/listing";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { networkOf } from "#host/address";
import type { Clock } from "#host/clock";
import type { Board, Room } from "#marketplace/board/board";
import { isPrivateUrl } from "./address.ts";

/** What one market shows. */
const ROOM: Room = {
	/** 4 KiB each in the memory of each process */
	relays: 10_000,
	/** of one address (IPv6: one /64): a data centre's worth for an operator, and a 312th of the show */
	relaysOfOrigin: 32,
	/** that count at once: a price that it changed minutes ago may still be signed for by who just saw it */
	postingsOfRelay: 4,
};

/** How old the list of all relays may be that a process shows: what another process was told shows here so much later. */
export const SHOWN_MS_MAX = 1_000;

/** The offers on show. */
export interface Listings {
	/** Takes a signed listing in, or says why not. One that is older than what is known is a success without effect. `address` is who posts it. */
	take(bytes: Uint8Array, nowMs: number, address?: string): Promise<Listing | Problem>;
	/** A relay's valid listings, newest first, as they are now. */
	of(relay: Uint8Array, nowMs: number): Promise<readonly Listing[]>;
	/** Each relay's newest valid listing, as they were {@link SHOWN_MS_MAX} ago at most. */
	all(nowMs: number): Promise<readonly Listing[]>;
}

/** What listings need. */
export type ListingParts = {
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly board: Board;
	/** the market's root key: which listings are for it */
	readonly market: Uint8Array;
	/** URLs into private networks may be listed (development) */
	readonly privateRelays: boolean;
};

/** The show on a board. */
export function makeListings({ crypto, clock, board, market, privateRelays }: ListingParts): Listings {
	/** what was read of the board: all of it costs a second to verify at full size, what is new nearly nothing */
	const shown = new Map<string, readonly Listing[]>();
	let place = 0;
	let freshUntilMs = Number.NEGATIVE_INFINITY;
	let looking: Promise<void> | undefined;

	/** What hangs, read; what was read before is not verified again. Nothing else hangs there than what a market put there. */
	function read(bytes: Uint8Array, known: readonly Listing[]): Listing | undefined {
		const before = known.find((listing) => same(listing.bytes, bytes));
		if (before) return before;
		const listing = readListing(crypto, bytes);
		return isProblem(listing) ? undefined : listing;
	}

	/** Among those that are shown: of each price the newest, and the newest few. */
	function show(listing: Listing): void {
		const relay = toHex(listing.relay);
		const all = [...(shown.get(relay) ?? []), listing].sort((a, b) => b.issuedAtMs - a.issuedAtMs);
		const newest = all.filter((one, i) => all.findIndex((other) => tariffOf(other) === tariffOf(one)) === i);
		shown.set(relay, newest.slice(0, ROOM.postingsOfRelay));
	}

	/** What is over is shown no more. */
	function forget(nowMs: number): void {
		for (const [relay, listings] of shown) {
			const valid = listings.filter(({ validUntilMs }) => validUntilMs > nowMs);
			if (valid.length === 0) shown.delete(relay);
			else if (valid.length < listings.length) shown.set(relay, valid);
		}
	}

	/** Reads what came since the last look. */
	async function look(): Promise<void> {
		const beganMs = clock.elapsedMs();
		for (;;) {
			const page = await board.postingsAfter(place);
			if (page.newest < place) {
				// the board is older than it was: somebody went back to a backup
				shown.clear();
				place = 0;
				continue;
			}
			for (const bytes of page.postings) {
				const listing = read(bytes, []);
				if (listing) show(listing);
			}
			place = page.last;
			if (page.postings.length === 0 || page.last >= page.newest) break;
		}
		freshUntilMs = beganMs + SHOWN_MS_MAX;
	}

	return {
		take: async (bytes, nowMs, address = "") => {
			const listing = readListing(crypto, bytes);
			if (isProblem(listing)) return listing;
			const refused = refuse(listing, nowMs);
			if (refused) return refused;
			const { relay, issuedAtMs, validUntilMs } = listing;
			const origin = originOf(address);
			const posting = { relay, tariff: tariffOf(listing), origin, issuedAtMs, validUntilMs, bytes: listing.bytes };
			const said = await board.post(posting, ROOM, nowMs);
			if (said === "full") return problem("too-many", "The market shows as many relays as it can.");
			if (said === "crowded")
				return problem("too-many", `One address lists at most ${ROOM.relaysOfOrigin} relays here.`);
			if (said === "posted") {
				if (shown.size >= ROOM.relays) forget(nowMs);
				show(listing);
			}
			return listing;
		},
		of: async (relay, nowMs) => {
			const known = shown.get(toHex(relay)) ?? [];
			const found = (await board.postingsOf(relay)).map((bytes) => read(bytes, known));
			return found.filter((listing) => listing !== undefined && listing.validUntilMs > nowMs) as Listing[];
		},
		all: async (nowMs) => {
			if (clock.elapsedMs() >= freshUntilMs) {
				looking ??= look().finally(() => {
					looking = undefined;
				});
				await looking;
			}
			forget(nowMs);
			return [...shown.values()].flatMap((listings) => listings.slice(0, 1));
		},
	};

	/**
	 * Keys are free: whoever makes thousands must not fill the show. On a market for development everybody has one address, and nobody counts.
	 * Blurred, for the address itself is written down nowhere (threat 26).
	 */
	function originOf(address: string): string {
		const from = networkOf(address);
		return privateRelays || from === "" ? "" : hash("sha256", `${toHex(market)} ${from}`, "hex").slice(0, ORIGIN_CHARS);
	}

	function refuse(listing: Listing, nowMs: number): Problem | undefined {
		if (toHex(listing.market) !== toHex(market))
			return problem("grant-unknown-market", "The listing is for another market.");
		if (Math.abs(nowMs - listing.issuedAtMs) > LIMIT.requestAgeMsMax || listing.validUntilMs <= nowMs)
			return problem("clock", "The listing's time is not now.");
		if (!privateRelays && isPrivateUrl(listing.url))
			return problem("listing-invalid", "The listing's URL leads into a private network; nobody could reach it.");
		return undefined;
	}
}

/** 32 bits: that two of a few thousand addresses count as one is unlikely, and hurts only those two. */
const ORIGIN_CHARS = 8;

function tariffOf({ tariff }: Listing): string {
	return `${tariff.sendPerMb}:${tariff.storePerMbDay}`;
}
