import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Flight } from "#sdk/flight";

suite("what is under way is waited for as long as it is answered", () => {
	/** Three payloads under way, and a clock whose one timer the test fires. */
	function under() {
		const flight = new Flight();
		for (const seq of [1, 2, 3])
			void flight.add(
				{ mailbox: new Uint8Array(32), token: new Uint8Array(0), ttlS: 1, payload: new Uint8Array(8) },
				seq,
			);
		flight.sent(3);
		let fire: (() => void) | undefined;
		const after = (_delayMs: number, run: () => void) => {
			fire = run;
			return () => {
				fire = undefined;
			};
		};
		let ended = false;
		const drained = flight.drain({ after }, 1_000).then(() => {
			ended = true;
		});
		const turn = () => new Promise(setImmediate);
		const silence = async () => {
			fire?.();
			await turn();
		};
		const answer = (seq: number) => {
			for (const entry of flight.named([[seq, seq]])) flight.flying.delete(entry.seq);
			if (flight.idle) flight.landed();
		};
		return { answer, silence, drained, turn, ended: () => ended, timed: () => fire !== undefined };
	}

	test("a slow relay that answers one of them in each silence is waited for, to the last", async () => {
		const { answer, silence, drained, ended, timed } = under();
		for (const seq of [1, 2]) {
			answer(seq);
			await silence();
			assert.equal(ended(), false);
		}
		answer(3);
		await drained;
		assert.equal(timed(), false, "no timer is left");
	});

	test("one that answers nothing is waited for once", async () => {
		const { answer, silence, drained, ended } = under();
		answer(1);
		await silence();
		assert.equal(ended(), false);
		await silence();
		await drained;
	});
});
