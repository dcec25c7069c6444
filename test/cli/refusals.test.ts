import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { assertRefused, Place, type Program, type RunOptions } from "#test/support/process";
import { until } from "#test/support/sdk";

const KEY = "ab".repeat(32);

/** Calls two at a time: most of a call is starting. */
async function each<Item>(items: readonly Item[], visit: (item: Item) => Promise<void>): Promise<void> {
	const left = [...items];
	const work = async () => {
		for (let item = left.shift(); item !== undefined; item = left.shift()) await visit(item);
	};
	await Promise.all([work(), work(), work()]);
}

suite("calls that are none end with 2 and say how it is meant", () => {
	let place: Place;
	before(async () => {
		place = await Place.open();
	});
	after(() => place.end());

	test("an unknown verb, an unknown option, a word too many or too few, a number that is none", async () => {
		const calls = [
			["frobnicate"],
			["account", "--frobnicate"],
			["account", "--seed", "00"],
			["account", "--market", "ftp://here"],
			["account", "--market", "http://no where"],
			["fund"],
			["fund", "1e30"],
			["fund", "99999999999999999999"],
			["send"],
			["send", "farelay:card#x"],
			["send", "farelay:card#x", "a", "b"],
			["send", "farelay:card#x", "hello", "--days", "99"],
			["send", "farelay:card#x", "hello", "--limit", "much"],
			["send", "farelay:card#x", "hello", "--wait", "0"],
			["send", "farelay:card#x", "hello", "--waiting"],
			["listen", "--count", "none"],
			["listen", "--count", "0"],
			["listen", "--most", "much"],
			["listen", "--name", "x".repeat(100)],
			["verify"],
			["verify", "file", "--market", "zz"],
			// a word that nothing is done with: the ledger that is proved would be another than the one meant
			["audit", "folder"],
			["doctor", "me"],
			["relay"],
			["relay", "--market-url", "nonsense", "--operator", KEY],
			["relay", "--market-url", "http://127.0.0.1:1", "--operator", "zz"],
			["market", "--port", "70000"],
			["market", "--play", "--host", "0.0.0.0"],
		];
		await each(calls, async (words) => {
			assertRefused(await place.run([...words, "--json"]), 2, "usage");
		});
		for (const words of [
			["frobnicate"],
			["box", "--json"],
			["box", "--once", "--json", "."],
			["box", "--port", "99999"],
			["box", "word"],
		])
			assertRefused(await place.run(words), 2, "usage");
		const silent = await place.run([]);
		assert.equal(silent.code, 2);
		assert.match(silent.out, /^farelay VERB/);
	});

	test("a file that names settings and is none", async () => {
		await writeFile(place.path("config.json"), '{"market": {"prot": 1}}');
		const env = { FARELAY_CONFIG: place.path("config.json") };
		assertRefused(await place.run(["market"], { env }), 2, "usage");
		await writeFile(place.path("config.json"), "{");
		assertRefused(await place.run(["market"], { env }), 2, "usage");
		await rm(place.path("config.json"));
		assertRefused(await place.run(["market"], { env }), 1, "file-unreadable");
	});
});

suite("what goes wrong around a person is a problem with a code, and costs nothing", () => {
	let place: Place;
	let market: Program;
	let relay: Program;
	let operator = "";
	let card = "";

	const at = (home: string, more: RunOptions = {}): RunOptions => ({ home, market: market.url, ...more });
	const balanceOf = async (home: string) => (await place.done(["account"], at(home))).balance;

	before(async () => {
		place = await Place.open();
		market = await place.market();
		operator = String((await place.done(["account"], at("operator"))).account);
		relay = await place.relay({ market: market.url, operator });
		const listed = async () => ((await place.done(["relays"], at("alice"))) as { relays: object[] }).relays.length > 0;
		await until(listed, "the relay is listed", 30_000);
		card = String((await place.done(["listen", "--card"], at("bob"))).card);
		await place.done(["fund", "1"], at("alice"));
		await writeFile(place.path("film.mp4"), randomBytes(2_000_000));
		await writeFile(place.path("note.txt"), "a note");
		await mkdir(place.path("folder"));
		execFileSync("mkfifo", [place.path("pipe")]);
		await symlink("loop", place.path("loop"));
	});
	after(() => place.end());

	test("a file that is missing, a folder, a pipe, a device, a loop, behind a file, or private", async () => {
		const before = await balanceOf("alice");
		const files = ["nowhere", "folder", "pipe", "/dev/zero", "loop", "note.txt/x", "n".repeat(300)];
		await writeFile(place.path("private"), "x", { mode: 0 });
		// the root user may read everything
		if (process.getuid?.() !== 0) files.push("private");
		await each(files, async (file) => {
			assertRefused(await place.run(["send", card, "--file", file, "--json"], at("alice")), 1, "file-unreadable");
			if (file.length < 20) assertRefused(await place.run(["verify", file]), 1, "file-unreadable");
		});
		assertRefused(await place.run(["account", "--restore", "pipe"], at("new")), 1, "file-unreadable");
		assertRefused(await place.run(["account", "--restore", "note.txt"], at("new")), 1, "malformed");
		assert.equal(await balanceOf("alice"), before);
	});

	test("a file larger than the money left is refused before anything is sent or reserved", async () => {
		await place.done(["fund", "0.0005"], at("poor"));
		const ran = await place.run(["send", card, "--file", "film.mp4", "--json"], at("poor"));
		assertRefused(ran, 1, "balance-short");
		assert.equal(ran.said.at(-1)?.spent, "no");
		const { lines } = (await place.done(["statement"], at("poor"))) as { lines: object[] };
		assert.equal(lines.length, 1, "nothing but the funding stands on the statement");
		assert.equal(await balanceOf("poor"), "500000");
		const metrics = await (await fetch(`http://127.0.0.1:${relay.port}/metrics`)).text();
		assert.match(metrics, /^farelay_relay_vouchers_total 0$/m);
		assert.match(metrics, /^farelay_relay_disk_bytes_total 0$/m);
	});

	test("more than one agreed to spend", async () => {
		const ran = await place.run(["send", card, "--file", "film.mp4", "--limit", "0.0001", "--json"], at("alice"));
		assertRefused(ran, 1, "spending-limit");
		assert.equal(await balanceOf("alice"), "1000000000");
	});

	test("a card that is none, is cut short, or has a slip in it", async () => {
		await each(["nonsense", card.slice(0, -4), `${card.slice(0, 60)}A${card.slice(61)}B`], async (link) => {
			assertRefused(await place.run(["send", link, "hello"], at("alice")), 1, "malformed");
		});
	});

	test("an id of a payment that no market takes", async () => {
		assertRefused(await place.run(["fund", "1", "--id", "x".repeat(500)], at("alice")), 1, "malformed");
	});

	test("a disk that is full: nothing is half done, and the money is where it was", async () => {
		const before = await balanceOf("alice");
		const full = { fileKbMax: 0 };
		assertRefused(await place.run(["account", "--json"], at("newcomer", full)), 3, "disk");
		assertRefused(await place.run(["send", card, "hello", "--json"], at("alice", full)), 4, "disk");
		assertRefused(await place.run(["send", card, "--file", "film.mp4"], at("alice", full)), 4, "disk");
		assert.equal(await balanceOf("alice"), before);
		await place.done(["send", card, "--file", "film.mp4"], at("alice"));
		const listen = ["listen", "--count", "1", "--into", "in", "--json"];
		assertRefused(await place.run(listen, at("bob", { fileKbMax: 1_000 })), 3, "disk");
		assertRefused(await place.run(["listen", "--count", "1", "--into", "note.txt"], at("bob")), 3, "disk");
		await place.done(listen.slice(0, -1), at("bob"));
		assert.deepEqual(await readFile(place.path("in", "film.mp4")), await readFile(place.path("film.mp4")));
	});

	test("a folder that no file can go into is refused before anybody is waited for", async () => {
		for (const into of ["note.txt", "note.txt/in"]) {
			const refused = await place.run(["listen", "--into", into, "--json"], at("nobody-writes-to-her"));
			assertRefused(refused, 3, "disk");
			assert.deepEqual(refused.said.length, 1, "and no card is shown");
		}
	});

	test("a home that is a file, and one whose account is damaged: it is never written over", async () => {
		assertRefused(await place.run(["account"], at("note.txt/home")), 3, "disk");
		for (const seed of ["", "null", '"abc"', "nonsense", `"${"zz".repeat(32)}"`]) {
			await mkdir(place.path("damaged"), { recursive: true });
			await writeFile(place.path("damaged", "seed"), seed);
			assertRefused(await place.run(["account", "--json"], at("damaged")), 1, "data-corrupt");
			assert.equal(await readFile(place.path("damaged", "seed"), "utf8"), seed);
		}
	});

	test("an account is never put over another one", async () => {
		const { line } = await place.done(["account", "--export"], at("operator"));
		await writeFile(place.path("line.txt"), String(line));
		assertRefused(await place.run(["account", "--restore", "line.txt"], at("alice")), 1, "conflict");
	});

	test("a port that is taken, for a market, a relay and a box", async () => {
		const port = String(market.port);
		const relayWords = ["--market-url", market.url, "--operator", operator, "--data", place.path("relay-b")];
		assertRefused(await place.run(["market", "--port", port, "--data", "market-b", "--json"]), 1, "port-in-use");
		assertRefused(await place.run(["relay", "--port", port, ...relayWords, "--json"]), 1, "port-in-use");
		assertRefused(await place.run(["box", "--port", port, "--data", "box-b"]), 1, "port-in-use");
		// an address that is for examples only is no machine's
		const elsewhere = await place.run(["relay", "--host", "192.0.2.1", "--port", "0", ...relayWords, "--json"]);
		assertRefused(elsewhere, 2, "usage");
		assert.equal(elsewhere.said[0]?.spent, "no");
	});

	test("a data folder that another relay has, and one that is a file or on a full disk", async () => {
		const words = ["relay", "--port", "0", "--market-url", market.url, "--operator", operator, "--json", "--data"];
		assertRefused(await place.run([...words, place.path("relay")]), 1, "conflict");
		const file = await place.run([...words, place.path("note.txt")]);
		assertRefused(file, 3, "disk");
		assert.match(String(file.said[0]?.detail), /a file is where a folder should be/);
		assertRefused(await place.run([...words, place.path("relay-c")], { fileKbMax: 0 }), 3, "disk");
		const other = ["market", "--port", "0", "--json", "--data"];
		assertRefused(await place.run([...other, place.path("note.txt")]), 3, "disk");
		assertRefused(await place.run([...other, place.path("market-c")], { fileKbMax: 4 }), 3, "disk");
	});

	test("a box whose folder or result is a file, or whose disk is full", async () => {
		assertRefused(await place.run(["box", "--once", "--data", "note.txt/x"]), 4, "disk");
		assertRefused(await place.run(["box", "--once", "--data", "box-c", "--json", "note.txt/x/out.json"]), 4, "disk");
		assertRefused(await place.run(["box", "--once", "--data", "box-d"], { fileKbMax: 100 }), 4, "disk");
		assertRefused(await place.run(["box", "--once", "--file", "nowhere", "--json", "out.json"]), 1, "file-unreadable");
		await assert.rejects(readFile(place.path("out.json")), { code: "ENOENT" });
	});

	test("a relay that is down: sending gives up after a while, says so, and goes on when it is back", async () => {
		const { port } = relay;
		await relay.end("SIGKILL");
		await writeFile(place.path("photo.jpg"), randomBytes(100_000));
		const send = ["send", card, "--file", "photo.jpg", "--wait", "1", "--json"];
		const stopped = await place.run(send, at("alice"));
		assertRefused(stopped, 4, "unavailable");
		assert.match(String(stopped.said[0]?.detail), /photo\.jpg .* waits here until .* goes on with it/);
		const text = await place.run(["send", card, "are you there?", "--wait", "1", "--json"], at("alice"));
		assertRefused(text, 4, "unavailable");
		const [left] = (text.said[0]?.waiting ?? []) as { what: string; id: string }[];
		assert.equal(left?.what, "text");
		assert.match(
			String(text.said[0]?.detail),
			/farelay send --waiting sends it\. Sent anew, it would be there twice\./,
		);
		const still = await place.run(["send", "--waiting", "--wait", "1", "--json"], at("alice"));
		assertRefused(still, 4, "unavailable");
		assert.match(String(still.said[0]?.detail), /The relay has not answered for 1 s/);
		assertRefused(await place.run(["listen", "--card"], at("stranger")), 3, "unavailable");
		const doctor = await place.run(["doctor", "--json"], at("alice"));
		assertRefused(doctor, 3, "unavailable");
		relay = await place.relay({ market: market.url, operator }, { port });
		const more = await place.run(["send", card, "are you there?"], at("alice"));
		assert.match(more.err + more.out, /A text to [0-9a-f]{8} waits here until .*: farelay send --waiting sends it\./);
		const waited = await place.done(["send", "--waiting"], at("alice"));
		assert.deepEqual(
			(waited.sent as { id: string }[]).map(({ id }) => id),
			[left?.id],
		);
		assert.deepEqual(
			(waited.waiting as { name: string }[]).map(({ name }) => name),
			["photo.jpg"],
		);
		const whole = await place.run(send.slice(0, -3), at("alice"));
		assert.match(whole.out, /What was sent of photo\.jpg before is not sent or paid for again\./);
		assert.doesNotMatch(whole.out, /waits here/);
		assert.deepEqual((await place.done(["send", "--waiting"], at("alice"))).waiting, []);
		const heard = await place.run(["listen", "--count", "3", "--into", "in", "--json"], at("bob"));
		const came = heard.said.slice(1).map(({ text, name }) => text ?? name);
		assert.deepEqual(came, ["are you there?", "are you there?", "photo.jpg"], heard.err);
	});

	test("a relay on a damaged mailbox, till or key", async () => {
		await relay.end();
		await each(["mail.db", "till.db", "relay.key"], async (name) => {
			const data = place.path(`damaged-${name}`);
			await cp(place.path("relay"), data, { recursive: true });
			await writeFile(`${data}/${name}`, "nonsense ".repeat(1_000));
			const words = ["relay", "--port", "0", "--market-url", market.url, "--operator", operator, "--data", data];
			assertRefused(await place.run([...words, "--json"]), 1, "data-corrupt");
		});
	});

	test("a market that is down: who asks for anything is told, and that nothing moved", async () => {
		const { port } = market;
		await market.end();
		const calls = [["fund", "1"], ["relays"], ["statement"], ["earnings"], ["doctor"], ["listen", "--card"]];
		await each(calls, async (words) => {
			const ran = await place.run([...words, "--json"], at("operator"));
			assertRefused(ran, 3, "unavailable");
			assert.equal(ran.said.at(-1)?.spent, "no", String(words[0]));
		});
		assertRefused(await place.run(["send", card, "hello", "--json"], at("operator")), 3, "unavailable");
		assert.equal((await place.done(["account"], at("operator"))).balance, null, "the account is shown all the same");

		const other = await place.market({ data: "another-market", port });
		await each([["fund", "1"], ["relays"], ["statement"], ["send", card, "hello"]], async (words) => {
			assertRefused(await place.run([...words, "--json"], at("operator")), 1, "grant-unknown-market");
		});
		await other.end();
	});

	test("a market on a ledger, keys or marks that are damaged", async () => {
		const page = 4_096;
		const damage: [string, (data: string) => Promise<unknown>][] = [
			["overwritten", (data) => writeFile(`${data}/ledger.db`, "nonsense ".repeat(1_000))],
			["cut", (data) => truncate(`${data}/ledger.db`, page + 1)],
			[
				"scribbled",
				async (data) => writeFile(`${data}/ledger.db`, (await readFile(`${data}/ledger.db`)).fill(0x5a, page)),
			],
			["keys", (data) => writeFile(`${data}/keys/root.json`, "{")],
			["marks", (data) => writeFile(`${data}/outages.json`, "{")],
		];
		await each(damage, async ([name, harm]) => {
			const data = place.path(`market-${name}`);
			await cp(place.path("market"), data, { recursive: true });
			await harm(data);
			assertRefused(await place.run(["market", "--port", "0", "--data", data, "--json"]), 1, "data-corrupt");
			if (name === "keys" || name === "marks") return;
			assertRefused(await place.run(["audit", "--data", data, "--json"]), 1, "data-corrupt");
		});
		assertRefused(await place.run(["audit", "--data", "nowhere"]), 1, "not-found");
	});

	test("audit: entries that were altered by hand are found, and what is wrong with them is said", async () => {
		const alterations: [string, string, RegExp][] = [
			[
				"entry",
				"UPDATE entries SET nanos = nanos + 1 WHERE transfer = (SELECT max(transfer) FROM entries) AND n = 0",
				/sum to/,
			],
			["balance", "UPDATE accounts SET balance = balance + 1 WHERE balance > 0", /shows .* but its entries/],
			[
				"moved",
				"UPDATE entries SET nanos = nanos + CASE n WHEN 0 THEN -1 ELSE 1 END WHERE transfer = 1 AND n < 2",
				/digest/,
			],
			["removed", "DELETE FROM entries WHERE transfer = (SELECT max(transfer) FROM entries) AND n = 0", /sum to/],
		];
		await place.done(["audit", "--data", place.path("market")]);
		for (const [name, sql, says] of alterations) {
			const data = place.path(`altered-${name}`);
			await cp(place.path("market"), data, { recursive: true });
			const database = new DatabaseSync(`${data}/ledger.db`);
			database.exec(`PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON`);
			for (const { name: trigger } of database.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all())
				database.exec(`DROP TRIGGER "${trigger}"`);
			assert.ok(database.prepare(sql).run().changes > 0);
			database.close();
			const ran = await place.run(["audit", "--data", data]);
			assertRefused(ran, 1, "data-corrupt");
			assert.match(ran.out, says, name);
		}
	});
});
