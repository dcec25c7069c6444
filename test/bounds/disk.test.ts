import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME, readU32, writeU32 } from "#contracts/frame";
import { keys, until } from "#test/support/rawclient";
import { besiege, Siege } from "./siege.ts";

const TTL_S = 86_400;

/** A payload that says its number. */
function mail(seq: number, bytes = 10_000): Uint8Array {
	const payload = new Uint8Array(bytes);
	writeU32(payload, 0, seq);
	return payload;
}

/** Makes a mailbox that nobody listens on, and a sender with money for it. */
async function away(siege: Siege) {
	const mailbox = keys();
	const owner = await siege.listener(mailbox);
	await owner.end();
	const alice = await siege.sender();
	alice.put(alice.payFrame(100_000_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
	await until("the credit", () => alice.credits.length > 0);
	return { mailbox, alice };
}

/** Everything that a mailbox holds, by number. */
async function fetched(siege: Siege, mailbox: ReturnType<typeof keys>): Promise<number[]> {
	const bob = await siege.reader();
	bob.acks = true;
	bob.put(bob.listenFrame(1, mailbox));
	const { waiting } = await bob.listening();
	await until(`all ${waiting}`, () => bob.deliveries.length >= waiting, 30_000);
	const numbers = bob.deliveries.map(({ payload }) => readU32(payload, 0));
	await bob.end();
	return numbers;
}

suite("threat 14 at full size: the disk", () => {
	test("a disk that takes 100 ms for each sync slows down who waits for it, and loses nothing", async (t) => {
		const siege = await Siege.begin(t, { env: { FARELAY_FAULT: "mailbox:before-commit~100" } });
		const { mailbox, alice } = await away(siege);
		const count = 2_000;
		await besiege(t, siege, async () => {
			for (let seq = 0; seq < count; seq++) {
				alice.put(alice.sendFrame(1, seq, mail(seq)));
				if (seq % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
			}
			await until("all to be kept", () => alice.kept.size === count, 60_000);
		});
		assert.equal(alice.refused.size, 0);
		assert.deepEqual(
			await fetched(siege, mailbox),
			Array.from({ length: count }, (_, i) => i),
		);
	});

	test("a disk that is full refuses what it cannot keep, uncharged; what is live goes on, and all that was kept comes", async (t) => {
		const siege = await Siege.begin(t, { fileKbMax: 8_192 });
		const { mailbox, alice } = await away(siege);
		const count = 2_000;
		const pair = await besiege(t, siege, async () => {
			for (let seq = 0; seq < count; seq += 10) {
				alice.put(...Array.from({ length: 6 }, (_, i) => alice.sendFrame(1, seq + i, mail(seq + i))));
				alice.put(...Array.from({ length: 4 }, (_, i) => alice.sendFrame(1, seq + 6 + i, mail(seq + 6 + i))));
				if (seq % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
			}
			await until("all to be answered", () => alice.kept.size + alice.refused.size === count, 60_000);
		});
		const refused = [...alice.refused.values()].filter((code) => code === "disk").length;
		assert(refused > 0, "the disk was not full");
		assert.equal(refused, count - alice.kept.size);
		alice.askUsage();
		assert.equal((await alice.usage()).used.bytes, BigInt(alice.kept.size) * 10_000n, "only what was kept is charged");
		t.diagnostic(`${alice.kept.size} of ${count} kept, ${refused} refused as the disk is full`);
		await pair.alice.end();
		await pair.bob.end();
		await siege.relay.end("SIGKILL");
		await siege.again();
		assert.deepEqual(new Set(await fetched(siege, mailbox)), alice.kept);
	});

	test("a disk that has become read-only refuses what must be kept and no voucher that is not; what is live goes on, and a new disk goes on too", async (t) => {
		const siege = await Siege.begin(t);
		const { mailbox, alice } = await away(siege);
		for (let seq = 0; seq < 20; seq++) alice.put(alice.sendFrame(1, seq, mail(seq)));
		await alice.keptAll(20);
		const pair = await siege.pair();
		await pair.write(Promise.resolve());
		await pair.alice.end();
		await pair.bob.end();
		await alice.end();
		await siege.relay.end();
		await siege.again({ env: { FARELAY_FAULT: "mailbox:before-commit!8" } });
		const late = await siege.sender();
		late.put(late.payFrame(1_000_000, TTL_S), late.openFrame(1, mailbox.publicKey, TTL_S));
		for (let i = 0; i < 20; i++) late.put(late.sendFrame(1, i, mail(100 + i)));
		await until("all to be refused", () => late.refused.size === 20);
		assert.deepEqual(new Set(late.refused.values()), new Set(["disk"]));
		late.askUsage();
		assert.equal((await late.usage()).used.bytes, 0n);
		const health = await fetch(`http://127.0.0.1:${siege.relay.port}/health`);
		assert.equal(health.status, 503);
		// what lies there can still be read, though nobody can note that it was
		const bob = await siege.reader();
		bob.put(bob.listenFrame(1, mailbox));
		await until("an answer", () => bob.of(FRAME.listening).length + bob.problems.length > 0);
		await bob.end();
		await siege.relay.end();
		await siege.again();
		assert.deepEqual(
			await fetched(siege, mailbox),
			Array.from({ length: 20 }, (_, i) => i),
		);
	});

	test("no voucher counts that the till's disk did not take", async (t) => {
		const siege = await Siege.begin(t, { env: { FARELAY_FAULT: "till:before-commit!8" } });
		const mailbox = keys();
		const bob = await siege.listener(mailbox);
		const alice = await siege.sender();
		alice.put(
			alice.payFrame(1_000_000, TTL_S),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.sendFrame(1, 0, mail(0)),
		);
		await alice.problem("disk");
		await until("a refusal", () => alice.refused.get(0) === "unpaid");
		assert.deepEqual([alice.credits, bob.deliveries], [[], []]);
	});
});
