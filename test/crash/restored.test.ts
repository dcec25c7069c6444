/**
 * A market brought back from a backup: what happened since is not in its book, and still nothing is paid twice. The rails are doubles that remember what
 * they sent, whichever life of the market told them.
 */

import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { askOwned } from "#cli/door";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { makeBackup } from "#marketplace/backup/backup";
import { restoreBackup } from "#marketplace/backup/restore";
import { checkPayouts } from "#marketplace/payout/check";
import { checkTabs } from "#marketplace/tab/check";
import { type HeldClock, heldClock } from "#test/support/clock";
import { DoubleLightning, DoubleRail, testRates } from "#test/support/doublerail";
import {
	carried,
	crypto,
	DAY_MS,
	fine,
	movedBy,
	Person,
	startTestMarket,
	type TestMarket,
	TestRelay,
} from "#test/support/market";

const CHECKS = [checkTabs, checkPayouts];
const ADDRESS = "olga@wallet.example";
const CAP = amount(10_000_000_000n);

describe("a market that is brought back from a backup", () => {
	let place: string;
	let lives = 0;
	let clock: HeldClock;
	let rail: DoubleRail;
	let market: TestMarket;
	let relay: TestRelay;
	let alice: Person;

	beforeEach(async () => {
		place = await mkdtemp(join(tmpdir(), "farelay-restore-"));
		clock = heldClock();
		rail = new DoubleRail();
		market = await start(join(place, "first"));
		relay = new TestRelay(market);
		alice = new Person(market);
		await alice.fund(100_000_000_000n);
		assert.equal((await relay.list()).status, 200);
	});
	afterEach(async () => {
		await market.stop();
		await rm(place, { recursive: true, force: true });
	});

	const start = (folder: string, journal = join(place, "told.jsonl")) =>
		startTestMarket(
			{ payoutJournal: journal },
			{ clock, folder, rails: [rail], rates: testRates, lightning: new DoubleLightning(() => clock.nowMs()) },
		);
	const backup = async () =>
		fine(
			await makeBackup({
				crypto,
				dataPath: market.folder,
				to: join(place, "backups"),
				nowMs: clock.nowMs(),
				checks: CHECKS,
			}),
		);
	/** The disk is lost, and the market comes back from the backup. */
	const bringBack = async (from: string) => {
		await market.stop();
		const dataPath = join(place, `again-${lives++}`);
		const mark = fine(await restoreBackup({ crypto, from, dataPath, nowMs: clock.nowMs(), checks: CHECKS }));
		market = await start(dataPath);
		relay.where = market;
		relay.operator.where = market;
		alice.where = market;
		return mark;
	};
	/** Minutes pass, for the market's disk too. */
	const pass = async (minutes: number, until: () => Promise<boolean> = async () => false) => {
		for (let n = 0; n < minutes && !(await until()); n++) {
			await clock.advance(60_000);
			for (let polls = 0; polls < 20 && !(await until()); polls++) await new Promise((done) => setTimeout(done, 5));
		}
	};
	const earn = async (bytes: bigint) => {
		assert.equal((await relay.list()).status, 200);
		const grant = await alice.open({ relay: relay.key.publicKey, cap: CAP, lifeMs: 7 * DAY_MS });
		const used = carried(bytes);
		const claim = { tab: grant.tab, voucher: alice.voucher(grant, used), used };
		movedBy((await relay.redeem(claim))[0]);
		return { grant, claim };
	};
	const earnings = async () => BigInt((await relay.operator.client.operator.earnings.query()).earned);
	const payouts = () => relay.operator.client.operator.payout;
	const release = async (anyway = false) => {
		return fine(
			await askOwned<{ released: boolean; problems: string[] }>(market.folder, "/release", "market", {
				days: 0,
				own: {},
				anyway,
			}),
		);
	};

	it("threat 19: a payout that left after the backup is not paid again, nor one that was set aside in it", async () => {
		await earn(10_000_000_000n);
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS }, schedule: "never" });
		// asked for and not gone yet: the rail is away while the backup is made
		rail.away = true;
		await payouts().now.mutate({ id: "before", amount: "1000000000" });
		const { path } = await backup();
		rail.away = false;
		const newest = async () => (await payouts().show.query()).newest;
		await pass(30, async () => (await newest())?.state === "sent");
		await payouts().now.mutate({ id: "after", amount: "2000000000" });
		await pass(30, async () => rail.paid.length === 2 && (await newest())?.state === "sent");
		assert.equal(rail.paid.length, 2);
		await bringBack(path);
		// the same names, schedules and clicks as before, and days of rounds
		await payouts()
			.now.mutate({ id: "after", amount: "2000000000" })
			.catch(() => {});
		await payouts().set.mutate({ schedule: "daily", threshold: "1000000" });
		await pass(60);
		assert.equal(rail.paid.length, 2, "nothing leaves while it is held");
		// its owner says go: what the rail knows is asked about and not told, and only what is left goes
		assert.deepEqual(await release(), { released: true, problems: [] });
		const isOver = async () => (await earnings()) < 100_000_000n && (await newest())?.state === "sent";
		for (let click = 0; click < 5 && !(await isOver()); click++) {
			await payouts()
				.now.mutate({ id: `rest-${click}` })
				.catch(() => {});
			await pass(10, isOver);
		}
		const { told, paid } = rail;
		assert.equal(new Set(told.map(({ id }) => id)).size, told.length, "no order was told twice");
		const earned = 5n * 1_666_667n;
		const left = paid.reduce((sum, { amount: units }) => sum + units, 0n);
		assert.ok(left > (earned * 9n) / 10n && left <= earned, `${left} msat of ${earned} left`);
		assert.deepEqual((await market.audit()).findings, []);
	});

	it("stays held while it has not earned again what was paid out of it, and where nobody kept what was paid", async () => {
		const { grant } = await earn(1_000_000_000n);
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS }, schedule: "never" });
		const { path } = await backup();
		await clock.advance(1_000);
		const used = carried(8_000_000_000n);
		const higher = { tab: grant.tab, voucher: alice.voucher(grant, used), used };
		movedBy((await relay.redeem(higher))[0]);
		await payouts().now.mutate({ id: "all", amount: "4000000000" });
		await pass(30, async () => (await payouts().show.query()).newest?.state === "sent");
		await bringBack(path);
		const early = await release();
		assert.equal(early.released, false);
		assert.match(early.problems.join(), /not covered yet by what their operators earned: 1/);
		movedBy((await relay.redeem(higher))[0]);
		assert.deepEqual(await release(), { released: true, problems: [] });
		await pass(5);
		assert.equal(rail.paid.length, 1);
		assert.ok((await earnings()) < 1_000_000_000n);
		assert.deepEqual((await market.audit()).findings, []);
		// another disk, and the journal was on the first
		await rm(join(place, "told.jsonl"));
		await bringBack(path);
		const blind = await release();
		assert.equal(blind.released, false);
		assert.match(blind.problems.join(), /journal of payouts was not kept/);
		assert.equal((await release(true)).released, true);
	});

	it("pays again when its owner lets it, after each rail was held against the book, and never what the rail knows", async () => {
		await earn(10_000_000_000n);
		await payouts().set.mutate({ destination: { kind: "lightning", to: ADDRESS }, schedule: "never" });
		const { path } = await backup();
		await bringBack(path);
		await payouts().now.mutate({ id: "new", amount: "1000000000" });
		await pass(10);
		assert.equal(rail.paid.length, 0);
		// money left that no payout sent: the rail says so, and it stays held
		rail.balance = async () => ({ spendable: -50_000_000n, pending: 0n }) as never;
		assert.equal((await release()).released, false);
		await pass(10);
		assert.equal(rail.paid.length, 0);
		rail.balance = async () => undefined;
		assert.equal((await release()).released, true);
		await pass(30, async () => rail.paid.length === 1);
		assert.equal(rail.paid.length, 1);
		await pass(10, async () => (await payouts().show.query()).newest?.state === "sent");
		market = await market.restart();
		relay.operator.where = market;
		assert.equal((await release()).released, true, "and stays so");
		assert.deepEqual((await market.audit()).findings, []);
	});

	it("lets its owner go on although a rail differs, when they say so", async () => {
		const { path } = await backup();
		await bringBack(path);
		rail.balance = async () => ({ spendable: -50_000_000n, pending: 0n }) as never;
		assert.equal((await release()).released, false);
		assert.equal((await release(true)).released, true);
	});

	it("threat 2: pays for vouchers that it paid for after the backup once, however often they come, and says since when it forgot", async () => {
		const { grant, claim } = await earn(1_000_000_000n);
		const { path, list } = await backup();
		await clock.advance(3_600_000);
		const used = carried(4_000_000_000n);
		const higher = { tab: grant.tab, voucher: alice.voucher(grant, used), used };
		assert.equal(movedBy((await relay.redeem(higher))[0]), 1_500_000_000n);
		const lost = await earn(1_000_000_000n);
		const before = await alice.balance();
		const mark = await bringBack(path);
		assert.equal(mark.fromMs, list.atMs);
		const info = (await (await fetch(`${market.url}/.well-known/farelay.json`)).json()) as { restored: unknown };
		assert.deepEqual(info.restored, { fromMs: list.atMs, atMs: clock.nowMs() });
		assert.equal(await earnings(), 500_000_000n);
		for (const moved of [1_500_000_000n, 0n]) assert.equal(movedBy((await relay.redeem(higher))[0]), moved);
		assert.equal(movedBy((await relay.redeem(claim))[0]), 0n);
		assert.equal(await earnings(), 2_000_000_000n);
		// a tab that the book does not know is not paid for, and its payer has the money
		const [refused] = await relay.redeem(lost.claim);
		assert(isProblem(refused) && refused.problem === "not-found");
		assert.ok((await alice.balance()) > before);
		assert.deepEqual((await market.audit()).findings, []);
	});

	it("is whole or not there: a backup that was touched, cut or added to is not brought back, and a folder that is there is never written over", async () => {
		const { path } = await backup();
		const dataPath = join(place, "again");
		const bring = async () => {
			const done = await restoreBackup({ crypto, from: path, dataPath, nowMs: clock.nowMs(), checks: CHECKS });
			return isProblem(done) ? done.problem : "done";
		};
		const ledger = join(path, "ledger.db");
		const bytes = await readFile(ledger);
		await appendFile(ledger, "x");
		assert.equal(await bring(), "data-corrupt");
		await writeFile(ledger, bytes.subarray(0, -1));
		assert.equal(await bring(), "data-corrupt");
		await rm(ledger);
		assert.equal(await bring(), "data-corrupt");
		await writeFile(ledger, bytes);
		await writeFile(join(path, "keys", "more.json"), "");
		assert.equal(await bring(), "data-corrupt");
		await rm(join(path, "keys", "more.json"));
		assert.equal(
			(await readdir(place)).some((name) => name.startsWith("again")),
			false,
		);
		assert.equal(await bring(), "done");
		assert.equal(await bring(), "conflict");
		await rm(join(path, "backup.json"));
		await rm(dataPath, { recursive: true });
		assert.equal(await bring(), "not-found");
	});

	it("has a backup that its owner alone can read, twice a second is told, and none is made of a market that is not there", async () => {
		const { path } = await backup();
		for (const name of ["", "ledger.db", "board.db", "cards.db", "keys/online.json", "backup.json"])
			assert.equal((await stat(join(path, name))).mode & 0o077, 0, name);
		const order = { crypto, to: join(place, "backups"), nowMs: clock.nowMs(), checks: CHECKS };
		const again = await makeBackup({ ...order, dataPath: market.folder });
		assert(isProblem(again) && again.problem === "conflict");
		const none = await makeBackup({ ...order, dataPath: join(place, "nowhere") });
		assert(isProblem(none) && none.problem === "not-found");
	});
});
