/** PROTOCOL.md, all sections: the vectors that another language checks itself against. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fromHex } from "#contracts/bytes";
import { readGrant, verifyGrant } from "#contracts/grant";
import { readMarketKey } from "#contracts/market";
import { isProblem, PROBLEMS } from "#contracts/problem";
import { nativeEngine, wasmEngine } from "#test/contracts/vectors/engine";
import { vectorFiles } from "#test/contracts/vectors/make";
import { must } from "#test/contracts/world";

const folder = new URL("../../contracts/vectors/", import.meta.url);
const wasmOnes = await wasmEngine();
const [native, wasm] = [nativeEngine.crypto, wasmOnes.crypto];
const committed = new Map(
	readdirSync(folder)
		.filter((name) => name.endsWith(".json"))
		.map((name) => [name, readFileSync(new URL(name, folder), "utf8")]),
);

for (const [who, engine] of Object.entries({ "sodium-native": nativeEngine, "libsodium-wrappers": wasmOnes })) {
	const made = vectorFiles(engine);
	for (const [name, text] of made)
		test(`${who} gives exactly the bytes and refusals of ${name}`, () => {
			assert.equal(text, committed.get(name), "run `node test/contracts/vectors/write.ts` and read what changed");
		});
	test(`no vector file is one that ${who} does not make`, () => {
		assert.deepEqual([...committed.keys()].sort(), [...made.keys()].sort());
	});
}

test("every refusal in the vectors has a code of the closed list", () => {
	let refusals = 0;
	const walk = (value: unknown, part: string): void => {
		if (typeof value !== "object" || value === null) return;
		if (part.endsWith("Refused") && "problem" in value && "name" in value) {
			assert.ok(Object.hasOwn(PROBLEMS, String(value.problem)), String(value.name));
			refusals++;
			return;
		}
		for (const [name, field] of Object.entries(value)) walk(field, Array.isArray(value) ? part : name);
	};
	for (const text of committed.values()) walk(JSON.parse(text), "");
	assert.ok(refusals > 300, `${refusals}`);
});

test("a stranger's program can check a grant with nothing but the file's hex", () => {
	const file = JSON.parse(committed.get("grant.json") ?? "");
	const keys = file.certificates.map((hex: string) => must(readMarketKey(native, must(fromHex(hex)))));
	for (const { bytes, terms } of file.grants) {
		const grant = readGrant(must(fromHex(bytes)));
		assert.ok(!isProblem(grant));
		assert.equal(verifyGrant(native, grant, keys), undefined);
		if (terms) assert.equal(grant.cap.toString(), terms.cap);
	}
});

test("sodium-native and libsodium-wrappers agree on keys, signatures and hashes of what chance gives", () => {
	for (let i = 0; i < 20; i++) {
		const seed = native.random(32);
		const message = wasm.random(i * 13);
		const keys = native.keyPair(seed);
		assert.deepEqual(wasm.keyPair(seed), keys);
		const signature = wasm.sign(message, keys.secretKey);
		assert.deepEqual(native.sign(message, keys.secretKey), signature);
		assert.ok(native.verify(signature, message, keys.publicKey) && wasm.verify(signature, message, keys.publicKey));
		assert.deepEqual(wasm.hash(message, seed), native.hash(message, seed));
	}
});
