import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { LOOK_MS, type SharedClock, shareClock } from "#host/shared-clock";
import { heldClock } from "#test/support/clock";

const HOUR_MS = 3_600_000;
const AWAY = problem("unavailable", "The database cannot be reached.");

/** Until what was answered has been heard. */
async function settled(): Promise<void> {
	for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

/** A database whose clock goes with the machine's seconds, and is set by itself. */
async function sharing(aheadMs = 0) {
	const own = heldClock();
	const database = { offsetMs: own.nowMs() - aheadMs, away: false, asked: 0 };
	/** while it is slow: gives the answer that is waited for */
	let slow: ((saysMs: number) => void) | undefined;
	let isSlow = false;
	const told: number[] = [];
	const ask = async (): Promise<number | Problem> => {
		database.asked += 1;
		if (isSlow) return new Promise<number>((resolve) => (slow = resolve));
		return database.away ? AWAY : database.offsetMs + own.elapsedMs();
	};
	/** A look whose answer takes so long, there and back alike. */
	const lookFor = async (tookMs: number): Promise<void> => {
		isSlow = true;
		await own.advance(LOOK_MS);
		await own.advance(tookMs / 2);
		const saysMs = database.offsetMs + own.elapsedMs();
		await own.advance(tookMs / 2);
		isSlow = false;
		slow?.(saysMs);
		await settled();
	};
	const shared = (await shareClock(own, ask, (ms) => void told.push(ms))) as SharedClock;
	assert(!isProblem(shared));
	const offBy = () => shared.clock.nowMs() - (database.offsetMs + own.elapsedMs());
	return { own, database, told, shared, offBy, lookFor };
}

describe("a clock that several machines share", () => {
	it("is the database's, however wrong the machine's own is, and says how wrong", async () => {
		for (const aheadMs of [0, HOUR_MS, -HOUR_MS]) {
			const { own, shared, told, offBy } = await sharing(aheadMs);
			assert.deepEqual([offBy(), told], [0, [aheadMs]]);
			await own.advance(LOOK_MS);
			assert.deepEqual([offBy(), told], [0, [aheadMs, aheadMs]]);
			await shared.stop();
		}
	});

	it("goes on as the machine counts while the database is away, and does not jump with the machine's own", async () => {
		const { own, database, shared, offBy } = await sharing();
		database.away = true;
		await own.advance(HOUR_MS);
		assert.equal(offBy(), 0);
		own.jump(HOUR_MS);
		assert.equal(offBy(), 0);
		own.jump(-5 * HOUR_MS);
		assert.equal(offBy(), 0);
		await shared.stop();
	});

	it("follows the database's when that is set, at the next look", async () => {
		const { own, database, shared, offBy } = await sharing();
		database.offsetMs -= HOUR_MS;
		assert.equal(offBy(), HOUR_MS);
		await own.advance(LOOK_MS);
		assert.equal(offBy(), 0);
		await shared.stop();
	});

	it("looks at once when the machine slept: its own clock went on, and what it counts did not", async () => {
		const { own, database, shared, offBy } = await sharing();
		own.jump(HOUR_MS);
		database.offsetMs += HOUR_MS;
		assert.equal(database.asked, 1);
		assert.equal(offBy(), -HOUR_MS, "behind for a moment, never ahead");
		assert.equal(database.asked, 2);
		shared.clock.nowMs();
		assert.equal(database.asked, 2, "one look at a time");
		await settled();
		assert.equal(offBy(), 0);
		own.jump(999);
		shared.clock.nowMs();
		assert.equal(database.asked, 2, "a little is no sleep");
		await shared.stop();
	});

	it("counts half of what an answer took, and keeps what it knows when one took too long", async () => {
		const { database, shared, offBy, lookFor } = await sharing();
		database.offsetMs += 5_000;
		await lookFor(1_000);
		assert.equal(offBy(), 0);
		database.offsetMs += 5_000;
		await lookFor(1_002);
		assert.equal(offBy(), -5_000);
		await shared.stop();
	});

	it("is a problem when the database does not answer at the start", async () => {
		const refused = await shareClock(
			heldClock(),
			async () => AWAY,
			() => assert.fail(),
		);
		assert.deepEqual(refused, AWAY);
	});
});
