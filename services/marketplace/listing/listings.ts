/**
 * The relays' offers that are valid now, newest first for each relay. In memory: a listing lives 15 minutes at most and relays say theirs
 * again well before (PROTOCOL.md, "Listing").
 */

import { toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { type Listing, readListing } from "#contracts/listing";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { networkOf } from "#host/address";
import { isPrivateUrl } from "./address.ts";

/** Relays that one market shows: 4 KiB each. */
const RELAYS_MAX = 10_000;

/** Relays that one address (IPv6: one /64) lists at once: a data centre's worth for an operator, and a 312th of the show. */
const RELAYS_PER_ADDRESS_MAX = 32;

/** Listings of one relay that count at once: a price that it changed minutes ago may still be signed for by who just saw it. */
const VALID_MAX = 4;

/** The offers on show. */
export interface Listings {
	/** Takes a signed listing in, or says why not. One that is older than what is known is a success without effect. `address` is who posts it. */
	take(bytes: Uint8Array, nowMs: number, address?: string): Listing | Problem;
	/** A relay's valid listings, newest first. */
	of(relay: string, nowMs: number): readonly Listing[];
	/** Each relay's newest valid listing. */
	all(nowMs: number): readonly Listing[];
}

/** An empty show. `privateRelays`: URLs into private networks may be listed (development). */
export function makeListings(crypto: Crypto, market: Uint8Array, privateRelays: boolean): Listings {
	const shown = new Map<string, readonly Listing[]>();
	/** Where each relay on show came from first, and how many came from there: as many as are shown, at most. */
	const origins = new Map<string, string>();
	const perOrigin = new Map<string, number>();

	function of(relay: string, nowMs: number): readonly Listing[] {
		const valid = (shown.get(relay) ?? []).filter(({ validUntilMs }) => validUntilMs > nowMs);
		if (valid.length === 0 && shown.delete(relay)) leave(relay);
		return valid;
	}

	return {
		of,
		take: (bytes, nowMs, address = "") => {
			const listing = readListing(crypto, bytes);
			if (isProblem(listing)) return listing;
			const refused = refuse(listing, nowMs);
			if (refused) return refused;
			const relay = toHex(listing.relay);
			const before = of(relay, nowMs);
			if (before[0] && before[0].issuedAtMs >= listing.issuedAtMs) return listing;
			if (before.length === 0 && shown.size >= RELAYS_MAX) {
				for (const known of shown.keys()) of(known, nowMs);
				if (shown.size >= RELAYS_MAX) return problem("too-many", "The market shows as many relays as it can.");
			}
			if (before.length === 0 && !enter(relay, networkOf(address), nowMs))
				return problem("too-many", `One address lists at most ${RELAYS_PER_ADDRESS_MAX} relays here.`);
			// the newest of each price: a relay that repeats itself must not push out the price that somebody just saw
			const others = before.filter(({ tariff }) => !isTariffOf(listing, tariff));
			shown.set(relay, [listing, ...others].slice(0, VALID_MAX));
			return listing;
		},
		all: (nowMs) => [...shown.keys()].flatMap((relay) => of(relay, nowMs).slice(0, 1)),
	};

	/** Keys are free: whoever makes thousands must not fill the show. On a market for development everybody has one address. */
	function enter(relay: string, from: string, nowMs: number): boolean {
		if (privateRelays || from === "") return true;
		if ((perOrigin.get(from) ?? 0) >= RELAYS_PER_ADDRESS_MAX)
			for (const [known, origin] of origins) if (origin === from) of(known, nowMs);
		const others = perOrigin.get(from) ?? 0;
		if (others >= RELAYS_PER_ADDRESS_MAX) return false;
		origins.set(relay, from);
		perOrigin.set(from, others + 1);
		return true;
	}

	function leave(relay: string): void {
		const from = origins.get(relay);
		if (from === undefined) return;
		origins.delete(relay);
		const others = (perOrigin.get(from) ?? 1) - 1;
		if (others > 0) perOrigin.set(from, others);
		else perOrigin.delete(from);
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

function isTariffOf(listing: Listing, tariff: Listing["tariff"]): boolean {
	return listing.tariff.sendPerMb === tariff.sendPerMb && listing.tariff.storePerMbDay === tariff.storePerMbDay;
}
