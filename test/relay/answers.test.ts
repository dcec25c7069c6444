import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { readRangesBody } from "#contracts/control";
import { advance, cursor, FRAME } from "#contracts/frame";
import type { Range } from "#contracts/ranges";
import { RELAY_LIMITS } from "#relay/limit";
import { Counts } from "#relay/metrics";
import { TurnAnswers } from "#relay/session/answers";
import { Outbox, Post } from "#relay/session/outbox";
import type { Wire } from "#relay/wire/wire";

/** What a socket was sent: the type of each frame and its numbers, message by message. */
type Said = [type: number, ranges: Range[]][][];

suite("PROTOCOL: Order", () => {
	let busy: boolean;
	let said: Said;
	let outbox: Outbox;
	let answers: TurnAnswers;

	beforeEach(() => {
		busy = false;
		said = [];
		const wire = { unsentBytes: 0, flush() {} } as unknown as Wire;
		wire.send = (bytes, start, end) => {
			const message = bytes.slice(start, end);
			const c = cursor();
			const frames: Said[number] = [];
			while (advance(message, c)) frames.push([c.type, readRangesBody(message.subarray(c.start, c.end)) ?? []]);
			said.push(frames);
		};
		outbox = new Outbox(wire, new Post(false, () => busy), () => 0, RELAY_LIMITS);
		answers = new TurnAnswers(outbox, new Counts());
		outbox.onTurn = () => answers.write();
	});

	test("a relay with time to spare answers at the end of the turn", async () => {
		answers.passed(1, 100);
		answers.passed(2, 100);
		assert.deepEqual(said, []);
		await turn();
		assert.deepEqual(said, [[[FRAME.passed, [[1, 2]]]]]);
	});

	test("a busy one answers what it passed within a moment, several turns in one message", async ({ mock }) => {
		mock.timers.enable({ apis: ["setTimeout"] });
		busy = true;
		for (const seq of [1, 2, 4]) {
			answers.passed(seq, 100);
			await turn();
		}
		assert.deepEqual(said, [], "no system call of its own");
		mock.timers.tick(10);
		await turn();
		assert.deepEqual(said, [
			[
				[
					FRAME.passed,
					[
						[1, 2],
						[4, 4],
					],
				],
			],
		]);
		await turn();
		assert.equal(said.length, 1, "once");
	});

	test("what goes to the same socket meanwhile takes the answers along", async ({ mock }) => {
		mock.timers.enable({ apis: ["setTimeout"] });
		busy = true;
		answers.passed(1, 100);
		await turn();
		answers.kept(7);
		await turn();
		assert.deepEqual(said, [
			[
				[FRAME.kept, [[7, 7]]],
				[FRAME.passed, [[1, 1]]],
			],
		]);
	});

	test("a sender of much is answered at once, however busy the relay is", async () => {
		busy = true;
		for (let seq = 1; seq <= 9; seq++) answers.passed(seq, 1_000);
		await turn();
		assert.deepEqual(said, [[[FRAME.passed, [[1, 9]]]]]);
	});
});
