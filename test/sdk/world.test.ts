import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import type { Client } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import type { Storage } from "#sdk/storage";
import { until } from "#test/support/sdk";
import { startWorld, type World, type WorldRelay } from "#test/support/world";

suite("Alice and Bob in a real market", () => {
	let world: World;
	let relay: WorldRelay;
	let alice: Client & { storage: Storage };
	let bob: Client & { storage: Storage };
	let card: string;

	before(async () => {
		world = await startWorld();
		relay = await world.relay();
		alice = await world.person();
		bob = await world.person();
		card = await bob.card({ name: "Bob" });
	});
	after(async () => {
		const report = await world.end();
		assert.ok(report.holds, report.findings.join("; "));
	});

	test("a text to someone offline is paid for, kept, read and acknowledged", async () => {
		const sent = await alice.send(card, "Good morning");
		assert.equal(sent.tick, "sent");
		const texts: string[] = [];
		await bob.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length === 1, "the text arrives");
		await bob.close();
		assert.deepEqual(texts, ["Good morning"]);
	});

	test("five megabytes to someone offline arrive as they were", async () => {
		const bytes = crypto.random(5_000_000);
		await alice.send(card, bytesSource("film.mp4", bytes));
		const sink = bytesSink(bytes.length);
		let name = "";
		await bob.listen({
			file: () => sink,
			received: (file) => {
				name = file.name;
			},
		});
		await until(() => name !== "", "the file is received", 20_000);
		assert.equal(name, "film.mp4");
		assert.deepEqual(sink.bytes, bytes);
		await bob.close();
	});

	test("live only: passed to a reader who is there, gone when nobody is, and then it costs nothing", async () => {
		const gone = async () => {
			const before = await alice.spentToday();
			const answer = await alice.send(card, "anybody?", { ttlS: 0 }).catch((error: unknown) => error);
			if (!(answer instanceof FarelayError)) return false;
			assert.equal(answer.problem.problem, "gone");
			assert.equal(await alice.spentToday(), before);
			return true;
		};
		await until(gone, "the relay has seen that Bob left");
		const texts: string[] = [];
		let listening = false;
		await bob.listen({
			text: ({ text }) => void texts.push(text),
			report: () => {
				listening = true;
			},
		});
		await until(() => listening, "Bob listens");
		const sent = await alice.send(card, "live", { ttlS: 0 });
		assert.equal(sent.tick, "passed");
		await until(() => texts.length === 1, "it arrives");
		await bob.close();
		assert.deepEqual(await alice.storage.list("outbox/"), []);
	});

	test("a file to a reader who is there goes straight through", async () => {
		const bytes = crypto.random(2_000_000);
		const sink = bytesSink(bytes.length);
		let received = false;
		await bob.listen({
			file: () => sink,
			received: () => {
				received = true;
			},
		});
		await alice.send(card, bytesSource("live.mp4", bytes));
		await until(() => received, "the file is received", 20_000);
		assert.deepEqual(sink.bytes, bytes);
		await bob.close();
	});

	test("settling pays the relay exactly what was counted and returns the rest at once", async () => {
		const before = await alice.balance();
		const [settlement] = await alice.settle();
		assert.ok(settlement?.agreement, JSON.stringify(settlement?.dispute));
		assert.ok(!isProblem(settlement.closed));
		assert.ok(settlement.closed.returned !== undefined && settlement.closed.returned > 0n);
		const { paid } = settlement.closed.receipt ?? assert.fail("a receipt");
		assert.equal(paid.bytes, settlement.agreement.usage.used.bytes);
		assert.equal(await alice.balance(), before + settlement.closed.returned);
		assert.equal(toHex(settlement.grant.relay), toHex(relay.running.publicKey));
	});
});
