/**
 * The relays' offers that are valid now, newest first for each relay. In memory: a listing lives 15 minutes at most and relays say theirs
 * again well before (PROTOCOL.md, "Listing").
 */

import { toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { type Listing, readListing } from "#contracts/listing";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { isPrivateUrl } from "./address.ts";

/** Relays that one market shows: 4 KiB each. */
const RELAYS_MAX = 10_000;

/** Listings of one relay that count at once: a price that it changed minutes ago may still be signed for by who just saw it. */
const VALID_MAX = 4;

/** The offers on show. */
export interface Listings {
	/** Takes a signed listing in, or says why not. One that is older than what is known is a success without effect. */
	take(bytes: Uint8Array, nowMs: number): Listing | Problem;
	/** A relay's valid listings, newest first. */
	of(relay: string, nowMs: number): readonly Listing[];
	/** Each relay's newest valid listing. */
	all(nowMs: number): readonly Listing[];
}

/** An empty show. `privateRelays`: URLs into private networks may be listed (development). */
export function makeListings(crypto: Crypto, market: Uint8Array, privateRelays: boolean): Listings {
	const shown = new Map<string, readonly Listing[]>();

	function of(relay: string, nowMs: number): readonly Listing[] {
		const valid = (shown.get(relay) ?? []).filter(({ validUntilMs }) => validUntilMs > nowMs);
		if (valid.length === 0) shown.delete(relay);
		return valid;
	}

	return {
		of,
		take: (bytes, nowMs) => {
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
			// the newest of each price: a relay that repeats itself must not push out the price that somebody just saw
			const others = before.filter(({ tariff }) => !isTariffOf(listing, tariff));
			shown.set(relay, [listing, ...others].slice(0, VALID_MAX));
			return listing;
		},
		all: (nowMs) => [...shown.keys()].flatMap((relay) => of(relay, nowMs).slice(0, 1)),
	};

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
