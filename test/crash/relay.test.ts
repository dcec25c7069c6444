import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { fromHex } from "#contracts/bytes";
import { FakeMarket } from "#test/support/fakemarket";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { startRelayProcess } from "./relay-process.ts";

const TTL_S = 3_600;

/** Sends forty mails, each paid by a voucher of its own, through a relay that dies at a point, and then through its next life. */
async function survive(t: TestContext, fault: string, killAfterKept?: number): Promise<void> {
	const data = await mkdtemp(join(tmpdir(), "farelay-crash-"));
	const market = await FakeMarket.start();
	t.after(async () => {
		await market.stop();
		await rm(data, { recursive: true, force: true, maxRetries: 5 });
	});
	const probe = await startRelayProcess(t, market, data);
	await until("the listing", () => market.listings[0]);
	const relay = (fromHex(market.listings[0]) as Uint8Array).slice(33, 65);
	const mailbox = keys();
	const owner = await RawClient.connect(probe.url, relay);
	owner.put(owner.helloFrame(), owner.listenFrame(1, mailbox));
	await owner.listening();
	owner.ws.terminate();
	probe.child.kill("SIGTERM");
	assert.equal(await probe.died, null, "an orderly stop is no crash");

	const first = await startRelayProcess(t, market, data, fault);
	const session = keys();
	const grant = market.grant(relay, session.publicKey);
	const alice = await RawClient.connect(first.url, relay);
	alice.put(alice.helloFrame({ grant, session }), alice.openFrame(1, mailbox.publicKey, TTL_S));
	const mails = Array.from({ length: 40 }, (_, seq) => payload(500, seq));
	const send = (client: RawClient, seq: number, paid: number) =>
		client.put(
			client.voucherFrame({ bytes: BigInt(paid), byteSeconds: BigInt(paid * TTL_S) }, grant, session),
			client.sendFrame(1, seq, mails[seq] as Uint8Array),
		);
	for (let seq = 0; seq < 40 && !alice.closed; seq++) {
		send(alice, seq, (seq + 1) * 500);
		await until("an answer or the end", () => alice.kept.has(seq) || alice.closed);
		if (killAfterKept !== undefined && alice.kept.size >= killAfterKept) first.child.kill("SIGKILL");
	}
	assert.equal(await first.died, "SIGKILL", "the kill landed");
	await alice.gone();
	const kept = alice.kept;
	const credited = alice.credits.at(-1) ?? 0n;
	assert.ok(kept.size < 40);

	const second = await startRelayProcess(t, market, data);
	const again = await RawClient.connect(second.url, relay);
	again.tag = alice.tag;
	again.put(again.helloFrame({ grant, session }), again.openFrame(1, mailbox.publicKey, TTL_S));
	const { tab } = await again.welcome();
	assert.ok((tab?.voucher?.nanos ?? 0n) >= credited, "no voucher that counted is lost");
	assert.equal(tab?.used.bytes, tab?.voucher?.bytes ?? 0n, "after a crash, what was paid is used");
	const lost = Number(tab?.used.bytes ?? 0n);
	for (let seq = 0; seq < 40; seq++) send(again, seq, lost + 40 * 500);
	await again.keptAll(40);
	again.askUsage();
	const charged = Number((await again.usage()).used.bytes) - lost;
	assert.ok(
		charged <= (40 - kept.size) * 500,
		`${charged} bytes were charged for ${40 - kept.size} mails that had no answer`,
	);
	const bob = await RawClient.connect(second.url, relay);
	bob.acks = true;
	bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
	await until("all mails", () => bob.deliveries.length >= 40 || undefined);
	assert.deepEqual(
		bob.deliveries.map(({ payload }) => payload),
		mails,
		"each once, in order",
	);
	bob.ws.terminate();
	again.ws.terminate();
	second.child.kill("SIGTERM");
	await second.died;
}

suite("threat 13: a relay that is killed loses nothing that it answered for", () => {
	for (const fault of ["relay:before-keep#4", "relay:after-keep#4", "relay:before-till#3", "relay:after-till#3"])
		test(`at ${fault}`, (t) => survive(t, fault));
	test("from outside, between two answers", (t) => survive(t, "none", 7));
});
