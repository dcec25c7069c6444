/**
 * Published cards: sealed for whoever has the link, fetched by it and checked. A market can hold a card back or show
 * one that was true before; it can make none, and read none (PROTOCOL.md, "Cards, sealing and files").
 */

import { fromHex, join, same, toHex } from "#contracts/bytes";
import { type Card, readCard } from "#contracts/card";
import { isProblem, type Problem, problem, problemOfJson } from "#contracts/problem";
import {
	type PlaceLink,
	PUBLISHED_NONCE_BYTES,
	type Published,
	placeKey,
	publishedHead,
	publishedKey,
	readPublished,
	readPublishedPlain,
	signPublished,
	writePublishedPlain,
} from "#contracts/published";
import type { Aead, Device } from "./device.ts";
import type { Identity } from "./identity.ts";

/** What sealing and opening take of the device. */
type Tools = { readonly crypto: Device["crypto"]; readonly sodium: Aead };

/** A card that was published, and which publication of its place it was. */
export type Found = { readonly card: Card; readonly serial: number };

/** Encrypts and signs a card for publication; without a card it is a withdrawal. */
export function sealPublished(
	{ crypto, sodium }: Tools,
	{ seed }: Pick<Identity, "seed">,
	said: { readonly card: Card | undefined; readonly serial: number; readonly untilMs: number },
): Published {
	const { card, serial, untilMs } = said;
	const pair = placeKey(crypto, seed);
	const body = { place: pair.publicKey, serial, untilMs };
	if (!card) return signPublished(crypto, { ...body, sealed: undefined }, pair);
	const nonce = crypto.random(PUBLISHED_NONCE_BYTES);
	const box = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
		writePublishedPlain(card.bytes),
		publishedHead(body),
		null,
		nonce,
		publishedKey(crypto, seed),
	);
	return signPublished(crypto, { ...body, sealed: join(nonce, box) }, pair);
}

/** Opens what a market showed for a link. Total: any bytes give a card or a problem. */
export function openPublished(
	{ crypto, sodium }: Tools,
	link: PlaceLink,
	bytes: Uint8Array,
	nowMs: number,
): Found | Problem {
	const said = readPublished(crypto, bytes);
	if (isProblem(said)) return said;
	const { place, serial, untilMs, sealed } = said;
	if (!same(place, link.place)) return problem("signature-bad", "The market showed somebody else's card.");
	if (!sealed || untilMs <= nowMs) return problem("not-found", "No card is published there any more.");
	let plain: Uint8Array;
	try {
		plain = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
			null,
			sealed.subarray(PUBLISHED_NONCE_BYTES),
			publishedHead(said),
			sealed.subarray(0, PUBLISHED_NONCE_BYTES),
			link.key,
		);
	} catch {
		return problem("seal-broken", "The published card does not open with the link's key.");
	}
	const card = readPublishedPlain(plain);
	const read = isProblem(card) ? card : readCard(crypto, card);
	return isProblem(read) ? read : { card: read, serial };
}

/** How long a market may take to answer. */
const ANSWER_MS = 20_000;

/** The longest answer that is read: a link may name anybody's machine. */
const ANSWER_BYTES_MAX = 8_192;

/** Asks a market; its JSON, or its problem. Nothing of money is in this, so that nothing is spent is certain. */
export async function ask({ fetch }: Pick<Device, "fetch">, url: string, body: object): Promise<unknown> {
	try {
		const answer = await fetch(url, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify(body),
			signal: AbortSignal.timeout(ANSWER_MS),
			redirect: "error",
			credentials: "omit",
			referrerPolicy: "no-referrer",
		});
		const json: unknown = JSON.parse(await readText(answer));
		const refusal = problemOfJson(json);
		if (refusal || answer.ok) return refusal ?? json;
	} catch {
		// no answer, or none of a market
	}
	return problem("unavailable", "The market could not be reached or did not answer.", { spent: "no" });
}

async function readText(answer: Response): Promise<string> {
	const pieces: Uint8Array[] = [];
	let left = ANSWER_BYTES_MAX;
	const reader = answer.body?.getReader();
	for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
		left -= next.value.length;
		if (left < 0) {
			await reader?.cancel();
			throw new Error("too long an answer");
		}
		pieces.push(next.value);
	}
	return new TextDecoder().decode(join(...pieces));
}

/** Fetches what a market shows for a link, and opens it. The market sees an address and a place, and is shown no account. */
export async function fetchPublished(device: Device, link: PlaceLink): Promise<Found | Problem> {
	const answer = await ask(device, `${link.url}/v1/card/read`, { place: toHex(link.place) });
	if (isProblem(answer)) return answer;
	const bytes = fromHex((answer as { card?: unknown } | null)?.card);
	if (!bytes) return problem("malformed", "The market's card is none.");
	return openPublished(device, link, bytes, device.nowMs());
}
