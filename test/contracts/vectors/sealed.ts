/** The vectors of what a relay never sees the inside of: cards, sealed messages, the manifests and chunks of files. */
import { join, Reader, toHex } from "#contracts/bytes";
import { cardLink, readCard, readCardLink, signCard } from "#contracts/card";
import { BODY_BYTES_MAX, MESSAGE, type Message, padme, sealedBytes, writeMessage } from "#contracts/envelope";
import { hashFor, mailboxKey, SEED_BYTES, sealSeed, signFor } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import {
	placeKey,
	placeLink,
	publishedHead,
	publishedKey,
	readPlaceLink,
	readPublished,
	signPublished,
	writePublishedPlain,
} from "#contracts/published";
import { CHUNK_CONTENT_BYTES, type Manifest, readChunk, readManifest, writeChunk, writeManifest } from "#sdk/chunk";
import { openPublished } from "#sdk/published";
import { open } from "#sdk/seal";
import { DAY_MS, flip, NOW_MS, patch, resign, seed, u64, world } from "#test/contracts/world";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";
import type { Engine } from "./engine.ts";

const text = new TextEncoder();
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

/** The X25519 pair that others seal to. */
function sealPair({ crypto, sealing }: Engine, accountSeed: Uint8Array) {
	const { publicKey, privateKey } = sealing.crypto_box_seed_keypair(sealSeed(crypto, accountSeed));
	return { publicKey, secretKey: privateKey };
}

/** The account's card: a mailbox at the relay of these tests, and at a second one where two are asked for. */
export function cardOf(engine: Engine, homes: 1 | 2 = 1, name = "Amina") {
	const { crypto } = engine;
	const w = world(crypto);
	const at = (relay: Uint8Array, url: string) => ({
		relay,
		url,
		mailbox: mailboxKey(crypto, seed(4), relay).publicKey,
	});
	const all = [at(w.relay.publicKey, w.offer.url), at(w.other.publicKey, "ws://127.0.0.1:8788")];
	return {
		identity: w.account.publicKey,
		name,
		seal: sealPair(engine, seed(4)).publicKey,
		token: hashFor(crypto, "card-token", new Uint8Array(0), seed(4)).slice(0, 16),
		homes: all.slice(0, homes),
		expiresAtMs: NOW_MS + 365 * DAY_MS,
	};
}

export function cardVectors(engine: Engine): VectorFile {
	const { crypto } = engine;
	const w = world(crypto);
	const body = cardOf(engine);
	const card = signCard(crypto, body, w.account);
	const { bytes } = card;
	const link = cardLink(card);
	/** Where the name's length stands, and what comes after a name of five bytes. */
	const at = { expires: 81, nameLength: 89, name: 90, homes: 95, url: 96 + 64 + 2 };
	const again = (offset: number, over: Uint8Array) =>
		resign(crypto, "card", patch(bytes, offset, over), w.account.secretKey);
	const spliced = (name: Uint8Array) =>
		resign(
			crypto,
			"card",
			join(bytes.slice(0, at.nameLength), Uint8Array.of(name.length), name, bytes.slice(at.homes)),
			w.account.secretKey,
		);
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["version 2", again(0, Uint8Array.of(2))],
		["expires at 2^53", again(at.expires, u64(2n ** 53n))],
		["a name of 65 bytes", spliced(text.encode("a".repeat(65)))],
		["a name that is no UTF-8", again(at.name, Uint8Array.of(0xff))],
		["a name with a new line", again(at.name, text.encode("\n"))],
		["no homes", again(at.homes, Uint8Array.of(0))],
		["three homes", again(at.homes, Uint8Array.of(3))],
		["two homes, and bytes for one", again(at.homes, Uint8Array.of(2))],
		["a URL that is none", again(at.url, text.encode("htt"))],
		["a URL of more than 256 bytes", again(at.url - 2, Uint8Array.of(1, 1))],
		["signed by somebody else", resign(crypto, "card", bytes, w.other.secretKey)],
		["signed for another purpose", resign(crypto, "listing", bytes, w.account.secretKey)],
		["a bit of the sealing key changed", flip(bytes, 33)],
		["a bit of the mailbox changed", flip(bytes, 96 + 32)],
		["a bit of the signature changed", flip(bytes, bytes.length - 1)],
	];
	const badLinks: [string, string][] = [
		["nothing", ""],
		["another scheme", link.replace("farelay:", "farelai:")],
		["no fragment", "farelay:card#"],
		["padding", `${link}=`],
		["the other alphabet", `${link.slice(0, 14)}+${link.slice(15)}`],
		["a space", `${link} `],
		["spare bits that are not zero", spareBits(link)],
		["a character short", link.slice(0, -1)],
	];
	return {
		contract: "card",
		section: "Cards, sealing and files",
		accountSecretKey: toHex(w.account.secretKey),
		cards: [
			accepted("a name and one home", { ...body, bytes, link }),
			accepted("no name and two homes", {
				...cardOf(engine, 2, ""),
				bytes: signCard(crypto, cardOf(engine, 2, ""), w.account).bytes,
			}),
			accepted("a name of 64 bytes", {
				name: "é".repeat(32),
				bytes: signCard(crypto, cardOf(engine, 1, "é".repeat(32)), w.account).bytes,
			}),
		],
		cardsRefused: bad.map(([name, changed]) => refused(name, changed, readCard(crypto, changed))),
		linksRefused: badLinks.map(([name, changed]) => refused(name, { link: changed }, readCardLink(crypto, changed))),
		seedLine: accepted("an account's secret as a line", {
			seed: seed(4),
			line: `farelay-seed:${toHex(seed(4))}${toHex(hashFor(crypto, "seed-check", seed(4)).slice(0, 4))}`,
		}),
	};
}

export function publishedVectors(engine: Engine): VectorFile {
	const { crypto, sealing } = engine;
	const w = world(crypto);
	const pair = placeKey(crypto, seed(4));
	const key = publishedKey(crypto, seed(4));
	const card = signCard(crypto, cardOf(engine), w.account).bytes;
	const nonce = new Uint8Array(24).fill(0xcd);
	const head = { place: pair.publicKey, serial: 7, untilMs: NOW_MS + 90 * DAY_MS };
	const seal = (plain: Uint8Array, under = key, over = head) =>
		join(nonce, sealing.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, publishedHead(over), null, nonce, under));
	const sign = (sealed: Uint8Array | undefined, said = head, by = pair) =>
		signPublished(crypto, { ...said, sealed }, by).bytes;
	const plain = writePublishedPlain(card);
	const bytes = sign(seal(plain));
	const withdrawn = sign(undefined, { ...head, serial: 8 });
	const link = { url: "https://market.example", place: pair.publicKey, key };
	const opened = (changed: Uint8Array, nowMs = NOW_MS) =>
		openPublished({ crypto, sodium: sealing }, link, changed, nowMs);
	const again = (at: number, over: Uint8Array) => resign(crypto, "published", patch(bytes, at, over), pair.secretKey);
	const other = placeKey(crypto, seed(8));
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["version 3", again(0, Uint8Array.of(3))],
		["a withdrawal's version, and a card", again(0, Uint8Array.of(2))],
		["a serial of 2^53", again(33, u64(2n ** 53n))],
		["until 2^53", again(41, u64(2n ** 53n))],
		["over already", again(41, u64(NOW_MS))],
		["withdrawn", withdrawn],
		[
			"another person's place",
			sign(seal(plain, key, { ...head, place: other.publicKey }), { ...head, place: other.publicKey }, other),
		],
		["signed by another key", resign(crypto, "published", bytes, w.account.secretKey)],
		["signed for another purpose", resign(crypto, "card", bytes, pair.secretKey)],
		["an older box under a higher serial", again(33, u64(8))],
		["encrypted under another key", sign(seal(plain, seed(1)))],
		["a bit of the box changed", again(49 + 24, flip(bytes.slice(73, 74), 0))],
		["padding that is not zero", sign(seal(patch(plain, 1_023, Uint8Array.of(1))))],
		["a card longer than its room", sign(seal(patch(plain, 0, Uint8Array.of(255, 255))))],
		["a card that is none", sign(seal(writePublishedPlain(card.slice(0, -1))))],
		["a bit of the signature changed", flip(bytes, bytes.length - 1)],
	];
	const text = placeLink(link);
	const links: [string, string][] = [
		["over TLS", text],
		["on this machine", placeLink({ ...link, url: "http://127.0.0.1:8787" })],
		["in a folder", placeLink({ ...link, url: "https://example.org/market" })],
	];
	const badLinks: [string, string][] = [
		["a card's own link", cardLink(signCard(crypto, cardOf(engine), w.account))],
		["no fragment", "https://market.example/card#"],
		["another page", text.replace("/card#", "/cards#")],
		["a slash too many", text.replace("/card#", "//card#")],
		["a query", text.replace("/card#", "/card?a#")],
		["a user", text.replace("market.", "me@market.")],
		["capitals", text.replace("market.", "Market.")],
		["a default port", text.replace("example/", "example:443/")],
		["padding", `${text}=`],
		["a character short", text.slice(0, -1)],
		["another version", placeLink(link).replace("#A", "#B")],
	];
	return {
		contract: "published",
		section: "Cards, sealing and files",
		accountSeed: toHex(seed(4)),
		nowMs: NOW_MS,
		place: accepted("of the account", { ...pair, key }),
		published: [
			accepted("a card", { ...head, nonce, card, plain, bytes, opens: cardIn(opened(bytes)) }),
			accepted("a millisecond before its end", {
				nowMs: head.untilMs - 1,
				opens: cardIn(opened(bytes, head.untilMs - 1)),
			}),
		],
		publishedRefused: bad.map(([name, changed]) => refused(name, changed, opened(changed))),
		withdrawn: accepted("the next serial", {
			serial: 8,
			untilMs: head.untilMs,
			bytes: withdrawn,
			reads: readSerial(crypto, withdrawn),
		}),
		links: links.map(([name, one]) => accepted(name, { link: one, reads: readPlaceLink(one) })),
		linksRefused: badLinks.map(([name, one]) => refused(name, { link: one }, readPlaceLink(one))),
	};
}

function cardIn(found: ReturnType<typeof openPublished>) {
	return isProblem(found) ? found : { name: found.card.name, serial: found.serial };
}

function readSerial(crypto: Engine["crypto"], bytes: Uint8Array) {
	const said = readPublished(crypto, bytes);
	return isProblem(said) ? said : { serial: said.serial, withdrawn: said.sealed === undefined };
}

/** The same bytes in a spelling that is not theirs: a bit more in the last digit. */
function spareBits(link: string): string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return link.slice(0, -1) + digits[digits.indexOf(link.at(-1) as string) + 1];
}

export function envelopeVectors(engine: Engine): VectorFile {
	const { crypto, sealing } = engine;
	const w = world(crypto);
	const reader = sealPair(engine, seed(4));
	const ephemeral = seed(10);
	const mailbox = mailboxKey(crypto, seed(4), w.relay.publicKey).publicKey;
	const sender = w.other;
	const said = (kind: number, body: Uint8Array): Message => ({
		id: new Uint8Array(16).fill(0xee),
		atMs: NOW_MS,
		mailbox,
		sender: sender.publicKey,
		kind,
		body,
	});
	const plainOf = (message: Message) => writeMessage(crypto, message, reader.publicKey, sender);
	const sealed = (plain: Uint8Array) => join(Uint8Array.of(1), sealing.sealWith(ephemeral, plain, reader.publicKey));
	const opened = (payload: Uint8Array) => open({ crypto, sodium: sealing }, payload, mailbox, { seal: reader });
	const message = said(MESSAGE.text, text.encode("Good morning"));
	const plain = plainOf(message);
	const payload = sealed(plain);
	/** The inside with other bytes at a place, signed anew over what it then says. */
	const again = (at: number, over: Uint8Array) => {
		const changed = patch(plain, at, over);
		const fields = new Reader(changed.slice(89 + 64));
		fields.u8();
		const body = fields.take(fields.u32());
		const kind = changed.slice(89 + 64, 89 + 65);
		const head = join(reader.publicKey, changed.slice(0, 89), kind, u32(body.length), body);
		return patch(changed, 89, signFor(crypto, "message", head, sender.secretKey));
	};
	const stolen = writeMessage(crypto, message, sealPair(engine, seed(8)).publicKey, sender);
	const bad: [string, Uint8Array][] = [
		["no bytes", new Uint8Array(0)],
		["nothing but what kind it is", Uint8Array.of(1)],
		["48 bytes of seal and nothing in it", sealed(new Uint8Array(0))],
		["another kind of payload", patch(payload, 0, Uint8Array.of(3))],
		["a bit of the ephemeral key changed", flip(payload, 1)],
		["a bit of the box changed", flip(payload, 60)],
		["one byte short", payload.slice(0, -1)],
		["sealed to somebody else", join(Uint8Array.of(1), sealing.sealWith(ephemeral, plain, mailbox))],
		["version 2 inside", sealed(again(0, Uint8Array.of(2)))],
		["a time of 2^53", sealed(again(17, u64(2n ** 53n)))],
		["another mailbox inside", sealed(again(25, w.mailbox.publicKey))],
		["a body longer than the seal", sealed(patch(plain, 89 + 65, u32(plain.length)))],
		["padding that is not zero", sealed(patch(plain, plain.length - 1, Uint8Array.of(1)))],
		["signed for another reader's sealing key", sealed(stolen)],
		["the sender changed", sealed(patch(plain, 57, w.account.publicKey))],
		["a bit of the body changed", sealed(flip(plain, 89 + 69))],
	];
	const lengthsOf = [0, 1, 2, 3, 8, 9, 16, 17, 100, 255, 256, 257, 1_000, 16_383, 16_384, 16_385, 61_440, 1_000_000];
	return {
		contract: "envelope",
		section: "Cards, sealing and files",
		readerSealSecretKey: toHex(reader.secretKey),
		readerSealKey: toHex(reader.publicKey),
		mailbox: toHex(mailbox),
		senderSecretKey: toHex(sender.secretKey),
		ephemeralSeed: toHex(ephemeral),
		padme: lengthsOf.map((length) => accepted(`${length} bytes`, { length, padded: padme(length) })),
		sealedBytes: [0, 1, 12, 500, BODY_BYTES_MAX].map((bodyBytes) =>
			accepted(`a body of ${bodyBytes} bytes`, { bodyBytes, payloadBytes: sealedBytes(bodyBytes) }),
		),
		messages: [
			accepted("a text", { ...message, plain, payload, reads: bodyOf(opened(payload)) }),
			...[
				{ name: "nothing at all", kind: MESSAGE.text, body: new Uint8Array(0) },
				{ name: "a receipt for two messages", kind: MESSAGE.receipt, body: new Uint8Array(32).fill(0xef) },
				{ name: "a kind of a later version", kind: 99, body: Uint8Array.of(1, 2, 3) },
			].map(({ name, kind, body }) => {
				const one = sealed(plainOf(said(kind, body)));
				return accepted(name, { kind, body, payload: one, reads: bodyOf(opened(one)) });
			}),
		],
		messagesRefused: bad.map(([name, changed]) => refused(name, changed, opened(changed))),
	};
}

function bodyOf(message: ReturnType<typeof open>) {
	return isProblem(message) ? message : { kind: message.kind, body: message.body };
}

export function chunkVectors({ crypto, sealing }: Engine): VectorFile {
	const contents = Uint8Array.from({ length: 2_500 }, (_, index) => index % 251);
	const manifest: Manifest = {
		stream: new Uint8Array(16).fill(0xf1),
		key: new Uint8Array(SEED_BYTES).fill(0xf2),
		sizeBytes: contents.length,
		hash: crypto.hash(contents),
		chunkBytes: 1_000,
		count: 3,
		name: "rain.csv",
	};
	const body = writeManifest(manifest);
	const content = (index: number) => contents.slice(index * 1_000, (index + 1) * 1_000);
	const chunks = [0, 1, 2].map((index) => writeChunk(sealing, manifest, index, content(index)));
	const [first = new Uint8Array(0), second = new Uint8Array(0), last = new Uint8Array(0)] = chunks;
	const full: Manifest = { ...manifest, sizeBytes: CHUNK_CONTENT_BYTES, chunkBytes: CHUNK_CONTENT_BYTES, count: 1 };
	const fullPayload = writeChunk(sealing, full, 0, new Uint8Array(CHUNK_CONTENT_BYTES));
	const named = (name: string) => writeManifest({ ...manifest, name });
	const badManifests: [string, Uint8Array][] = [
		...lengths(body),
		["a size of 2^53", patch(body, 48, u64(2n ** 53n))],
		["chunks of no bytes", patch(body, 88, u32(0))],
		["chunks that are no payload", patch(body, 88, u32(61_441))],
		["a chunk too few", patch(body, 92, u32(2))],
		["a chunk too many", patch(body, 92, u32(4))],
		["a name that is no UTF-8", patch(body, 98, Uint8Array.of(0xff))],
		["a name of 256 bytes", join(patch(body, 96, Uint8Array.of(0, 1)), new Uint8Array(248).fill(0x61))],
	];
	const badChunks: [string, Uint8Array][] = [
		["no bytes", new Uint8Array(0)],
		["a head and half a tag", first.slice(0, 21 + 15)],
		["one byte short", first.slice(0, -1)],
		["a sealed message", patch(first, 0, Uint8Array.of(1))],
		["of another file", flip(first, 1)],
		["the second chunk's bytes under the first's number", patch(second, 17, u32(0))],
		["a number that the file has not", patch(first, 17, u32(3))],
		["a chunk of the middle as the last", patch(first, 17, u32(2))],
		["a bit of the box changed", flip(first, 40)],
		["a bit of the tag changed", flip(last, last.length - 1)],
		["without the last one's padding", writeShort(sealing, manifest)],
	];
	return {
		contract: "chunk",
		section: "Cards, sealing and files",
		contents: toHex(contents),
		manifest: accepted("of three chunks", { ...manifest, bytes: body }),
		manifestsRead: [
			accepted("a path", { bytes: named("../../.bashrc"), reads: nameOf(named("../../.bashrc")) }),
			accepted("a name with a new line", { bytes: named("a\nb"), reads: nameOf(named("a\nb")) }),
			accepted("no name", { bytes: named(""), reads: nameOf(named("")) }),
		],
		manifestsRefused: badManifests.map(([name, changed]) => refused(name, changed, readManifest(changed))),
		chunks: chunks.map((payload, index) => {
			const read = readChunk(sealing, manifest, payload);
			return accepted(`chunk ${index}`, {
				index,
				nonce: join(new Uint8Array(19), u32(index), Uint8Array.of(index === 2 ? 1 : 0)),
				payload,
				contentBytes: isProblem(read) ? read : read.content.length,
			});
		}),
		fullChunk: accepted("a slice, all of it zeros, the only one of its file", {
			contentBytes: CHUNK_CONTENT_BYTES,
			payloadBytes: fullPayload.length,
			payloadHash: crypto.hash(fullPayload),
		}),
		chunksRefused: badChunks.map(([name, changed]) => refused(name, changed, readChunk(sealing, manifest, changed))),
	};
}

function nameOf(bytes: Uint8Array) {
	const manifest = readManifest(bytes);
	return isProblem(manifest) ? manifest : { name: manifest.name };
}

/** A last chunk that holds less than the manifest says, properly encrypted. */
function writeShort(sealing: Engine["sealing"], { stream, key }: Manifest): Uint8Array {
	const nonce = join(new Uint8Array(19), u32(2), Uint8Array.of(1));
	const box = sealing.crypto_aead_xchacha20poly1305_ietf_encrypt(new Uint8Array(499), stream, null, nonce, key);
	return join(Uint8Array.of(2), stream, u32(2), box);
}
