/**
 * A person's signed contact card: where their mailboxes are, what to seal to, and the token that lifts the stranger's
 * limits. It travels as a link or a QR code, from hand to hand (PROTOCOL.md, "Cards").
 */

import { join, Reader, textOf, Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, signFor, TOKEN_BYTES, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { isRelayUrl } from "./listing.ts";
import { type Problem, problem } from "./problem.ts";

/** A mailbox of a person: the relay's key and address, and the mailbox's id there. */
export type Home = { readonly relay: Uint8Array; readonly url: string; readonly mailbox: Uint8Array };

/** What a card says. `name` is what its owner calls themselves, at most {@link CARD_NAME_BYTES_MAX} bytes, or empty. */
export type CardBody = {
	readonly identity: Uint8Array;
	readonly name: string;
	/** X25519: what messages to this person are sealed to. */
	readonly seal: Uint8Array;
	readonly token: Uint8Array;
	/** One or two, the preferred first: with two, one operator's bad day loses nothing. */
	readonly homes: readonly Home[];
	/** Unix milliseconds. */
	readonly expiresAtMs: number;
};

/** A signed card. `bytes` is the card as it travels. */
export type Card = CardBody & { readonly bytes: Uint8Array };

/** A name has to fit a line on a phone. */
export const CARD_NAME_BYTES_MAX = 64;

/** Homes on a card: two relays are enough, and a QR code with more is hard to scan. */
export const CARD_HOMES_MAX = 2;

const SCHEME = "farelay:card#";
/** The longest card. */
export const CARD_BYTES_MAX = 1 + 32 + 32 + 16 + 8 + 1 + 64 + 1 + CARD_HOMES_MAX * (64 + 2 + LIMIT.urlBytesMax) + 64;
const text = new TextEncoder();

/**
 * Signs a card: `version 1 · identity 32 · seal 32 · token 16 · expires u64 · name length u8 · name · homes u8 ·
 * for each: relay 32 · mailbox 32 · url length u16 · url · signature 64`.
 * @throws RangeError for a name, URL or number of homes that no card may have: the caller checks first.
 */
export function signCard(crypto: Crypto, card: CardBody, identity: KeyPair): Card {
	const name = text.encode(card.name);
	if (!isCardName(card.name)) throw new RangeError("not a card's name");
	if (card.homes.length < 1 || card.homes.length > CARD_HOMES_MAX) throw new RangeError("not a card's homes");
	const writer = new Writer(CARD_BYTES_MAX)
		.u8(1)
		.put(card.identity, KEY_BYTES)
		.put(card.seal, KEY_BYTES)
		.put(card.token, TOKEN_BYTES)
		.u64(card.expiresAtMs)
		.u8(name.length)
		.put(name)
		.u8(card.homes.length);
	for (const home of card.homes) {
		if (!isRelayUrl(home.url)) throw new RangeError("not a relay's URL");
		const url = text.encode(home.url);
		writer.put(home.relay, KEY_BYTES).put(home.mailbox, KEY_BYTES).u16(url.length).put(url);
	}
	const body = writer.finish();
	return { ...card, bytes: join(body, signFor(crypto, "card", body, identity.secretKey)) };
}

/** Whether a text can be the name on a card: short, and without control characters that would change the line it is shown in. */
export function isCardName(name: string): boolean {
	return text.encode(name).length <= CARD_NAME_BYTES_MAX && name.isWellFormed() && !/\p{Cc}/u.test(name);
}

/** Reads a card and checks its shape and its owner's signature. Whether it is still in time is the caller's. Total. */
export function readCard(crypto: Crypto, bytes: Uint8Array): Card | Problem {
	const reader = new Reader(bytes);
	if (reader.u8() !== 1) return problem("version-unknown", "The card is of another version.");
	const identity = reader.take(KEY_BYTES);
	const seal = reader.take(KEY_BYTES);
	const token = reader.take(TOKEN_BYTES);
	const expiresAtMs = reader.count();
	const name = textOf(reader.take(reader.u8()));
	const count = reader.u8();
	if (count < 1 || count > CARD_HOMES_MAX) return problem("malformed", "The card has no homes, or too many.");
	const homes: Home[] = [];
	for (let i = 0; i < count; i++) {
		const relay = reader.take(KEY_BYTES);
		const mailbox = reader.take(KEY_BYTES);
		const length = reader.u16();
		if (length > LIMIT.urlBytesMax) return problem("malformed", "The card's relay has too long an address.");
		const url = textOf(reader.take(length));
		if (url === undefined || !isRelayUrl(url)) return problem("malformed", "The card's relay has no address.");
		homes.push({ relay, url, mailbox });
	}
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || name === undefined || !isCardName(name))
		return problem("malformed", "The bytes are not a contact card.");
	const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
	if (!verifyFor(crypto, "card", body, signature, identity))
		return problem("signature-bad", "The card is not signed by the person it names.");
	return { identity, name, seal, token, homes, expiresAtMs, bytes: bytes.slice() };
}

/** A card as a link: what is behind `#` never leaves a browser for a server. */
export function cardLink(card: Card): string {
	return SCHEME + toBase64Url(card.bytes);
}

/** Reads a link made by {@link cardLink}. Total: any text gives a card or a problem. */
export function readCardLink(crypto: Crypto, link: string): Card | Problem {
	const encoded = link.startsWith(SCHEME) ? link.slice(SCHEME.length) : undefined;
	const bytes = encoded && encoded.length <= CARD_BYTES_MAX * 2 ? fromBase64Url(encoded) : undefined;
	return bytes ? readCard(crypto, bytes) : problem("malformed", "That is not a card's link (farelay:card#...).");
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Base64url without padding (RFC 4648, section 5). */
export function toBase64Url(bytes: Uint8Array): string {
	let encoded = "";
	for (let i = 0; i < bytes.length; i += 3) {
		const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3);
		const group = (a << 16) | (b << 8) | c;
		const digits = Math.min(bytes.length - i, 3) + 1;
		for (let k = 0; k < digits; k++) encoded += DIGITS[(group >> (18 - 6 * k)) & 63];
	}
	return encoded;
}

/** Reads the one base64url form of some bytes; undefined for anything else, spare bits included. */
export function fromBase64Url(encoded: string): Uint8Array | undefined {
	const spare = encoded.length % 4;
	if (spare === 1 || !/^[\w-]*$/.test(encoded)) return undefined;
	const bytes = new Uint8Array(Math.floor((encoded.length * 3) / 4));
	let group = 0;
	let bits = 0;
	let at = 0;
	for (const digit of encoded) {
		group = ((group << 6) | DIGITS.indexOf(digit)) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			bytes[at++] = group >> bits;
		}
	}
	return (group & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}
