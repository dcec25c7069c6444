import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { writeProblem } from "#contracts/control";
import { FRAME, frame } from "#contracts/frame";
import { signWelcome, verifyHello } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Traffic } from "#contracts/tariff";
import { signVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { FarelayError } from "#sdk/error";
import { bytesSource } from "#sdk/file";
import { type ScriptedRelay, scriptedRelay } from "#test/support/scripted-relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

const refused = (code: string) => (error: unknown) => error instanceof FarelayError && error.problem.problem === code;

suite("a relay turns bad", () => {
	let relay: ScriptedRelay;
	let market: TestMarket;
	let alice: Person;
	let bob: Person;
	let card: string;
	let people: Person[];
	let dishonest: Problem[];
	let lost: Traffic[];
	let problems: Problem[];

	const start = async (given: Partial<Person> = {}): Promise<Person> => {
		const someone = await person(market, {
			...given,
			onDishonest: (_relay, why) => dishonest.push(why),
			onLost: (_relay, gone) => lost.push(gone),
			onProblem: (problem) => problems.push(problem),
		});
		people.push(someone);
		return someone;
	};

	beforeEach(async () => {
		[people, dishonest, lost, problems] = [[], [], [], []];
		relay = await scriptedRelay();
		market = marketInMemory([{ key: relay.key.publicKey, url: relay.url }]);
		alice = await start();
		bob = await start();
		card = await bob.client.card();
	});
	afterEach(async () => {
		for (const { client } of people) await client.close();
		await relay.close();
	});

	test("threat 6: it claims more than was signed, and is not used any more, after a restart either", async () => {
		await alice.client.send(card, "one");
		await alice.client.close();
		relay.script.state = ({ voucher }) => ({ used: { bytes: (voucher?.bytes ?? 0n) + 1n, byteSeconds: 0n }, voucher });
		const again = await start(alice);
		await assert.rejects(again.client.send(card, "two"), refused("relay-dishonest"));
		assert.equal(dishonest.length, 1);
		delete relay.script.state;
		const later = await start(alice);
		await assert.rejects(later.client.send(card, "three"), refused("relay-dishonest"));
		assert.equal(relay.sends.length, 1);
	});

	test("threat 6: it shows a voucher that nobody signed, or that another key signed", async () => {
		await alice.client.send(card, "one");
		await alice.client.close();
		const mallory = crypto.keyPair(crypto.random(32));
		relay.script.state = (_truth, grant) => {
			const total = { bytes: 10_000_000n, byteSeconds: 10_000_000n };
			const voucher = signVoucher(crypto, grant, total, mallory.secretKey);
			assert.ok(!isProblem(voucher));
			return { used: total, voucher };
		};
		const again = await start(alice);
		await assert.rejects(again.client.send(card, "two"), refused("relay-dishonest"));
		const [settlement] = await again.client.settle();
		assert.ok(!settlement || (settlement.signed?.bytes ?? 0n) <= 65_536n, "nothing more was ever signed");
	});

	test("rule 3: it takes everything and answers nothing: it holds a voucher for one step of a stranger, no more", async () => {
		relay.script.answer = () => "silence";
		const sending = alice.client.send(card, bytesSource("film", new Uint8Array(3_000_000)));
		sending.catch(() => {});
		await until(() => relay.sends.length > 2, "frames arrive");
		await new Promise((resolve) => setTimeout(resolve, 200));
		const signed = relay.vouchers.at(-1)?.bytes ?? 0n;
		assert.ok(signed <= 65_536n, `${signed} bytes were signed for`);
		const sent = relay.sends.reduce((sum, { payload }) => sum + payload.length, 0);
		assert.ok(BigInt(sent) <= signed, "and nothing was sent that was not paid for");
	});

	test("it says kept and keeps nothing: the message stays at sent and is never delivered", async () => {
		relay.script.drops = true;
		const ticks: string[] = [];
		await alice.client.send(card, "hello?", { tick: (tick) => ticks.push(tick) });
		await bob.client.listen({});
		assert.deepEqual(ticks, ["waiting", "sent"]);
	});

	test("it sends the welcome of an earlier hello, or one signed by another key: not believed", async () => {
		const other = crypto.keyPair(crypto.random(32));
		let forged = 0;
		relay.script.welcome = (hello) => {
			if (hello.grant === undefined || forged++ > 0) return undefined;
			const welcome = {
				helloHash: crypto.hash(hello.bytes),
				atMs: Date.now(),
				tab: undefined,
				messageBytesMax: LIMIT.messageBytesMax,
				stepBytesMax: LIMIT.stepBytesMax,
				idleMs: LIMIT.idleMs,
				ttlSMax: LIMIT.ttlSMax,
			};
			return frame(FRAME.welcome, signWelcome(crypto, welcome, other));
		};
		await assert.rejects(alice.client.send(card, "hi"), refused("signature-bad"));
		assert.ok(problems.some(({ problem }) => problem === "signature-bad"));
	});

	test("it does not know the market's new key yet, or is asking about the tab: it is tried again, and takes the message once", async () => {
		let strange = 2;
		const word = problem("grant-unknown-market", "The market is being asked about this grant; try again.");
		const soon = writeProblem(FRAME.bye, { ...word, retry: true, retryAfterMs: 10 });
		relay.script.welcome = (hello) => (hello.grant && strange-- > 0 ? soon : undefined);
		await alice.client.send(card, "hi");
		assert.equal(relay.hellos.filter(({ grant }) => grant).length, 3);
		assert.equal(relay.sends.length, 1);
	});

	test("it does not work with the market, and says that asking again does not help: the sender hears it at once", async () => {
		const never = writeProblem(FRAME.bye, problem("grant-unknown-market"));
		relay.script.welcome = (hello) => (hello.grant ? never : undefined);
		await assert.rejects(alice.client.send(card, "hi"), refused("grant-unknown-market"));
		assert.equal(relay.hellos.filter(({ grant }) => grant).length, 1);
	});

	test("it sends bytes that are no frames: the session ends, and the message goes again with the same number", async () => {
		let garbage = 0;
		relay.script.welcome = (hello) => (hello.grant && garbage++ === 0 ? crypto.random(300) : undefined);
		await alice.client.send(card, "hi");
		assert.equal(relay.sends.length, 1, "the relay knew the number: it took the message once");
		assert.equal(relay.hellos.filter(({ grant }) => grant).length, 2);
	});

	test("threat 13: it hangs up in the middle: everything arrives once, in order, and is charged once", async () => {
		relay.script.answer = (_send, count) => (count % 7 === 0 ? "hang-up" : undefined);
		const texts: string[] = [];
		const sending = Array.from({ length: 30 }, (_, i) => alice.client.send(card, `text ${i}`));
		await Promise.all(sending);
		delete relay.script.answer;
		await bob.client.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length >= 30, "all thirty arrive");
		assert.deepEqual(
			texts,
			Array.from({ length: 30 }, (_, i) => `text ${i}`),
		);
		assert.deepEqual(lost, []);
		const [settlement] = await alice.client.settle();
		assert.ok(settlement?.agreement, "both sides count the same");
	});

	test("it crashes and takes its step as used: the loss is said, at most a step, and everything goes on", async () => {
		await alice.client.send(card, "one");
		relay.crash();
		await alice.client.send(card, "two");
		await until(() => lost.length === 1, "the loss is reported");
		assert.ok((lost[0]?.bytes ?? 0n) <= 65_536n);
		const [settlement] = await alice.client.settle();
		assert.ok(settlement?.agreement);
	});

	test("its final count is higher than Alice's: she signs nothing more, and closes without it", async () => {
		await alice.client.send(card, "one");
		relay.script.usage = ({ bytes, byteSeconds }) => ({ bytes: bytes + 1n, byteSeconds });
		const signed = relay.vouchers.at(-1);
		const [settlement] = await alice.client.settle();
		assert.equal(settlement?.agreement, undefined);
		assert.equal(settlement?.dispute?.problem, "relay-dishonest");
		assert.equal(settlement?.signed?.bytes, signed?.bytes);
		assert.equal(market.closes[0]?.final, undefined);
	});

	test("it says unpaid to what is paid: Alice says it again, and order is kept", async () => {
		relay.script.answer = (_send, count) => (count === 3 ? "unpaid" : undefined);
		await Promise.all(["a", "b", "c", "d", "e"].map((text) => alice.client.send(card, text)));
		const texts: string[] = [];
		await bob.client.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length >= 5, "all arrive");
		assert.deepEqual(texts.join(""), "abcde");
	});

	test("it says unpaid for ever: the message is refused in the end, nothing more is signed", async () => {
		relay.script.answer = () => "unpaid";
		await assert.rejects(alice.client.send(card, "a"), refused("unpaid"));
		assert.ok(relay.vouchers.every(({ bytes }) => bytes <= 65_536n));
	});

	test("a mailbox that is unknown or full is said so, and costs nothing", async () => {
		relay.script.answer = () => "mailbox-full";
		await assert.rejects(alice.client.send(card, "a"), refused("mailbox-full"));
		assert.equal(await alice.client.spentToday(), 0n);
		assert.equal((await alice.storage.list("outbox/")).length, 1, "it can succeed later, so it waits");
	});

	test("threat 23: a hello that one relay saw is no good at another", async () => {
		await alice.client.send(card, "a");
		const seen = relay.hellos.at(-1);
		const other = crypto.keyPair(crypto.random(32));
		assert.ok(seen && verifyHello(crypto, seen, relay.key.publicKey));
		assert.ok(!verifyHello(crypto, seen, other.publicKey));
	});

	test("a relay does not see a tab and a mailbox on one socket, nor the same key twice for reading", async () => {
		await bob.client.listen({});
		await until(() => relay.hellos.length > 1, "Bob reads");
		relay.hangUp();
		await until(() => relay.hellos.length > 2, "Bob reads again");
		await bob.client.send(card, "a note to myself");
		const reading = relay.hellos.filter(({ grant }) => !grant);
		assert.equal(new Set(reading.map(({ session }) => toHex(session))).size, reading.length);
		assert.ok(relay.messages.every((types) => !(types.includes(FRAME.listen) && types.includes(FRAME.send))));
	});
});
