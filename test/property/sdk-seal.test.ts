import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { same } from "#contracts/bytes";
import { cardLink, fromBase64Url, readCard, readCardLink, toBase64Url } from "#contracts/card";
import { BODY_BYTES_MAX, padme, sealedBytes } from "#contracts/envelope";
import { isProblem } from "#contracts/problem";
import { placeKey, placeLink, publishedKey, readPlaceLink } from "#contracts/published";
import { crypto } from "#host/crypto";
import { makeCard } from "#sdk/card";
import {
	CHUNK_CONTENT_BYTES,
	chunkCount,
	chunkHead,
	contentBytes,
	type Manifest,
	readChunk,
	readManifest,
	writeChunk,
	writeManifest,
} from "#sdk/chunk";
import { device } from "#sdk/device";
import { createIdentity, exportIdentity, restoreIdentity } from "#sdk/identity";
import { openPublished, sealPublished } from "#sdk/published";
import { open, seal } from "#sdk/seal";
import { memoryStorage } from "#sdk/storage";

const phone = await device({ storage: memoryStorage() });
const alice = createIdentity(phone);
const bob = createIdentity(phone);
const relay = phone.crypto.random(32);
const box = { mailbox: bob.mailbox(relay).publicKey, seal: bob.seal.publicKey };
const bytes = (max: number) => fc.uint8Array({ maxLength: max });

test("what is sealed to Bob opens for Bob, says who wrote it, and has a Padme size", () => {
	fc.assert(
		fc.property(bytes(4000), fc.nat({ max: 255 }), fc.nat(), (body, kind, atMs) => {
			const sealed = seal(phone, { kind, body, atMs }, box, alice);
			assert.equal(sealed.payload.length, padme(sealed.payload.length));
			assert.equal(sealed.payload.length, sealedBytes(body.length));
			const opened = open(phone, sealed.payload, box.mailbox, bob);
			assert.ok(!isProblem(opened));
			assert.deepEqual([opened.body, opened.kind, opened.atMs], [body, kind, atMs]);
			assert.deepEqual([opened.id, opened.sender], [sealed.id, alice.account.publicKey]);
		}),
		{ numRuns: 50 },
	);
	assert.equal(sealedBytes(BODY_BYTES_MAX), 16_384, "the largest message is one slice");
});

test("opening is total: any bytes, and any change of good ones, are a broken seal", () => {
	const { payload } = seal(phone, { kind: 1, body: new Uint8Array(40), atMs: 1 }, box, alice);
	fc.assert(
		fc.property(bytes(600), (any) => {
			assert.ok(isProblem(open(phone, any, box.mailbox, bob)));
		}),
		{ numRuns: 100 },
	);
	fc.assert(
		fc.property(fc.nat({ max: payload.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
			const bent = payload.slice();
			bent[at] = (bent[at] as number) ^ flip;
			assert.ok(isProblem(open(phone, bent, box.mailbox, bob)));
			assert.ok(isProblem(open(phone, payload.slice(0, at), box.mailbox, bob)));
		}),
		{ numRuns: 100 },
	);
});

test("mail written to one mailbox of Bob's cannot be passed on to another, nor to anyone else", () => {
	const { payload } = seal(phone, { kind: 1, body: new Uint8Array(3), atMs: 1 }, box, alice);
	assert.ok(isProblem(open(phone, payload, bob.mailbox(phone.crypto.random(32)).publicKey, bob)));
	assert.ok(isProblem(open(phone, payload, box.mailbox, alice)));
	// Alice's message, opened by Bob and sealed again to Carol by Bob: signed for Bob's key, so Carol refuses it.
	const carol = createIdentity(phone);
	const plain = phone.sodium.crypto_box_seal_open(payload.subarray(1), bob.seal.publicKey, bob.seal.secretKey);
	const again = new Uint8Array([1, ...phone.sodium.crypto_box_seal(plain, carol.seal.publicKey)]);
	assert.ok(isProblem(open(phone, again, box.mailbox, carol)));
});

test("Padme adds at most 12 percent and never shrinks", () => {
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (length) => {
			const padded = padme(length);
			assert.ok(padded >= length && padded <= length * 1.12 + 1);
			assert.equal(padme(padded), padded);
		}),
	);
});

test("a published card opens with its link and with no other; any change of it, and any other bytes or text, are a problem", () => {
	const card = makeCard(phone, bob, [{ key: relay, url: "wss://relay.example/a" }], { name: "Bob ☀" });
	const { crypto: by } = phone;
	const link = {
		url: "https://market.example",
		place: placeKey(by, bob.seed).publicKey,
		key: publishedKey(by, bob.seed),
	};
	assert.deepEqual(readPlaceLink(placeLink(link)), link);
	const { bytes: whole } = sealPublished(phone, bob, { card, serial: 3, untilMs: 2 });
	assert.deepEqual(openPublished(phone, link, whole, 1), { card, serial: 3 });
	fc.assert(
		fc.property(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
			const bent = whole.slice();
			bent[at] = (bent[at] as number) ^ flip;
			assert.ok(isProblem(openPublished(phone, link, bent, 1)));
			assert.ok(isProblem(openPublished(phone, link, whole.slice(0, at), 1)));
		}),
		{ numRuns: 100 },
	);
	fc.assert(fc.property(bytes(1_300), (any) => assert.ok(isProblem(openPublished(phone, link, any, 1)))));
	fc.assert(
		fc.property(fc.oneof(fc.string(), fc.webUrl({ withFragments: true })), (any) =>
			assert.ok(isProblem(readPlaceLink(any)) && isProblem(readPlaceLink(`${any}/card#${any}`))),
		),
	);
	for (const other of [{ key: phone.crypto.random(32) }, { place: alice.account.publicKey }])
		assert.ok(isProblem(openPublished(phone, { ...link, ...other }, whole, 1)));
});

test("a card survives its link; any other text or bytes are a problem", () => {
	const card = makeCard(phone, bob, [{ key: relay, url: "wss://relay.example/a" }], { name: "Bob ☀" });
	assert.deepEqual(readCardLink(phone.crypto, cardLink(card)), card);
	fc.assert(
		fc.property(fc.nat({ max: card.bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
			const bent = card.bytes.slice();
			bent[at] = (bent[at] as number) ^ flip;
			assert.ok(isProblem(readCard(phone.crypto, bent)));
		}),
		{ numRuns: 150 },
	);
	fc.assert(fc.property(bytes(400), (any) => isProblem(readCard(phone.crypto, any))));
	fc.assert(fc.property(fc.string(), (any) => isProblem(readCardLink(phone.crypto, `farelay:card#${any}`))));
	fc.assert(fc.property(bytes(99), (any) => assert.deepEqual(fromBase64Url(toBase64Url(any)), any)));
	assert.equal(toBase64Url(Uint8Array.of(251, 255)), "-_8");
	assert.equal(fromBase64Url("-_9"), undefined, "spare bits have one spelling");
});

test("an identity survives being written down, and a slip of the pen is caught", () => {
	const line = exportIdentity(phone, bob);
	const again = restoreIdentity(phone, ` ${line}\n`);
	assert.ok(!isProblem(again));
	assert.deepEqual(again.account, bob.account);
	assert.deepEqual(again.seal, bob.seal);
	assert.ok(
		isProblem(
			restoreIdentity(
				phone,
				line.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
			),
		),
	);
});

function manifestOf(sizeBytes: number, chunkBytes = CHUNK_CONTENT_BYTES): Manifest {
	return {
		stream: phone.crypto.random(16),
		key: phone.crypto.random(32),
		sizeBytes,
		hash: phone.crypto.random(32),
		chunkBytes,
		count: chunkCount(sizeBytes, chunkBytes),
		name: "photo.jpg",
	};
}

test("every chunk of a file opens to what went in; a full one is exactly one slice", () => {
	fc.assert(
		fc.property(fc.integer({ min: 1, max: 60_000 }), (sizeBytes) => {
			const manifest = manifestOf(sizeBytes);
			assert.deepEqual(readManifest(writeManifest(manifest)), manifest);
			for (let index = 0; index < manifest.count; index++) {
				// libsodium's WASM asks the system for four random bytes at a time: too slow for content.
				const content = crypto.random(contentBytes(manifest, index));
				const payload = writeChunk(phone.sodium, manifest, index, content);
				assert.equal(payload.length, index < manifest.count - 1 ? 16_384 : padme(payload.length));
				assert.deepEqual(chunkHead(payload), { stream: manifest.stream, index });
				const read = readChunk(phone.sodium, manifest, payload);
				assert.ok(!isProblem(read) && read.index === index && same(read.content, content));
			}
		}),
		{ numRuns: 30 },
	);
});

test("a chunk opens at its own place in its own file only, and any bytes are a broken seal", () => {
	const manifest = manifestOf(CHUNK_CONTENT_BYTES * 2 + 5);
	const payload = writeChunk(phone.sodium, manifest, 0, new Uint8Array(CHUNK_CONTENT_BYTES));
	assert.ok(isProblem(readChunk(phone.sodium, { ...manifest, stream: phone.crypto.random(16) }, payload)));
	assert.ok(isProblem(readChunk(phone.sodium, { ...manifest, key: phone.crypto.random(32) }, payload)));
	fc.assert(
		fc.property(fc.nat({ max: payload.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
			const bent = payload.slice();
			bent[at] = (bent[at] as number) ^ flip;
			// The stream's id is bound as additional data, the index as the nonce; the first byte says what it is.
			assert.ok(isProblem(readChunk(phone.sodium, manifest, bent)));
		}),
		{ numRuns: 60 },
	);
	fc.assert(fc.property(bytes(100), (any) => isProblem(readChunk(phone.sodium, manifest, any))));
	fc.assert(
		fc.property(bytes(400), (any) => {
			readManifest(any);
		}),
	);
});

test("a file's name cannot climb out of a folder", () => {
	for (const name of ["../../etc/passwd", "..", "a\\..\\b", "/x", ".profile", "a\u202egpj.exe", "\n"]) {
		const read = readManifest(writeManifest({ ...manifestOf(0), name }));
		assert.ok(!isProblem(read) && /^[^./\\\p{C}][^/\\\p{C}]*$/u.test(read.name), name);
	}
});
