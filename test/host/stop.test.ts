import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeHealth } from "#host/health";
import { openSilentLog } from "#host/log";
import { makeStopping } from "#host/stop";
import { heldClock } from "#test/support/clock";

describe("stopping", () => {
	it("stops what was started last first, once, and says that all went well", async () => {
		const stopping = makeStopping({ clock: heldClock(), log: openSilentLog() });
		const order: string[] = [];
		for (const name of ["book", "http"]) stopping.add(name, () => void order.push(name));
		const [first, second] = await Promise.all([stopping.stop("test"), stopping.stop("again")]);
		assert.deepEqual([first, second, order], [true, true, ["http", "book"]]);
		stopping.add("late", () => void order.push("late"));
		assert.equal(order.at(-1), "late");
	});

	it("goes on when a part fails, and says so", async () => {
		const stopping = makeStopping({ clock: heldClock(), log: openSilentLog() });
		let closed = false;
		stopping.add("book", () => {
			closed = true;
		});
		stopping.add("http", () => Promise.reject(new Error("no")));
		assert.equal(await stopping.stop("test"), false);
		assert(closed);
	});

	it("gives a part that hangs up at the deadline", async () => {
		const clock = heldClock();
		const stopping = makeStopping({ clock, log: openSilentLog() }, 1_000);
		stopping.add("hangs", () => new Promise(() => {}));
		const stopped = stopping.stop("test");
		await clock.advance(1_000);
		assert.equal(await stopped, false);
	});

	it("health names the parts in trouble until they recover, and draining is not healthy", () => {
		const health = makeHealth();
		health.report("ledger", "disk");
		assert.deepEqual(health.now(), { ok: false, state: "up", troubles: { ledger: "disk" } });
		health.report("ledger", undefined);
		assert.equal(health.now().ok, true);
		health.drain();
		assert.deepEqual(health.now(), { ok: false, state: "draining", troubles: {} });
	});
});
