/** What whoever talks to a market keeps of its commitments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkJson, linkOf } from "#contracts/chain";
import { HEADS_MAX, keepHead, readHeads } from "#contracts/heads";
import { signMarketKey } from "#contracts/market";
import { crypto } from "#host/crypto";
import { DAY_MS, must, NOW_MS, world } from "#test/contracts/world";
import { Books, chainOf, linkOf as linkBy } from "#test/support/books";

const w = world(crypto);
const key = signMarketKey(crypto, w.root, w.online.publicKey, NOW_MS, NOW_MS + 30 * DAY_MS).bytes;
const signer = { market: w.root.publicKey, online: w.online, key };
const books = new Books(crypto, []);
const days = chainOf(crypto, signer, Array(30).fill(books)).map((day) => linkJson(linkBy(signer, day)));
const [one, two] = [must(days[0]), must(days[1])];

test("a head is kept once, beside those from before", () => {
	const first = must(keepHead(crypto, undefined, one, signer.market));
	assert.deepEqual(first, { heads: [one], fork: undefined });
	assert.equal(keepHead(crypto, first.heads, one, signer.market), undefined);
	const second = must(keepHead(crypto, first.heads, two, signer.market));
	assert.deepEqual(second, { heads: [one, two], fork: undefined });
	const read = readHeads(crypto, second.heads, signer.market);
	assert.deepEqual(read.map(linkOf).map(linkJson), [one, two]);
});

test("what no market signed, or another one did, is not kept, and damaged heads hinder nothing", () => {
	assert.equal(keepHead(crypto, [one], null, signer.market), undefined);
	assert.equal(keepHead(crypto, [one], { ...two, commitment: "00" }, signer.market), undefined);
	assert.equal(keepHead(crypto, [one], { ...two, key: "zz" }, signer.market), undefined);
	assert.equal(keepHead(crypto, [one], two, w.other.publicKey), undefined);
	for (const odd of ["text", { length: 1 }, [null, 1, "x", { key: 1 }, { ...one, key: two.commitment }], null])
		assert.deepEqual(must(keepHead(crypto, odd, two, signer.market)).heads, [two]);
	assert.deepEqual(readHeads(crypto, "text"), []);
	assert.deepEqual(readHeads(crypto, [one], w.other.publicKey), []);
});

test("two heads for one day are both kept, and the contradiction is told", () => {
	const [other] = chainOf(crypto, signer, [books], { position: 99 });
	const kept = must(keepHead(crypto, [one, two], linkJson(linkBy(signer, must(other))), signer.market));
	assert.equal(kept.heads.length, 3);
	assert.equal(kept.fork?.day, must(other).day);
});

test("a month of heads is kept, and the oldest give way", () => {
	let kept: unknown[] = [];
	const more = chainOf(crypto, signer, Array(5).fill(books), { position: 50 }).map((day) =>
		linkJson(linkBy(signer, day)),
	);
	for (const day of [...days, ...more]) kept = [...must(keepHead(crypto, kept, day, signer.market)).heads];
	assert.equal(kept.length, HEADS_MAX);
	assert.deepEqual(kept, [...days, ...more].slice(-HEADS_MAX));
	assert.equal(readHeads(crypto, [one, ...kept]).length, HEADS_MAX);
});
