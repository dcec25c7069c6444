import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import WebSocket from "ws";
import { fromHex, toHex } from "#contracts/bytes";
import { openFolder } from "#host/folder";
import { bytesSink, bytesSource } from "#sdk/file";
import { until } from "#test/support/sdk";
import { type Resident, Town } from "#test/support/town";

/** Where people come from: an address of their own, and one that a proxy would tell. */
const VISITOR = "127.0.0.9";
const FORWARDED = "203.0.113.77";

type Found = { readonly where: string; readonly bytes: Buffer };

suite("threat 26: what is left on disks and in logs after a busy hour", () => {
	let town: Town;
	const names = ["alice", "bob", "carol"];
	const people = new Map<string, Resident>();
	const said: string[] = [];
	const files: { name: string; bytes: Uint8Array }[] = [];
	const disks: Found[] = [];
	let logs = "";

	const someone = (name: string) => people.get(name) ?? assert.fail(name);
	const seedOf = async (name: string) =>
		JSON.parse(await readFile(town.place.path("people", name, "seed"), "utf8")) as string;

	before(async () => {
		town = await Town.open();
		for (const name of names)
			people.set(name, await town.person({ storage: openFolder(town.place.path("people", name)), receipts: true }));
		for (const person of people.values())
			await person.market.api.funding.play.mutate({ id: "start", amount: "1000000000" });
		await beBusy();
		await visitRudely();
		for (const person of people.values()) await person.settle();
		for (const person of people.values()) await person.close();
		const [relay, market] = [town.relay, town.market];
		assert.equal((await relay.end()).code, 0);
		assert.equal((await market.end()).code, 0);
		logs = `${relay.log()}${market.log()}`;
		for (const room of ["market", "relay"]) await readAll(town.place.path(room));
	});
	after(() => town.end());

	/** Everybody writes to everybody, with files; some read at once, some later. */
	async function beBusy(): Promise<void> {
		const cards = new Map<string, string>();
		for (const name of names) {
			await someone(name).card({ name: `${name}-on-the-card` });
			// by the link of what the market keeps of it
			cards.set(name, await someone(name).publishCard({ name: `${name}-on-the-card` }));
		}
		let expected = 0;
		let received = 0;
		const listen = (name: string) =>
			someone(name).listen({
				text: () => void received++,
				file: ({ sizeBytes }) => bytesSink(sizeBytes),
				received: () => void received++,
			});
		await listen("bob");
		for (const from of names)
			for (const to of names) {
				if (from === to) continue;
				const text = `a secret of ${from} for ${to} ${toHex(randomBytes(8))}`;
				const name = `holiday-of-${from}-with-${to}.jpg`;
				const bytes = new Uint8Array(randomBytes(30_000));
				said.push(text);
				files.push({ name, bytes });
				await someone(from).send(cards.get(to) ?? "", text);
				await someone(from).send(cards.get(to) ?? "", bytesSource(name, bytes));
				expected += 2;
			}
		await listen("carol");
		await listen("alice");
		await until(() => received === expected, "everything arrives", 20_000);
		// and some that nobody fetches: it stays on the relay's disk
		await someone("bob").close();
		said.push("nobody fetches this for now");
		await someone("alice").send(cards.get("bob") ?? "", said.at(-1) ?? "");
	}

	/** Visitors who do everything wrong, so that there is something to log. */
	async function visitRudely(): Promise<void> {
		const headers = { "x-forwarded-for": FORWARDED, authorization: "Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln" };
		for (const [method, path, body] of [
			["GET", "/nowhere", ""],
			["GET", "/trpc/account.balance", ""],
			["POST", "/v1/redeem", "{"],
			["POST", "/v1/listing", '{"listing":"00"}'],
			["POST", "/trpc/tab.open", '{"market":1}'],
		] as const) {
			const { port } = town.market;
			const asked = request({ host: "127.0.0.1", port, method, path, localAddress: VISITOR, headers });
			asked.setHeader("content-type", "application/json");
			asked.end(body);
			const [answer] = (await once(asked, "response")) as [NodeJS.ReadableStream];
			answer.resume();
			await once(answer, "end");
		}
		for (const bytes of [Buffer.from("nonsense"), randomBytes(500), Buffer.alloc(0)]) {
			const socket = new WebSocket(town.relay.url, "farelay.v1", { localAddress: VISITOR, headers });
			await once(socket, "open");
			socket.send(bytes);
			await once(socket, "close");
		}
	}

	async function readAll(folder: string): Promise<void> {
		for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
			if (entry.isFile()) {
				const where = join(entry.parentPath, entry.name);
				disks.push({ where, bytes: await readFile(where) });
			}
	}

	/** Fails when any of these stands anywhere, as text, as bytes, or as hex. */
	function assertNowhere(what: string, needles: readonly (string | Uint8Array)[], places: readonly Found[]): void {
		for (const needle of needles)
			for (const { where, bytes } of places) {
				const raw = typeof needle === "string" ? Buffer.from(needle) : Buffer.from(needle);
				const forms = [raw, Buffer.from(raw.toString("hex")), Buffer.from(raw.toString("base64url").slice(0, -2))];
				for (const form of forms) assert.ok(!bytes.includes(form), `${what} stands in ${where}`);
			}
	}

	const everywhere = (): Found[] => [...disks, { where: "the logs", bytes: Buffer.from(logs) }];

	test("there is something to look at", () => {
		const names = disks.map(({ where }) => where.replace(/^.*\//, ""));
		for (const name of ["cards.db", "ledger.db", "mail.db", "till.db"])
			assert.ok(names.includes(name), names.join(" "));
		assert.ok(disks.reduce((sum, { bytes }) => sum + bytes.length, 0) > 50_000);
		assert.ok(logs.split("\n").length >= 4, logs);
	});

	test("no word of a message, no name of a file or person, no byte of a photo", () => {
		assertNowhere("a message", said, everywhere());
		assertNowhere(
			"a file's name",
			files.map(({ name }) => name),
			everywhere(),
		);
		assertNowhere(
			"a photo",
			files.map(({ bytes }) => bytes.subarray(1_000, 1_032)),
			everywhere(),
		);
		assertNowhere("a name", ["on-the-card"], everywhere());
	});

	test("no secret: a seed is in its owner's folder and nowhere else", async () => {
		const seeds = await Promise.all(names.map(seedOf));
		assertNowhere(
			"a seed",
			seeds.map((seed) => fromHex(seed, 32) ?? assert.fail("a seed")),
			everywhere(),
		);
		for (const name of names) {
			const own: Found[] = [];
			for (const entry of await readdir(town.place.path("people", name), { recursive: true, withFileTypes: true }))
				if (entry.isFile() && entry.name !== "seed")
					own.push({ where: entry.name, bytes: await readFile(join(entry.parentPath, entry.name)) });
			assertNowhere("a seed", [fromHex(await seedOf(name), 32) ?? ""], own);
		}
		assert.ok(!/Bearer (?!\[)|eyJ/.test(logs), "a token stands in the logs");
	});

	test("the relay is never told who pays or writes, and the market never who reads", () => {
		const accounts = names.map((name) => someone(name).identity.account.publicKey);
		const mailboxes = names.map((name) => someone(name).identity.mailbox(town.offer.key).publicKey);
		const of = (room: string) => disks.filter(({ where }) => where.includes(`/${room}/`));
		assert.ok(
			of("relay").some(
				({ bytes }) =>
					bytes.includes(Buffer.from(mailboxes[1] ?? "").toString("hex")) ||
					bytes.includes(Buffer.from(mailboxes[1] ?? "")),
			),
		);
		assertNowhere("an account", accounts, of("relay"));
		assertNowhere("a mailbox", mailboxes, of("market"));
	});

	test("logs name no account, mailbox, tab or session, and nobody's address", () => {
		assert.ok(logs.includes('"level":"info"'));
		const keys = names.flatMap((name) => [
			someone(name).identity.account.publicKey,
			someone(name).identity.mailbox(town.offer.key).publicKey,
		]);
		assertNowhere("a key", keys, [{ where: "the logs", bytes: Buffer.from(logs) }]);
		for (const line of logs.split("\n")) {
			assert.ok(!/[0-9a-f]{32,}/i.test(line), `something that names somebody: ${line}`);
			// where a service itself listens is said once, when it starts
			const visitors = line.replaceAll(/"(url|host)":"[^"]*"/g, "");
			assert.ok(!/\b\d{1,3}(\.\d{1,3}){3}\b|::1\b|::ffff/.test(visitors), `an address: ${line}`);
		}
		assertNowhere("an address", [VISITOR, FORWARDED], everywhere());
	});
});
