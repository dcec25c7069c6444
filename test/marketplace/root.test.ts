/** A root that is offline: what its machine and the market's tell each other by files, and what neither does for the other. */

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { same, toHex } from "#contracts/bytes";
import type { KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import { readFolder } from "#marketplace/keys/files";
import { type Keys, openKeys } from "#marketplace/keys/keys";
import { readRequest, requestKeys, takeSigned } from "#marketplace/keys/request";
import { certify, endKeys, makeRoot, openRoot, readSigned, type Signed, writeSigned } from "#marketplace/keys/root";
import { BookFailure } from "#marketplace/ledger/book";
import { crypto, DAY_MS, fine } from "#test/support/market";

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const NONE: Signed = { keys: [], ends: [] };

describe("an offline root", () => {
	let place: string;
	let online: string;
	let root: KeyPair;
	beforeEach(async () => {
		place = await mkdtemp(join(tmpdir(), "farelay-root-"));
		online = join(place, "keys");
		root = crypto.keyPair(crypto.random(32));
	});
	afterEach(() => rm(place, { recursive: true, force: true }));

	const ask = async (count = 1, folder = online) =>
		fine(await requestKeys(crypto, folder, count, undefined, join(place, "request.json")));
	const signedFor = async (before: Signed, nowMs = NOW_MS) =>
		fine(certify(crypto, root, before, fine(await readRequest(crypto, join(place, "request.json"))), nowMs));
	const take = async (signed: Signed, nowMs = NOW_MS, folder = online) =>
		fine(await takeSigned(crypto, folder, signed, undefined, nowMs));
	const open = async (nowMs = NOW_MS, folder = online) => fine(await openKeys(crypto, folder, nowMs));
	const refusedWith = (answer: unknown, code: Problem["problem"]) =>
		assert.equal(isProblem(answer) ? answer.problem : answer, code);
	const noKey = (keys: Keys, atMs: number) =>
		assert.throws(
			() => keys.online(atMs),
			(error) => error instanceof BookFailure && error.problem.spent === "no",
		);

	it("certifies the first key of a market that never had the root, and each next one before the last ends, without a gap", async () => {
		await ask();
		refusedWith(await openKeys(crypto, online, NOW_MS), "not-found");
		let signed = await signedFor(NONE);
		await take(signed);
		const keys = await open();
		assert.deepEqual(keys.market, root.publicKey);
		assert.equal(((await readFolder(crypto, online, undefined)) as { root: unknown }).root, undefined);
		let before = keys.online(NOW_MS);
		let changes = 0;
		for (let nowMs = NOW_MS; nowMs < NOW_MS + 100 * DAY_MS; nowMs += 6 * HOUR_MS) {
			// the owner looks once a week, and does as the log says
			if ((nowMs - NOW_MS) % (7 * DAY_MS) === 0 && keys.warning(nowMs)) {
				await ask();
				signed = await signedFor(signed, nowMs);
				await take(signed, nowMs);
			}
			assert.equal(await keys.renew(nowMs), undefined);
			const now = keys.online(nowMs);
			const certificate = keys.certificates().find(({ key }) => same(key, now.publicKey));
			assert(certificate && certificate.untilMs - certificate.fromMs <= LIMIT.marketKeyMsMax);
			if (now !== before && !same(now.publicKey, before.publicKey)) {
				assert(nowMs - certificate.fromMs >= HOUR_MS, "it was published before it signed");
				before = now;
				changes++;
			}
		}
		assert.deepEqual([changes, signed.keys.length], [3, 2], "the root forgets what nobody needs any more");
	});

	it("lets keys be certified ahead: three of them reach nine weeks and more, each for thirty days", async () => {
		await ask(3);
		await take(await signedFor(NONE));
		const keys = await open();
		for (let day = 0; day < 74; day++) {
			assert.equal(await keys.renew(NOW_MS + day * DAY_MS), undefined);
			keys.online(NOW_MS + day * DAY_MS);
		}
		assert.match(keys.warning(NOW_MS + 67 * DAY_MS) ?? "", /has 7 days left/);
		assert.equal(keys.warning(NOW_MS + 65 * DAY_MS), undefined);
		noKey(keys, NOW_MS + 74 * DAY_MS + 1);
		assert.match(keys.warning(NOW_MS + 80 * DAY_MS) ?? "", /has 0 days left/);
	});

	it("ends stolen keys at once: what has not begun never begins, a key has one end, and the market signs with the next that is brought", async () => {
		await ask(2);
		let signed = await signedFor(NONE);
		await take(signed);
		const keys = await open();
		const stolen = keys.online(NOW_MS);
		const atMs = NOW_MS + DAY_MS;
		signed = fine(endKeys(crypto, root, signed, undefined, atMs));
		assert.deepEqual(fine(endKeys(crypto, root, signed, undefined, atMs + DAY_MS)).ends, signed.ends);
		await take(signed, atMs);
		assert.equal(await keys.renew(atMs), undefined);
		assert.equal(keys.ends().length, 2);
		noKey(keys, atMs);
		noKey(keys, NOW_MS + 25 * DAY_MS);
		await ask();
		signed = await signedFor(signed, atMs);
		await take(signed, atMs);
		assert.equal(await keys.renew(atMs), undefined);
		assert(!same(keys.online(atMs).publicKey, stolen.publicKey));
		assert(
			keys.certificates().some(({ key }) => same(key, stolen.publicKey)),
			"what it signed before stays good",
		);
		refusedWith(certify(crypto, root, signed, [stolen.publicKey], atMs), "conflict");
		refusedWith(endKeys(crypto, root, signed, [root.publicKey], atMs), "not-found");
	});

	it("names one of several: the others go on signing", async () => {
		await ask(1);
		let signed = await signedFor(NONE);
		await ask(2);
		signed = await signedFor(signed);
		await take(signed);
		const [first] = (await open()).certificates();
		assert(first);
		signed = fine(endKeys(crypto, root, signed, [first.key], NOW_MS));
		assert.deepEqual(
			signed.ends.map(({ key }) => toHex(key)),
			[toHex(first.key)],
		);
	});

	it("serves several machines: one asks, the folder is copied, and both sign with the same key", async () => {
		await ask();
		await take(await signedFor(NONE));
		const other = join(place, "other");
		await cp(online, other, { recursive: true });
		assert.deepEqual((await open(NOW_MS, other)).online(NOW_MS), (await open()).online(NOW_MS));
		// or each has its own, and publishes the other's
		const third = join(place, "third");
		await ask(1, third);
		const signed = await signedFor(fine(await readSigned(crypto, join(place, "none"))));
		await take(signed, NOW_MS, third);
		await take(signed);
		assert.equal((await open()).certificates().length, 2);
		const [keyHere] = [(await open()).online(NOW_MS + 2 * HOUR_MS)];
		assert(!same(keyHere.publicKey, (await open(NOW_MS, third)).online(NOW_MS).publicKey));
	});

	it("that lay with its market is no more there once it was taken away, also for a market that runs", async () => {
		const keys = await open();
		refusedWith(await requestKeys(crypto, online, 1, undefined, join(place, "r.json")), "conflict");
		assert.match(keys.warning(NOW_MS) ?? "", /root key lies on this machine/);
		await rm(join(online, "root.json"));
		assert.equal(await keys.renew(NOW_MS), undefined);
		assert.equal(keys.warning(NOW_MS), undefined);
		assert.equal(await keys.renew(NOW_MS + 23 * DAY_MS), undefined);
		assert.equal(keys.certificates().length, 1, "nobody certifies any more");
	});

	it("is sealed, never written over, and opens with its own passphrase only", async () => {
		const path = join(place, "root.key");
		refusedWith(await makeRoot(crypto, path, undefined), "usage");
		refusedWith(await makeRoot(crypto, path, "short"), "usage");
		const made = fine(await makeRoot(crypto, path, "a horse and a battery"));
		assert.doesNotMatch(await readFile(path, "utf8"), new RegExp(toHex(made.secretKey.subarray(0, 32))));
		refusedWith(await makeRoot(crypto, path, "a horse and a battery"), "conflict");
		assert.deepEqual(fine(await openRoot(crypto, path, "a horse and a battery")), made);
		refusedWith(await openRoot(crypto, path, undefined), "usage");
		refusedWith(await openRoot(crypto, join(place, "no.key"), undefined), "not-found");
	});

	it("certifies nothing that did not sign for itself, and a market takes nothing that its root did not sign", async () => {
		await ask();
		const path = join(place, "request.json");
		const request = JSON.parse(await readFile(path, "utf8"));
		const [line] = request.keys;
		for (const [change, code] of [
			[{ ...request, keys: [{ ...line, key: toHex(root.publicKey) }] }, "signature-bad"],
			[{ ...request, keys: [] }, "malformed"],
			[{ ...request, keys: Array(7).fill(line) }, "malformed"],
			[{ ...request, farelay: "other" }, "malformed"],
			[{ ...request, keys: [{ key: "00" }] }, "malformed"],
			[null, "malformed"],
		] as const) {
			await writeFile(path, JSON.stringify(change));
			refusedWith(await readRequest(crypto, path), code);
		}
		refusedWith(await readRequest(crypto, join(place, "none")), "not-found");
		await ask();
		const signed = await signedFor(NONE);
		const strangers = fine(certify(crypto, crypto.keyPair(crypto.random(32)), NONE, [root.publicKey], NOW_MS));
		refusedWith(await takeSigned(crypto, online, strangers, undefined, NOW_MS), "not-found");
		await take(signed);
		refusedWith(await takeSigned(crypto, online, strangers, undefined, NOW_MS), "grant-unknown-market");
		refusedWith(await takeSigned(crypto, online, NONE, undefined, NOW_MS), "malformed");
		assert.deepEqual(await take(signed), { market: root.publicKey, keys: 0, ends: 0 });
		const file = join(place, "signed.json");
		await writeSigned(file, signed);
		assert.deepEqual(fine(await readSigned(crypto, file)).keys, signed.keys);
		const written = JSON.parse(await readFile(file, "utf8"));
		const mixed = { ...written, keys: [...written.keys, toHex(strangers.keys[0]?.bytes ?? root.publicKey)] };
		for (const change of [
			{ ...written, keys: ["00"] },
			mixed,
			{ ...written, ended: ["00"] },
			{ ...written, ended: 1 },
		]) {
			await writeFile(file, JSON.stringify(change));
			refusedWith(await readSigned(crypto, file), "data-corrupt");
		}
	});

	it("of a market whose files were open is sealed in place when there is a passphrase, and the keys stay the same", async () => {
		const before = (await open()).online(NOW_MS);
		const words = "a horse and a battery";
		const keys = fine(await openKeys(crypto, online, NOW_MS, words));
		assert.deepEqual(keys.online(NOW_MS), before);
		for (const name of ["root.json", "online.json"])
			assert.match(await readFile(join(online, name), "utf8"), /^\{"farelay":"sealed\/1"/);
		refusedWith(await openKeys(crypto, online, NOW_MS), "usage");
		refusedWith(await openKeys(crypto, online, NOW_MS, "short"), "usage");
	});
});
