import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemoryBook } from "#marketplace/ledger/memory";
import type { Disk } from "#test/support/funding-walk";
import { failCall, failRequest, type Outcome } from "#test/support/stripe/payout-walk";

/** What is in memory outlives the process here, as a disk does. */
async function memory(): Promise<Disk> {
	const book = openMemoryBook();
	return { open: async () => book, close: async () => {}, end: async () => {} };
}

async function walk(
	run: (at: number) => Promise<Outcome>,
): Promise<{ states: Set<string>; struck: Set<string>; times: number }> {
	const [states, struck] = [new Set<string>(), new Set<string>()];
	for (let times = 0; ; times++) {
		const outcome = await run(times + 1);
		states.add(outcome.state);
		if (outcome.struck === "") return { states, struck, times };
		struck.add(outcome.struck);
	}
}

for (const mode of ["dies before", "dies after", "refused"] as const)
	test(`threat 19: a payout to a Stripe account whose market ${mode === "refused" ? "is refused" : mode} each call in turn is paid once or not at all`, async (t) => {
		const { states, struck, times } = await walk((at) => failCall(at, mode, memory));
		t.diagnostic(`${times} calls: ${[...states].join(", ")}`);
		assert.ok(times >= 15, String(times));
		for (const call of ["apply", "record", "quote", "pay", "payment"]) assert.ok(struck.has(call), call);
		assert.ok(states.has("sent"));
	});

test("threat 19: a payout to a Stripe account of which each request goes wrong in turn is paid once or not at all", async (t) => {
	for (const fault of [409, 503] as const) {
		const { states, struck, times } = await walk((at) => failRequest(at, fault, memory));
		t.diagnostic(`${fault}: ${times} requests: ${[...states].join(", ")}`);
		assert.ok(times >= 3 && [...struck].some((request) => request === "POST /v1/transfers"), [...struck].join(", "));
	}
});
