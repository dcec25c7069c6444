/** What holds for any balances in any order, and any bytes: the arithmetic of sum trees, and what reads what a market sends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AMOUNT_MAX, type Amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { readCommitment } from "#contracts/commitment";
import { readMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { readFork, readProof, writeProof } from "#contracts/proof";
import {
	buildTree,
	type Leaf,
	leafNode,
	pathOf,
	readLeafProof,
	rootOf,
	type SumNode,
	writeLeafProof,
} from "#contracts/sumtree";
import { crypto } from "#host/crypto";
import { must, world } from "#test/contracts/world";
import { Books, chainOf, partsOf } from "#test/support/books";

const w = world(crypto);
const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const leaf = fc
	.tuple(
		fc.constantFrom("payer" as const, "earned" as const),
		bytesOf(32),
		bytesOf(16),
		fc.bigInt(1n, AMOUNT_MAX / 64n),
	)
	.map(([kind, id, salt, nanos]): Leaf => ({ kind, id, salt, nanos: nanos as Amount }));
const leaves = fc.array(leaf, { minLength: 1, maxLength: 40 });
const nodes = (of: readonly Leaf[]): SumNode[] => of.map((one) => leafNode(crypto, one));

test("every leaf of any tree finds the one root, whose sum is that of all leaves", () => {
	fc.assert(
		fc.property(leaves, (all) => {
			const levels = buildTree(crypto, nodes(all));
			const root = must(levels.at(-1)?.[0]);
			assert.equal(
				root.sum,
				all.reduce((sum, { nanos }) => sum + nanos, 0n),
			);
			for (const [index, one] of all.entries()) {
				const proof = { leaf: one, index, path: pathOf(crypto, levels, index) };
				assert.deepEqual(rootOf(crypto, proof), { ...root, height: levels.length - 1 });
				assert.deepEqual(readLeafProof(writeLeafProof(proof)), proof);
			}
		}),
		{ numRuns: 40 },
	);
});

test("a leaf with another amount, name, salt or place, or another node beside its way, never finds that root", () => {
	fc.assert(
		fc.property(leaves, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (all, which, at, bits) => {
			const levels = buildTree(crypto, nodes(all));
			const root = must(levels.at(-1)?.[0]);
			const index = which % all.length;
			const bytes = writeLeafProof({ leaf: must(all[index]), index, path: pathOf(crypto, levels, index) });
			const changed = bytes.slice();
			changed[at % bytes.length] = (changed[at % bytes.length] as number) ^ bits;
			const read = readLeafProof(changed);
			if (isProblem(read)) return;
			const found = rootOf(crypto, read);
			assert.ok(!found || toHex(found.hash) !== toHex(root.hash));
		}),
		{ numRuns: 200 },
	);
});

test("no tree's sum hides a larger one: whatever stands beside the ways of two leaves, the root has room for both", () => {
	const beside = fc.tuple(bytesOf(32), fc.bigInt(0n, AMOUNT_MAX)).map(([hash, sum]) => ({ hash, sum }));
	fc.assert(
		fc.property(leaf, fc.array(beside, { maxLength: 8 }), fc.nat(), (one, path, place) => {
			const found = rootOf(crypto, { leaf: one, index: place % 2 ** path.length, path });
			const sum = path.reduce((total, node) => total + node.sum, one.nanos as bigint);
			assert.equal(found?.sum, sum <= AMOUNT_MAX ? sum : undefined);
		}),
	);
});

test("any bytes are a proof that is written the same way, or a problem", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
			const read = readLeafProof(bytes);
			if (!isProblem(read)) assert.deepEqual(writeLeafProof(read), bytes);
		}),
	);
});

test("any bytes are no commitment, and with any bit changed a commitment is none of its market", () => {
	const key = must(readMarketKey(crypto, w.marketKey.bytes));
	const signer = { market: w.root.publicKey, online: w.online, key: w.marketKey.bytes };
	const { bytes } = must(chainOf(crypto, signer, [new Books(crypto, [])])[0]);
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 700 }), (any) => assert.ok(isProblem(readCommitment(crypto, any, key)))),
	);
	for (let at = 0; at < bytes.length; at++) {
		const changed = bytes.slice();
		changed[at] = (changed[at] as number) ^ 1;
		assert.ok(isProblem(readCommitment(crypto, changed, key)), `byte ${at}`);
	}
});

test("any text is no proof file and no fork file, and with any character changed a proof file proves nothing", () => {
	const signer = { market: w.root.publicKey, online: w.online, key: w.marketKey.bytes };
	const books = new Books(crypto, [{ kind: "payer", id: w.account.publicKey, nanos: 5n }]);
	const parts = partsOf(signer, chainOf(crypto, signer, [books]), books, w.account.publicKey, [["payer", 0]]);
	const text = writeProof(parts);
	const both = (any: string) => {
		assert.ok(isProblem(readProof(crypto, any)));
		assert.ok(isProblem(readFork(crypto, any)));
	};
	fc.assert(fc.property(fc.string(), both));
	fc.assert(fc.property(fc.json(), both));
	const keys = fc.constantFrom("farelay", "chain", "account", "purses", "seen", "key", "commitment");
	fc.assert(
		fc.property(fc.dictionary(keys, fc.jsonValue({ maxDepth: 3 })), (json) => both(`${JSON.stringify(json)}\n`)),
	);
	for (let at = 0; at < text.length; at++)
		assert.ok(isProblem(readProof(crypto, `${text.slice(0, at)}0${text.slice(at + 1)}`)) || text[at] === "0", `${at}`);
});
