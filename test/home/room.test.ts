/** Room for fund money grows with readers (docs/decisions/drawn-homes.md): what thieves can do to it, threat 21. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { countAs, HOME_RULES, type RoomFacts, roomBytes } from "#marketplace/home/room";
import { counted, readWindow, sumsOf, WINDOW_DAYS, writeWindow } from "#marketplace/home/window";

const MB = 1_000_000n;
const SEED = HOME_RULES.seedBytes;
/** The dearest MB that funds pay for. */
const ASK_MAX = 2_056_000n;
const NOBODY: RoomFacts = { known: 0n, paying: 0n, other: 0n, opened: 0n, relaysOfOperator: 1 };
const room = (facts: Partial<RoomFacts>) => roomBytes({ ...NOBODY, ...facts }, HOME_RULES);

suite("the room of a relay", () => {
	test("a relay that nobody read at has the seed, once, however many relays its operator lists", () => {
		assert.equal(room({}), SEED);
		assert.equal(room({ opened: SEED }), 0n);
		assert.equal(room({ opened: 2n * SEED }), 0n);
		assert.equal(room({ relaysOfOperator: 100 }) * 100n, SEED);
	});

	test("what readers signed for makes room for as much again and a quarter more", () => {
		assert.equal(room({ known: 800n * MB }), SEED + 1_000n * MB);
		assert.equal(room({ known: 800n * MB, opened: 800n * MB }), SEED + 200n * MB);
	});

	test("what payers' own money carried takes the quarter and never more, so a busy relay goes on for those who have nothing", () => {
		assert.equal(room({ known: 800n * MB, other: 150n * MB }), SEED + 850n * MB);
		assert.equal(room({ known: 800n * MB, other: 900_000n * MB }), SEED + 800n * MB);
	});

	test("threat 21: readers that count by what they paid explain what others paid, and make room for a tenth of what passes do at most", () => {
		assert.equal(room({ paying: 1_000_000n * MB }), SEED);
		assert.equal(room({ known: 800n * MB, paying: 1_000_000n * MB }), SEED + 1_080n * MB);
		assert.equal(room({ known: 800n * MB, paying: 160n * MB, other: 150n * MB }), SEED + 1_010n * MB);
		assert.equal(room({ known: 800n * MB, paying: 100n * MB, other: 150n * MB }), SEED + 950n * MB);
	});

	test("however it came, funds never open more in a month than the seed and 135 % of what known readers signed for", () => {
		const bytes = fc.bigInt({ min: 0n, max: 10n ** 15n });
		fc.assert(
			fc.property(bytes, bytes, bytes, bytes, (known, paying, other, opened) => {
				const left = room({ known, paying, other, opened });
				assert.ok(left >= 0n);
				if (left > 0n) assert.ok(opened + left <= SEED + (known * 135n) / 100n);
				assert.ok(opened + left >= SEED + known);
			}),
		);
	});

	test("threat 21: a farm of a thousand passes with homes drawn among fifty operators makes room for a fortieth of its quota", () => {
		// what their readers sign for is made up to the last byte; a fiftieth of them have their home at the thief's own relay
		const quota = 1_000n * 100n * MB;
		let known = 0n;
		for (let i = 0; i < 1_000 / 50; i++)
			known += countAs(
				10n ** 18n,
				{ quotaBytes: 100n * MB, paidElsewhere: 0n, known: 0n, paying: 0n },
				ASK_MAX,
				HOME_RULES,
			).known;
		assert.equal(room({ known }) - SEED, quota / 40n);
	});
});

suite("what a reader counts for", () => {
	const reader = { quotaBytes: 100n * MB, paidElsewhere: 0n, known: 0n, paying: 0n };
	const count = (bytes: bigint, facts: Partial<typeof reader>) =>
		countAs(bytes, { ...reader, ...facts }, ASK_MAX, HOME_RULES);

	test("up to the quota of its passes in a month, whatever it signs for", () => {
		assert.deepEqual(count(3n * MB, {}), { known: 3n * MB, paying: 0n });
		assert.deepEqual(count(10n ** 15n, {}), { known: 100n * MB, paying: 0n });
		assert.deepEqual(count(3n * MB, { known: 98n * MB }), { known: 2n * MB, paying: 0n });
		assert.deepEqual(count(3n * MB, { known: 200n * MB }), { known: 0n, paying: 0n });
	});

	test("beyond it twenty times what it paid elsewhere, by the highest price, so that a friend's cheap relay makes nothing of cents", () => {
		const paid = { quotaBytes: 0n, paidElsewhere: ASK_MAX };
		assert.deepEqual(count(30n * MB, paid), { known: 0n, paying: 20n * MB });
		assert.deepEqual(count(30n * MB, { ...paid, paying: 19n * MB }), { known: 0n, paying: 1n * MB });
		assert.deepEqual(count(130n * MB, { paidElsewhere: ASK_MAX }), { known: 100n * MB, paying: 20n * MB });
	});
});

suite("thirty days of counting", () => {
	const today = 20_000;

	test("days add up, and what is thirty days old counts no more", () => {
		let window = counted([], today - 29, today - 29, [5n, 1n]);
		window = counted(window, today, today, [7n, 2n]);
		window = counted(window, today, today, [1n, 0n]);
		assert.deepEqual(sumsOf(window, today, 2), [13n, 3n]);
		assert.deepEqual(sumsOf(window, today + 1, 2), [8n, 2n]);
		assert.equal(counted(window, today + 1, today + 1, [1n, 1n]).length, 2);
		assert.equal(sumsOf([], today, 1)[0], 0n);
	});

	test("what comes back is taken off the day that it was opened on, never below nothing, and of a day that is over not at all", () => {
		const window = counted(counted([], today, today - 1, [5n]), today, today, [7n]);
		assert.deepEqual(sumsOf(counted(window, today, today - 1, [-4n]), today, 1), [8n]);
		assert.deepEqual(sumsOf(counted(window, today, today - 1, [-9n]), today, 1), [7n]);
		assert.deepEqual(sumsOf(counted(window, today, today - WINDOW_DAYS, [-9n]), today, 1), [12n]);
	});

	test("a month in one record is read as it was written, and fits a row whatever was carried", () => {
		let window = readWindow(undefined);
		for (let i = 0; i < 60; i++) window = counted(window, today + i, today + i, [2n ** 63n, 2n ** 63n]);
		assert.equal(window.length, WINDOW_DAYS);
		assert.deepEqual(readWindow(writeWindow(window)), window);
		assert.ok(writeWindow(window).length < 4_000);
	});
});
