import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isProblem, problem } from "#contracts/problem";
import type { Board } from "#marketplace/board/board";
import { openMemoryBoard } from "#marketplace/board/memory";
import { BookFailure } from "#marketplace/ledger/book";
import { extend, openOutages, PRESENCE } from "#marketplace/outage";
import { fine } from "#test/support/market";

const START_MS = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const DAY_MS = 86_400_000;

type Notes = Pick<Board, "note" | "writeNote">;

/** A process of the market that comes up, and is there. */
async function upAt(board: Notes, nowMs: number) {
	const outages = fine(await openOutages(board, nowMs));
	await outages.mark(nowMs);
	return outages;
}

describe("an outage", () => {
	it("is the time between two marks when it is two minutes or more, and is remembered", async () => {
		const board = openMemoryBoard();
		await (await upAt(board, START_MS)).mark(START_MS + MINUTE);
		assert.deepEqual((await upAt(board, START_MS + 179_999)).all(START_MS + 179_999), []);
		const found = [{ fromMs: START_MS + 179_999, untilMs: START_MS + DAY_MS }];
		assert.deepEqual((await upAt(board, START_MS + DAY_MS)).all(START_MS + DAY_MS), found);
		assert.deepEqual((await upAt(board, START_MS + DAY_MS)).all(START_MS + DAY_MS), found);
		const late = START_MS + 70 * DAY_MS;
		assert.deepEqual((await upAt(board, late)).all(late).length, 1, "those of long ago are forgotten");
	});

	it("threat 14: is found without a start too, when a machine slept: before its next mark, and once", async () => {
		const outages = await upAt(openMemoryBoard(), START_MS);
		assert.deepEqual(outages.all(START_MS + 119_999), []);
		assert.deepEqual(outages.all(START_MS + DAY_MS), [{ fromMs: START_MS, untilMs: START_MS + DAY_MS }]);
		const woken = START_MS + DAY_MS + 1_000;
		outages.see(woken);
		assert.deepEqual(outages.all(woken + MINUTE), [{ fromMs: START_MS, untilMs: woken }]);
		await outages.mark(woken);
		assert.deepEqual(outages.all(woken + MINUTE), [{ fromMs: START_MS, untilMs: woken }]);
	});

	it("threat 14: goes on while a market starts again and again and never gets as far as to listen", async () => {
		const board = openMemoryBoard();
		await upAt(board, START_MS);
		for (let ms = START_MS; ms < START_MS + DAY_MS; ms += MINUTE) fine(await openOutages(board, ms));
		const outages = fine(await openOutages(board, START_MS + DAY_MS));
		assert.deepEqual(outages.all(START_MS + DAY_MS), [{ fromMs: START_MS, untilMs: START_MS + DAY_MS }]);
		outages.see(START_MS + DAY_MS);
		assert.equal(outages.all(START_MS + DAY_MS + MINUTE)[0]?.untilMs, START_MS + DAY_MS + MINUTE);
	});

	it("threat 14: a clock that was set back makes none", async () => {
		const board = openMemoryBoard();
		const outages = await upAt(board, START_MS + DAY_MS);
		await outages.mark(START_MS);
		assert.deepEqual(fine(await openOutages(board, START_MS + DAY_MS)).all(START_MS + DAY_MS), []);
	});

	it("is none while any of the market's processes is there", async () => {
		const board = openMemoryBoard();
		const [first, second] = [await upAt(board, START_MS), await upAt(board, START_MS)];
		// the first is asleep, or cut off, for an hour
		for (let ms = START_MS; ms <= START_MS + 60 * MINUTE; ms += MINUTE) await second.mark(ms);
		const wokenMs = START_MS + 60 * MINUTE + 1;
		assert.deepEqual(second.all(wokenMs), []);
		assert.equal(first.all(wokenMs).length, 1, "it cannot know yet, and ends no tab that could still be paid");
		await first.mark(wokenMs);
		assert.deepEqual([first.all(wokenMs), second.all(wokenMs)], [[], []]);
		const third = fine(await openOutages(board, wokenMs + MINUTE));
		assert.deepEqual(third.all(wokenMs + MINUTE), []);
	});

	it("is the same for all processes: none thinks a deadline earlier than another that was there", async () => {
		const board = openMemoryBoard();
		const [first, second] = [await upAt(board, START_MS), await upAt(board, START_MS)];
		const back = START_MS + DAY_MS;
		await second.mark(back);
		const gap = [{ fromMs: START_MS, untilMs: back }];
		assert.deepEqual(second.all(back + MINUTE), gap);
		assert.deepEqual(first.all(back + MINUTE), [{ fromMs: START_MS, untilMs: back + MINUTE }], "no earlier");
		await first.mark(back + MINUTE);
		assert.deepEqual([first.all(back + MINUTE), second.all(back + MINUTE)], [gap, gap]);
	});

	it("holds the marks of many processes that come at once, and one gap is one", async () => {
		const board = openMemoryBoard();
		await upAt(board, START_MS);
		const many = await Promise.all(Array.from({ length: 8 }, () => upAt(board, START_MS + DAY_MS)));
		await Promise.all(many.map((each, i) => each.mark(START_MS + DAY_MS + i)));
		const found = [{ fromMs: START_MS, untilMs: START_MS + DAY_MS }];
		for (const each of many) assert.deepEqual(each.all(START_MS + DAY_MS + MINUTE), found);
		const note = JSON.parse((await board.note(PRESENCE))?.text ?? "");
		assert.deepEqual(note, { lastMs: START_MS + DAY_MS + 7, outages: found });
	});

	it("threat 14: is the time in which the database was away as well, for then nobody could redeem", async () => {
		const board = openMemoryBoard();
		let away = false;
		const behind: Notes = {
			...board,
			note: async (name) => {
				if (away) throw new BookFailure(problem("unavailable"));
				return board.note(name);
			},
		};
		const outages = await upAt(behind, START_MS);
		away = true;
		for (let ms = START_MS + MINUTE; ms <= START_MS + 60 * MINUTE; ms += MINUTE) {
			outages.see(ms);
			await assert.rejects(outages.mark(ms), BookFailure);
		}
		const back = START_MS + 61 * MINUTE;
		assert.deepEqual(outages.all(back), [{ fromMs: START_MS, untilMs: back }]);
		away = false;
		await outages.mark(back);
		outages.see(back + MINUTE);
		assert.deepEqual(outages.all(back + MINUTE), [{ fromMs: START_MS, untilMs: back }]);
	});

	it("is not the time in which a slow disk took no mark, if this process was there all the while", async () => {
		const board = openMemoryBoard();
		const slow = Promise.withResolvers<void>();
		let hold = false;
		const behind: Notes = {
			...board,
			writeNote: async (...note) => {
				if (hold) await slow.promise;
				return board.writeNote(...note);
			},
		};
		const outages = await upAt(behind, START_MS);
		hold = true;
		const marking = outages.mark(START_MS + MINUTE);
		for (let i = 1; i <= 60; i++) outages.see(START_MS + i * MINUTE);
		assert.deepEqual(outages.all(START_MS + 60 * MINUTE), []);
		slow.resolve();
		await marking;
		await outages.mark(START_MS + 60 * MINUTE);
		assert.deepEqual(fine(await openOutages(board, START_MS + 61 * MINUTE)).all(START_MS + 61 * MINUTE), []);
	});

	it("moves a deadline later by as much as it took of the tab's time, and never earlier", () => {
		const outage = (fromMs: number, untilMs: number) => ({ fromMs, untilMs });
		assert.equal(extend(100, 10, []), 100);
		assert.equal(extend(100, 10, [outage(0, 5)]), 100);
		assert.equal(extend(100, 10, [outage(0, 20)]), 110);
		assert.equal(extend(100, 10, [outage(50, 60), outage(105, 120)]), 125);
		assert.equal(extend(100, 10, [outage(100, 120)]), 100);
		assert.equal(extend(100, 10, [outage(99, 120)]), 121);
	});

	it("of a market of an older version, which kept a file, is taken over once; a damaged file stops the start with a problem", async () => {
		const folder = await mkdtemp(join(tmpdir(), "farelay-outage-"));
		try {
			const path = join(folder, "outages.json");
			const found = [{ fromMs: START_MS, untilMs: START_MS + DAY_MS }];
			const lastMs = START_MS + 2 * DAY_MS;
			await writeFile(path, JSON.stringify({ lastMs, outages: found }));
			const board = openMemoryBoard();
			const outages = fine(await openOutages(board, lastMs + MINUTE, path));
			assert.deepEqual(outages.all(lastMs + MINUTE), found);
			await outages.mark(lastMs + DAY_MS);
			const more = [...found, { fromMs: lastMs, untilMs: lastMs + DAY_MS }];
			assert.deepEqual(outages.all(lastMs + DAY_MS), more);
			const again = fine(await openOutages(board, lastMs + DAY_MS, path));
			assert.deepEqual(again.all(lastMs + DAY_MS), more, "the board knows better than the file");
			for (const text of ["", "[]", '{"lastMs":1}', '{"lastMs":1,"outages":[{"fromMs":2,"untilMs":1}]}']) {
				await writeFile(path, text);
				const refused = await openOutages(openMemoryBoard(), START_MS, path);
				assert(isProblem(refused) && refused.problem === "data-corrupt", text);
			}
		} finally {
			await rm(folder, { recursive: true, force: true });
		}
	});
});
