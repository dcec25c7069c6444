import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { APART_MS, Gathering, GROUP_MAX, HURRIED_MS } from "#relay/till/gathering";
import { type HeldClock, heldClock } from "#test/support/clock";

/** A disk that answers when the test says so. */
type Group = { readonly ones: readonly number[]; answer(): void; fail(): void };

suite("vouchers go to the disk in groups", () => {
	let clock: HeldClock;
	let groups: Group[];
	let gathering: Gathering<number, string>;
	const answered: string[] = [];
	/** Runs once, when the next group leaves. */
	let leaving: (() => void) | undefined;

	beforeEach(() => {
		clock = heldClock();
		groups = [];
		answered.length = 0;
		gathering = new Gathering(clock, (ones) => {
			const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
			groups.push({
				ones,
				answer: () => resolve(ones.map((one) => `kept ${one}`)),
				fail: () => reject(new Error("the writer died")),
			});
			const then = leaving;
			leaving = undefined;
			then?.();
			return promise;
		});
	});

	const add = (...ones: number[]): void => {
		for (const one of ones)
			gathering.add(one).then(
				(answer) => answered.push(answer),
				(why: Error) => answered.push(`${one}: ${why.message}`),
			);
	};
	const sent = () => groups.map(({ ones }) => ones);

	test("what comes in one turn goes as one group at its end, and each hears its own answer", async () => {
		add(1, 2, 3);
		assert.deepEqual(sent(), [], "not before the turn is over");
		await turn();
		assert.deepEqual(sent(), [[1, 2, 3]]);
		groups[0]?.answer();
		await turn();
		assert.deepEqual(answered, ["kept 1", "kept 2", "kept 3"]);
	});

	test("while a group is on its way the next gathers, and goes a moment after the one before went", async () => {
		add(1);
		await turn();
		add(2);
		await clock.advance(APART_MS * 3);
		add(3);
		await turn();
		assert.deepEqual(sent(), [[1]], "one at a time");
		groups[0]?.answer();
		await turn();
		await turn();
		assert.deepEqual(sent(), [[1], [2, 3]], "its moment is long over");
		groups[1]?.answer();
		await turn();
		add(4);
		await turn();
		assert.deepEqual(sent().length, 2, "too soon after the second");
		add(5);
		await clock.advance(APART_MS - 1);
		assert.deepEqual(sent().length, 2);
		await clock.advance(1);
		assert.deepEqual(sent(), [[1], [2, 3], [4, 5]]);
	});

	test("what comes as a group leaves waits for its answer, however many had planned the group", async () => {
		leaving = () => add(9);
		add(1, 2, 3);
		await turn();
		await turn();
		assert.deepEqual(sent(), [[1, 2, 3]]);
		await clock.advance(APART_MS * 2);
		groups[0]?.answer();
		await turn();
		await turn();
		assert.deepEqual(sent(), [[1, 2, 3], [9]]);
		groups[1]?.answer();
		await turn();
		// too soon: planned by a timer, by both
		leaving = () => add(8);
		add(4);
		add(5);
		await clock.advance(APART_MS);
		await turn();
		assert.deepEqual(sent(), [[1, 2, 3], [9], [4, 5]]);
	});

	test("a full group goes at once, whatever is on its way", async () => {
		add(0);
		await turn();
		add(...Array.from({ length: GROUP_MAX - 1 }, (_, i) => i + 1));
		assert.equal(groups.length, 1);
		add(GROUP_MAX);
		assert.equal(groups.length, 2);
		assert.equal(groups[1]?.ones.length, GROUP_MAX);
		add(GROUP_MAX + 1);
		await clock.advance(APART_MS);
		await turn();
		assert.equal(groups.length, 2, "and the next waits for both");
		groups[1]?.answer();
		await turn();
		await turn();
		assert.equal(groups.length, 2, "for the first too");
		groups[0]?.answer();
		await turn();
		await turn();
		assert.equal(groups.length, 3);
	});

	test("what must not wait is sent on when it is asked for, once", async () => {
		gathering.send();
		assert.deepEqual(sent(), []);
		add(1);
		gathering.send();
		assert.deepEqual(sent(), [[1]]);
		await turn();
		await clock.advance(APART_MS * 2);
		assert.deepEqual(sent(), [[1]]);
		groups[0]?.answer();
		await turn();
		add(2);
		await turn();
		await turn();
		assert.deepEqual(sent(), [[1], [2]], "its plan of before stands in nobody's way");
	});

	test("a group asked for before its moment is not sent again when that comes, and the next has a moment of its own", async () => {
		add(1);
		await turn();
		groups[0]?.answer();
		await turn();
		add(2);
		await clock.advance(1);
		gathering.send();
		groups[1]?.answer();
		await turn();
		add(3);
		await clock.advance(APART_MS - 1);
		assert.deepEqual(sent(), [[1], [2]], "the moment that the second had is not the third's");
		await clock.advance(1);
		assert.deepEqual(sent(), [[1], [2], [3]]);
	});

	test("what somebody waits for goes sooner, the next as late as ever", async () => {
		gathering.hurry();
		add(1);
		await turn();
		groups[0]?.answer();
		await turn();
		add(2);
		await clock.advance(1);
		gathering.hurry();
		gathering.hurry();
		await clock.advance(HURRIED_MS - 2);
		assert.deepEqual(sent(), [[1]]);
		await clock.advance(1);
		assert.deepEqual(sent(), [[1], [2]]);
		groups[1]?.answer();
		await turn();
		gathering.hurry();
		add(3);
		await clock.advance(APART_MS - 1);
		assert.deepEqual(sent(), [[1], [2]], "nothing of the third waited when somebody hurried");
		await clock.advance(1);
		assert.deepEqual(sent(), [[1], [2], [3]]);
	});

	test("what is hurried when its moment is over already goes at the end of the turn", async () => {
		add(1);
		await turn();
		groups[0]?.answer();
		await turn();
		add(2);
		await clock.advance(HURRIED_MS + 1);
		gathering.hurry();
		await turn();
		assert.deepEqual(sent(), [[1], [2]]);
	});

	test("a group that fails fails for all of it, and the next goes on", async () => {
		add(1, 2);
		await turn();
		groups[0]?.fail();
		await turn();
		assert.deepEqual(answered, ["1: the writer died", "2: the writer died"]);
		add(3);
		await clock.advance(APART_MS);
		await turn();
		groups[1]?.answer();
		await turn();
		assert.equal(answered.at(-1), "kept 3");
	});
});
