import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Traffic } from "#contracts/tariff";
import { crypto } from "#host/crypto";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

suite("an honest relay crashes or ends a tab at a bad moment", () => {
	let relay: ScriptedRelay;
	let market: TestMarket;
	let alice: Person;
	let bob: Person;
	let card: string;
	let lost: Traffic[];

	beforeEach(async () => {
		lost = [];
		relay = await scriptedRelay();
		market = marketInMemory([{ key: relay.key.publicKey, url: relay.url }]);
		alice = await person(market, { onLost: (_relay, gone) => lost.push(gone) });
		bob = await person(market);
		card = await bob.client.card();
	});
	afterEach(async () => {
		await Promise.all([alice.client.close(), bob.client.close()]);
		await relay.close();
	});

	for (const vouchers of [1, 2, 4])
		test(`threat 13: a crash takes all that is under way, when ${vouchers} vouchers were signed: it is paid for anew at once, and arrives`, async () => {
			let dying = false;
			let crashed = false;
			relay.script.answer = () => {
				if (crashed || relay.vouchers.length < vouchers) return undefined;
				// all that is paid for gets under way, and nothing of it is taken any more
				if (!dying)
					setTimeout(() => {
						crashed = true;
						relay.crash();
					}, 50);
				dying = true;
				return "deaf";
			};
			const bytes = crypto.random(500_000);
			await alice.client.send(card, bytesSource("film.mp4", bytes));
			assert.ok(crashed);
			const unpaid = relay.messages.flat().filter((type) => type === FRAME.voucher).length;
			assert.ok(unpaid < 12, `${unpaid} vouchers were said`);
			assert.ok(relay.hellos.length <= 3, `${relay.hellos.length} hellos`);
			const sink = bytesSink(bytes.length);
			let received = false;
			await bob.client.listen({
				file: () => sink,
				received: () => {
					received = true;
				},
			});
			await until(() => received, "the file is received");
			assert.deepEqual(sink.bytes, bytes);
			const gone = lost.reduce((sum, { bytes }) => sum + bytes, 0n);
			assert.ok(gone > 0n && gone <= BigInt(LIMIT.stepBytesMax), `${gone} bytes are said to be lost`);
			const [settlement] = await alice.client.settle();
			assert.ok(settlement?.agreement);
		});

	test("threat 13: the line is cut between two refusals of what a crash took: what stands in front is not stuck behind what stands behind", async () => {
		// so much trust that a crash takes more of what is paid ahead than is under way
		await alice.client.send(card, bytesSource("long.mp4", crypto.random(2_000_000)));
		let crashed = false;
		let cuts = 0;
		let deaf = 0;
		relay.script.answer = () => {
			if (crashed) return undefined;
			if (deaf++ === 0)
				setTimeout(() => {
					crashed = true;
					relay.crash();
				}, 50);
			return "deaf";
		};
		relay.script.cutAfterUnpaid = () => crashed && cuts++ < 2;
		await alice.client.send(card, bytesSource("film.mp4", crypto.random(250_000)));
		assert.ok(cuts >= 1 && deaf > 8, `${cuts} cuts, ${deaf} were under way`);
		assert.ok(lost.length > 0, "some of what was paid ahead is lost");
		const [settlement] = await alice.client.settle();
		assert.ok(settlement?.agreement, JSON.stringify(settlement?.dispute));
	});

	test("a tab that the relay has ended is not asked for again and again while the market is away", async () => {
		await alice.client.send(card, "one");
		market.away = true;
		relay.script.answer = () => "tab-finished";
		await assert.rejects(
			alice.client.send(card, "two"),
			(error: unknown) => error instanceof FarelayError && error.problem.problem === "unavailable",
		);
		const { length } = relay.hellos;
		relay.script.answer = () => undefined;
		market.away = false;
		await alice.client.send(card, "three");
		assert.ok(relay.hellos.length <= length + 2, `${relay.hellos.length} hellos`);
		assert.equal(relay.sends.filter(({ seq }) => seq > 0).length >= 3, true);
	});
});
