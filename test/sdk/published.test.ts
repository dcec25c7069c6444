import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import type { Problem, ProblemCode } from "#contracts/problem";
import { readPlaceLink, readPublished } from "#contracts/published";
import { makeCard } from "#sdk/card";
import type { Client, ClientOptions } from "#sdk/client";
import { LOOK_AGAIN_MS } from "#sdk/contacts";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import { Publishing } from "#sdk/publishing";
import { putJson } from "#sdk/storage";
import { fine } from "#test/support/market";
import { until } from "#test/support/sdk";
import { startWorld, type World, type WorldRelay } from "#test/support/world";

/** Between people and a market: passes everything on, or answers a question for a card with what it is told to. */
class Between {
	url = "";
	reads = 0;
	/** Bytes of an answer without end that were taken. */
	taken = 0;
	/** In place of the market's answer: a body, or bytes without end. */
	lie: object | "endless" | undefined;
	private server: Server | undefined;
	private readonly market: string;

	constructor(market: string) {
		this.market = market;
	}

	async open(): Promise<this> {
		const server = createServer(async (request, response) => {
			const pieces: Buffer[] = [];
			for await (const piece of request) pieces.push(piece as Buffer);
			const isRead = request.url === "/v1/card/read";
			if (isRead) this.reads++;
			if (isRead && this.lie === "endless") {
				response.writeHead(200, { "content-type": "application/json" });
				const spaces = async function* (this: Between) {
					for (; !response.destroyed; this.taken += 65_536) yield " ".repeat(65_536);
				};
				await pipeline(spaces.call(this), response).catch(() => {});
				return;
			}
			if (isRead && this.lie)
				return void response.setHeader("content-type", "application/json").end(JSON.stringify(this.lie));
			const { authorization, "content-type": type } = request.headers;
			const answer = await fetch(`${this.market}${request.url}`, {
				method: request.method ?? "GET",
				headers: { ...(authorization && { authorization }), ...(type && { "content-type": type }) },
				...(request.method === "POST" && { body: Buffer.concat(pieces) }),
			});
			response.writeHead(answer.status, { "content-type": "application/json" });
			response.end(Buffer.from(await answer.arrayBuffer()));
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
		this.server = server;
		return this;
	}

	async close(): Promise<void> {
		this.server?.closeAllConnections();
		await new Promise((resolve) => this.server?.close(resolve));
	}

	/** A link of the market's as it leads through here. */
	through(link: string): string {
		return link.replace(this.market, this.url);
	}

	/** What the market shows now. */
	async shown(link: string): Promise<{ card: string }> {
		const place = fine(readPlaceLink(link));
		const answer = await fetch(`${this.market}/v1/card/read`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ place: toHex(place.place) }),
		});
		return (await answer.json()) as { card: string };
	}
}

/** A clock of one's own, that a test moves on. */
function watch() {
	const clock = { aheadMs: 0, device: { nowMs: () => Date.now() + clock.aheadMs } };
	return clock;
}

async function refusal(asked: Promise<unknown>): Promise<ProblemCode> {
	try {
		await asked;
	} catch (error) {
		if (error instanceof FarelayError) return error.problem.problem;
		throw error;
	}
	return assert.fail("was not refused");
}

suite("a published card: one link, whatever becomes of the card", () => {
	let world: World;
	let first: WorldRelay;
	let second: WorldRelay;
	const open: Between[] = [];
	const relayOf = ({ running }: WorldRelay) => ({ key: running.publicKey, url: running.url });
	const someone = (given: Partial<ClientOptions> & { dollars?: ReturnType<typeof amount> } = {}) => world.person(given);
	const between = async () => {
		const door = await new Between(world.market.url).open();
		open.push(door);
		return door;
	};

	before(async () => {
		world = await startWorld();
		first = await world.relay();
		second = await world.relay();
	});
	after(async () => {
		for (const door of open) await door.close();
		await world?.end();
	});

	test("Alice writes to Bob by it; the link stays when Bob calls himself something else", async () => {
		const [alice, bob] = [await someone(), await someone({ dollars: amount(0n) })];
		const link = await bob.publishCard({ name: "Bob", relay: relayOf(first) });
		assert.match(link, new RegExp(`^${world.market.url}/card#[A-Za-z0-9_-]{87}$`));
		assert.equal((await alice.send(link, "By your link")).tick, "sent");
		const texts: string[] = [];
		await bob.listen({ text: ({ text }) => void texts.push(text) });
		await until(() => texts.length === 1, "the text arrives");
		assert.deepEqual(texts, ["By your link"]);

		assert.equal(await bob.publishCard({ name: "Robert" }), link);
		const carol = await someone();
		assert.equal((await carol.resolve(link)).name, "Robert");
		assert.deepEqual((await carol.resolve(link)).identity, bob.identity.account.publicKey);
	});

	test("what the market has of two people tells them apart in nothing but chance: neither name nor relays nor their number", async () => {
		const [short, long] = [await someone(), await someone()];
		const links = [
			await short.publishCard({ relay: relayOf(first) }),
			await long.publishCard({ relays: [relayOf(first), relayOf(second)], name: "é".repeat(32) }),
		];
		const door = await between();
		const shown = await Promise.all(links.map(async (link) => fromHex((await door.shown(link)).card) as Uint8Array));
		assert.equal(shown[0]?.length, shown[1]?.length);
		for (const [person, bytes] of [
			[short, shown[0]],
			[long, shown[1]],
		] as const) {
			const hex = toHex(bytes as Uint8Array);
			const { account, seal, mailbox } = person.identity;
			for (const known of [
				account.publicKey,
				seal.publicKey,
				mailbox(first.running.publicKey).publicKey,
				first.running.publicKey,
			])
				assert.ok(!hex.includes(toHex(known)));
		}
	});

	test("a market that shows an older card, another person's, nonsense or no end is not believed: Alice goes on with the card in hand", async () => {
		const clock = watch();
		const told: Problem[] = [];
		const door = await between();
		const alice = await someone({ device: clock.device, onProblem: (why) => told.push(why) });
		const [bob, mallory] = [await someone(), await someone()];
		const link = door.through(await bob.publishCard({ name: "one", relay: relayOf(first) }));
		const older = await door.shown(link);
		await bob.publishCard({ name: "two" });
		assert.equal((await alice.resolve(link)).name, "two");
		const theirs = await door.shown(await mallory.publishCard({ name: "Bob" }));
		const bent = (await door.shown(link)).card;
		const lies: [string, Between["lie"], ProblemCode, ProblemCode][] = [
			["an older one", older, "conflict", "conflict"],
			["another person's", theirs, "signature-bad", "signature-bad"],
			[
				"one with a bit changed",
				{ card: `${bent.slice(0, 400)}${bent[400] === "0" ? "1" : "0"}${bent.slice(401)}` },
				"signature-bad",
				"signature-bad",
			],
			["one that is cut off", { card: bent.slice(0, -2) }, "malformed", "malformed"],
			["no hex", { card: "hello" }, "malformed", "malformed"],
			["no card", {}, "malformed", "malformed"],
			["a list", [1], "malformed", "malformed"],
			["nothing there", { problem: "not-found", retry: false, spent: "no", detail: "" }, "not-found", "not-found"],
			["no end", "endless", "unavailable", "unavailable"],
		];
		for (const [what, lie, code, forStrangers] of lies) {
			door.lie = lie;
			clock.aheadMs += LOOK_AGAIN_MS;
			told.length = 0;
			assert.equal((await alice.resolve(link)).name, "two", what);
			assert.deepEqual(
				told.map(({ problem }) => problem),
				[code],
				what,
			);
			if (what === "an older one") continue; // which somebody who never saw the newer one cannot tell
			assert.equal(await refusal((await someone({ dollars: amount(0n) })).resolve(link)), forStrangers, what);
		}
		assert.ok(door.taken < 64_000_000, `${door.taken} bytes of an answer without end were taken`);
		door.lie = undefined;
		clock.aheadMs += LOOK_AGAIN_MS;
		await bob.publishCard({ name: "three" });
		assert.equal((await alice.resolve(link)).name, "three", "and a market that has come to its senses is believed");
	});

	test("a card that its owner put for a year is over at its own end, whatever the market still shows", async () => {
		const clock = watch();
		const door = await between();
		const bob = await someone();
		const link = door.through(await bob.publishCard({ relay: relayOf(first) }));
		door.lie = await door.shown(link);
		clock.aheadMs = LIMIT.publishedMsMax + 60_000;
		assert.equal(
			await refusal((await someone({ device: clock.device, dollars: amount(0n) })).resolve(link)),
			"not-found",
		);
	});

	test("the market is away: the card in hand still works, and a stranger is told why not", async () => {
		const clock = watch();
		const door = await between();
		const [alice, bob] = [await someone({ device: clock.device }), await someone()];
		const link = door.through(await bob.publishCard({ relay: relayOf(first) }));
		await alice.send(link, "before");
		await door.close();
		clock.aheadMs = LOOK_AGAIN_MS;
		assert.equal((await alice.send(link, "while it is away")).tick, "sent");
		assert.equal(await refusal((await someone()).send(link, "a stranger")), "unavailable");
	});

	test("Bob moves while his old relay is gone for good: Alice's message finds him at the new one, once", async () => {
		const clock = watch();
		const door = await between();
		const alice = await someone({ device: clock.device });
		const bob = await someone();
		const gone = await world.relay();
		const link = door.through(await bob.publishCard({ relay: relayOf(gone) }));
		await alice.send(link, "at the old relay");
		await gone.running.stop();
		await bob.card({ relay: relayOf(second) });
		const texts: string[] = [];
		await bob.listen({ text: ({ text }) => void texts.push(text) });

		const reads = door.reads;
		const card = await alice.resolve(link);
		assert.equal(door.reads, reads, "a card that was just looked at is not asked for again");
		clock.aheadMs = LOOK_AGAIN_MS;
		assert.equal((await alice.send(card, "at the new one")).tick, "sent");
		await until(() => texts.length === 1, "the text arrives");
		assert.deepEqual(texts, ["at the new one"]);
		assert.equal(door.reads, reads + 1);
		assert.deepEqual((await alice.resolve(link)).homes[0]?.relay, second.running.publicKey);
		assert.deepEqual(await alice.waiting(), []);
		const settled = alice.settle();
		await alice.send(card, "and an old card in an app's list undoes no move");
		await until(() => texts.length === 2, "it arrives too");
		await settled;
	});

	test("a message that was sealed by an earlier start of the app is not given up for a move: it waits for the relay that it is for", async () => {
		const [clock, door] = [watch(), await between()];
		const away = await world.relay();
		const [alice, bob] = [await someone({ device: clock.device }), await someone()];
		const link = door.through(await bob.publishCard({ relay: relayOf(away) }));
		await alice.send(link, "so that there is a tab");
		await away.running.stop();
		const refused = refusal(alice.send(link, "sealed and not sent"));
		await until(async () => (await alice.waiting()).length === 1, "it waits");
		await alice.close();
		assert.equal(await refused, "unavailable");
		await bob.card({ relay: relayOf(second) });

		clock.aheadMs = LOOK_AGAIN_MS;
		let unreachable = 0;
		const again = await someone({ device: clock.device, storage: alice.storage, onProblem: () => unreachable++ });
		const resumed = again.resume();
		await until(() => unreachable >= 2, "the relay was tried again");
		assert.equal((await again.waiting()).length, 1);
		await away.restart();
		await again.hurry();
		assert.deepEqual(
			(await resumed).map(({ tick }) => tick),
			["sent"],
		);
	});

	test("Bob's mailbox is not where his card says: Alice asks once, and sends a text and a file to where it is", async () => {
		const clock = watch();
		const door = await between();
		const alice = await someone({ device: clock.device });
		const bob = await someone();
		// a card at a relay where he never listened
		const early = makeCard(bob.device, bob.identity, [relayOf(first)]);
		const link = door.through(fine(await new Publishing(bob.device, bob.identity, bob.market).publish(early)));
		assert.equal(await refusal(alice.send(link, "too early")), "mailbox-unknown");
		for (const _ of [1, 2, 3]) assert.equal(await refusal(alice.send(link, "again")), "mailbox-unknown");
		assert.equal(door.reads, 1, "however often it is refused");

		await bob.card({ relay: relayOf(second) });
		clock.aheadMs = LOOK_AGAIN_MS;
		const texts: string[] = [];
		const sink = bytesSink(40_000);
		await bob.listen({
			text: ({ text }) => void texts.push(text),
			file: () => sink,
			received: ({ name }) => void texts.push(name),
		});
		assert.equal((await alice.send(early, bytesSource("rain.csv", new Uint8Array(40_000).fill(7)))).tick, "sent");
		assert.equal((await alice.send(early, "here you are")).tick, "sent");
		await until(() => texts.length === 2, "both arrive");
		assert.deepEqual(texts.toSorted(), ["here you are", "rain.csv"]);
		assert.deepEqual(sink.bytes, new Uint8Array(40_000).fill(7));
		assert.deepEqual(await alice.waiting(), []);
	});

	test("Bob takes it back: strangers find nothing, Alice's card in hand works, and he may publish again under the same link", async () => {
		const [alice, bob, carol] = [await someone(), await someone(), await someone()];
		const link = await bob.publishCard({ relay: relayOf(first) });
		await alice.send(link, "hello");
		await bob.unpublishCard();
		assert.equal(await refusal(carol.send(link, "hello")), "not-found");
		assert.equal((await alice.send(link, "hello again")).tick, "sent");
		assert.equal(await bob.publishCard(), link);
		assert.equal((await carol.send(link, "hello")).tick, "sent");
	});

	test("a phone that was restored from the seed publishes over what is there, however high its serial was", async () => {
		const bob = await someone();
		await putJson(bob.device.storage, "published", { serial: Date.now() + 1_000_000_000, atMs: 0 });
		const link = await bob.publishCard({ name: "before", relay: relayOf(first) });
		const again = await someone({ seed: bob.identity.seed, dollars: amount(0n) });
		assert.equal(await again.publishCard({ name: "after", relay: relayOf(first) }), link);
		assert.equal((await (await someone({ dollars: amount(0n) })).resolve(link)).name, "after");
	});

	test("a day later Bob's phone says it again by itself", async () => {
		const clock = watch();
		const bob = await someone({ device: clock.device, dollars: amount(0n) });
		const door = await between();
		const link = await bob.publishCard({ name: "Bob", relay: relayOf(first) });
		const serial = async () =>
			fine(readPublished(bob.device.crypto, fromHex((await door.shown(link)).card) as Uint8Array)).serial;
		const before = await serial();
		clock.aheadMs = 25 * 60 * 60_000;
		await listenFor(bob);
		await until(async () => (await serial()) > before, "it is published again");
		assert.equal((await (await someone({ dollars: amount(0n) })).resolve(link)).name, "Bob");
	});

	async function listenFor(person: Client): Promise<void> {
		await person.listen({ text: () => {} });
	}
});
