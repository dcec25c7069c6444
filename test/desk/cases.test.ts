/** Cases between people and the desk, and what the desk decides, at two processes of one market. (test/cli/desk.test.ts has it on SQLite.) */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Amount, amount, NOTHING, parseDollars } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { type Decision, type Deed, isSaying, readDecision, signDecision, WHY_BYTES_MAX } from "#contracts/decision";
import { systemClock } from "#host/clock";
import { openPostgres } from "#host/postgres";
import { openMemoryBoard } from "#marketplace/board/memory";
import { CASES_OF_ACCOUNT, LETTERS_MAX, TURN_MS } from "#marketplace/desk/case";
import { endTurns } from "#marketplace/desk/cases";
import { checkDecisions } from "#marketplace/desk/chain";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { openPostgresStores, type Stores } from "#marketplace/stores";
import { heldClock } from "#test/support/clock";
import {
	crypto,
	fine,
	Person,
	refusedBy,
	startTestMarket,
	type TestMarket,
	TestRelay,
	toHex,
} from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();
const unused = {
	put: async () => assert.fail(),
	find: async () => undefined,
	sweep: async () => 0,
	close: async () => {},
};

/** A book that two processes share. */
const ENGINES: Record<string, () => Promise<() => Promise<Stores>>> = {
	memory: async () => {
		const stores = { book: openMemoryBook(), board: openMemoryBoard(), places: unused };
		return async () => stores;
	},
	postgres: async () => {
		const url = await server.database();
		return async () => {
			const postgres = fine(await openPostgres({ url, clock: systemClock, random: Math.random }));
			const { nowMs: _, ...stores } = fine(await openPostgresStores(postgres, crypto));
			return { ...stores, book: { ...stores.book, close: () => stores.book.close().then(postgres.close) } };
		};
	},
};

for (const [engine, open] of Object.entries(ENGINES))
	describe(`the desk of a market of two processes (${engine})`, () => {
		let folder: string;
		let first: TestMarket;
		let second: TestMarket;
		let third: TestMarket | undefined;
		let stores: Stores;
		let alice: Person;
		let dora: Person;
		const clock = heldClock();

		beforeEach(async () => {
			folder = await mkdtemp(join(tmpdir(), "farelay-desk-"));
			const share = await open();
			const seed = crypto.random(32);
			const desk = [toHex(crypto.keyPair(seed).publicKey)];
			stores = await share();
			first = await startTestMarket({ desk }, { ...stores, folder, clock });
			second = await startTestMarket({ desk }, { ...(await share()), folder, clock });
			alice = new Person(first);
			dora = new Person(second);
			Object.assign(dora, { seed, account: crypto.keyPair(seed), id: desk[0] });
		});
		afterEach(async () => {
			const { findings } = await stores.book.audit([checkDecisions(crypto)]);
			assert.deepEqual(findings, []);
			await first.stop();
			await second.stop();
			await third?.stop();
			third = undefined;
			await rm(folder, { recursive: true, force: true });
		});

		const decision = (deed: Deed, subject: string, why = "Because.", change: Partial<Decision> = {}) =>
			signDecision(
				crypto,
				{
					market: first.market,
					by: dora.account.publicKey,
					id: crypto.random(16),
					deed,
					subject: fromHex(subject) ?? assert.fail(),
					why,
					nanos: NOTHING,
					atMs: clock.nowMs(),
					...change,
				},
				dora.account.secretKey,
			);
		const decide = (...of: Parameters<typeof decision>) => post(decision(...of));
		const post = ({ bytes }: { bytes: Uint8Array }, by = dora) =>
			by.client.desk.decide.mutate({ decision: toHex(bytes) });
		const newId = () => toHex(crypto.random(16));
		const only = async (person: Person) => {
			const { cases } = await person.client.ask.list.query();
			assert.equal(cases.length, 1);
			return cases[0] ?? assert.fail();
		};
		const stateOf = async (person: Person) => (await only(person)).state;

		it("threat 21: an account that one process freezes opens nothing at the other, hears why, and is free once its answer holds", async () => {
			const relay = new TestRelay(first);
			await relay.list();
			await alice.fund(1_000_000_000n);
			const before = await alice.open({ relay: relay.key.publicKey });
			await decide("freeze", alice.id, "Forty accounts open tabs as one.");
			const refused = await refusedBy(alice.open({ relay: relay.key.publicKey }));
			assert.deepEqual([refused.problem, /farelay ask/.test(refused.detail)], ["unauthorized", true]);
			assert.equal((await refusedBy(alice.client.operator.payout.now.mutate({ id: "a" }))).problem, "unauthorized");
			const found = await only(alice);
			assert.deepEqual(
				[found.kind, found.state, found.letters[0]?.text],
				["frozen", "open", "Forty accounts open tabs as one."],
			);
			await alice.client.ask.answer.mutate({ id: found.id, text: "We are a class." });
			assert.equal(await stateOf(alice), "answered");
			assert.equal((await dora.client.desk.cases.query({ state: "answered" })).cases[0]?.id, found.id);
			await decide("lift", found.id, "So it is.");
			assert.equal(await stateOf(alice), "lifted");
			await alice.open({ relay: relay.key.publicKey });
			// what was open before stayed open throughout
			await alice.close(before);
		});

		it("what the settings freeze is frozen until the desk decides otherwise", async () => {
			third = await startTestMarket({ frozen: [alice.id], desk: [dora.id] }, { ...stores, folder, clock });
			alice.where = third;
			const asked = () => alice.client.operator.payout.now.mutate({ id: "a" });
			assert.equal((await refusedBy(asked())).problem, "unauthorized");
			await decide("unfreeze", alice.id);
			assert.notEqual((await refusedBy(asked())).problem, "unauthorized");
			assert.deepEqual(await decide("unfreeze", alice.id), { says: `${alice.id} is not frozen.`, isNew: false });
			await decide("freeze", alice.id);
			assert.equal((await refusedBy(asked())).problem, "unauthorized");
		});

		it("a question is answered, goes on, and is nobody else's", async () => {
			const id = newId();
			const question = { id, about: "fund-thin", text: "Why is my quota smaller?" };
			await alice.client.ask.desk.mutate(question);
			await alice.client.ask.desk.mutate(question);
			assert.equal(
				(await refusedBy(alice.client.ask.desk.mutate({ ...question, text: "Other." }))).problem,
				"conflict",
			);
			const bob = new Person(second);
			assert.equal((await refusedBy(bob.client.ask.answer.mutate({ id, text: "Mine?" }))).problem, "not-found");
			assert.equal((await refusedBy(bob.client.ask.desk.mutate(question))).problem, "not-found");
			assert.deepEqual((await bob.client.ask.list.query()).cases, []);
			await decide("answer", id, "The commons is thin.");
			assert.equal(await stateOf(alice), "told");
			await alice.client.ask.answer.mutate({ id, text: "Until when?" });
			await alice.client.ask.answer.mutate({ id, text: "Until when?" });
			assert.equal(await stateOf(alice), "asked");
			const whole = await dora.client.desk.case.query({ id });
			assert.deepEqual(
				whole.letters.map(({ from }) => from),
				["person", "desk", "person"],
			);
			assert.deepEqual(whole.by, [null, dora.id, null]);
			assert.equal((await refusedBy(decide("uphold", id))).problem, "conflict");
		});

		it("threat 12: of one account only so many questions wait, and only so much is said in each", async () => {
			const ask = () =>
				alice.client.ask.report.mutate({ id: newId(), about: "ab".repeat(32), text: "It lost my mail." });
			for (let i = 0; i < CASES_OF_ACCOUNT; i++) await ask();
			assert.equal((await refusedBy(ask())).problem, "too-many");
			const { cases } = await alice.client.ask.list.query();
			const id = cases[0]?.id ?? assert.fail();
			for (let i = 1; i < LETTERS_MAX; i++)
				await alice.client.ask.answer.mutate({ id, text: `"${i}`.padEnd(WHY_BYTES_MAX, '"') });
			assert.equal((await refusedBy(alice.client.ask.answer.mutate({ id, text: "more" }))).problem, "conflict");
			assert.equal((await refusedBy(alice.client.ask.answer.mutate({ id, text: "\u001b[2J" }))).problem, "malformed");
		});

		it("a finding that nobody answers stands, one that nobody decides is lifted, and a mistake is mended later", async () => {
			const bob = new Person(second);
			await decide("find", alice.id, "Why do all of your payers write at noon?");
			await decide("freeze", bob.id);
			await bob.client.ask.answer.mutate({ id: (await only(bob)).id, text: "I am one person." });
			clock.jump(TURN_MS - 1);
			assert.equal(await endTurns({ ...stores, clock, crypto }), 0);
			clock.jump(1);
			assert.equal(await endTurns({ ...stores, clock, crypto }), 2);
			assert.deepEqual([await stateOf(alice), await stateOf(bob)], ["upheld", "lifted"]);
			assert.notEqual((await refusedBy(bob.client.operator.payout.now.mutate({ id: "a" }))).problem, "unauthorized");
			const { id } = await only(alice);
			assert.equal((await refusedBy(alice.client.ask.answer.mutate({ id, text: "Late." }))).problem, "conflict");
			await decide("lift", id, "We looked again.");
			assert.equal(await stateOf(alice), "lifted");
			assert.equal((await refusedBy(decide("uphold", id))).problem, "conflict");
		});

		it("an enroller is approved, paused with why, answers, and is approved again", async () => {
			const bob = new Person(second);
			await bob.client.enroller.ask.mutate({ name: "A clinic", about: "We know our patients." });
			const state = async () => (await stores.book.record("enrollers", bob.id))?.state;
			await decide("approve", bob.id, "We called them.");
			assert.equal(await state(), "approved");
			await decide("pause", bob.id, "Forty passes in one minute.");
			assert.equal(await state(), "paused");
			const { id, kind } = await only(bob);
			assert.equal(kind, "paused");
			await bob.client.ask.answer.mutate({ id, text: "A vaccination day." });
			await decide("lift", id);
			assert.equal(await state(), "approved");
			await decide("pause", bob.id, "Again.");
			await decide("approve", bob.id, "Again, then.");
			assert.deepEqual(
				(await bob.client.ask.list.query()).cases.map((one) => one.state),
				["lifted", "lifted"],
			);
			assert.equal((await refusedBy(decide("approve", alice.id))).problem, "not-found");
		});

		it("an operator whom the desk sets apart counts by itself", async () => {
			await decide("apart", alice.id, "Two neighbours in one data centre.");
			const row = await stores.book.record("findings", `operator:${alice.id}`);
			assert.equal(JSON.parse(row?.value ?? "{}").isApart, true);
		});

		it("the same decision again does nothing, also after it was undone, and a found thing is found once", async () => {
			const freezes = decision("freeze", alice.id, "Once.");
			assert.equal((await post(freezes)).isNew, true);
			assert.equal((await post(freezes)).isNew, false);
			await decide("unfreeze", alice.id);
			assert.equal((await post(freezes)).isNew, false);
			assert.notEqual((await refusedBy(alice.client.operator.payout.now.mutate({ id: "a" }))).problem, "unauthorized");
			const bob = new Person(second);
			await Promise.all([
				decide("find", bob.id, "One."),
				decide("find", bob.id, "Two."),
				decide("find", bob.id, "Three."),
			]);
			const { cases } = await bob.client.ask.list.query();
			assert.equal(cases.flatMap(({ letters }) => letters).length, 3);
		});

		it("money put aside for payments that are taken back is put aside once", async () => {
			const more = decision("risk", "", "For the spring.", { nanos: parseDollars("25") as Amount });
			await Promise.all([post(more), post(more)]);
			await post(more);
			assert.equal(await stores.book.balance("risk"), 25_000_000_000n);
			const { decisions } = await dora.client.desk.decisions.query();
			assert.deepEqual(
				decisions.map(({ deed, amount: nanos }) => [deed, nanos]),
				[["risk", "25000000000"]],
			);
		});

		it("nobody else decides, nobody in another's name, and not with a decision of an hour ago or for another market", async () => {
			const mine = { by: alice.account.publicKey };
			const signedBy = (of: Partial<Decision>, secretKey = alice.account.secretKey) =>
				signDecision(crypto, { ...decision("freeze", alice.id), ...of }, secretKey);
			assert.equal((await refusedBy(post(signedBy(mine), alice))).problem, "unauthorized");
			assert.equal((await refusedBy(post(signedBy(mine)))).problem, "unauthorized");
			assert.equal((await refusedBy(post(signedBy({})))).problem, "signature-bad");
			assert.equal((await refusedBy(alice.client.desk.cases.query({ state: "open" }))).problem, "unauthorized");
			assert.equal(
				(await refusedBy(decide("freeze", alice.id, "x", { atMs: clock.nowMs() - 3_600_000 }))).problem,
				"clock",
			);
			assert.equal(
				(await refusedBy(decide("freeze", alice.id, "x", { market: crypto.random(32) }))).problem,
				"malformed",
			);
			assert.deepEqual((await dora.client.desk.decisions.query()).decisions, []);
		});

		it("decisions are a chain: whoever rewrites one, leaves one out or adds one of nobody's is found by the audit", async () => {
			await decide("freeze", alice.id);
			await decide("unfreeze", alice.id);
			await decide("risk", "", "x", { nanos: amount(5n) });
			assert.deepEqual(await alice.client.ask.decisions.query(), {
				count: 3,
				hash: (await dora.client.desk.decisions.query()).decisions[2]?.hash,
			});
			const key = "decision:0000000002";
			const row = (await stores.book.record("findings", key)) ?? assert.fail();
			const tamper = async (value: string) => {
				const now = (await stores.book.record("findings", key)) ?? assert.fail();
				await stores.book.apply([{ rows: [{ table: "findings", expect: now.version, row: { ...row, value } }] }]);
				const { findings } = await stores.book.audit([checkDecisions(crypto)]);
				return findings;
			};
			const { bytes } = decision("freeze", alice.id, "Rewritten.");
			const hash = JSON.parse(row.value).hash;
			assert.match((await tamper(JSON.stringify({ bytes: toHex(bytes), hash })))[0] ?? "", /does not follow/);
			assert.match((await tamper("{}"))[0] ?? "", /no decision that somebody signed/);
			assert.deepEqual(await tamper(row.value), []);
			const last = (await stores.book.record("findings", "decisions")) ?? assert.fail();
			const write = async (version: number, value: string) =>
				stores.book.apply([{ rows: [{ table: "findings", expect: version, row: { ...last, value } }] }]);
			await write(last.version, JSON.stringify({ count: 2, hash }));
			assert.match((await stores.book.audit([checkDecisions(crypto)])).findings[0] ?? "", /should be 2 decisions/);
			await write(last.version + 1, last.value);
		});
	});

describe("what a decision is", () => {
	it("is read as it was written, and anything else is refused", () => {
		const key = crypto.keyPair(crypto.random(32));
		const base = { market: crypto.random(32), by: key.publicKey, id: crypto.random(16), nanos: NOTHING, atMs: 5 };
		const sign = (of: Partial<Decision>) =>
			signDecision(
				crypto,
				{ ...base, deed: "freeze", subject: crypto.random(32), why: "Žluťoučký", ...of },
				key.secretKey,
			).bytes;
		const good = sign({});
		const read = fine(readDecision(crypto, good));
		assert.deepEqual([read.why, read.deed, read.atMs], ["Žluťoučký", "freeze", 5]);
		const refused = (bytes: Uint8Array) => (readDecision(crypto, bytes) as { problem: string }).problem;
		assert.equal(refused(good.subarray(1)), "version-unknown");
		assert.equal(refused(good.subarray(0, -1)), "malformed");
		assert.equal(refused(new Uint8Array([...good, 0])), "malformed");
		assert.equal(refused(good.with(good.length - 1, (good.at(-1) ?? 0) ^ 1)), "signature-bad");
		assert.equal(refused(good.with(33, (good[33] ?? 0) ^ 1)), "signature-bad");
		for (const wrong of [
			{ subject: crypto.random(16) },
			{ nanos: amount(1n) },
			{ why: " " },
			{ deed: "lift" as const },
			{ deed: "risk" as const, nanos: amount(1n) },
			{ deed: "risk" as const, subject: new Uint8Array() },
		])
			assert.equal(refused(sign(wrong)), "malformed");
	});

	it("has words that people can read and that steer no terminal", () => {
		for (const good of ["a", "two\nlines", "x".repeat(WHY_BYTES_MAX), "日本語"]) assert.equal(isSaying(good), true);
		for (const bad of [
			"",
			" \n",
			"x".repeat(WHY_BYTES_MAX + 1),
			"\u001b[2J",
			"a\rb",
			"\u202eabc",
			"\u2028",
			"日".repeat(201),
		])
			assert.equal(isSaying(bad), false, JSON.stringify(bad));
	});
});
