import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { same } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { readMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { openKeys } from "#marketplace/keys/keys";
import { crypto, DAY_MS, fine, startTestMarket } from "#test/support/market";

const START_MS = Date.UTC(2026, 0, 1);

describe("the market's keys", () => {
	let folder: string;
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-keys-"));
	});
	afterEach(() => rm(folder, { recursive: true, force: true }));

	const openAt = async (nowMs: number) => fine(await openKeys(crypto, folder, nowMs));

	it("are the same after a restart, and readable by nobody else", async () => {
		const first = await openAt(START_MS);
		const again = await openAt(START_MS + DAY_MS);
		assert.deepEqual(again.market, first.market);
		assert.deepEqual(again.online(START_MS + DAY_MS), first.online(START_MS));
		for (const name of ["root.json", "online.json"])
			assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
	});

	it("live thirty days at most, and the next is certified before the last has less than eight left", async () => {
		const keys = await openAt(START_MS);
		let nowMs = START_MS;
		for (let hour = 0; hour < 24 * 100; hour++, nowMs += 3_600_000) {
			await keys.renew(nowMs);
			const signing = keys.online(nowMs);
			const certificate = keys.certificates().find(({ key }) => same(key, signing.publicKey));
			assert(certificate && certificate.untilMs - nowMs > LIMIT.grantMsMax, "a grant outlives its key");
			assert(certificate.untilMs - certificate.fromMs <= LIMIT.marketKeyMsMax);
		}
		assert(keys.certificates().length <= 4, "old certificates are forgotten in the end");
		for (const { bytes } of keys.certificates()) assert(!isProblem(readMarketKey(crypto, bytes)));
	});

	it("are published an hour before they sign, and as long as a grant they signed can be redeemed", async () => {
		const keys = await openAt(START_MS);
		const old = keys.online(START_MS);
		const renewMs = START_MS + 23 * DAY_MS;
		assert.equal(await keys.renew(renewMs), undefined);
		assert.equal(keys.certificates().length, 2);
		assert.deepEqual(keys.online(renewMs + 3_599_999), old);
		assert.notDeepEqual(keys.online(renewMs + 3_600_000), old);
		const endMs = START_MS + 30 * DAY_MS + LIMIT.grantMsMax + LIMIT.redeemGraceMs;
		await keys.renew(endMs);
		assert(keys.certificates().some(({ key }) => same(key, old.publicKey)));
	});

	it("that were damaged or belong to another market stop the start with a problem", async () => {
		await openAt(START_MS);
		const other = await mkdtemp(join(tmpdir(), "farelay-keys-"));
		fine(await openKeys(crypto, other, START_MS));
		const foreign = await readFile(join(other, "online.json"), "utf8");
		await rm(other, { recursive: true });
		for (const [name, text] of [
			["online.json", foreign],
			["online.json", "{"],
			["online.json", "[{}]"],
			["root.json", "{}"],
		] as const) {
			await writeFile(join(folder, name), text);
			const refused = await openKeys(crypto, folder, START_MS);
			assert(isProblem(refused) && refused.problem === "data-corrupt", text);
		}
	});

	it("that cannot be read stop a market with a problem, not a stack trace", async () => {
		const market = await startTestMarket();
		await market.stop();
		await rm(join(market.folder, "keys"), { recursive: true });
		await writeFile(join(market.folder, "keys"), "in the way");
		await assert.rejects(market.restart(), /refused: .*"disk"/);
		await rm(market.folder, { recursive: true });
	});
});
