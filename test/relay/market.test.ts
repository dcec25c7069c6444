import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { signCommitment } from "#contracts/commitment";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { openLog } from "#host/log";
import { startRelay } from "#relay/relay";
import { Books } from "#test/support/books";
import { FakeMarket } from "#test/support/fakemarket";
import { relayConfig, relayDeps } from "#test/support/relay";

suite("the market's keys, at a relay: what was learned once is kept", () => {
	let data: string;
	let market: FakeMarket;

	beforeEach(async () => {
		data = await mkdtemp(join(tmpdir(), "farelay-keys-"));
		market = await FakeMarket.start();
	});
	afterEach(async () => {
		await market.stop();
		await rm(data, { recursive: true, force: true });
	});

	const start = async (of: FakeMarket, change = {}) => startRelay(relayConfig(of, { data, ...change }), relayDeps());

	async function once(of: FakeMarket, change = {}): Promise<string | undefined> {
		const relay = await start(of, change);
		if (isProblem(relay)) return relay.problem;
		await relay.stop();
		return undefined;
	}

	test("the root key is written down, whole, and no part of a write is left", async () => {
		assert.equal(await once(market), undefined);
		const kept = JSON.parse(await readFile(join(data, "market.json"), "utf8"));
		assert.equal(kept.market, toHex(market.root.publicKey));
		assert.deepEqual(
			(await readdir(data)).filter((name) => name.includes(".part")),
			[],
		);
	});

	test("a relay that cannot read any more which market it works with does not trust the next one", async () => {
		assert.equal(await once(market), undefined);
		for (const damage of ["", "{", "null", '{"market":"00","keys":[]}', `{"market":"${"00".repeat(32)}"}`]) {
			await writeFile(join(data, "market.json"), damage);
			assert.equal(await once(market), "data-corrupt", damage);
		}
		// the operator may say it instead
		assert.equal(await once(market, { marketKey: market.root.publicKey }), undefined);
	});

	test("the market's newest commitments are kept, and two for one day are told of: the relay's owner can prove it", async () => {
		const seen = async () => JSON.parse(await readFile(join(data, "heads.json"), "utf8")) as unknown[];
		const commit = (takenMs: number) => {
			const facts = new Books(crypto, []).facts({ takenMs });
			const { bytes } = signCommitment(crypto, market.root.publicKey, facts, market.online);
			market.head = { key: market.keys[0] ?? "", commitment: toHex(bytes) };
			return market.head;
		};
		assert.equal(await once(market), undefined);
		assert.deepEqual(
			(await readdir(data)).filter((name) => name === "heads.json"),
			[],
			"there was none",
		);
		const midnightMs = Math.floor(Date.now() / 86_400_000) * 86_400_000;
		const first = commit(midnightMs);
		assert.equal(await once(market), undefined);
		assert.deepEqual([await once(market), await seen()], [undefined, [first]]);
		const second = commit(midnightMs + 1);
		const lines: string[] = [];
		const log = openLog({ name: "relay", level: "error", to: { write: (line: string) => void lines.push(line) } });
		const relay = await startRelay(relayConfig(market, { data }), relayDeps({ log }));
		assert.ok(!isProblem(relay));
		await relay.stop();
		assert.deepEqual(await seen(), [first, second]);
		assert.match(lines.join(), /signed two different commitments/);
		// a file that cannot be read is no reason to stop working
		await rm(join(data, "heads.json"));
		await mkdir(join(data, "heads.json"));
		assert.equal(await once(market), undefined);
	});
});
