/**
 * A published card: a person's newest card as bytes that a marketplace keeps for whoever has the link. Encrypted under a key that is only
 * in the link, signed by a key of the owner's that stands for the place where it is kept, with a number that only rises; of one size,
 * whoever it is of (PROTOCOL.md, "Cards, sealing and files"; docs/decisions/published-cards.md). The key is behind the link's `#`, so that it stands in no server's log (threat 22).
 */

import { Reader, Writer } from "./bytes.ts";
import { CARD_BYTES_MAX, fromBase64Url, toBase64Url } from "./card.ts";
import { type Crypto, hashFor, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { type Problem, problem } from "./problem.ts";

/** XChaCha20's nonce, by chance each time. */
export const PUBLISHED_NONCE_BYTES = 24;

/** What is encrypted: the card's length, the card, zeros. More than any card takes, and a round number. */
export const PUBLISHED_PLAIN_BYTES = 1_024;

const TAG_BYTES = 16;
const HEAD_BYTES = 1 + KEY_BYTES + 8 + 8;
const SEALED_BYTES = PUBLISHED_NONCE_BYTES + PUBLISHED_PLAIN_BYTES + TAG_BYTES;

/** A published card's length, always. */
export const PUBLISHED_BYTES = HEAD_BYTES + SEALED_BYTES + SIGNATURE_BYTES;

/** A withdrawal's. */
export const WITHDRAWN_BYTES = HEAD_BYTES + SIGNATURE_BYTES;

/** What is said of a place. `sealed` is the nonce and the encrypted card; without it the card that was there is withdrawn. */
export type PublishedBody = {
	/** The owner's public key for publishing, which is also where the card is kept. */
	readonly place: Uint8Array;
	/** Rises with each publication of a place: what is older is never put back. */
	readonly serial: number;
	/** Unix milliseconds: when it is over unless said again, at most {@link LIMIT.publishedMsMax} away. */
	readonly untilMs: number;
	readonly sealed: Uint8Array | undefined;
};

export type Published = PublishedBody & { readonly bytes: Uint8Array };

/** The key pair of a person's place: from the account's seed, so that nobody else can write there and nobody can tell whose it is. */
export function placeKey(crypto: Crypto, accountSeed: Uint8Array): KeyPair {
	return crypto.keyPair(hashFor(crypto, "card-place", new Uint8Array(0), accountSeed));
}

/** The key under which a person's published cards are encrypted. It travels in links and nowhere else. */
export function publishedKey(crypto: Crypto, accountSeed: Uint8Array): Uint8Array {
	return hashFor(crypto, "card-key", new Uint8Array(0), accountSeed);
}

/** The bytes before what is encrypted: they go under its tag too, so that an old box fits no new head. */
export function publishedHead(
	{ place, serial, untilMs }: Omit<PublishedBody, "sealed">,
	withdrawn = false,
): Uint8Array {
	return new Writer(HEAD_BYTES)
		.u8(withdrawn ? 2 : 1)
		.put(place, KEY_BYTES)
		.u64(serial)
		.u64(untilMs)
		.finish();
}

/** Signs a publication: `1 · place 32 · serial u64 · until u64 · sealed 1,064 · signature 64`; a withdrawal has `2` and no `sealed`. */
export function signPublished(crypto: Crypto, said: PublishedBody, place: KeyPair): Published {
	const { sealed } = said;
	const writer = new Writer(PUBLISHED_BYTES).put(publishedHead(said, sealed === undefined));
	if (sealed) writer.put(sealed, SEALED_BYTES);
	const body = writer.finish();
	const signature = signFor(crypto, "published", body, place.secretKey);
	return { ...said, bytes: new Writer(PUBLISHED_BYTES).put(body).put(signature).finish() };
}

/** Reads a publication and checks that its place's owner signed it. Whether it is the newest, and in time, is the caller's. Total. */
export function readPublished(crypto: Crypto, bytes: Uint8Array): Published | Problem {
	const reader = new Reader(bytes);
	const version = reader.u8();
	if (reader.sound && version !== 1 && version !== 2)
		return problem("version-unknown", "The published card is of another version.");
	const place = reader.take(KEY_BYTES);
	const serial = reader.count();
	const untilMs = reader.count();
	const sealed = version === 1 ? reader.take(SEALED_BYTES) : undefined;
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed", "The bytes are not a published card.");
	if (!verifyFor(crypto, "published", bytes.subarray(0, bytes.length - SIGNATURE_BYTES), signature, place))
		return problem("signature-bad", "The published card is not signed by the owner of its place.");
	return { place, serial, untilMs, sealed, bytes: bytes.slice() };
}

/** What is encrypted: `length u16 · card · zeros`, {@link PUBLISHED_PLAIN_BYTES} in all. */
export function writePublishedPlain(card: Uint8Array): Uint8Array {
	if (card.length > CARD_BYTES_MAX) throw new RangeError("a card is over the limit");
	const plain = new Uint8Array(PUBLISHED_PLAIN_BYTES);
	plain.set(new Writer(2 + card.length).u16(card.length).put(card).finish());
	return plain;
}

/** The card's bytes that were encrypted. Total. */
export function readPublishedPlain(plain: Uint8Array): Uint8Array | Problem {
	const reader = new Reader(plain);
	const card = reader.take(reader.u16());
	const padding = reader.take(reader.left);
	if (!reader.done || plain.length !== PUBLISHED_PLAIN_BYTES || padding.some((byte) => byte !== 0))
		return problem("seal-broken", "The published card holds no card.");
	return card;
}

/** Where a published card is and how to open it: all that a link says. */
export type PlaceLink = {
	/** The market's address, without a slash at the end. */
	readonly url: string;
	readonly place: Uint8Array;
	readonly key: Uint8Array;
};

/** Where in a market's address a link points to; what follows the `#` stays with whoever opens it. */
const PAGE = "/card#";

/** A place as a link: `<market>/card#` and base64url of `1 · place 32 · key 32`. A browser sends nothing of what follows the `#`. */
export function placeLink({ url, place, key }: PlaceLink): string {
	const bytes = new Writer(1 + KEY_BYTES * 2).u8(1).put(place, KEY_BYTES).put(key, KEY_BYTES).finish();
	return `${url}${PAGE}${toBase64Url(bytes)}`;
}

/** Whether a text is meant as such a link, well made or not. */
export function isPlaceLink(link: string): boolean {
	return /^https?:\/\//.test(link);
}

/** Reads a link made by {@link placeLink}. Total: any text gives a place or a problem. */
export function readPlaceLink(link: string): PlaceLink | Problem {
	const [url = "", encoded = "", ...more] = link.length > LIMIT.urlBytesMax * 2 ? [] : link.split(PAGE);
	const reader = new Reader(fromBase64Url(encoded) ?? new Uint8Array(0));
	const version = reader.u8();
	const place = reader.take(KEY_BYTES);
	const key = reader.take(KEY_BYTES);
	if (!reader.done || version !== 1 || more.length > 0 || !isMarketUrl(url))
		return problem("malformed", "That is not a published card's link (https://.../card#...).");
	return { url, place, key };
}

/** Whether a text is a market's address in the one form that links have it: no user, query, fragment or slash at the end. */
export function isMarketUrl(url: string): boolean {
	if (url.length > LIMIT.urlBytesMax || !/^https?:\/\/[\x21-\x7e]+$/.test(url) || /[?#]|\/$/.test(url)) return false;
	const parsed = URL.parse(url);
	if (!parsed || parsed.username || parsed.password) return false;
	return parsed.href === url || parsed.href === `${url}/`;
}
