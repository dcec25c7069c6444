import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { CASES, relayJob } from "./forward.ts";
import { drive } from "./measure.ts";
import { type RelayProcess, startRelayProcess } from "./relay-process.ts";

suite("what our relay is measured with", { skip: process.platform !== "linux" }, () => {
	let relay: RelayProcess;
	before(async () => {
		relay = await startRelayProcess();
	});
	after(() => relay.stop());

	for (const name of ["pipelined-65536", "mixed-64", "single-1024", "acked-1024"])
		test(`${name}: payloads that were sent and paid arrive whole at their readers`, async () => {
			const one = CASES.find((known) => known.name === name);
			assert(one);
			// on a machine that is busy with other things a shorter while can pass without a payload
			const job = relayJob(relay, { ...one, pairs: 4 }, { warmMs: 50, measureMs: 500 });
			const drove = await drive(relay.pid, job);
			assert.ok(drove.payloads > 0 && drove.cpuSeconds > 0);
		});

	test("a tab that another key pays for gives no figure", async () => {
		const one = CASES.find((known) => known.name === "pipelined-64");
		assert(one);
		const job = relayJob(relay, one, { warmMs: 50, measureMs: 100 });
		const more = job.more as { tabs: { grant: string; seed: string }[] };
		const tabs = more.tabs.map(({ grant }) => ({ grant, seed: "00".repeat(32) }));
		await assert.rejects(drive(relay.pid, { ...job, more: { ...more, tabs } }), /before it was done/);
	});
});
