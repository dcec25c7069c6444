/** Attacks on a ledger that several processes share: what one of them does late, after the others went on. */

import assert from "node:assert/strict";
import { appendFile, type FileHandle, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { isProblem } from "#contracts/problem";
import { openJournal } from "#marketplace/backup/journal";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { payoutOf } from "#marketplace/payout/ask";
import type { Rail } from "#marketplace/rail/rail";
import { type HeldClock, heldClock } from "#test/support/clock";
import { fine } from "#test/support/market";
import { OPERATOR, openTill, usd } from "#test/support/payouts";
import { type StripeDouble, startStripe } from "#test/support/stripe/double";
import { openCards } from "#test/support/stripe/market";

const ACCOUNT = "acct_operator1";
const PAUSED_MS = 15 * 60_000;

/** The way of one process to Stripe: from a moment on, answers wait until they are let go. */
async function startWay(stripe: StripeDouble) {
	const held = Promise.withResolvers<void>();
	const reached = Promise.withResolvers<void>();
	let holdsOn: ((path: string) => boolean) | undefined;
	const server = createServer(async (asked, answer) => {
		const { method = "GET", url: path = "/", headers } = asked;
		const beyond = request({ host: stripe.host, port: stripe.port, method, path, headers }, async (said) => {
			const chunks: Buffer[] = [];
			for await (const chunk of said) chunks.push(chunk as Buffer);
			if (method === "GET" && holdsOn?.(path)) {
				reached.resolve();
				await held.promise;
			}
			answer.writeHead(said.statusCode ?? 500, said.headers);
			answer.end(Buffer.concat(chunks));
		});
		asked.pipe(beyond);
	});
	await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
	return {
		at: { ...stripe, host: "127.0.0.1", port: (server.address() as AddressInfo).port },
		reached: reached.promise,
		hold: (on: (path: string) => boolean) => {
			holdsOn = on;
		},
		letGo: () => {
			holdsOn = undefined;
			held.resolve();
		},
		close: async () => {
			server.closeAllConnections();
			await new Promise((done) => server.close(done));
		},
	};
}

/** One process of a market that pays to Stripe accounts. */
async function startProcess(at: StripeDouble, clock: HeldClock, book: ReturnType<typeof openMemoryBook>) {
	const rail = await openCards(at, clock);
	const told: Promise<unknown>[] = [];
	const pay: Rail["pay"] = (order) => {
		const telling = rail.pay(order);
		told.push(telling);
		return telling;
	};
	const till = openTill({ clock, book, rails: [{ ...rail, pay }] });
	const stop = async () => {
		// what was begun goes on after nobody waits for it any more
		await Promise.all(told);
		await till.payouts.stop();
		await rail.close();
	};
	return { till, stop };
}

for (const stage of ["first", "second"] as const)
	it(`threat 19: a process that was paused at its ${stage} look before Stripe is told, and goes on when another has given the money back, tells nothing`, async (t) => {
		const [slow, quick] = [heldClock(Date.UTC(2026, 9, 15, 12)), heldClock(Date.UTC(2026, 9, 15, 12))];
		const stripe = await startStripe(() => quick.nowMs());
		stripe.world.available = 1_000_000;
		const active = { stripe_balance: { stripe_transfers: { status: "active", status_details: [] } } };
		stripe.world.accounts.set(ACCOUNT, { id: ACCOUNT, configuration: { recipient: { capabilities: active } } });
		const way = await startWay(stripe);
		const book = openMemoryBook();
		// both have run for hours, so that neither believes that something of an earlier process is on its way
		const [first, second] = [await startProcess(way.at, slow, book), await startProcess(stripe, quick, book)];
		t.after(async () => {
			way.letGo();
			await first.stop();
			await second.stop();
			await way.close();
			await stripe.close();
		});
		for (const clock of [slow, quick]) await clock.advance(4 * 3_600_000);
		await first.till.earn(usd(100));
		await first.till.goTo("stripe", ACCOUNT);
		let looks = 0;
		// the rail is asked once before the payout begins, and looks twice when it is told
		way.hold((path) => {
			if (stage === "first") return path.includes("transfer_group") && ++looks === 2;
			return path.includes("destination") && looks++ > 0;
		});
		const asked = first.till.click({ name: "first" }).catch(() => undefined);
		await way.reached;
		// meanwhile it stands still, and another process goes on with the payout
		const [row] = await book.records({ table: "payouts", by: "state", of: "sending", limit: 1 });
		assert.ok(row);
		await quick.advance(PAUSED_MS);
		const ended = await second.till.end(row.key);
		assert.equal(ended.course.state, "failed");
		assert.equal((await second.till.money(OPERATOR)).earned, usd(100));
		await slow.advance(PAUSED_MS + 120_000);
		way.letGo();
		await asked;
		await first.till.payouts.round();
		await first.stop();
		assert.equal((await payoutOf(second.till, row.key))?.course.state, "failed");
		assert.deepEqual([...stripe.world.transfers.values()], []);
		assert.equal(stripe.world.available, 1_000_000);
		await second.till.audit();
	});

it("threats 14 and 19: a disk that was full in the middle of a line of the journal costs that line, and none before or after it", async (t) => {
	const folder = await mkdtemp(join(tmpdir(), "farelay-journal-"));
	t.after(() => rm(folder, { recursive: true, force: true }));
	const path = join(folder, "told.jsonl");
	const journal = fine(await openJournal(path, 1_000));
	const told = (n: number) => ({
		atMs: 1_000 + n,
		id: `${n}`.repeat(32),
		account: "aa".repeat(32),
		value: `{"n":${n}}`,
	});
	assert.equal(await journal.append(told(1)), undefined);
	const any = await open(path, "r");
	const handles = Object.getPrototypeOf(any) as FileHandle;
	await any.close();
	const whole = handles.appendFile;
	let full = 2;
	t.mock.method(handles, "appendFile", async function (this: FileHandle, text: string) {
		if (full-- <= 0) return await whole.call(this, text);
		await whole.call(this, text.slice(0, text.length / 2));
		throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
	});
	// all at once, as a round of payouts does
	const answers = await Promise.all([2, 3, 4, 5].map((n) => journal.append(told(n))));
	assert.deepEqual(
		answers.map((answer) => isProblem(answer) && answer.problem),
		["disk", "disk", false, false],
	);
	await journal.close();
	for (let starts = 0; starts < 2; starts++) {
		const again = fine(await openJournal(path, 2_000));
		assert.deepEqual(again.since(0), [told(1), told(4), told(5)]);
		assert.ok(again.covers(1_000));
		await again.close();
	}
});

it("threat 19: what a process writes into the journal stays there though another one starts and forgets what is old", async (t) => {
	const folder = await mkdtemp(join(tmpdir(), "farelay-journal-"));
	t.after(() => rm(folder, { recursive: true, force: true }));
	const path = join(folder, "told.jsonl");
	const told = (day: number) => ({
		atMs: day * 86_400_000,
		id: "ab".repeat(16),
		account: "aa".repeat(32),
		value: "{}",
	});
	const first = fine(await openJournal(path, told(1).atMs));
	assert.equal(await first.append(told(1)), undefined);
	const second = fine(await openJournal(path, told(100).atMs));
	for (const journal of [first, second, first]) assert.equal(await journal.append(told(101)), undefined);
	await first.close();
	await second.close();
	const third = fine(await openJournal(path, told(102).atMs));
	assert.deepEqual(third.since(0), [told(101), told(101), told(101)]);
	await third.close();
	// and in the moment in which the file is another one's
	const any = await open(path, "r");
	const handles = Object.getPrototypeOf(any) as FileHandle;
	await any.close();
	const whole = handles.readFile;
	let isFirst = true;
	const between = t.mock.method(handles, "readFile", async function (this: FileHandle) {
		const bytes = await whole.call(this, null);
		if (isFirst) await appendFile(path, `${JSON.stringify(told(200))}\n`);
		isFirst = false;
		return bytes;
	});
	await fine(await openJournal(path, told(200).atMs)).close();
	between.mock.restore();
	const fourth = fine(await openJournal(path, told(200).atMs));
	assert.deepEqual(fourth.since(0), [told(200)]);
	await fourth.close();
	// one that is damaged is said to be, and nothing of it stays open: Node ends a process for that
	await writeFile(path, "{}\n");
	let read: FileHandle | undefined;
	const reading = t.mock.method(handles, "readFile", async function (this: FileHandle) {
		read = this;
		return await whole.call(this, null);
	});
	const damaged = await openJournal(path, told(200).atMs);
	reading.mock.restore();
	assert.ok(isProblem(damaged) && damaged.problem === "data-corrupt");
	assert.equal(read?.fd, -1);
	await rm(path);
	const gone = fine(await openJournal(path, told(102).atMs));
	await rm(path);
	assert.ok(isProblem(await gone.append(told(103))), "a journal that is not there any more kept a line");
	await gone.close();
});
