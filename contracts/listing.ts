/**
 * A relay's signed offer to the market (PROTOCOL.md, "Listing").
 */

import { amount, isAmount } from "./amount.ts";
import { join, Reader, textOf, Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { type Problem, problem } from "./problem.ts";
import { isTariff, type Tariff } from "./tariff.ts";

/** What a relay offers. Times are Unix milliseconds. */
export type Offer = {
	readonly market: Uint8Array;
	readonly relay: Uint8Array;
	/** The account that is paid. */
	readonly operator: Uint8Array;
	/** `ws://` or `wss://`, host, optional port and path; nothing else. */
	readonly url: string;
	/** ISO 3166-1 alpha-2. */
	readonly country: string;
	/** Of the line, in Mbit/s, and of the disk, in gigabytes; 0: not said. */
	readonly bandwidthMbps: number;
	readonly storageGb: number;
	/** Gigabytes a month; 0 for no cap. */
	readonly trafficCapGb: number;
	/** Whether it takes anything new: not while its operator pauses it, nor when a cap is used up. */
	readonly takes: boolean;
	/** What is left of the storage and of this month's traffic, in whole gigabytes; 0 where there is no cap. */
	readonly storageLeftGb: number;
	readonly trafficLeftGb: number;
	readonly tariff: Tariff;
	readonly issuedAtMs: number;
	readonly validUntilMs: number;
};

/** A signed offer. */
export type Listing = Offer & { readonly bytes: Uint8Array };

const text = new TextEncoder();

/** Whether a URL is one that a listing may carry: no credentials, query or fragment; `ws:` or `wss:`. */
export function isRelayUrl(url: string): boolean {
	// Without "?" and "#" at all: an empty query or fragment would survive parsing as a second spelling.
	if (url.length > LIMIT.urlBytesMax || !/^wss?:\/\/[\x21-\x7e]+$/.test(url) || /[?#]/.test(url)) return false;
	const parsed = URL.parse(url);
	if (!parsed || parsed.username || parsed.password) return false;
	return parsed.href === url || parsed.href === `${url}/`;
}

/** Signs an offer with the relay's key. `url` and `country` must be valid: a relay checks its configuration first. */
export function signListing(crypto: Crypto, offer: Offer, relay: KeyPair): Listing {
	const url = text.encode(offer.url);
	const country = text.encode(offer.country);
	const body = new Writer()
		.u8(1)
		.put(offer.market, KEY_BYTES)
		.put(offer.relay, KEY_BYTES)
		.put(offer.operator, KEY_BYTES)
		.u16(url.length)
		.put(url)
		.put(country, 2)
		.u32(offer.bandwidthMbps)
		.u32(offer.storageGb)
		.u32(offer.trafficCapGb)
		.u8(offer.takes ? 1 : 0)
		.u32(offer.storageLeftGb)
		.u32(offer.trafficLeftGb)
		.u64(offer.tariff.sendPerMb)
		.u64(offer.tariff.storePerMbDay)
		.u64(offer.issuedAtMs)
		.u64(offer.validUntilMs)
		.finish();
	return { ...offer, bytes: join(body, signFor(crypto, "listing", body, relay.secretKey)) };
}

/** Reads a listing and checks its shape and the relay's signature; whether it is of this market and in time is the caller's. */
export function readListing(crypto: Crypto, bytes: Uint8Array): Listing | Problem {
	const reader = new Reader(bytes);
	const version = reader.u8();
	if (reader.sound && version !== 1) return problem("version-unknown", "The listing is of another version.");
	const market = reader.take(KEY_BYTES);
	const relay = reader.take(KEY_BYTES);
	const operator = reader.take(KEY_BYTES);
	const urlBytes = reader.u16();
	const url = textOf(reader.take(urlBytes)) ?? "";
	const country = textOf(reader.take(2)) ?? "";
	const [bandwidthMbps, storageGb, trafficCapGb] = [reader.u32(), reader.u32(), reader.u32()];
	const takes = reader.u8();
	const [storageLeftGb, trafficLeftGb] = [reader.u32(), reader.u32()];
	const [sendPerMb, storePerMbDay] = [reader.u64(), reader.u64()];
	const issuedAtMs = reader.count();
	const validUntilMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed", "The listing's bytes are not a listing.");
	if (!isRelayUrl(url) || !/^[A-Z]{2}$/.test(country))
		return problem("listing-invalid", "The listing's URL or country is not one.");
	if (takes > 1 || storageLeftGb > storageGb || trafficLeftGb > trafficCapGb)
		return problem("listing-invalid", "The listing has more left than there is.");
	if (!isAmount(sendPerMb) || !isAmount(storePerMbDay))
		return problem("listing-invalid", "The listing's prices are no amounts.");
	const tariff = { sendPerMb: amount(sendPerMb), storePerMbDay: amount(storePerMbDay) };
	if (!isTariff(tariff)) return problem("listing-invalid", "The listing asks more than any market shows.");
	if (validUntilMs <= issuedAtMs || validUntilMs - issuedAtMs > LIMIT.listingMsMax)
		return problem("listing-invalid", "The listing's times are out of order.");
	const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
	if (!verifyFor(crypto, "listing", body, signature, relay))
		return problem("signature-bad", "The relay did not sign this listing.");
	return {
		market,
		relay,
		operator,
		url,
		country,
		bandwidthMbps,
		storageGb,
		trafficCapGb,
		takes: takes === 1,
		storageLeftGb,
		trafficLeftGb,
		tariff,
		issuedAtMs,
		validUntilMs,
		bytes: bytes.slice(),
	};
}
