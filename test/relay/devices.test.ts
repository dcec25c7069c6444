import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeRangesFrame } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import type { KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { crypto } from "#host/crypto";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import type { Mail, MailStore } from "#relay/mailbox/store";
import { heldClock } from "#test/support/clock";
import { keys, payload, type RawClient, until } from "#test/support/rawclient";
import { startTestRelay, type TestRelay } from "#test/support/relay";

const id = (n: number) => new Uint8Array(16).fill(n);
const PHONE = id(0x11);
const LAPTOP = id(0x22);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

async function listen(relay: TestRelay, mailbox: KeyPair, device: Uint8Array, token?: Uint8Array): Promise<RawClient> {
	const bob = await relay.connect();
	bob.put(bob.helloFrame({ atMs: relay.deps.clock.nowMs() }), bob.listenFrame(1, mailbox, token, device));
	await bob.listening();
	return bob;
}

/** A device that has been there and is not any more. */
async function visit(relay: TestRelay, mailbox: KeyPair, device: Uint8Array): Promise<void> {
	const before = relay.counts.listening;
	await (await listen(relay, mailbox, device)).end();
	await until("the device to leave", () => relay.counts.listening === before || undefined);
}

async function writer(relay: TestRelay, mailbox: KeyPair, ttlS = 3_600, token?: Uint8Array) {
	const alice = await relay.sender();
	alice.put(alice.payFrame(200_000_000, ttlS), alice.openFrame(1, mailbox.publicKey, ttlS, token));
	await until("the credit", () => alice.credits[0]);
	return alice;
}

/** A store that says which sends went to the disk. */
function spied(): { store: MailStore; toDisk: Mail[] } {
	const inner = openMemoryMailStore();
	const toDisk: Mail[] = [];
	const keep: MailStore["keep"] = (mails) => {
		toDisk.push(...mails);
		return inner.keep(mails);
	};
	return { toDisk, store: { ...inner, keep } };
}

const got = (client: RawClient) => client.deliveries.map(({ payload }) => payload.length);

suite("PROTOCOL: Reading, by several devices", () => {
	test("live mail goes to all that listen, touches no disk, and is kept when all have acknowledged it", async (t) => {
		const { store, toDisk } = spied();
		const relay = await startTestRelay(t, {}, { store });
		const mailbox = keys();
		const phone = await listen(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		assert.deepEqual(await laptop.devices(), [hex(PHONE), hex(LAPTOP)]);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(100)), alice.sendFrame(1, 1, payload(20_000)));
		await until("both to have both", () => (got(phone).length === 2 && got(laptop).length === 2) || undefined);
		assert.deepEqual(phone.deliveries, laptop.deliveries);
		assert.deepEqual(phone.deliveries[1]?.payload, payload(20_000));
		phone.ack([1, 2]);
		laptop.ack([2, 2]);
		await alice.keptAll(1);
		assert.deepEqual([...alice.kept], [1]);
		laptop.ack([1, 1]);
		await alice.keptAll(2);
		assert.deepEqual(toDisk, []);
	});

	test("what one of them does not acknowledge in five seconds goes to the disk, and the other's ack still counts", async (t) => {
		const clock = heldClock(Date.now());
		const relay = await startTestRelay(t, {}, { clock });
		const mailbox = keys();
		const phone = await listen(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(11)));
		await until("both to have both", () => (got(phone).length === 2 && got(laptop).length === 2) || undefined);
		phone.ack([1, 1]);
		phone.ping();
		await phone.next(FRAME.pong);
		assert.equal(alice.kept.size, 0);
		await clock.advance(6_000);
		await alice.keptAll(2);
		await Promise.all([phone.end(), laptop.end()]);
		await until("both to leave", () => relay.counts.listening === 0);
		const again = [await listen(relay, mailbox, PHONE), await listen(relay, mailbox, LAPTOP)] as const;
		await until("all to come", () => (got(again[0]).length === 1 && got(again[1]).length === 2) || undefined);
		assert.deepEqual([got(again[0]), got(again[1])], [[11], [10, 11]]);
		assert.deepEqual([(await again[0].listening()).waiting, (await again[1].listening()).waiting], [1, 2]);
	});

	test("mail for a device that is away is on the disk before it is answered, and goes to the others at once", async (t) => {
		const { store, toDisk } = spied();
		const relay = await startTestRelay(t, {}, { store });
		const mailbox = keys();
		await visit(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(11)));
		await alice.keptAll(2);
		assert.equal(toDisk.length, 2);
		assert.deepEqual(got(laptop), [10, 11], "without waiting for the laptop's ack");
		laptop.ack([1, 2]);
		const phone = await listen(relay, mailbox, PHONE);
		await until("the phone's mail", () => got(phone).length === 2 || undefined);
		assert.deepEqual(phone.deliveries, laptop.deliveries);
		phone.ack([1, 2]);
		phone.ping();
		await phone.next(FRAME.pong);
		await until("nothing to be kept", () => store.state(hex(mailbox.publicKey))?.messages === 0);
	});

	test("a device whose window is full reads on from the disk, in order, while the other has everything live", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const phone = await listen(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		laptop.acks = true;
		const alice = await writer(relay, mailbox);
		for (let seq = 0; seq < 150; seq++) alice.put(alice.sendFrame(1, seq, payload(16_000 + seq, seq)));
		await alice.keptAll(150);
		await until("the laptop's mail", () => got(laptop).length === 150 || undefined);
		assert.ok(got(phone).length <= 65);
		phone.acks = true;
		phone.ack([1, 4_000_000_000]);
		await until("the phone's mail", () => got(phone).length === 150 || undefined);
		const all = Array.from({ length: 150 }, (_, seq) => 16_000 + seq);
		assert.deepEqual([got(phone), got(laptop)], [all, all]);
	});

	test("live-only sends go to every device that listens, and need one", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const token = crypto.random(16);
		const phone = await listen(relay, mailbox, PHONE, token);
		const laptop = await listen(relay, mailbox, LAPTOP, token);
		const alice = await writer(relay, mailbox, 0, token);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(30_000)));
		await until("both answers", () => alice.numbers(FRAME.passed).size === 2 || undefined);
		await until("all of it", () => (got(phone).length === 2 && got(laptop).length === 2) || undefined);
		assert.deepEqual(phone.deliveries, laptop.deliveries);
		assert.deepEqual(
			phone.deliveries.map(({ number }) => number),
			[0, 0],
		);
		await phone.end();
		alice.put(alice.sendFrame(1, 2, payload(11)));
		await until("the third answer", () => alice.numbers(FRAME.passed).size === 3 || undefined);
	});

	test("what was acknowledged just before a new listen, in the same message, does not come again", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		for (const device of [PHONE, LAPTOP]) await visit(relay, mailbox, device);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(11)));
		await alice.keptAll(2);
		const phone = await listen(relay, mailbox, PHONE);
		await until("both", () => got(phone).length === 2 || undefined);
		phone.put(writeRangesFrame(FRAME.ack, [[1, 1]]), phone.listenFrame(1, mailbox, undefined, PHONE));
		await until("the rest again", () => got(phone).length >= 3 || undefined);
		assert.deepEqual([got(phone), (await phone.listening(1)).waiting], [[10, 11, 11], 2]);
	});

	test("a device is registered by its first listen, also if its connection is gone by then", async (t) => {
		const inner = openMemoryMailStore();
		const { promise, resolve } = Promise.withResolvers<void>();
		let asked = 0;
		const store: MailStore = {
			...inner,
			visit: async (mailbox, device, ...more) => {
				const found = await inner.visit(mailbox, device, ...more);
				if (device === hex(LAPTOP)) asked++;
				if (device === hex(LAPTOP)) await promise;
				return found;
			},
		};
		const clock = heldClock(Date.now() - LIMIT.idleMs - 10_000);
		const relay = await startTestRelay(t, {}, { store, clock });
		const mailbox = keys();
		const phone = await listen(relay, mailbox, PHONE);
		const laptop = await relay.connect();
		laptop.put(laptop.helloFrame({ atMs: clock.nowMs() }), laptop.listenFrame(1, mailbox, undefined, LAPTOP));
		await until("the visit", () => asked === 1);
		await clock.advance(LIMIT.idleMs - 10_000);
		phone.ping();
		await phone.next(FRAME.pong);
		await clock.advance(20_000);
		await laptop.problem("idle");
		resolve();
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await until("the phone's mail", () => got(phone).length === 1 || undefined);
		phone.ack([1, 1]);
		await alice.keptAll(1);
		assert.equal(inner.state(hex(mailbox.publicKey))?.messages, 1, "it is on disk for the laptop");
	});

	test("a new device begins with what is still on disk, and is told that it is new", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const phone = await listen(relay, mailbox, PHONE);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(11)));
		await until("the phone's mail", () => got(phone).length === 2 || undefined);
		phone.ack([1, 1]);
		await alice.keptAll(1);
		const laptop = await listen(relay, mailbox, LAPTOP);
		await alice.keptAll(2);
		await until("what the phone has not acknowledged", () => got(laptop).length === 1 || undefined);
		assert.deepEqual(got(laptop), [11]);
		assert.deepEqual([(await phone.listening()).fresh, (await laptop.listening()).fresh], [true, true]);
		const again = await listen(relay, mailbox, LAPTOP);
		assert.equal((await again.listening()).fresh, false);
	});
});

suite("PROTOCOL: Devices come and go", () => {
	test("threat 25: a phone restored from a backup: of one device who listens last has the mailbox, its sends are no second ones", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const lost = await listen(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		const restored = await listen(relay, mailbox, PHONE);
		assert.match((await lost.problem("conflict")).detail, /device/);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await until("the mail", () => (got(restored).length === 1 && got(laptop).length === 1) || undefined);
		assert.deepEqual([got(lost), laptop.problems], [[], []]);
		restored.ack([1, 1]);
		laptop.ack([1, 1]);
		await alice.keptAll(1);
		// Alice's phone is restored too: the same grant, session, tag and numbers
		const back = await relay.connect();
		back.tag = alice.tag;
		back.put(back.helloFrame({ grant: alice.grant, session: alice.session }), back.openFrame(1, mailbox.publicKey));
		back.put(back.sendFrame(1, 0, payload(10)));
		await back.keptAll(1);
		back.put(back.sendFrame(1, 0, payload(10, 7)));
		await until("the refusal", () => back.refused.get(0) === "seq-reused" || undefined);
		back.askUsage();
		assert.equal((await back.usage()).used.bytes, 10n, "charged once");
		assert.deepEqual([got(restored), got(laptop)], [[10], [10]], "and delivered once");
	});

	test("threat 25: a stolen phone is given up by the mailbox key: it is told, hears nothing more, and pins nothing", async (t) => {
		const clock = heldClock(Date.now());
		const store = openMemoryMailStore();
		const relay = await startTestRelay(t, {}, { clock, store });
		const mailbox = keys();
		const phone = await listen(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await until("the mail", () => (got(phone).length === 1 && got(laptop).length === 1) || undefined);
		laptop.ack([1, 1]);
		laptop.put(laptop.forgetFrame(1, mailbox, PHONE));
		assert.deepEqual(await laptop.devices(1), [hex(LAPTOP)]);
		assert.match((await phone.problem("conflict")).detail, /given up/);
		await alice.keptAll(1);
		await clock.advance(6_000);
		await until("nothing to be kept", () => store.state(hex(mailbox.publicKey))?.messages === 0);
		alice.put(alice.sendFrame(1, 1, payload(11)));
		await until("new mail", () => got(laptop).length === 2 || undefined);
		laptop.ack([2, 2]);
		await alice.keptAll(2);
		assert.deepEqual(got(phone), [10]);
	});

	test("threat 23: only the mailbox key gives a device up, in this session and for a mailbox that the connection listens on", async (t) => {
		const relay = await startTestRelay(t);
		const [mailbox, other] = [keys(), keys()];
		await visit(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		laptop.put(laptop.forgetFrame(1, other, PHONE), laptop.forgetFrame(2, mailbox, PHONE));
		await laptop.problem("signature-bad");
		await laptop.problem("handle-unknown");
		const thief = await listen(relay, other, PHONE);
		thief.put(laptop.forgetFrame(1, mailbox, PHONE));
		await thief.problem("signature-bad");
		const again = await listen(relay, mailbox, LAPTOP);
		assert.deepEqual(await again.devices(), [hex(PHONE), hex(LAPTOP)]);
		again.put(again.forgetFrame(1, mailbox, LAPTOP));
		await again.problem("conflict");
		assert.deepEqual(await again.devices(1), [hex(PHONE)], "a device may give itself up");
	});

	test("a ninth device takes the place of the one unseen the longest, and is refused while eight listen", async (t) => {
		const relay = await startTestRelay(t);
		const mailbox = keys();
		const eight: RawClient[] = [];
		for (let n = 1; n <= LIMIT.devicesMax; n++) eight.push(await listen(relay, mailbox, id(n)));
		const ninth = await relay.reader();
		ninth.put(ninth.listenFrame(1, mailbox, undefined, id(9)));
		assert.match((await ninth.problem("too-many")).detail, /give one up/);
		await Promise.all([eight[2]?.end(), eight[5]?.end()]);
		await until("two to leave", () => relay.counts.listening === 6);
		ninth.put(ninth.listenFrame(1, mailbox, undefined, id(9)));
		await ninth.listening();
		assert.deepEqual(await ninth.devices(), [1, 2, 4, 5, 6, 7, 8, 9].map(id).map(hex));
		assert.deepEqual(
			eight.flatMap(({ problems }) => problems),
			[],
		);
	});

	test("threat 25: a dead device pins mail until its TTL is over; it alone is told what it lost, once", async (t) => {
		const clock = heldClock(Date.now());
		const store = openMemoryMailStore();
		const relay = await startTestRelay(t, {}, { clock, store });
		const mailbox = keys();
		await visit(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		laptop.acks = true;
		const alice = await writer(relay, mailbox, 60);
		alice.put(alice.sendFrame(1, 0, payload(10)), alice.sendFrame(1, 1, payload(11)));
		await alice.keptAll(2);
		await until("the laptop's acks", () => got(laptop).length === 2 || undefined);
		await clock.advance(30_000);
		assert.equal(store.state(hex(mailbox.publicKey))?.messages, 2);
		await clock.advance(36_000);
		assert.equal(store.state(hex(mailbox.publicKey))?.messages, 0);
		const phone = await listen(relay, mailbox, PHONE);
		assert.equal((await phone.listening()).droppedTtl, 2);
		for (const device of [PHONE, LAPTOP])
			assert.equal((await (await listen(relay, mailbox, device)).listening()).droppedTtl, 0);
	});

	test("threat 25: a dead device is given up after thirty days, with the mail that only it lacked; one that listens never is", async (t) => {
		const clock = heldClock(Date.now());
		const store = openMemoryMailStore();
		const relay = await startTestRelay(t, { idleMs: 40 * 86_400_000 }, { clock, store });
		const mailbox = keys();
		await visit(relay, mailbox, PHONE);
		const laptop = await listen(relay, mailbox, LAPTOP);
		laptop.acks = true;
		const alice = await writer(relay, mailbox, LIMIT.ttlSMax);
		clock.jump(86_400_000);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await alice.keptAll(1);
		await until("the laptop's ack", () => got(laptop).length === 1 || undefined);
		const state = () => store.state(hex(mailbox.publicKey));
		clock.jump(LIMIT.deviceMs - 86_400_000 - 60_000);
		await clock.advance(6_000);
		assert.deepEqual([state()?.devices, state()?.messages], [[hex(PHONE), hex(LAPTOP)], 1]);
		clock.jump(60_000);
		await clock.advance(6_000);
		assert.deepEqual([state()?.devices, state()?.messages], [[hex(LAPTOP)], 0]);
		clock.jump(LIMIT.deviceMs);
		await clock.advance(6_000);
		assert.deepEqual(state()?.devices, [hex(LAPTOP)], "it is there");
	});

	test("losses by quota are told to each device, once", async (t) => {
		const inner = openMemoryMailStore();
		const store: MailStore = {
			...inner,
			state: (name) => {
				const state = inner.state(name);
				return state && { ...state, bytes: LIMIT.mailboxBytesMax };
			},
		};
		const relay = await startTestRelay(t, {}, { store });
		const mailbox = keys();
		for (const device of [PHONE, LAPTOP]) await visit(relay, mailbox, device);
		const alice = await writer(relay, mailbox);
		alice.put(alice.sendFrame(1, 0, payload(10)));
		await until("the refusal", () => alice.refused.get(0) === "mailbox-full" || undefined);
		for (const expected of [1, 0])
			for (const device of [PHONE, LAPTOP])
				assert.equal((await (await listen(relay, mailbox, device)).listening()).droppedQuota, expected);
	});
});
