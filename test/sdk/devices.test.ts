import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import type { Problem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { type Client, createClient } from "#sdk/client";
import { bytesSink, bytesSource } from "#sdk/file";
import type { MailboxReport } from "#sdk/inbox";
import { memoryStorage, type Storage } from "#sdk/storage";
import { until } from "#test/support/sdk";
import { startWorld, type World, type WorldRelay } from "#test/support/world";

/** One installation of an account, and what it was given. */
type Installation = {
	readonly client: Client;
	readonly storage: Storage;
	readonly texts: string[];
	readonly files: Uint8Array[];
	readonly reports: MailboxReport[];
	readonly problems: Problem[];
};

/** A copy of storage as a backup would have it. */
async function backup(storage: Storage): Promise<Storage> {
	const copy = memoryStorage();
	for (const key of await storage.list("")) await copy.put(key, (await storage.get(key)) as Uint8Array);
	return copy;
}

suite("an account on several devices", () => {
	let world: World;
	let relay: WorldRelay;
	let alice: Client;
	const open: Client[] = [];

	/** Installs the account of a seed and listens. */
	const install = async (seed: Uint8Array, storage: Storage = memoryStorage()): Promise<Installation> => {
		const client = await createClient({ market: world.market.url, storage, seed });
		open.push(client);
		const texts: string[] = [];
		const files: Uint8Array[] = [];
		const reports: MailboxReport[] = [];
		const problems: Problem[] = [];
		const sinks = new Map<string, ReturnType<typeof bytesSink>>();
		await client.listen({
			text: ({ text }) => void texts.push(text),
			file: ({ stream, sizeBytes }) => {
				const sink = bytesSink(sizeBytes);
				sinks.set(stream, sink);
				return sink;
			},
			received: ({ stream }) => void files.push(sinks.get(stream)?.bytes as Uint8Array),
			report: (report) => void reports.push(report),
			problem: (problem) => void problems.push(problem),
		});
		await until(() => reports.length > 0, "it listens");
		return { client, storage, texts, files, reports, problems };
	};

	before(async () => {
		world = await startWorld();
		relay = await world.relay();
		alice = await world.person();
	});
	after(async () => {
		for (const client of open) await client.close();
		const report = await world.end();
		assert.ok(report.holds, report.findings.join("; "));
	});

	test("two clients with one identity both receive everything, there or away, texts and files", async () => {
		const seed = crypto.random(32);
		const phone = await install(seed);
		const laptop = await install(seed);
		const card = await phone.client.card();
		assert.deepEqual([phone.reports[0]?.fresh, laptop.reports[0]?.fresh], [true, true]);
		const bytes = crypto.random(200_000);
		await alice.send(card, "to both");
		await alice.send(card, bytesSource("a.bin", bytes));
		await until(() => phone.files.length === 1 && laptop.files.length === 1, "both have the file");
		assert.deepEqual([phone.files, laptop.files], [[bytes], [bytes]]);
		await laptop.client.close();
		await alice.send(card, "while one is away");
		await until(() => phone.texts.length === 2, "the phone has it");
		await phone.client.close();
		await relay.restart();
		await alice.send(card, "while both are away");
		const [phoneAgain, laptopAgain] = [await install(seed, phone.storage), await install(seed, laptop.storage)];
		await until(() => laptopAgain.texts.length === 2 && phoneAgain.texts.length === 1, "both have the rest");
		assert.deepEqual(laptop.texts, ["to both"]);
		assert.deepEqual(laptopAgain.texts, ["while one is away", "while both are away"]);
		assert.deepEqual([phone.texts, phoneAgain.texts], [["to both", "while one is away"], ["while both are away"]]);
		assert.deepEqual([phoneAgain.reports[0]?.fresh, laptopAgain.reports[0]?.fresh], [false, false]);
	});

	test("shows an account's devices, and gives up one that was lost: it listens no more", async () => {
		const seed = crypto.random(32);
		const phone = await install(seed);
		const laptop = await install(seed);
		const all = await laptop.client.devices();
		assert.deepEqual(
			all.map(({ mine }) => mine),
			[false, true],
		);
		const connections = relay.running.counts.open;
		const [lost] = all;
		assert.ok(lost && Math.abs(lost.seenMs - Date.now()) < 60_000);
		await laptop.client.forgetDevice(lost);
		await until(() => phone.problems.some(({ problem }) => problem === "conflict"), "the phone is told");
		await until(() => relay.running.counts.open === connections - 1, "and its connection ends");
		assert.deepEqual(
			(await laptop.client.devices()).map(({ mine }) => mine),
			[true],
		);
		await alice.send(await laptop.client.card(), "after that");
		await until(() => laptop.texts.length === 1, "the laptop has it");
		assert.deepEqual(phone.texts, []);
		// nobody listens by this one: it asks by a visit, and gives itself up
		await laptop.client.close();
		const away = await createClient({ market: world.market.url, storage: laptop.storage });
		open.push(away);
		const [mine] = await away.devices();
		assert.ok(mine?.mine);
		await away.forgetDevice(mine);
		assert.deepEqual(
			(await away.devices()).map((device) => toHex(device.device)),
			[toHex(mine.device)],
			"a visit makes it known again",
		);
	});

	test("a card for the relay that it listens at takes its mailbox from nobody", async () => {
		const phone = await install(crypto.random(32));
		const offer = (await phone.client.relays())[0];
		const card = await phone.client.card({ relays: offer ? [{ key: offer.key, url: offer.url }] : [] });
		await alice.send(card, "still here");
		await until(() => phone.texts.length === 1, "the phone has it");
		assert.deepEqual(phone.problems, []);
	});

	test("threat 25: a phone restored from a backup takes over from the one it was made of, and shows nothing twice", async () => {
		const seed = crypto.random(32);
		const phone = await install(seed);
		const card = await phone.client.card();
		await alice.send(card, "before");
		await until(() => phone.texts.length === 1, "the phone has it");
		const restored = await install(seed, await backup(phone.storage));
		await until(() => phone.problems.some(({ problem }) => problem === "conflict"), "the old one is told");
		await alice.send(card, "after");
		await until(() => restored.texts.includes("after"), "the new one has it");
		assert.deepEqual([phone.texts, restored.texts], [["before"], ["after"]]);
		assert.equal((await restored.client.devices()).length, 1);
	});
});
