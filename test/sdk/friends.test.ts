import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { readCardLink } from "#contracts/card";
import { readFan } from "#contracts/fan";
import { advance, cursor, FRAME, SUBPROTOCOL } from "#contracts/frame";
import { readHello } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { makeCard } from "#sdk/card";
import { CHUNK_CONTENT_BYTES, type Manifest, readManifest, writeChunk } from "#sdk/chunk";
import type { Socket } from "#sdk/device";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import { identityOf } from "#sdk/identity";
import { FakeMarket } from "#test/support/fakemarket";
import { startTestRelay, type TestRelay } from "#test/support/relay";
import { marketInMemory, type Person, person, type TestMarket, until } from "#test/support/sdk";

type Line = { readonly url: string; readonly types: Set<number>; granted: boolean; cut(): void };

/** A network that counts what is uploaded to each relay, and can be cut. */
function network() {
	const lines: Line[] = [];
	const uploaded = new Map<string, number>();
	const fans: number[] = [];
	/** Called for each message that goes out. */
	const watch: { sent?: (line: Line) => void } = {};
	const connect = (url: string): Socket => {
		const socket = new WebSocket(url, SUBPROTOCOL);
		const send = socket.send.bind(socket);
		const line: Line = { url, types: new Set(), granted: false, cut: () => socket.close() };
		lines.push(line);
		socket.send = (data) => {
			const message = data as Uint8Array<ArrayBuffer>;
			uploaded.set(url, (uploaded.get(url) ?? 0) + message.length);
			const c = cursor();
			while (advance(message, c)) {
				line.types.add(c.type);
				const body = message.subarray(c.start, c.end);
				if (c.type === FRAME.fan) fans.push(readFan(body)?.handles.length ?? 0);
				const hello = c.type === FRAME.hello ? readHello(body) : undefined;
				if (hello && !isProblem(hello) && hello.grant) line.granted = true;
			}
			send(message);
			watch.sent?.(line);
		};
		return socket as unknown as Socket;
	};
	return { connect, lines, uploaded, fans, watch };
}

type Friend = Person & { readonly card: string };

/** Relays, and Alice on a network that is watched. */
async function town(t: TestContext, relays = 1) {
	const fake = await FakeMarket.start();
	const all: TestRelay[] = [];
	for (let i = 0; i < relays; i++) all.push(await startTestRelay(t, {}, { market: fake }));
	t.after(() => fake.stop());
	const offers = all.map((relay) => ({ key: relay.publicKey, url: `ws://127.0.0.1:${relay.port}/` }));
	const market = marketInMemory(offers, fake);
	const net = network();
	const alice = await person(market, { parts: { connect: net.connect } });
	const people: Person[] = [alice];
	t.after(() => Promise.all(people.map(({ client }) => client.close())));
	const friends = async (count: number, at = 0): Promise<Friend[]> =>
		Promise.all(
			Array.from({ length: count }, async () => {
				const someone = await person(market);
				people.push(someone);
				return {
					...someone,
					card: await someone.client.card({ relay: offers[at] as { key: Uint8Array; url: string } }),
				};
			}),
		);
	return { relays: all, offers, market, alice, net, friends, people };
}

/** Reads until one file is there; answers its bytes and how many pieces of it came. */
async function receive({ client }: Person, sizeBytes: number) {
	const sink = bytesSink(sizeBytes);
	let received = 0;
	let failed: unknown;
	await client.listen({
		file: () => sink,
		received: () => void received++,
		failed: (_file, why) => {
			failed = why;
		},
	});
	await until(() => received > 0 || failed !== undefined, "the file comes", 20_000);
	return { bytes: sink.bytes, received, failed };
}

const usedBytes = async (market: TestMarket, { client }: Person) => {
	assert.ok(market.grants.length > 0);
	return (await client.settle()).reduce((sum, { agreement }) => sum + (agreement?.usage.used.bytes ?? 0n), 0n);
};

suite("a photo for several friends", () => {
	test("is uploaded once for all who are at one relay, priced for each, and each has it", async (t) => {
		const { alice, net, friends, relays, offers, market } = await town(t, 2);
		const all = [...(await friends(3, 0)), ...(await friends(2, 1))];
		const cards = all.map(({ card }) => card);
		const photo = crypto.random(600_000);
		const estimate = await alice.client.estimate(cards, bytesSource("photo.jpg", photo));
		const one = await alice.client.estimate(cards[0] as string, bytesSource("photo.jpg", photo));
		assert.equal(estimate.sealedBytes, 5n * one.sealedBytes, "a copy for each is priced");
		let priced: unknown;
		const ticks: string[] = [];
		const kept: number[] = [];
		const outcomes = await alice.client.send(cards, bytesSource("photo.jpg", photo), {
			priced: (cost) => {
				priced = cost;
			},
			progress: (bytes) => kept.push(bytes),
			tick: (tick, to) => ticks.push(`${tick} ${toHex(to).slice(0, 4)}`),
		});
		assert.deepEqual(priced, estimate);
		assert.deepEqual(
			outcomes.map(({ to, answer }) => [toHex(to), !isProblem(answer) && answer.tick]),
			all.map(({ client }) => [client.account, "sent"]),
		);
		assert.equal(new Set(ticks).size, 10, "waiting and sent, for each");
		assert.equal(kept.at(-1), 5 * photo.length);
		for (const { url } of offers) {
			const bytes = net.uploaded.get(url) ?? 0;
			assert.ok(bytes < 630_000, `${bytes} bytes went to ${url}`);
		}
		assert.deepEqual([...new Set(net.fans)].sort(), [2, 3], "each slice is one fan at each relay");
		for (const friend of all) assert.deepEqual((await receive(friend, photo.length)).bytes, photo);
		assert.equal(await usedBytes(market, alice), estimate.sealedBytes, "and nothing is charged besides");
		assert.deepEqual(await alice.storage.list("outbox/"), []);
		assert.equal(relays.length, 2);
	});

	test("never pays further ahead than a step: of many copies the first slices go in parts until the relay has earned more", async (t) => {
		const { alice, net, friends, offers, market } = await town(t);
		const all = await friends(12);
		const photo = crypto.random(900_000);
		await alice.client.send(
			all.map(({ card }) => card),
			bytesSource("photo.jpg", photo),
		);
		assert.equal(net.fans[0], LIMIT.stepBytesFirst / LIMIT.sliceBytes, "four slices are a stranger's step");
		const bytes = net.uploaded.get(offers[0]?.url as string) ?? 0;
		assert.ok(bytes < 1.2 * photo.length, `${bytes} bytes went up for twelve friends`);
		assert.equal(net.fans.at(-1), 12);
		assert.deepEqual((await receive(all[7] as Person, photo.length)).bytes, photo);
		assert.ok((await usedBytes(market, alice)) > 12n * 900_000n);
	});

	test("whoever cannot have it is said, and the others have it; what is agreed for a day bounds all of it together", async (t) => {
		const { alice, friends, offers, people, market } = await town(t);
		const [bob, carol] = (await friends(2)) as [Friend, Friend];
		const nobody = await person(market);
		people.push(nobody);
		const away = makeCard(nobody.client.device, identityOf(nobody.client.device, nobody.seed), offers, { name: "" });
		const photo = crypto.random(40_000);
		const spent = await alice.client.spentToday();
		const outcomes = await alice.client.send([bob.card, away, carol.card], bytesSource("a.jpg", photo));
		assert.deepEqual(
			outcomes.map(({ answer }) => (isProblem(answer) ? answer.problem : answer.tick)),
			["sent", "mailbox-unknown", "sent"],
		);
		for (const friend of [bob, carol]) assert.deepEqual((await receive(friend, photo.length)).bytes, photo);
		const two = await alice.client.estimate([bob.card, carol.card], bytesSource("a.jpg", photo));
		assert.equal((await alice.client.spentToday()) - spent, two.total, "what was refused is given back");
		const waiting = await alice.client.waiting();
		assert.deepEqual(
			waiting.map(({ to }) => toHex(to)),
			[nobody.client.account],
			"only theirs waits",
		);
		alice.client.spendLimit(((await alice.client.spentToday()) + (two.total * 3n) / 4n) as never);
		const refused = await alice.client.send([bob.card, carol.card], bytesSource("b.jpg", photo));
		assert.deepEqual(
			refused.map(({ answer }) => isProblem(answer) && answer.problem),
			["spending-limit", "spending-limit"],
		);
	});

	test("threat 6: a line that is cut in the middle costs nothing twice, and nobody has a piece twice", async (t) => {
		const { alice, net, friends, relays, market } = await town(t);
		const all = await friends(3);
		const cards = all.map(({ card }) => card);
		const photo = crypto.random(700_000);
		const estimate = await alice.client.estimate(cards, bytesSource("photo.jpg", photo));
		let messages = 0;
		let cuts = 0;
		net.watch.sent = (line) => {
			messages++;
			if (cuts >= 4 || messages % 9 !== 0) return;
			cuts++;
			line.cut();
		};
		const sending = alice.client.send(cards, bytesSource("photo.jpg", photo));
		const hurry = setInterval(() => void alice.client.hurry(), 20);
		const outcomes = await sending.finally(() => clearInterval(hurry));
		assert.ok(outcomes.every(({ answer }) => !isProblem(answer)));
		assert.equal(cuts, 4);
		assert.ok(net.lines.filter(({ granted }) => granted).length >= 4, "it was sent over several lines");
		const [relay] = relays as [TestRelay];
		const chunks = Math.ceil(photo.length / CHUNK_CONTENT_BYTES);
		assert.equal(relay.counts.live + relay.counts.toDisk, 3 * (chunks + 1), "each piece is kept once for each");
		assert.equal(await usedBytes(market, alice), estimate.sealedBytes);
		for (const friend of all) assert.deepEqual((await receive(friend, photo.length)).bytes, photo);
	});

	test("a sender that stops in the middle goes on for each friend where it was, with the same file", async (t) => {
		const { alice, net, friends, market, people } = await town(t);
		const all = await friends(3);
		const cards = all.map(({ card }) => card);
		const photo = crypto.random(3_000_000);
		let kept = 0;
		const sending = alice.client.send(cards, bytesSource("film", photo), {
			progress: (bytes) => {
				kept = bytes;
				if (kept > 4_000_000) void alice.client.close();
			},
		});
		const first = await sending;
		assert.ok(first.every(({ answer }) => isProblem(answer) && answer.problem === "unavailable"));
		assert.equal((await alice.client.waiting()).length, 0 + 3);
		const again = await person(market, { ...alice, parts: { connect: net.connect } });
		people.push(again);
		const progress: number[] = [];
		const outcomes = await again.client.send(cards, bytesSource("film", photo), {
			progress: (now) => progress.push(now),
		});
		assert.ok(outcomes.every(({ answer }) => !isProblem(answer)));
		assert.ok((progress[0] ?? 0) > 2_000_000, "it did not begin anew");
		assert.equal(progress.at(-1), 3 * photo.length);
		for (const friend of all) {
			const { bytes, received } = await receive(friend, photo.length);
			assert.deepEqual(bytes, photo);
			assert.equal(received, 1);
		}
		assert.deepEqual(await again.storage.list("outbox/"), []);
		const total = await usedBytes(market, again);
		// what was under way when she stopped, and what was not written down yet, is paid for once more
		assert.ok(total < 3n * 3_050_000n + 3n * 128n * 16_384n, `${total}`);
	});

	test("no nonce covers two plaintexts: a file that changes after it was checked stops, and what went to one friend is noted for all", async (t) => {
		const { alice, net, friends, market, people } = await town(t);
		const all = await friends(2);
		const cards = all.map(({ card }) => card);
		const film = crypto.random(3_000_000);
		const stopped = await alice.client.send(cards, bytesSource("film", film), {
			progress: (bytes) => {
				if (bytes > 1_000_000) void alice.client.close();
			},
		});
		assert.ok(stopped.every(({ answer }) => isProblem(answer)));
		const restart = async () => {
			const again = await person(market, { ...alice, parts: { connect: net.connect } });
			people.push(again);
			return again;
		};
		/** As it was while it is checked, and one byte of it different when it is sent. */
		let readBytes = 0;
		const changing = {
			...bytesSource("film", film),
			read: async (offset: number, length: number) => {
				const bytes = film.slice(offset, offset + length);
				readBytes += length;
				if (readBytes > film.length) bytes[length - 1] = (bytes[length - 1] as number) ^ 1;
				return bytes;
			},
		};
		const second = await restart();
		const changed = await second.client.send(cards, changing);
		assert.deepEqual(
			changed.map(({ answer }) => isProblem(answer) && answer.problem),
			["file-changed", "file-changed"],
		);
		await second.client.close();
		const third = await restart();
		const [first] = await third.client.waiting();
		assert.ok(first);
		await third.client.resumeFile(first.id, bytesSource("film", film));
		const [left] = await third.storage.list("outbox/");
		const row = JSON.parse(new TextDecoder().decode(await third.storage.get(left as string))) as {
			file: { sentTo: number };
		};
		assert.ok(row.file.sentTo >= Math.ceil(film.length / CHUNK_CONTENT_BYTES), `${row.file.sentTo}`);
		const before = await third.client.spentToday();
		const outcomes = await third.client.send(cards, bytesSource("film", film));
		assert.deepEqual(
			outcomes.map(({ answer }) => !isProblem(answer) && answer.cost.total > 0n).sort(),
			[false, true],
			"who has it already is not sent it again",
		);
		assert.ok(outcomes.some(({ answer }) => !isProblem(answer) && toHex(answer.id) === toHex(first.id)));
		const one = await third.client.estimate(cards[0] as string, bytesSource("film", film));
		assert.ok((await third.client.spentToday()) - before <= one.total);
		assert.deepEqual(await third.storage.list("outbox/"), []);
		for (const friend of all) {
			const { bytes, received } = await receive(friend, film.length);
			assert.deepEqual([bytes, received], [film, 1]);
		}
	});

	test("threat 10: a friend who has the key cannot pass anything else off as the file on another, only spoil it", async (t) => {
		const { alice, friends, market, relays } = await town(t);
		const [bob, eve] = (await friends(2)) as [Friend, Friend];
		const photo = crypto.random(50_000);
		// Eve has read her letter before Bob is there, and knows the stream and the key
		let manifest: Manifest | undefined;
		const put = alice.storage.put;
		alice.storage.put = async (key, value) => {
			if (key.startsWith("outbox/") && !manifest) {
				const row = JSON.parse(new TextDecoder().decode(value)) as { file?: { manifest: string } };
				const read = row.file && readManifest(Uint8Array.from(Buffer.from(row.file.manifest, "hex")));
				if (read && !isProblem(read)) manifest = read;
			}
			return put(key, value);
		};
		const [sent] = await alice.client.send([eve.card], bytesSource("unrelated", crypto.random(10)));
		assert.ok(sent && !isProblem(sent.answer));
		manifest = undefined;
		let forged = false;
		const sink = bytesSink(photo.length);
		const failed: string[] = [];
		const problems: string[] = [];
		const [relay] = relays as [TestRelay];
		const card = readCardLink(crypto, bob.card);
		assert.ok(!isProblem(card));
		const mallory = await relay.sender();
		mallory.put(
			mallory.payFrame(200_000),
			mallory.openFrame(1, card.homes[0]?.mailbox as Uint8Array, 3_600, card.token),
		);
		let received = 0;
		await bob.client.listen({
			file: async () => {
				// her piece overtakes the rest
				assert.ok(manifest);
				const piece = writeChunk(bob.client.device.sodium, manifest, 1, crypto.random(CHUNK_CONTENT_BYTES));
				mallory.put(mallory.sendFrame(1, 0, piece));
				await until(() => relay.counts.live + relay.counts.toDisk > 0, "it is on its way");
				forged = true;
				return sink;
			},
			received: () => void received++,
			failed: (_file, why) => void failed.push(why.problem),
			problem: (why) => void problems.push(why.problem),
		});
		await alice.client.send([bob.card, eve.card], bytesSource("photo.jpg", photo));
		await until(() => received + failed.length > 0, "it is over");
		assert.ok(forged);
		if (received > 0) assert.deepEqual(sink.bytes, photo, "what Bob is shown is what Alice sent");
		else assert.deepEqual([failed, sink.bytes], [["seal-broken"], undefined], "or nothing");
		assert.deepEqual((await receive(eve, photo.length)).received >= 1, true);
		assert.ok(market.grants.length > 0);
	});

	test("a text goes to each as a letter of their own, by each one's relay", async (t) => {
		const { alice, friends, net } = await town(t, 2);
		const all = [...(await friends(2, 0)), ...(await friends(1, 1))];
		const outcomes = await alice.client.send(
			all.map(({ card }) => card),
			"hello, all",
		);
		assert.ok(outcomes.every(({ answer }) => !isProblem(answer)));
		assert.equal(new Set(outcomes.map(({ answer }) => !isProblem(answer) && toHex(answer.id))).size, 3);
		assert.deepEqual(net.fans, [], "no two seals are alike");
		for (const { client } of all) {
			const texts: string[] = [];
			await client.listen({ text: ({ text }) => void texts.push(text) });
			await until(() => texts.length === 1, "the text arrives");
			assert.deepEqual(texts, ["hello, all"]);
		}
	});
});

suite("PROTOCOL: Sending (live only), Hello", () => {
	test("a TTL of 0 is passed to who listens and gone for who does not, and the app is told which", async (t) => {
		const { alice, friends, relays } = await town(t);
		const [bob] = (await friends(1)) as [Friend];
		await until(() => relays[0]?.counts.listening === 0, "the connection that made his mailbox is over");
		await assert.rejects(
			alice.client.send(bob.card, "are you there?", { ttlS: 0 }),
			(error) => error instanceof FarelayError && error.problem.problem === "gone" && error.problem.spent === "no",
		);
		assert.deepEqual(await alice.client.waiting(), [], "what is live only waits nowhere");
		assert.equal(await alice.client.spentToday(), 0n);
		const texts: string[] = [];
		await bob.client.listen({ text: ({ text }) => void texts.push(text) });
		const ticks: string[] = [];
		await until(async () => {
			const sent = await alice.client
				.send(bob.card, "now?", { ttlS: 0, tick: (tick) => ticks.push(tick) })
				.catch(() => undefined);
			return sent?.tick === "passed";
		}, "it is passed");
		assert.equal(ticks.at(-1), "passed");
		await until(() => texts.includes("now?"), "he has it");
		const file = crypto.random(40_000);
		const sink = bytesSink(file.length);
		let received = 0;
		await bob.client.close();
		await until(() => relays[0]?.counts.listening === 0, "he is away");
		await bob.client.listen({ file: () => sink, received: () => void received++ });
		await until(async () => {
			const sent = await alice.client.send(bob.card, bytesSource("live.jpg", file), { ttlS: 0 }).catch(() => undefined);
			return sent?.tick === "passed";
		}, "a file is passed too");
		await until(() => received > 0, "he has it");
		assert.deepEqual(sink.bytes, file);
		assert.deepEqual(await alice.storage.list("outbox/"), []);
	});

	test("no relay sees a tab and a mailbox on one socket, nor one key on two", async (t) => {
		const { alice, friends, net } = await town(t);
		const [bob] = (await friends(1)) as [Friend];
		await alice.client.card();
		await alice.client.listen({});
		await alice.client.send(bob.card, "hello");
		await alice.client.send(bob.card, bytesSource("a", crypto.random(40_000)));
		await until(() => net.lines.some(({ types }) => types.has(FRAME.listen)), "she listens");
		for (const { types, granted } of net.lines) {
			const paying = granted || [FRAME.voucher, FRAME.open, FRAME.send, FRAME.fan].some((type) => types.has(type));
			assert.ok(!(paying && types.has(FRAME.listen)), `${[...types]}`);
		}
		assert.equal(net.lines.filter(({ granted }) => granted).length, 1);
	});

	for (const hours of [-7, 5])
		test(`threat 14: a clock that is ${hours} h off is corrected by the relay's, once for sending and for reading`, async (t) => {
			const { friends, market, people } = await town(t);
			const net = network();
			const nowMs = () => Date.now() + hours * 3_600_000;
			const late = await person(market, { parts: { nowMs, connect: net.connect } });
			people.push(late);
			const [bob] = (await friends(1)) as [Friend];
			const sent = await late.client.send(bob.card, "what time is it?");
			assert.equal(sent.tick, "sent");
			assert.equal(net.lines.length, 2, "one hello was refused, the next was right");
			const card = await late.client.card();
			const texts: string[] = [];
			await late.client.listen({ text: ({ text }) => void texts.push(text) });
			await bob.client.send(card, "time to sleep");
			await until(() => texts.length === 1, "she reads");
			assert.equal(net.lines.length, 4, "what was learned holds for every other connection");
		});
});
