import assert from "node:assert/strict";
import { mkdir, mkdtemp, open as openFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { isProblem, type Problem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import { MAIL_KIND, MAIL_MIGRATIONS } from "#relay/mailbox/schema";
import { openSqliteMailStore, type SqliteMailOptions } from "#relay/mailbox/sqlite";
import { MailFailure, type MailStore } from "#relay/mailbox/store";
import { devicesAcceptance } from "#test/acceptance/devices";
import { box, device, lost, mail, mailStoreAcceptance, readAll, tag, visit } from "#test/acceptance/mailstore";

mailStoreAcceptance("memory", async (options) => openMemoryMailStore(options));
devicesAcceptance("memory", async (options) => openMemoryMailStore(options));

const folders: string[] = [];
after(async () => {
	for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
async function newFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "farelay-mail-"));
	folders.push(folder);
	return folder;
}
async function openStore(options: SqliteMailOptions): Promise<MailStore> {
	const store = await openSqliteMailStore(options);
	assert(!isProblem(store), JSON.stringify(store));
	return store;
}

mailStoreAcceptance("SQLite", async (options) => openStore({ path: join(await newFolder(), "mail.db"), ...options }));
devicesAcceptance("SQLite", async (options) => openStore({ path: join(await newFolder(), "mail.db"), ...options }));

describe("the mail store's file", () => {
	let path: string;
	let store: MailStore | undefined;

	beforeEach(async () => {
		path = join(await newFolder(), "mail.db");
	});
	afterEach(async () => {
		await store?.close();
		store = undefined;
	});
	/** Closes the store, if one is open, and opens the file again. */
	async function open(options: Partial<SqliteMailOptions> = {}): Promise<MailStore> {
		await store?.close();
		store = await openStore({ path, ...options });
		return store;
	}

	it("has everything again after it was closed and opened: mail, counts, tokens, losses, dedupe", async () => {
		const first = await open();
		const hash = new Uint8Array(32).fill(9);
		await first.visit(box(1), device(1), hash, 1_234);
		await first.visit(box(2), device(1), undefined, 0);
		await first.keep([mail(1), mail(2, { byCard: false }), mail(3, { expiresAtMs: 5 })]);
		await first.expire(5, 10);
		first.dropped(box(1), 4);
		const marking = first.mark(tag(8), [[3, 5]], 1e12);
		const before = structuredClone(first.state(box(1)));
		const second = await open();
		await marking;
		assert.deepEqual(second.state(box(1)), before);
		assert.deepEqual(before?.tokenHash, hash);
		assert.equal(second.state(box(2))?.messages, 0);
		assert.deepEqual(
			(await readAll(second)).map(({ position }) => position),
			[1, 2],
		);
		assert.deepEqual((await second.marks(tag(1))).ranges, [[1, 3]]);
		assert.deepEqual((await second.marks(tag(8))).ranges, [[3, 5]]);
		const losses = await visit(second);
		assert.deepEqual([losses.droppedTtl, losses.droppedQuota, losses.fresh], [1, 4, false]);
		await second.told(box(1), device(1), losses);
		const third = await open();
		assert.deepEqual(await lost(third), [0, 0]);
	});

	it("remembers the latest visit and the latest time of a record on disk too, whatever comes after", async () => {
		const first = await open({ idleMs: 1_000 });
		await first.visit(box(1), device(1), undefined, 5_000);
		await first.visit(box(1), device(1), undefined, 4_000);
		for (const untilMs of [3_000, 6_000, 2_000]) {
			const marking = first.mark(tag(1), [[untilMs, untilMs]], untilMs);
			await first.expire(0, 1);
			await marking;
		}
		const second = await open({ idleMs: 1_000 });
		assert.equal(second.state(box(1))?.seenMs, 5_000);
		assert.equal(await second.expire(5_999, 10), 0);
		assert.equal((await second.marks(tag(1))).ranges.length, 3);
		assert.equal(await second.expire(6_000, 10), 2);
	});

	it("raises its epoch each time it is opened", async () => {
		const epochs = [];
		for (let i = 0; i < 3; i++) epochs.push((await open()).epoch);
		assert.deepEqual(epochs, [1, 2, 3]);
	});

	it("writes everything that waits before it closes, also what may come late", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const keeping = first.keep([mail(1)]);
		const marking = first.mark(tag(2), [[1, 1]], 1e12);
		await first.close();
		assert.deepEqual(await keeping, ["kept"]);
		await marking;
		const second = await open();
		assert.equal(second.state(box(1))?.messages, 1);
		assert.deepEqual((await second.marks(tag(2))).ranges, [[1, 1]]);
	});

	it("writes numbers taken live and counts of losses with the next expiry, without a write each", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const other = new DatabaseSync(path, { readOnly: true });
		const onDisk = () => [
			other.prepare("SELECT count(*) AS n FROM tags").get()?.n,
			other.prepare("SELECT droppedQuota AS n FROM devices").get()?.n,
		];
		for (let i = 0; i < 100; i++) {
			void first.mark(tag(i), [[1, 1]], 1e12);
			first.dropped(box(1), 1);
		}
		await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
		assert.deepEqual(onDisk(), [0, 0]);
		await first.expire(0, 10);
		assert.deepEqual(onDisk(), [100, 100]);
		other.close();
	});

	it("does not let numbers taken live pile up: thousands are written by themselves", async () => {
		const first = await open();
		const marking = Array.from({ length: 5_000 }, (_, i) => first.mark(tag(i), [[1, 1]], 1e12));
		await marking[0];
		assert.deepEqual((await first.marks(tag(4_999))).ranges, [[1, 1]]);
		await Promise.all(marking);
	});

	it("splits a very large call into parcels and still answers all of it", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const payload = new Uint8Array(60 * 1024);
		const mails = Array.from({ length: 1_200 }, (_, i) => mail(i + 1, i % 20 === 0 ? { payload } : {}));
		const keeping = first.keep(mails);
		assert.equal(first.pendingBytes, 60 * payload.length + 1_140 * 10);
		assert((await keeping).every((result) => result === "kept"));
		assert.equal(first.pendingBytes, 0);
		assert.equal(first.state(box(1))?.messages, 1_200);
	});

	it("threat 14: answers disk to mail beyond what may wait, and takes more once the disk has caught up", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const payload = new Uint8Array(60 * 1024);
		const calls = Array.from({ length: 640 }, (_, i) => first.keep([mail(i + 1, { payload })]));
		const results = (await Promise.all(calls)).flat();
		assert(results.includes("disk"), "38 MiB at once are more than may wait");
		assert(results.includes("kept"));
		assert.equal(first.pendingBytes, 0);
		const kept = results.filter((result) => result === "kept").length;
		assert.equal(first.state(box(1))?.messages, kept);
		assert.deepEqual(await first.keep([mail(1_000)]), ["kept"]);
	});

	it("threat 14: a full disk takes nothing, changes nothing, and the store works when there is room again", async () => {
		const troubles: Problem[] = [];
		const first = await open({ pagesMax: 240, onTrouble: (why) => troubles.push(why) });
		await first.visit(box(1), device(1), undefined, 0);
		const payload = new Uint8Array(60 * 1024).fill(1);
		let position = 0;
		let result: string | undefined = "kept";
		while (result === "kept") [result] = await first.keep([mail(++position, { payload })]);
		assert.equal(result, "disk");
		assert(position > 2, "some were kept before it was full");
		assert.equal(troubles[0]?.problem, "disk");
		const state = structuredClone(first.state(box(1)));
		assert.equal(state?.messages, position - 1);
		assert.deepEqual(await first.keep([mail(500, { payload }), mail(501, { payload, tag: tag(2) })]), ["disk", "disk"]);
		assert.deepEqual(first.state(box(1)), state);
		assert.equal(first.pendingBytes, 0);
		assert.equal((await readAll(first)).length, position - 1, "and what is there can be read");
		assert.deepEqual((await first.marks(tag(2))).ranges, []);
		assert.deepEqual(
			(await first.marks(tag(1))).ranges,
			[[1, position - 1]],
			"no number of refused mail is remembered",
		);
		assert.equal(await first.acknowledge(box(1), device(1), [1, 2]), "noted");
		assert.deepEqual(await first.keep([mail(600, { payload })]), ["kept"]);
		const again = await open();
		assert.equal(again.state(box(1))?.messages, position - 2);
	});

	it("threat 14: on a disk that takes nothing, losses and live numbers stay in mind until it does", async () => {
		const first = await open({ pagesMax: 200 });
		await first.visit(box(1), device(1), undefined, 0);
		const fill = new Uint8Array(30 * 1024);
		let position = 0;
		while ((await first.keep([mail(++position, { payload: fill })]))[0] === "kept");
		const small = new Uint8Array(700);
		while ((await first.keep([mail(++position, { payload: small })]))[0] === "kept");
		// a record of a thousand gaps is more than what is left
		const ranges = Array.from({ length: 3_000 }, (_, i) => [i * 2, i * 2] as const);
		first.dropped(box(1), 7);
		const marking = first.mark(tag(7), ranges, 1e12);
		await first.expire(0, 1);
		await marking;
		await first.acknowledge(box(1), device(1), [1, 2, 3]);
		await first.expire(0, 1);
		const again = await open();
		assert.deepEqual(await lost(again), [0, 7]);
		assert.equal((await again.marks(tag(7))).ranges.length, 3_000);
	});

	it("threat 14: another process that holds the file makes a slow disk, not a crash", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const other = new DatabaseSync(path);
		other.exec("BEGIN IMMEDIATE");
		const keeping = first.keep([mail(1)]);
		assert.deepEqual((await readAll(first).catch((why) => [why])).length, 0, "nothing is kept yet");
		const [result] = await keeping;
		assert.equal(result, "disk");
		assert.equal(first.state(box(1))?.messages, 0);
		other.exec("ROLLBACK");
		other.close();
		assert.deepEqual(await first.keep([mail(1)]), ["kept"]);
	});

	it("says that the disk cannot be read instead of giving nothing", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		await first.keep(Array.from({ length: 200 }, (_, i) => mail(i + 1, { payload: new Uint8Array(60_000) })));
		await open();
		await store?.close();
		// the pages of the payloads are overwritten: the file opens, and reading them fails
		const { size } = await stat(path);
		const file = await openFile(path, "r+");
		await file.write(new Uint8Array(size / 2).fill(0xaa), 0, size / 2, 64 * 1024);
		await file.close();
		const damaged = await openSqliteMailStore({ path });
		store = undefined;
		if (isProblem(damaged)) {
			assert.equal(damaged.problem, "data-corrupt");
			return;
		}
		store = damaged;
		await assert.rejects(
			readAll(damaged),
			(why) => why instanceof MailFailure && why.problem.problem === "data-corrupt",
		);
	});

	it("gives the problem of a file that is damaged, of another kind, or cannot be there", async () => {
		await writeFile(path, "no database at all ".repeat(1_000));
		const damaged = await openSqliteMailStore({ path });
		assert.equal(isProblem(damaged) && damaged.problem, "data-corrupt");
		const [folder, file] = [`${path}-folder`, `${path}-file`];
		await mkdir(folder);
		await writeFile(file, "");
		for (const wrong of [folder, join(file, "mail.db")]) {
			const answer = await openSqliteMailStore({ path: wrong });
			assert.equal(isProblem(answer) && answer.problem, "disk", wrong);
		}
	});

	it("gives the problem of a file whose header is whole and whose tables are not", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		await first.close();
		store = undefined;
		const file = await openFile(path, "r+");
		await file.write(new Uint8Array((await file.stat()).size - 4096).fill(0x55), 0, undefined, 4096);
		await file.close();
		const answer = await openSqliteMailStore({ path });
		assert.equal(isProblem(answer) && answer.problem, "data-corrupt");
	});

	it("drops large mail in smaller slices: about a MiB of it at once", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const payload = new Uint8Array(60 * 1024);
		await first.keep(Array.from({ length: 40 }, (_, i) => mail(i + 1, { payload, expiresAtMs: 1 })));
		const slices: number[] = [];
		while (slices.at(-1) !== 0) slices.push(await first.expire(1, 1_000));
		assert.deepEqual(slices, [18, 18, 4, 0]);
	});

	it("takes what others ask between two slices of expiry", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		await first.keep(Array.from({ length: 1_000 }, (_, i) => mail(i + 1, { expiresAtMs: 1 })));
		const order: ("slice" | "kept")[] = [];
		const expiring = async () => {
			while ((await first.expire(1, 100)) > 0) order.push("slice");
		};
		let expired = false;
		const others = async () => {
			for (let position = 2_000; !expired; position++) {
				assert.deepEqual(await first.keep([mail(position)]), ["kept"]);
				order.push("kept");
			}
		};
		const keeping = others();
		await expiring();
		expired = true;
		await keeping;
		assert.equal(order.filter((what) => what === "slice").length, 10);
		assert.doesNotMatch(order.join(" "), /slice slice/, "nobody waits for more than one slice");
	});

	it("gives back to the disk what deletions left, a slice at a time, and keeps some for what comes", async () => {
		const first = await open();
		await first.visit(box(1), device(1), undefined, 0);
		const payload = new Uint8Array(60 * 1024);
		await first.keep(Array.from({ length: 500 }, (_, i) => mail(i + 1, { payload, expiresAtMs: 1 })));
		while ((await first.expire(1, 1_000)) > 0);
		const pages = () => {
			const other = new DatabaseSync(path, { readOnly: true });
			const [all, free] = ["page_count", "freelist_count"].map((name) =>
				Number(other.prepare(`PRAGMA ${name}`).get()?.[name]),
			);
			other.close();
			return { all: all ?? 0, free: free ?? 0 };
		};
		const sizes = [pages()];
		while (sizes.length < 3 || sizes.at(-2)?.all !== sizes.at(-1)?.all) {
			assert.equal(await first.expire(1, 1_000), 0);
			sizes.push(pages());
		}
		for (const [i, { all }] of sizes.entries()) {
			const given = (sizes[i - 1]?.all ?? all) - all;
			assert(given >= 0 && given <= 70, `${given} pages at once, with what tells where pages are`);
		}
		assert((sizes[0]?.all ?? 0) - (sizes.at(-1)?.all ?? 0) > 500);
		assert.equal(sizes.at(-1)?.free, 1_024);
		await first.keep([mail(9_000)]);
		assert.equal((await readAll(await open())).length, 1);
	});

	it("takes a file of before devices: its mail, losses and owner are there, and devices begin with all of it", async () => {
		const old = openDatabase({ path, kind: MAIL_KIND, migrations: MAIL_MIGRATIONS.slice(0, 1) });
		assert(!isProblem(old));
		old.exec(`INSERT INTO mailboxes VALUES (1, '${box(1)}', NULL, 2, 3, 1000)`);
		old.exec(`INSERT INTO tags VALUES (1, '${tag(1)}', x'0100000002000000', 1000000000000)`);
		const put = old.prepare("INSERT INTO mail VALUES (?, 1, 10000, 1, 2, 1, ?, 7, x'abcd')");
		for (const n of [1, 2]) put.run(n, n);
		old.close();
		const first = await open();
		assert.deepEqual(first.state(box(1))?.devices, []);
		const found = await visit(first);
		assert.deepEqual([found.fresh, found.waiting, found.droppedTtl, found.droppedQuota], [true, 2, 2, 3]);
		assert.deepEqual(await lost(first, box(1), device(2)), [0, 0]);
		await first.acknowledge(box(1), device(1), [1]);
		const second = await open();
		assert.deepEqual(second.state(box(1))?.devices, [device(1), device(2)]);
		assert.deepEqual(
			(await readAll(second)).map(({ position }) => position),
			[2],
		);
		assert.equal((await readAll(second, box(1), 0, device(2))).length, 2);
	});

	it("writes nothing for the acks of one device but the deletion, and one row a device for several", async () => {
		const first = await open();
		const rows = () => {
			const other = new DatabaseSync(path, { readOnly: true });
			const found = other.prepare("SELECT cursor, length(holes) AS holes FROM devices ORDER BY id").all();
			other.close();
			return found.map(({ cursor, holes }) => [cursor, holes]);
		};
		await visit(first);
		await first.keep([1, 2, 3, 4, 5].map((position) => mail(position)));
		await first.acknowledge(box(1), device(1), [2]);
		assert.deepEqual(rows(), [[0, 0]]);
		await visit(first, box(1), device(2));
		await first.acknowledge(box(1), device(1), [1, 4]);
		await first.acknowledge(box(1), device(2), [5]);
		assert.deepEqual(rows(), [
			[4, 8],
			[5, 24],
		]);
		await first.forget(box(1), device(1));
		await first.expire(0, 10);
		assert.deepEqual(rows(), [[0, 0]], "one device alone needs no place any more");
		assert.equal(first.state(box(1))?.messages, 3);
	});

	it("threat 25: acks that leave more holes than a window are not noted, and their mail comes again", async () => {
		const first = await open();
		for (const by of [1, 2]) await visit(first, box(1), device(by));
		await first.keep(Array.from({ length: 2_100 }, (_, i) => mail(i + 1, { expiresAtMs: i < 100 ? 10 : 10_000 })));
		const every = (n: number, to: number) => Array.from({ length: Math.floor(to / n) }, (_, i) => n * (i + 1));
		await first.acknowledge(box(1), device(1), every(2, 2_100));
		assert.equal((await readAll(first)).length, 2_100, "1,050 holes are too many");
		await first.acknowledge(box(1), device(1), every(2, 2_000));
		assert.equal((await readAll(first)).length, 1_100);
		await first.expire(10, 1_000);
		await first.acknowledge(box(1), device(1), every(2, 2_100));
		assert.equal((await readAll(first)).length, 1_000, "what expired needs none");
	});

	it("counts at opening without reading a payload", async () => {
		await open();
		const other = new DatabaseSync(path, { readOnly: true });
		const plan = other
			.prepare("EXPLAIN QUERY PLAN SELECT box, count(*), sum(bytes), sum(1 - byCard) FROM mail GROUP BY box")
			.all();
		other.close();
		assert.match(JSON.stringify(plan), /USING COVERING INDEX mailByBox/);
	});
});
