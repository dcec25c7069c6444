import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { LIMIT } from "#contracts/limit";
import { played } from "./mailbox.ts";
import { drive } from "./measure.ts";
import { type RelayProcess, startRelayProcess } from "./relay-process.ts";

suite("what kept mail is measured with", { skip: process.platform !== "linux" }, () => {
	let relay: RelayProcess;
	before(async () => {
		relay = await startRelayProcess();
	});
	after(() => relay.stop());

	for (const size of [1024, LIMIT.payloadBytesMax])
		test(`mail of ${size} bytes to a mailbox that nobody reads is answered kept, and the relay counts it to the disk`, async () => {
			const more = {
				relay: relay.relay,
				tabs: relay.tabs(2),
				ttlS: 60,
				recipients: 1,
				messageBytes: LIMIT.batchBytes,
				nobodyReads: true,
			};
			const before = await toDisk(relay.port);
			const lanes = new URL("./relay-lanes.ts", import.meta.url).href;
			// on a machine that is busy with other things a shorter while can pass without a payload
			const job = { lanes, port: relay.port, size, pairs: 2, warmMs: 50, measureMs: 500, more };
			const drove = await drive(relay.pid, job);
			assert.ok(drove.payloads > 0 && drove.cpuSeconds > 0);
			assert.ok((await toDisk(relay.port)) - before >= drove.payloads, "nothing that was counted went to a reader");
		});

	test("a resume is watched from the outside: all of it arrives, and live mail meanwhile", async () => {
		const { scene, calm, during } = await played({ scene: "resume", mails: 300, mailboxes: 1, calmMs: 100 });
		for (const seen of [scene.calm, scene.during, calm, during]) assert.ok(seen.max >= seen.p99 && seen.p99 > 0);
	});
});

async function toDisk(port: number): Promise<number> {
	const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
	return Number(/^farelay_relay_copies_disk_total (\d+)/m.exec(page)?.[1]);
}
