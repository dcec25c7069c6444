import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, before, suite, test } from "node:test";
import { home } from "#scripts/tree";

/** What `--json OUT` holds; amounts are nano-dollars as decimal strings. */
type Out = {
	sha256: { sent: string; received: string };
	bytes: { payload: number; sealed: number; received: number };
	delivery: string;
	nanos: Record<"payer" | "operator" | "marketFee" | "commons" | "returned" | "reserved", string>;
	vouchers: { signed: number; accepted: number; redeemed: number };
	ledger: { sum: string; transfers: number };
	rail: string;
	deposit?: { paymentHash: string; nanos: string };
	payout?: Record<"paymentHash" | "nanos" | "railFee" | "marketFee" | "net", string>;
	sponsored: Record<"payer" | "pool" | "operator" | "marketFee" | "reason", string>;
	dispute: string;
	data: string;
	maxRssMiB: number;
};

/** Runs a command as a person would, from a folder that is not the clone. */
function run(folder: string, command: string, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
	// The npm and the test runner around this must not reach the npm inside.
	const outer = /^(npm_|FARELAY_|NODE_TEST_CONTEXT$|INIT_CWD$)/;
	const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !outer.test(name)));
	return new Promise((resolve) => {
		const options = { cwd: folder, env: { ...env, FARELAY_DATA: join(folder, "data") }, maxBuffer: 1 << 26 };
		execFile(command, words, options, (failed, out, err) =>
			resolve({ code: failed ? (typeof failed.code === "number" ? failed.code : 1) : 0, out, err }),
		);
	});
}

async function sha256(path: string): Promise<string> {
	const hash = createHash("sha256");
	await pipeline(createReadStream(path), hash);
	return hash.digest("hex");
}

suite("the market in a box, on one command", () => {
	let folder = "";
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-whole-"));
	});
	after(() => rm(folder, { recursive: true, force: true }));

	/** A file of random bytes, written piece by piece. */
	async function file(name: string, size: number) {
		const handle = await open(join(folder, name), "w");
		for (let left = size; left > 0; left -= 1 << 20) await handle.write(randomBytes(Math.min(left, 1 << 20)));
		await handle.close();
	}

	async function once(name: string, ...more: string[]): Promise<Out> {
		const words = ["--prefix", home, "start", "--", "--once", "--file", name, "--json", `${name}.json`, ...more];
		const { code, out, err } = await run(folder, "npm", ...words);
		assert.equal(code, 0, `${out}\n${err}`);
		return JSON.parse(await readFile(join(folder, `${name}.json`), "utf8")) as Out;
	}

	const farelay = (...words: string[]) => run(folder, join(home, "node_modules/.bin/farelay"), ...words);

	/** The second delivery: its sender paid nothing, a pool the operator's whole ask and the market's fee. */
	function freeForItsSender({ sponsored }: Out) {
		const { payer, pool, operator, marketFee, reason } = sponsored;
		assert.deepEqual([payer, reason], ["0", "pool-pays"]);
		assert.ok(BigInt(operator) > 0n);
		assert.equal(BigInt(pool), BigInt(operator) + BigInt(marketFee));
	}

	for (const [name, size] of [
		["photo", 5_000_000],
		["empty", 0],
		["film", 200_000_000],
	] as const) {
		test(`a file of ${size.toLocaleString("en")} bytes is sent, kept, fetched, and its money adds up`, async () => {
			await file(name, size);
			const out = await once(name);
			const hash = await sha256(join(folder, name));
			assert.deepEqual(out.sha256, { sent: hash, received: hash });
			assert.equal(out.bytes.payload, size);
			assert.equal(out.bytes.received, size);
			assert.ok(out.bytes.sealed >= size);
			assert.equal(out.delivery, "kept");
			const nanos = (name: keyof Out["nanos"]) => BigInt(out.nanos[name]);
			assert.equal(nanos("payer"), nanos("operator") + nanos("marketFee") + nanos("commons"));
			assert.equal(nanos("reserved"), nanos("payer") + nanos("returned"));
			assert.ok(nanos("operator") > 0n);
			assert.equal(out.ledger.sum, "0");
			assert.ok(out.vouchers.signed >= out.vouchers.accepted && out.vouchers.accepted >= out.vouchers.redeemed);
			assert.ok((await stat(out.data)).isDirectory());
			assert.equal(out.rail, "lightning-regtest");
			const { deposit, payout } = out;
			assert.ok(deposit && payout && deposit.paymentHash !== payout.paymentHash);
			for (const { paymentHash } of [deposit, payout]) assert.match(paymentHash, /^[0-9a-f]{64}$/);
			const paid = (name: "nanos" | "net" | "railFee" | "marketFee") => BigInt(payout[name]);
			assert.ok(BigInt(deposit.nanos) > 0n && paid("net") > 0n);
			assert.equal(paid("nanos"), paid("net") + paid("railFee") + paid("marketFee"));
			freeForItsSender(out);
			assert.ok(out.maxRssMiB < 700, `${out.maxRssMiB} MiB`);
		});
	}

	test("with play money alone it needs less than 400 MiB, for a large file too", async () => {
		const out = await once("film", "--play", "--data", "play");
		assert.equal(out.rail, "play");
		assert.deepEqual([out.deposit, out.payout], [undefined, undefined]);
		assert.equal(out.sha256.sent, out.sha256.received);
		assert.equal(out.ledger.sum, "0");
		freeForItsSender(out);
		assert.ok(out.maxRssMiB < 400, `${out.maxRssMiB} MiB`);
	});

	test("the dispute file says who owes whom, and any changed character is found", async () => {
		const { dispute } = JSON.parse(await readFile(join(folder, "photo.json"), "utf8")) as Out;
		assert.equal((await farelay("verify", dispute)).code, 0);
		const text = await readFile(dispute, "utf8");
		for (const at of [0, 0.25, 0.5, 0.75].map((part) => Math.floor(part * text.length))) {
			const changed = text[at] === "0" ? "1" : "0";
			await writeFile(join(folder, "forged.json"), text.slice(0, at) + changed + text.slice(at + 1));
			const { code, out, err } = await farelay("verify", "forged.json");
			assert.equal(code, 1, `character ${at}`);
			assert.match(out + err, /\S/);
		}
	});

	test("the ledger that is left behind proves itself", async () => {
		const { data } = JSON.parse(await readFile(join(folder, "photo.json"), "utf8")) as Out;
		assert.equal((await farelay("audit", "--data", data)).code, 0);
	});

	test("a file that is not there is a plain refusal, and writes no result", async () => {
		const words = ["--prefix", home, "start", "--", "--once", "--file", "nowhere", "--json", "nowhere.json"];
		const { code, err, out } = await run(folder, "npm", ...words);
		assert.notEqual(code, 0);
		assert.doesNotMatch(out + err, /^\s+at .*:\d+:\d+/m, "no stack trace for a user's mistake");
		await assert.rejects(stat(join(folder, "nowhere.json")));
	});
});
