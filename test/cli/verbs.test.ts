import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Verb } from "#cli/verb";
import { parseDollars } from "#contracts/amount";
import { MARKET_SETTINGS } from "#marketplace/config";
import { MAIN, Place, type Program } from "#test/support/process";
import { until } from "#test/support/sdk";

suite("farelay, verb by verb, with a market and a relay of its own", () => {
	let place: Place;
	let market: Program;
	let card = "";
	const photo = randomBytes(300_000);

	/** A call by somebody, with `--json`; answers the last object that it says. */
	const by = (home: string, ...words: string[]) => place.done(words, { home, market: market.url });
	/** The same as a person sees it. */
	const seen = (home: string, ...words: string[]) => place.run(words, { home, market: market.url });

	before(async () => {
		place = await Place.open();
		market = await place.market();
		const { account } = await by("operator", "account");
		const relay = await place.relay({ market: market.url, operator: String(account) });
		await until(async () => (await listed()) === relay.url, "the relay is listed", 30_000);
		await writeFile(place.path("photo.jpg"), photo);
		await writeFile(place.path("empty.txt"), "");
	});
	after(() => place.end());

	async function listed(): Promise<string | undefined> {
		const { relays } = (await by("alice", "relays")) as { relays: { url: string }[] };
		return relays[0]?.url;
	}

	test("account: made at first use, the same afterwards, in a folder that is nobody else's to read", async () => {
		const made = await by("carol", "account");
		assert.match(String(made.account), /^[0-9a-f]{64}$/);
		assert.equal(made.made, true);
		assert.equal(made.balance, "0");
		assert.deepEqual(await by("carol", "account"), { ...made, made: false });
		assert.equal((await stat(place.path("carol"))).mode & 0o077, 0);
		assert.equal((await stat(place.path("carol", "seed"))).mode & 0o077, 0);
	});

	test("fund: play money, once for each id", async () => {
		const first = await by("alice", "fund", "5", "--id", "birthday");
		assert.equal(first.balance, "5000000000");
		assert.equal((await by("alice", "fund", "5", "--id", "birthday")).balance, "5000000000");
		assert.equal((await by("alice", "fund", "0.5")).balance, "5500000000");
	});

	test("relays: who carries, for how much", async () => {
		const { relays } = (await by("alice", "relays")) as { relays: Record<string, string>[] };
		assert.equal(relays.length, 1);
		assert.equal(relays[0]?.sendPerMb, "500000");
		assert.match((await seen("alice", "relays")).out, /\$0\.0005/);
	});

	test("listen --card: a link for others to send to, the same account each time", async () => {
		card = String((await by("bob", "listen", "--card", "--name", "Bob")).card);
		assert.match(card, /^\S{100,}$/);
		assert.equal((await seen("bob", "listen", "--card")).out.trim().slice(0, 20), card.slice(0, 20));
	});

	test("card: published, its link stays while the name changes, others write to it, and it can be taken back", async () => {
		const { card: link } = await by("bob", "card", "--publish", "--name", "Bob");
		assert.match(String(link), /^http:\/\/127\.0\.0\.1:\d+\/card#[\w-]{87}$/);
		assert.equal((await by("bob", "card", "--publish", "--name", "Robert")).card, link);
		const shown = await by("carol", "card", String(link));
		assert.equal(shown.name, "Robert");
		assert.equal(shown.account, (await by("bob", "account")).account);
		assert.match((await seen("carol", "card", card)).out, /^Bob /);
		assert.equal((await by("alice", "send", String(link), "By your link")).tick, "sent");
		assert.equal((await by("bob", "listen", "--count", "1")).text, "By your link");
		assert.equal((await by("bob", "card", "--unpublish")).published, false);
		assert.equal((await seen("dora", "card", String(link))).code, 1);
		assert.equal((await seen("dora", "card", "--publish", "--unpublish")).code, 2);
		assert.match(String((await by("bob", "card")).card), /^farelay:card#/);
	});

	test("send and listen --count: a text arrives, with what it cost said before", async () => {
		const sent = await by("alice", "send", card, "Good morning");
		assert.equal(sent.tick, "sent");
		assert.ok(BigInt(String(sent.cost)) > 0n);
		const heard = await by("bob", "listen", "--count", "1");
		assert.equal(heard.text, "Good morning");
		assert.equal(heard.id, sent.id);
		const said = await seen("alice", "send", card, "Good evening");
		assert.match(said.out, /^This is .* sealed, and costs \$0\.0\d+\.\nSent: the relay keeps it/);
		assert.match((await seen("bob", "listen", "--count", "1")).out, / {2}Good evening$/m);
	});

	test("send --file: a photo and an empty file arrive as they were, and --settle brings back what was not spent", async () => {
		await by("alice", "send", card, "--file", "empty.txt");
		const sent = await by("alice", "send", card, "--file", "photo.jpg", "--settle");
		assert.equal(sent.settled, 1);
		const ran = await place.run(["listen", "--count", "2", "--into", "in", "--json"], {
			home: "bob",
			market: market.url,
		});
		assert.equal(ran.code, 0, ran.err);
		assert.deepEqual(
			ran.said.slice(1).map(({ name, sizeBytes }) => [name, sizeBytes]),
			[
				["empty.txt", 0],
				["photo.jpg", photo.length],
			],
		);
		assert.deepEqual(await readFile(place.path("in", "photo.jpg")), photo);
		assert.equal((await stat(place.path("in", "empty.txt"))).size, 0);
	});

	test("send to several: one thing, a copy for each; who cannot have it is said, and the others have it", async () => {
		const dora = String((await by("dora", "listen", "--card")).card);
		const sent = await by("alice", "send", card, dora, "--file", "photo.jpg");
		assert.equal((sent.sent as unknown[]).length, 2);
		assert.deepEqual(sent.refused, []);
		for (const home of ["bob", "dora"]) {
			const heard = await by(home, "listen", "--count", "1", "--into", `for-${home}`);
			assert.equal(heard.sizeBytes, photo.length);
			assert.deepEqual(await readFile(place.path(`for-${home}`, "photo.jpg")), photo);
		}
		const said = await seen("alice", "send", card, dora, "Good night, both");
		assert.match(said.out, /^This is .* sealed for 2 people, and costs \$0\.0\d+\.\nSent: the relay keeps it/);
		for (const home of ["bob", "dora"])
			assert.equal((await by(home, "listen", "--count", "1")).text, "Good night, both");
	});

	test("listen --most: a larger file is refused and said so, a smaller one is taken", async () => {
		await by("alice", "send", card, "--file", "photo.jpg");
		await by("alice", "send", card, "--file", "empty.txt", "--settle");
		const ran = await seen("bob", "listen", "--count", "1", "--into", "few", "--most", "200kB");
		assert.equal(ran.code, 0, ran.err);
		assert.match(ran.out + ran.err, /photo\.jpg did not come: .*300\.0 kB, and more than 200\.0 kB are not taken/);
		assert.deepEqual(await readdir(place.path("few")), ["empty.txt"]);
	});

	test("home: who has no pass and paid for nothing is told what a drawn home takes, and that is no failure", async () => {
		assert.deepEqual(await by("newcomer", "home"), {
			home: null,
			why: "not-yet",
			drawnMs: null,
			againMs: null,
			megabytes: 0,
		});
		assert.match((await seen("newcomer", "home")).out, /No home is drawn for you yet/);
	});

	test("devices: another home with the same account is one more, and either gives the other up", async () => {
		const { line } = await by("bob", "account", "--export");
		await writeFile(place.path("bob.txt"), String(line));
		await by("bobs-laptop", "account", "--restore", "bob.txt");
		const both = (await by("bobs-laptop", "devices")).devices as { device: string; mine: boolean }[];
		assert.deepEqual(
			both.map(({ mine }) => mine),
			[false, true],
		);
		await by("alice", "send", card, "To both of you", "--settle");
		for (const home of ["bob", "bobs-laptop"])
			assert.equal((await by(home, "listen", "--count", "1")).text, "To both of you", home);
		const [phone, laptop] = both.map(({ device }) => device.slice(0, 8));
		assert.equal((await seen("bob", "devices", "--forget", phone ?? "")).code, 2, "itself");
		assert.equal((await seen("bob", "devices", "--forget", "0123abcd")).code, 1);
		assert.equal((await seen("bob", "devices", "--forget", "everything")).code, 2);
		const left = await seen("bob", "devices", "--forget", laptop ?? "");
		assert.match(left.out, /this one/);
		assert.doesNotMatch(left.out, new RegExp(laptop ?? "."));
	});

	test("statement, earnings and audit: what alice paid is what the operator earned and the two fees", async () => {
		const { lines } = (await by("alice", "statement")) as { lines: Record<string, string>[] };
		const { balance } = await by("alice", "account");
		assert.equal(
			lines.reduce((sum, { net }) => sum + BigInt(net ?? "0"), 0n),
			BigInt(String(balance)),
			"the lines come to the balance",
		);
		const paid = 5_500_000_000n - BigInt(String(balance));
		const { earned, waiting, paidOut } = await by("operator", "earnings");
		const all = BigInt(String(earned)) + BigInt(String(waiting)) + BigInt(String(paidOut));
		assert.ok(all > 0n && all < paid && paid - all <= all / 20n, `${paid} paid, ${all} earned`);
		const report = await by("alice", "audit", "--data", place.path("market"));
		assert.equal(report.holds, true);
		assert.equal(report.sum, "0");
		assert.match((await seen("alice", "statement")).out, /gross/);
	});

	test("a tab's bill goes into a file, and says to anybody who paid what", async () => {
		const { lines } = (await by("alice", "statement")) as { lines: { id: string }[] };
		const tab = lines.map(({ id }) => /^open:(.{32})$/.exec(id)?.[1]).find((id) => id !== undefined) ?? "";
		const file = place.path("bill.json");
		assert.match((await seen("alice", "statement", "--bill", tab, file)).out, /farelay verify/);
		const said = await by("bob", "verify", file);
		assert.equal(said.tab, tab);
		assert.ok(BigInt(String(said.payer)) > 0n && said.payer === said.total);
		assert.match((await seen("bob", "verify", file)).out, /The account paid \$/);
		assert.equal((await seen("bob", "statement", "--bill", tab, file)).code, 1, "it is not Bob's");
		assert.equal((await seen("alice", "statement", "--bill", "nonsense", file)).code, 2);
	});

	test("a statement goes into a file, as CSV and as JSON, and both say the same", async () => {
		const { balance } = await by("alice", "account");
		const [csv, json] = [place.path("alice.csv"), place.path("alice.json")];
		assert.match((await seen("alice", "statement", "--csv", csv)).out, /^\d+ lines in /);
		const [head, ...records] = (await readFile(csv, "utf8")).trimEnd().split("\r\n");
		assert.match(head ?? "", /,net USD$/);
		const told = (await by("alice", "statement", json)) as { lines: number };
		const { lines } = JSON.parse(await readFile(json, "utf8")) as { lines: { net: string; cause: string }[] };
		assert.deepEqual([told.lines, records.length], [lines.length, lines.length]);
		const nets = records.map((record) => parseDollars(record.split(",").at(-1)?.replace("-", "") ?? ""));
		assert.deepEqual(
			nets.map(String),
			lines.map(({ net }) => net.replace("-", "")),
		);
		assert.equal(
			lines.reduce((sum, { net }) => sum + BigInt(net), 0n),
			BigInt(String(balance)),
		);
		assert.equal((await seen("alice", "statement", "--csv")).out, await readFile(csv, "utf8"));
		assert.equal((await seen("alice", "statement", csv)).code, 2, "a file of what?");
		assert.equal((await seen("alice", "statement", "--csv", place.path("no/such/folder.csv"))).code, 3);
		assert.match((await seen("operator", "earnings")).out, /^earned +\$0\.\d+\nwaiting +\$0\.00\npaid out +\$0\.00\n/);
	});

	test("doctor: all is well, and what is not well is said with what mends it", async () => {
		const { well, findings } = (await by("alice", "doctor")) as { well: boolean; findings: unknown[] };
		assert.ok(well);
		assert.ok(findings.length >= 5);
		const ill = await place.run(["doctor", "--json"], { home: "alice", market: "http://127.0.0.1:1" });
		assert.equal(ill.code, 3);
		assert.equal(ill.said.length, 1, "one object");
		assert.equal(ill.said[0]?.well, false);
		assert.equal(ill.said[0]?.problem, "unavailable");
		assert.equal(ill.said[0]?.spent, "no");
	});

	test("doctor: a market that answers and says itself that its ledger is away is not called well", async () => {
		const health = { ok: false, state: "up", troubles: { ledger: "unavailable", mark: "unavailable" } };
		const front = createServer(async (request, response) => {
			if (request.url === "/health") return void response.writeHead(503).end(JSON.stringify(health));
			if (request.url?.startsWith("/trpc/market.relays")) return void response.writeHead(503).end("{}");
			const answer = await fetch(`${market.url}${request.url}`);
			response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
		});
		await new Promise<void>((done) => front.listen(0, "127.0.0.1", done));
		try {
			const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
			const ill = await place.run(["doctor"], { home: "alice", market: url });
			assert.equal(ill.code, 3, ill.out + ill.err);
			assert.match(
				ill.out,
				/ill {3}the market: \S+ answers, and says that it is not well: ledger \(unavailable\), mark \(unavailable\)\./,
			);
			assert.match(ill.out, /ill {3}relays: /);
		} finally {
			front.closeAllConnections();
			front.close();
		}
	});

	test("account --export and --restore: the line is the account, money and all", async () => {
		const { line, account } = await by("alice", "account", "--export");
		await writeFile(place.path("line.txt"), `${line}\n`);
		const again = await by("phone", "account", "--restore", "line.txt");
		assert.equal(again.account, account);
		assert.equal(again.balance, (await by("alice", "account")).balance);
		const seed = JSON.parse(await readFile(place.path("alice", "seed"), "utf8")) as string;
		const others = place.written.filter((text) => !text.includes(String(line)));
		assert.ok(others.length > 20 && others.length < place.written.length);
		assert.ok(!others.some((text) => text.includes(seed)), "nothing but --export shows the seed");
	});

	test("--help: of all verbs and of each, and none of them shows an escape code where nobody looks", async () => {
		const { verbs } = await place.done(["--help"]);
		const names = (verbs as { name: string }[]).map(({ name }) => name);
		assert.equal(names.length, 27);
		// each is the same few lines of main.ts over another text: three calls stand for all
		const verbsHere = names.map(async (name) => [name, (await import(`#cli/verb/${name}`)) as { verb: Verb }] as const);
		for (const [name, { verb }] of await Promise.all(verbsHere))
			assert.ok(verb.usage[0]?.startsWith(`farelay ${name}`), name);
		for (const name of ["send", "relay", "box"]) {
			const { code, out } = await place.run([name, "--help"]);
			assert.equal(code, 0);
			assert.ok(out.startsWith(`farelay ${name}`), out);
		}
		const { verb: runsMarket } = (await import("#cli/verb/market")) as { verb: Verb };
		const help = runsMarket.usage.join("\n");
		for (const name of Object.keys(MARKET_SETTINGS)) {
			const dashed = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
			const variable = `FARELAY_${dashed.replaceAll("-", "_").toUpperCase()}_FILE`;
			assert.ok(help.includes(`--${dashed} `) || help.includes(variable), `nothing is said of ${name}`);
		}
		assert.ok(!place.written.join("").includes("\x1b"), "no escape codes in a pipe");
		// the same call with colours asked for shows that the line above looks at something
		const coloured = await place.run(["--help"], { env: { FORCE_COLOR: "1" } });
		assert.ok(coloured.out.includes("\x1b"));
	});
});

suite("farelay box --once, and what can be checked of it afterwards", () => {
	let place: Place;
	let out: Record<string, unknown>;
	before(async () => {
		place = await Place.open();
		const ran = await place.run(["box", "--once", "--data", place.path("data"), "--json", place.path("out.json")]);
		assert.equal(ran.code, 0, ran.out + ran.err);
		assert.ok(!ran.out.includes("\x1b"));
		out = JSON.parse(await readFile(place.path("out.json"), "utf8")) as Record<string, unknown>;
	});
	after(() => place.end());

	test("its money came in and went out over Lightning, and is all there to the nano", async () => {
		const { rail, deposit, payout, nanos, sponsored } = out as Record<string, Record<string, string>>;
		assert.equal(rail, "lightning-regtest");
		assert.match(String(deposit?.paymentHash), /^[0-9a-f]{64}$/);
		assert.match(String(payout?.paymentHash), /^[0-9a-f]{64}$/);
		assert.ok(BigInt(deposit?.nanos ?? 0) >= 5_000_000_000n);
		const of = (name: string) => BigInt(payout?.[name] ?? -1);
		assert.equal(of("nanos"), of("net") + of("railFee") + of("marketFee"));
		// what is left is less than a millisatoshi
		const left = BigInt(nanos?.operator ?? 0) - of("nanos");
		assert.ok(left >= 0n && left < 200n, `${left}`);
		// world, payer, operator: what the two payments say is what stands in the ledger
		const ledger = new DatabaseSync(join(String(out.data), "market", "ledger.db"), { readOnly: true });
		const balance = (like: string) =>
			BigInt(ledger.prepare("SELECT sum(balance) AS sum FROM accounts WHERE name LIKE ?").get(like)?.sum as number);
		try {
			assert.equal(balance("operator:%:earned"), left);
			assert.equal(balance("operator:%:leaving"), 0n);
			// the sponsor paid in too: what is in its pool and its purse, and what the pool paid for the second delivery
			const brought = balance("payer:%") + BigInt(nanos?.payer ?? 0) + balance("pool:%") + BigInt(sponsored?.pool ?? 0);
			assert.ok(brought >= BigInt(deposit?.nanos ?? 0) + 5_000_000_000n, `${brought}`);
			assert.equal(balance("operator:%:waiting"), BigInt(sponsored?.operator ?? 0));
			const kept = balance("market:rate");
			assert.equal(-balance("world:lightning"), brought + kept - of("nanos"));
		} finally {
			ledger.close();
		}
	});

	test("with --play it starts without the Lightning nodes, and says which rail it was", async () => {
		const more = ["--data", place.path("play"), "--json", place.path("play.json")];
		const ran = await place.run(["box", "--once", "--play", ...more]);
		assert.equal(ran.code, 0, ran.out + ran.err);
		const { rail, deposit, payout } = JSON.parse(await readFile(place.path("play.json"), "utf8"));
		assert.deepEqual([rail, deposit, payout], ["play", undefined, undefined]);
		await assert.rejects(stat(place.path("play", "lightning")));
	});

	test("verify: says who owes whom, with the market's key pinned and without", async () => {
		const verdict = await place.done(["verify", String(out.dispute)]);
		assert.equal(verdict.owed, "0");
		assert.equal(verdict.exact, true);
		assert.equal(verdict.marketPinned, false);
		const pinned = await place.done(["verify", String(out.dispute), "--market", String(verdict.market)]);
		assert.equal(pinned.marketPinned, true);
		const other = await place.run(["verify", String(out.dispute), "--market", "ab".repeat(32), "--json"]);
		assert.equal(other.code, 1);
		assert.match(String(other.said[0]?.detail), /market/);
	});

	test("verify: with one character changed it ends with 1 and says what fails", async () => {
		const text = await readFile(String(out.dispute), "utf8");
		for (const part of [0.03, 0.2, 0.6, 0.97]) {
			const at = Math.floor(text.length * part);
			await writeFile(
				place.path("forged.json"),
				text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1),
			);
			const ran = await place.run(["verify", "forged.json"]);
			assert.equal(ran.code, 1);
			assert.match(ran.err, /The check of the \w+.* fails: /);
			assert.doesNotMatch(ran.err, /^\s+at /m);
		}
	});

	test("output that nobody reads any more changes nothing: what was asked for is done, and no disk is blamed", async () => {
		const call = [process.execPath, MAIN, "verify", String(out.dispute)];
		const { stdout, stderr } = await promisify(execFile)("bash", [
			"-c",
			'"$0" "$@" | { exec 0<&-; sleep 2; }; echo "$PIPESTATUS"',
			...call,
		]);
		assert.equal(stderr, "");
		assert.equal(stdout, "0\n");
	});

	test("audit: the ledger of a box is found in its data folder, by option and by variable", async () => {
		const [named, found] = await Promise.all([
			place.done(["audit", "--data", String(out.data)]),
			place.done(["audit"], { env: { FARELAY_DATA: String(out.data) } }),
		]);
		assert.equal(named.holds, true);
		assert.deepEqual(found, named);
	});
});
