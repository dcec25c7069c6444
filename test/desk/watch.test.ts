/** Threat 21: enrollers that invent people, and operators whose payers are invented, are asked about it, with the reasons and a way to answer. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { amount, NOTHING } from "#contracts/amount";
import { billOf } from "#contracts/bill";
import { signGrant } from "#contracts/grant";
import type { Tranche } from "#contracts/tranche";
import { openSilentLog } from "#host/log";
import { TURN_MS } from "#marketplace/desk/case";
import { casesOf, effectsOf, endTurns, hear } from "#marketplace/desk/cases";
import { waitOf } from "#marketplace/desk/waits";
import { judgeOperator, watchEnrollers } from "#marketplace/desk/watch";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { askToEnroll, decideEnroller, enrollerOf } from "#marketplace/pass/enroller";
import { writePassRow } from "#marketplace/pass/pass";
import { ALL_DEFENCES, RULES } from "#marketplace/sponsor/rules";
import { writeTab } from "#marketplace/tab/tab";
import { heldClock } from "#test/support/clock";
import { crypto, DAY_MS, fine, toHex } from "#test/support/market";

const TARIFF = { sendPerMb: amount(1_000_000n), storePerMbDay: NOTHING };
const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };
const CAP = amount(100_000_000n);
const online = crypto.keyPair(crypto.random(32));
const newKey = () => toHex(crypto.random(32));

describe("the market's look at who looks alike", () => {
	const clock = heldClock();
	let book: Book;
	let parts: {
		book: Book;
		clock: typeof clock;
		crypto: typeof crypto;
		rules: typeof RULES;
		log: ReturnType<typeof openSilentLog>;
	};
	let operator: string;
	let draw: () => number;

	beforeEach(() => {
		book = openMemoryBook();
		parts = { book, clock, crypto, rules: RULES, log: openSilentLog() };
		operator = newKey();
		let state = 9;
		draw = () => {
			state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
			return state / 2 ** 32;
		};
	});

	const enroller = async () => {
		const account = newKey();
		fine(await askToEnroll(parts, account, { name: "A school", about: "We know our pupils." }));
		fine(await decideEnroller(parts, account, "approved"));
		return account;
	};

	/** A tab that the commons paid, closed, of so many bytes. */
	async function tab(account: string, group: string, bytes: number, atMs: number, waits = false): Promise<void> {
		const expiresAtMs = atMs + DAY_MS;
		const id = crypto.random(16);
		const relay = crypto.random(32);
		const terms = { market: crypto.random(32), tab: id, session: crypto.random(32), relay, cap: CAP, tariff: TARIFF };
		const grant = signGrant(
			crypto,
			{ ...terms, issuedAtMs: atMs, expiresAtMs, redeemByMs: expiresAtMs + DAY_MS },
			online,
		);
		const tranches: Tranche[] = [{ fund: "commons", cap: CAP, payerPpm: 0 }];
		const quota = BigInt(bytes);
		const made = {
			...{
				version: 0,
				tab: toHex(id),
				account,
				relay: toHex(relay),
				operator,
				state: "closed" as const,
				grant,
				fees: FEES,
				tranches,
			},
			counted: { group, isNewOperator: true, isSaid: false, uses: [{ quota, texts: 0n, elsewhere: 0n }] },
			reserved: billOf(CAP, tranches, FEES).total,
			paid: { bytes: quota, byteSeconds: 0n, nanos: amount(quota) },
			...{ receipt: undefined, returned: NOTHING, fresh: NOTHING, late: NOTHING, waits, forfeited: NOTHING },
		} as const;
		const outcome = await book.apply([{ rows: [writeTab(made), ...(waits ? [waitOf(made)] : [])] }]);
		assert.deepEqual(outcome, ["applied"]);
	}

	async function pass(account: string, from: string): Promise<void> {
		const held = {
			state: "held",
			validUntilMs: clock.nowMs() + 90 * DAY_MS,
			from: "enroller",
			enroller: from,
		} as const;
		const rest = {
			version: 0,
			code: undefined,
			tag: undefined,
			monthBytes: 100_000_000n,
			tokens: undefined,
		};
		await book.apply([{ rows: [writePassRow({ account, pool: "ab".repeat(16), ...held, ...rest })] }]);
	}

	/** Somebody who writes as they like, to whom they like. */
	async function honest(account = newKey()): Promise<string> {
		for (let i = 0; i < 4; i++) {
			const bytes = 1_000_000 + Math.floor(draw() ** 2 * 20_000_000);
			await tab(account, `group-${Math.floor(draw() * 8)}`, bytes, clock.nowMs() - Math.floor(draw() * 25 * DAY_MS));
		}
		return account;
	}

	async function invented(account = newKey(), waits = false): Promise<string> {
		await tab(account, operator, 99_000_000, clock.nowMs() - Math.floor(draw() * 25 * DAY_MS), waits);
		return account;
	}

	async function schools(): Promise<{ school: string; thief: string }> {
		const [school, thief] = [await enroller(), await enroller()];
		for (let i = 0; i < 20; i++) {
			await pass(await honest(), school);
			await pass(await invented(), thief);
		}
		return { school, thief };
	}

	it("pauses an enroller whose people look alike and no other, says why, and hears it", async () => {
		const { school, thief } = await schools();
		assert.equal(await watchEnrollers(parts), 1);
		assert.equal((await enrollerOf(parts, school))?.state, "approved");
		const paused = await enrollerOf(parts, thief);
		assert.equal(paused?.state, "paused");
		assert.match(paused?.why ?? "", /Of 20 people: 100 % of what funds paid for them is with one operator/);
		const [found] = await casesOf(book, thief);
		assert.deepEqual([found?.kind, found?.state, found?.reasons.length], ["people-alike", "open", 3]);
		assert.deepEqual(await casesOf(book, school), []);
		const answered = fine(await hear(parts, thief, { id: found?.id ?? "", text: "We all write to our own relay." }));
		assert.equal(answered.state, "answered");
		assert.equal(await watchEnrollers(parts), 0, "it is found once");
	});

	it("approves it again when its answer holds, and does not ask the same again at once", async () => {
		const { thief } = await schools();
		await watchEnrollers(parts);
		const [found] = await casesOf(book, thief);
		fine(await hear(parts, thief, { id: found?.id ?? "", text: "See for yourselves." }));
		clock.jump(TURN_MS);
		assert.equal(await endTurns(parts), 1);
		assert.equal((await enrollerOf(parts, thief))?.state, "approved");
		clock.jump(-TURN_MS);
		assert.equal(await watchEnrollers(parts), 0);
	});

	it("leaves one paused that says nothing, until the desk lifts it", async () => {
		const { thief } = await schools();
		await watchEnrollers(parts);
		clock.jump(TURN_MS);
		await endTurns(parts);
		clock.jump(-TURN_MS);
		assert.equal((await enrollerOf(parts, thief))?.state, "paused");
		const [found] = await casesOf(book, thief);
		assert.equal(found?.state, "upheld");
		const rows = await effectsOf(book, { ...(found ?? assert.fail()), state: "lifted" }, clock.nowMs());
		await book.apply([{ rows }]);
		assert.equal((await enrollerOf(parts, thief))?.state, "approved");
	});

	it("does nothing where the defence is turned off", async () => {
		const { thief } = await schools();
		const rules = { ...RULES, defences: { ...ALL_DEFENCES, watching: false } };
		assert.equal(await watchEnrollers({ ...parts, rules }), 0);
		for (let i = 0; i < 15; i++) await invented(newKey(), true);
		await judgeOperator({ ...parts, rules }, operator, 8);
		assert.deepEqual([...(await casesOf(book, thief)), ...(await casesOf(book, operator))], []);
	});

	it("finds an operator whose payers look alike before it lets go of its first earnings, once", async () => {
		for (let i = 0; i < 15; i++) await invented(newKey(), true);
		await judgeOperator(parts, operator, 8);
		await judgeOperator(parts, operator, 8);
		const found = await casesOf(book, operator);
		assert.deepEqual(
			found.map(({ kind, state }) => [kind, state]),
			[["payers-alike", "open"]],
		);
	});

	it("finds nothing of an operator whom people pay among others", async () => {
		for (let i = 0; i < 15; i++)
			await tab(await honest(), operator, 1_000_000 + Math.floor(draw() * 9_000_000), clock.nowMs() - DAY_MS, true);
		await judgeOperator(parts, operator, 8);
		assert.deepEqual(await casesOf(book, operator), []);
	});
});
