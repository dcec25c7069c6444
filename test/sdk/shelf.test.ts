import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { MESSAGE, type Message } from "#contracts/envelope";
import { LIMIT } from "#contracts/limit";
import type { Problem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { type DiskSink, diskSink } from "#host/diskfile";
import { CHUNK_CONTENT_BYTES, chunkCount, type Manifest, writeChunk, writeManifest } from "#sdk/chunk";
import { type Device, device } from "#sdk/device";
import { hashFile } from "#sdk/file";
import { createIdentity, type Identity } from "#sdk/identity";
import { type Handlers, Incoming } from "#sdk/incoming";
import { seal } from "#sdk/seal";
import { FILES_MAX, FILES_PER_SENDER_MAX } from "#sdk/shelf";
import { memoryStorage, type Storage } from "#sdk/storage";

const DAY_MS = 86_400_000;

suite("Bob's shelf of files under way", () => {
	let folder: string;
	let nowMs: number;
	let storage: Storage;
	let bobs: Device;
	let bob: Identity;
	let alice: Identity;
	let opened: DiskSink[];
	let closed: Set<string>;
	let failed: string[];
	let received: string[];
	let readers: Incoming[];
	const mailbox = () => bob.mailbox(new Uint8Array(32)).publicKey;

	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-shelf-"));
		nowMs = Date.now();
		storage = memoryStorage();
		bobs = await device({ storage, nowMs: () => nowMs });
		bob = createIdentity(bobs);
		alice = createIdentity(bobs);
		[opened, closed, failed, received, readers] = [[], new Set(), [], [], []];
	});
	afterEach(async () => {
		for (const reader of readers) await reader.close();
		await rm(folder, { recursive: true });
	});

	/** Bob's program; `change` is what is different about it this time. */
	const start = async (change: Partial<Handlers> = {}, how: Partial<DiskSink> = {}): Promise<Incoming> => {
		const handlers: Handlers = {
			async file({ stream, name }) {
				const sink = await diskSink(folder, stream, name);
				opened.push(sink);
				const close = () => sink.close().then(() => void closed.add(stream));
				const abort = () => sink.abort().then(() => void closed.add(stream));
				const finish = () => sink.finish().then(() => void closed.add(stream));
				return { ...sink, close, abort, finish, ...how };
			},
			failed: ({ name }) => void failed.push(name),
			received: ({ name }) => void received.push(name),
			...change,
		};
		const reader = await Incoming.open(bobs, bob, handlers, () => {});
		readers.push(reader);
		return reader;
	};

	/** A file as its mail: the manifest and its pieces. */
	const mail = async (name: string, bytes: Uint8Array, from = alice, claim: Partial<Manifest> = {}) => {
		const source = { sizeBytes: bytes.length, read: async (at: number, n: number) => bytes.slice(at, at + n) };
		const manifest: Manifest = {
			stream: crypto.random(16),
			key: crypto.random(32),
			sizeBytes: bytes.length,
			hash: (await hashFile(bobs.sodium, source)) as Uint8Array,
			chunkBytes: CHUNK_CONTENT_BYTES,
			count: chunkCount(bytes.length),
			name,
			...claim,
		};
		const message: Pick<Message, "kind" | "body" | "atMs"> = {
			kind: MESSAGE.file,
			body: writeManifest(manifest),
			atMs: nowMs,
		};
		const { payload } = seal(bobs, message, { mailbox: mailbox(), seal: bob.seal.publicKey }, from);
		const chunks = Array.from({ length: claim.sizeBytes ? 0 : manifest.count }, (_, i) =>
			writeChunk(bobs.sodium, manifest, i, bytes.slice(i * CHUNK_CONTENT_BYTES, (i + 1) * CHUNK_CONTENT_BYTES)),
		);
		return [payload, ...chunks];
	};
	/** Takes mail as an inbox does: what throws is not acknowledged. */
	const take = async (reader: Incoming, payloads: readonly Uint8Array[]) => {
		for (const payload of payloads) assert.equal(await reader.take(payload, mailbox()), undefined);
		await reader.settle();
	};
	const parts = async () => (await readdir(folder)).filter((name) => name.endsWith(".part")).length;

	test("a sender who begins file after file has as many under way as one may: the idlest gives way, with its bytes", async () => {
		const reader = await start();
		for (let n = 0; n < FILES_PER_SENDER_MAX + 3; n++, nowMs++)
			await take(reader, (await mail(`film ${n}`, new Uint8Array(40_000))).slice(0, 2));
		assert.deepEqual(failed, ["film 0", "film 1", "film 2"]);
		assert.equal(await parts(), FILES_PER_SENDER_MAX);
		assert.equal((await storage.list("part/")).length, FILES_PER_SENDER_MAX);
		assert.equal(closed.size, 3, "their handles are given back");
	});

	test("a thousand strangers fill no more than the shelf, and push no file of a known person out", async () => {
		await storage.put(`contact/${Buffer.from(alice.account.publicKey).toString("hex")}`, new Uint8Array(1));
		const reader = await start();
		const album = await mail("album", crypto.random(40_000));
		await take(reader, album.slice(0, 2));
		for (let n = 0; n < FILES_MAX + 20; n++, nowMs++)
			await take(reader, (await mail("junk", new Uint8Array(40_000), createIdentity(bobs))).slice(0, 1));
		assert.equal((await storage.list("part/")).length, FILES_MAX);
		assert.equal(opened.length - closed.size, FILES_MAX, "what gave way holds nothing open");
		await take(reader, album.slice(2));
		assert.deepEqual(received, ["album"]);
	});

	test("a client that closes gives every handle back, and goes on with the part at its next start", async () => {
		const bytes = crypto.random(40_000);
		const album = await mail("album", bytes);
		const reader = await start();
		await take(reader, album.slice(0, 2));
		await reader.close();
		assert.equal(closed.size, 1);
		await take(await start(), album.slice(2));
		assert.deepEqual(received, ["album"]);
		assert.deepEqual(await readFile(join(folder, "album")), Buffer.from(bytes));
	});

	test("a file of which nothing came for the longest TTL is over: its record and its bytes go", async () => {
		const reader = await start();
		const album = await mail("album", crypto.random(40_000));
		await take(reader, album.slice(0, 2));
		nowMs += LIMIT.ttlSMax * 1000 - DAY_MS;
		await reader.settle();
		assert.equal(await parts(), 1, "a day before, its pieces could still come");
		nowMs += 2 * DAY_MS;
		await reader.settle();
		assert.deepEqual([failed, await parts(), await storage.list("part/")], [["album"], 0, []]);
	});

	test("a file that was over while Bob was away is gone at his next start", async () => {
		const first = await start();
		await take(first, (await mail("album", crypto.random(40_000))).slice(0, 2));
		await first.close();
		nowMs += LIMIT.ttlSMax * 1000 + DAY_MS;
		await start();
		assert.deepEqual([failed, await parts(), await storage.list("part/")], [["album"], 0, []]);
	});

	test("an app says why it refuses a file that claims to be as large as no disk", async () => {
		const why: Problem[] = [];
		const refusal: Problem = { problem: "file-unreadable", retry: false, spent: "no", detail: "That is too large." };
		const reader = await start({
			file: ({ sizeBytes }) => (sizeBytes > 4e9 ? refusal : undefined),
			failed: (_, said) => void why.push(said),
		});
		const huge = { sizeBytes: 2 ** 46, chunkBytes: 2 ** 15, count: 2 ** 31 };
		await take(reader, await mail("huge", new Uint8Array(0), alice, huge));
		assert.deepEqual(why, [refusal]);
		assert.deepEqual(await storage.list("part/"), []);
	});

	/** Kills Bob's program at a point while the last piece is dealt with, and starts it again with the same piece. */
	const killed = async (bytes: Uint8Array, kill: (reader: Incoming) => Promise<void>) => {
		const album = await mail("album.jpg", bytes);
		const reader = await start(
			{},
			{
				finish: async () => {
					await kill(reader);
					throw new Error("killed");
				},
			},
		);
		await take(reader, album.slice(0, -1)).catch(() => {});
		await assert.rejects(reader.take(album.at(-1) as Uint8Array, mailbox()));
		const again = await start();
		await take(again, album.slice(-1));
		await take(again, album);
	};
	const wholeOnce = async (bytes: Uint8Array) => {
		assert.deepEqual([failed, received], [[], ["album.jpg"]]);
		assert.deepEqual(await readdir(folder), ["album.jpg"], "once, and nothing beside it");
		assert.deepEqual(await readFile(join(folder, "album.jpg")), Buffer.from(bytes));
		assert.deepEqual(await storage.list("part/"), []);
	};

	for (const size of [40_000, 0])
		test(`killed when a file of ${size} bytes is checked and not yet in its place: it is put there at the next start`, async () => {
			const bytes = crypto.random(size);
			await killed(bytes, async () => {});
			await wholeOnce(bytes);
		});

	for (const size of [40_000, 0])
		test(`killed when a file of ${size} bytes is in its place and its record is not forgotten: received, not failed, and once`, async () => {
			const bytes = crypto.random(size);
			await killed(bytes, () => (opened[0] as DiskSink).finish());
			await wholeOnce(bytes);
		});

	test("killed between a file's name and its part's end: the one file is found under both names, and has one afterwards", async () => {
		const bytes = crypto.random(40_000);
		await killed(bytes, async () => {
			const { link } = await import("node:fs/promises");
			const [part] = await readdir(folder);
			await link(join(folder, part as string), join(folder, "album.jpg"));
		});
		await wholeOnce(bytes);
	});

	test("an app that stumbles over a file that is there is told again, and the file is there once", async () => {
		const bytes = crypto.random(40_000);
		let tries = 0;
		const reader = await start({
			received({ name }) {
				if (++tries === 1) throw new Error("the app's own disk is full");
				received.push(name);
			},
		});
		const album = await mail("album.jpg", bytes);
		await take(reader, album.slice(0, -1));
		await assert.rejects(reader.take(album.at(-1) as Uint8Array, mailbox()));
		await take(reader, album.slice(-1));
		await wholeOnce(bytes);
	});
});
