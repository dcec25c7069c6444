/** `farelay prove` and `farelay verify`, with a market that is honest and with one that is not. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import { openPerson, type Person } from "#cli/person";
import type { Call, Verb } from "#cli/verb";
import { verb as prove } from "#cli/verb/prove";
import { verb as statement } from "#cli/verb/statement";
import { verb as verify } from "#cli/verb/verify";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { type CheckedLink, checkChain, checkLink, linkJson, readLink } from "#contracts/chain";
import { type Commitment, type Facts, signCommitment } from "#contracts/commitment";
import { isProblem, type Problem } from "#contracts/problem";
import { type OpenOrder, signOpen } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import { openKeys } from "#marketplace/keys/keys";
import { pruneLedger } from "#marketplace/ledger/prune";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import { must } from "#test/contracts/world";
import { crypto, DAY_MS, FEES, fine, startTestMarket, TARIFF, type TestMarket, TestRelay } from "#test/support/market";
import { until } from "#test/support/rawclient";

const NETWORK_MS_MAX = 10_000;
type Json = Record<string, unknown>;

/** Stands between people and an honest market, and changes what it says as it is told to. */
class Liar {
	readonly server: Server;
	url = "";
	/** what becomes of an answer, by the end of its path */
	readonly lies = new Map<string, (json: Json, url: URL) => Json>();

	constructor(market: () => string) {
		this.server = createServer(async (request, response) => {
			const body: Buffer[] = [];
			for await (const part of request) body.push(part as Buffer);
			const { authorization, "content-type": type } = request.headers;
			const answer = await fetch(`${market()}${request.url}`, {
				method: request.method ?? "GET",
				headers: { ...(authorization && { authorization }), ...(type && { "content-type": type }) },
				...(body.length > 0 && { body: Buffer.concat(body) }),
				signal: AbortSignal.timeout(NETWORK_MS_MAX),
			});
			const json = (await answer.json()) as Json;
			const url = new URL(request.url ?? "", "http://a");
			const lie = [...this.lies].find(([end]) => url.pathname.endsWith(end))?.[1];
			response.writeHead(answer.status, { "content-type": "application/json" });
			response.end(JSON.stringify(lie ? lie(json, url) : json));
		});
	}

	async up(): Promise<void> {
		await new Promise<void>((done) => this.server.listen(0, "127.0.0.1", done));
		this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
	}
}

suite("farelay prove and farelay verify", () => {
	let market: TestMarket;
	let liar: Liar;
	let folder: string;
	let said: { json: Json; lines: string[] } | undefined;
	before(async () => {
		market = await startTestMarket();
		liar = new Liar(() => market.url);
		await liar.up();
	});
	after(async () => {
		liar.server.closeAllConnections();
		liar.server.close();
		await market.end();
	});
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-prove-"));
	});
	afterEach(async () => {
		liar.lies.clear();
		await rm(folder, { recursive: true, force: true });
	});

	function callOf(options: Call["options"], words: string[], home = "ada"): Call {
		const screen = {
			json: false,
			live: false,
			columns: 80,
			tone: (_tone: string, text: string) => text,
			line: () => {},
			redraw: () => {},
			problem: () => {},
			progress: () => ({ to: () => {}, end: () => {} }),
			answer: (object: object, lines: readonly string[]) => {
				said = { json: object as Json, lines: [...lines] };
			},
		};
		const env = { FARELAY_HOME: join(folder, home), FARELAY_MARKET: liar.url };
		return { options, words, screen, env, folder, stop: new AbortController().signal };
	}
	async function run(verb: Verb, words: string[] = [], options: Call["options"] = {}, home = "ada") {
		said = undefined;
		return await verb.run(callOf(options, words, home));
	}
	const done = async (...asked: Parameters<typeof run>): Promise<{ json: Json; lines: string[] }> => {
		const refused = await run(...asked);
		assert.equal(refused, undefined, JSON.stringify(refused));
		return must(said);
	};
	async function refused(...asked: Parameters<typeof run>): Promise<Problem> {
		const problem = await run(...asked);
		assert.ok(problem, `was not refused: ${said?.lines[0]}`);
		return problem;
	}

	async function funded(nanos: string, home = "ada", id = "gift"): Promise<Person> {
		// a client of its own each time: one that was made yesterday has yesterday's time
		const person = fine(await openPerson(callOf({}, [], home)));
		await person.client.market.api.funding.play.mutate({ id: `${id}-${home}`, amount: nanos });
		return person;
	}

	/** The market's chain, as it really is. */
	async function chain(): Promise<CheckedLink[]> {
		const json = (await (await fetch(`${market.url}/v1/commitments`)).json()) as { commitments: unknown[] };
		if (json.commitments.length === 0) return [];
		const checked = checkChain(
			crypto,
			json.commitments.map((link) => must(readLink(link))),
			market.market,
		);
		if ("problem" in checked) assert.fail(checked.detail);
		return [...checked];
	}
	/** Goes on to the next day, and waits until it has its commitment. */
	async function nextDay(): Promise<CheckedLink> {
		const had = (await chain()).length;
		if (had > 0) market.clock.jump(DAY_MS);
		return await until("the day has its commitment", async () => {
			await market.clock.advance(60_000);
			const info = (await (await fetch(`${market.url}/.well-known/farelay.json`)).json()) as { head: Json | null };
			const links = await chain();
			const [last] = links.slice(had).slice(-1);
			return last && info.head?.commitment === toHex(last.commitment.bytes) && last;
		});
	}
	/** What a dishonest market signs: with its own online key, whatever it likes. */
	async function signed(from: Commitment, change: Partial<Facts>): Promise<Commitment> {
		const keys = fine(await openKeys(crypto, join(market.folder, "keys"), market.clock.nowMs()));
		return signCommitment(crypto, market.market, { ...from, ...change }, keys.online(from.takenMs));
	}
	const asLink = (link: CheckedLink, commitment: Commitment) =>
		linkJson({ key: link.key.bytes, commitment: commitment.bytes });
	/** Makes the market show this chain, its last one as the newest, and the account's proofs as they are. */
	function shows(links: readonly ReturnType<typeof linkJson>[]): void {
		const newest = must(links.at(-1));
		const dayOf = (link: object): number => {
			const checked = checkLink(crypto, must(readLink(link)));
			return "problem" in checked ? assert.fail(checked.detail) : checked.commitment.day;
		};
		liar.lies.set("/v1/commitments", (_json, url) => {
			const after = Number(url.searchParams.get("after") ?? -1);
			return { commitments: links.filter((link) => dayOf(link) > after) };
		});
		liar.lies.set("/.well-known/farelay.json", (json) => ({ ...json, head: newest }));
		liar.lies.set("/account.proof", (json) => {
			const { data } = json.result as { data: object };
			return { result: { data: { ...data, ...newest } } };
		});
	}

	test("a balance and an open tab are proven, and the file verifies offline, for anybody, with public keys alone", async () => {
		const { client } = await funded("5000000000");
		const relay = new TestRelay(market);
		await relay.list();
		const { head: none } = (await (await fetch(`${market.url}/.well-known/farelay.json`)).json()) as { head: unknown };
		if (none === null) assert.equal((await refused(prove)).problem, "not-found");
		const order: OpenOrder = {
			market: market.market,
			account: client.identity.account.publicKey,
			tab: new Uint8Array(16).fill(7),
			session: crypto.random(32),
			relay: relay.key.publicKey,
			cap: amount(1_000_000n),
			tariff: TARIFF,
			fees: FEES,
			lifeMs: DAY_MS,
			tranches: [ownTranche(amount(1_000_000n))],
		};
		fine(await client.market.open(order, signOpen(crypto, order, client.identity.account)));
		await nextDay();
		const proven = await done(prove);
		assert.equal(proven.json.proven, 5_000_000_000n);
		assert.deepEqual(proven.json.purses, [
			{ kind: "payer", id: toHex(order.account), nanos: 4_998_960_000n },
			{ kind: "hold", id: "07".repeat(16), nanos: 1_040_000n },
		]);
		const file = String(proven.json.file);
		assert.match(file, /farelay-proof-\d{4}-\d\d-\d\d\.json$/);
		assert.equal((await stat(file)).mode & 0o077, 0);
		assert.match(
			must(proven.lines[0]),
			/^Proven: the market's commitment of 2026-.* holds \$5\.00 of account [0-9a-f]{64}\.$/,
		);
		assert.ok(proven.lines.some((line) => /^ +\$4\.99896 {2}what can be spent$/.test(line)));
		assert.ok(proven.lines.some((line) => line === "  play cannot be asked"));
		const key = toHex(market.market);
		const checked = await done(verify, [file], { market: key }, "somebody-else");
		assert.deepEqual(
			[checked.json.proven, checked.json.marketPinned, checked.json.account],
			[5_000_000_000n, true, toHex(client.identity.account.publicKey)],
		);
		assert.ok(checked.lines.some((line) => line.startsWith("No commitment of that chain was seen earlier")));
		const unpinned = await done(verify, [file]);
		assert.match(must(unpinned.lines.at(-1)), /not that the market is yours/);
		assert.ok(unpinned.lines.some((line) => line.endsWith("stand in that chain: 1.")));
		assert.match((await refused(verify, [file], { market: "ab".repeat(32) })).detail, /check of the market fails/);
		await nextDay();
		liar.lies.set("/account.proof", (json) => {
			const { data } = json.result as { data: { proofs: string[] } };
			return { result: { data: { ...data, proofs: data.proofs.slice(0, 1) } } };
		});
		assert.match((await refused(prove, ["no-tab.json"])).detail, /^a tab had \$0\.00104 .* leaves it out/);
		liar.lies.clear();
		liar.lies.set("/tab.list", (json) =>
			JSON.parse(JSON.stringify(json).replace('"held":"1040000"', '"held":"1040001"')),
		);
		assert.match((await refused(prove, ["less.json"])).detail, /^a tab had \$0\.001040001 .* has \$0\.00104\./);
	});

	test("money that moved after the commitment is not in it, and the next proof reads the statement from there on", async () => {
		await funded("1000", "bea");
		await nextDay();
		await funded("1", "bea", "later");
		assert.equal((await done(prove, ["one.json"], {}, "bea")).json.proven, 1_000n);
		await nextDay();
		const asked: string[] = [];
		liar.lies.set("/account.statement", (json) => {
			asked.push(JSON.stringify(json));
			return json;
		});
		assert.equal((await done(prove, ["two.json"], {}, "bea")).json.proven, 1_001n);
		assert.ok(!asked.join().includes("gift-bea") && asked.join().includes("later"));
		const { json, lines } = await done(prove, ["all.json"], { all: true }, "bea");
		assert.equal((json.chain as { links: number }).links, (await chain()).length);
		assert.ok(lines.some((line) => /^It stands in a chain of \d+ commitments since/.test(line)));
		// the first file is still true, of its own day
		const old = await done(verify, ["one.json"], {}, "bea");
		assert.ok(old.lines.some((line) => line.startsWith("This is not the newest")));
		const empty = await done(prove, ["none.json"], {}, "nobody");
		assert.match(must(empty.lines[0]), /^By its own books account .* had nothing/);
	});

	test("whose lines are in the market's archive now proves the same balance, with and without a sum of its own, and no market keeps it reading for ever", async () => {
		await funded("1000", "pam");
		const first = await nextDay();
		assert.equal((await done(prove, ["kept.json"], {}, "pam")).json.proven, 1_000n);
		await funded("10", "pam", "second");
		await funded("5", "rex");
		const next = await nextDay();
		const bounds = { beforeMs: market.clock.nowMs(), upToMost: next.commitment.position, sliceTransfers: 1_000 };
		await market.stop();
		const book = fine(await openSqliteBook({ path: ledgerPath(market.folder) }));
		const pruned = fine(await pruneLedger({ book, folder: join(folder, "archive"), ...bounds }));
		await book.close();
		assert(pruned.upTo === next.commitment.position && pruned.upTo > first.commitment.position);
		market = await market.restart();
		// its sum is of lines that are in the archive now; the others never read a line
		assert.equal((await done(prove, ["again.json"], {}, "pam")).json.proven, 1_010n);
		await rm(join(folder, "pam", "proven"), { recursive: true });
		assert.equal((await done(prove, ["anew.json"], {}, "pam")).json.proven, 1_010n);
		assert.equal((await done(prove, ["rex.json"], {}, "rex")).json.proven, 5n);
		await done(statement, ["lines.json"], { json: true }, "pam");
		const { lines } = JSON.parse(await readFile(join(folder, "lines.json"), "utf8")) as { lines: Json[] };
		assert.deepEqual(
			lines.map(({ purse, net }) => [purse, net]),
			[["spending", "1010"]],
		);
		assert.match(String(lines[0]?.cause), /^Carried on/);
		// and after it money goes on as ever
		await funded("1", "pam", "third");
		await nextDay();
		assert.equal((await done(prove, ["later.json"], {}, "pam")).json.proven, 1_011n);
		// a market that takes the first lines back each time
		const problem = { problem: "conflict", detail: "These lines were pruned.", retry: false, spent: "no" };
		const conflict = { error: { message: "conflict", code: -32_009, data: { problem } } };
		const page = { result: { data: { lines: [{ ...lines[0], position: 1 }], next: 1 } } };
		let asked = 0;
		liar.lies.set("/account.statement", () => (asked++ % 2 === 0 ? page : conflict));
		await rm(join(folder, "pam", "proven"), { recursive: true });
		assert.equal((await refused(prove, ["for-ever.json"], {}, "pam")).problem, "conflict");
		assert.equal(asked, 4);
	});

	test("a market that leaves an account out is told of, with a file that says so to others", async () => {
		await funded("1000", "cem");
		await nextDay();
		liar.lies.set("/account.proof", (json) => {
			const { data } = json.result as { data: object };
			return { result: { data: { ...data, proofs: [] } } };
		});
		const problem = await refused(prove, ["left-out.json"], {}, "cem");
		assert.match(
			problem.detail,
			/had \$0\.000001 by the account's own books; the market's commitment of .* leaves it out/,
		);
		assert.match(problem.detail, /What the market gave is in .*left-out\.json/);
		assert.match((await refused(verify, ["left-out.json"])).detail, /^The check of the purse fails: .*leaves it out/);
	});

	test("a market that shows somebody else's leaf, or another amount, is told of", async () => {
		await funded("1000", "dan");
		await funded("1000", "eve");
		await nextDay();
		let others: unknown;
		liar.lies.set("/account.proof", (json) => {
			const { data } = json.result as { data: { proofs: unknown } };
			others ??= data.proofs;
			return { result: { data: { ...data, proofs: others } } };
		});
		await done(prove, ["dan.json"], {}, "dan");
		assert.match((await refused(prove, ["eve.json"], {}, "eve")).detail, /somebody else's balance/);
	});

	test("a market that shows an old balance as today's is told of: what moved before the commitment is missing in it", async () => {
		await funded("1000", "fay");
		const first = await nextDay();
		await funded("500", "fay", "second");
		await market.clock.advance(3_600_000);
		const { position, trees, worlds, own, owed } = first.commitment;
		const old = { position, trees, worlds, own, owed };
		const next = await nextDay();
		const stale = await signed(next.commitment, old);
		shows([...(await chain()).slice(0, -1).map((link) => asLink(link, link.commitment)), asLink(next, stale)]);
		const problem = await refused(prove, ["old.json"], {}, "fay");
		assert.match(
			problem.detail,
			/is of older balances than it says: it leaves out .*second-fay, which moved before it was made/,
		);
		// and whoever has seen neither, with the right position: the old trees do not hold what the account's books say
		shows([
			...(await chain()).slice(0, -1).map((link) => asLink(link, link.commitment)),
			asLink(next, await signed(next.commitment, { ...old, position: next.commitment.position })),
		]);
		await rm(join(folder, "fay", "heads"), { recursive: true });
		const proof = await refused(prove, ["older.json"], {}, "fay");
		assert.match(proof.detail, /does not lead to its commitment/);
	});

	test("a market that rewrites yesterday, or signs two chains, is caught by what was seen, and the proof of it is saved and explained", async () => {
		await funded("1000", "gus");
		const first = await nextDay();
		await done(prove, ["first.json"], {}, "gus");
		const next = await nextDay();
		const before = (await chain()).slice(0, -2).map((link) => asLink(link, link.commitment));
		const rewritten = await signed(first.commitment, { takenMs: first.commitment.takenMs + 1 });
		const after = await signed(next.commitment, { previous: rewritten.hash });
		shows([...before, asLink(first, rewritten), asLink(next, after)]);
		const problem = await refused(prove, ["second.json"], {}, "gus");
		assert.match(
			problem.detail,
			/^The market signed two different commitments for .*farelay verify explains it to anybody/,
		);
		const [name = ""] = (await readdir(folder)).filter((file) => file.startsWith("farelay-fork-"));
		const fork = await done(verify, [name], { market: toHex(market.market) }, "a judge");
		assert.match(must(fork.lines[0]), /^The market signed two different commitments/);
		assert.deepEqual([fork.json.fork, fork.json.marketPinned], ["twice", true]);
		// whoever saw nothing is shown a chain that holds; a relay that kept a head tells them otherwise
		await done(prove, ["newcomer.json"], { all: true }, "newcomer");
		const heads = [asLink(first, first.commitment)];
		await writeFile(join(folder, "heads.json"), JSON.stringify(heads));
		const told = await refused(verify, ["newcomer.json"], { seen: "heads.json" }, "a judge");
		assert.match(told.detail, /^The check of the head fails: The market signed two/);
		// leaving the day out of the chain is seen as well
		const skipping = await signed(next.commitment, { previous: must((await chain()).at(-3)).commitment.hash });
		shows([...before, asLink(next, skipping)]);
		assert.match((await refused(prove, ["third.json"], {}, "gus")).detail, /leaves out: it rewrote its past/);
	});

	test("what is no proof, no answer and no place to write is a clear problem each time", async () => {
		await nextDay();
		const lies: [string, (json: Json) => Json, RegExp][] = [
			[
				"/account.proof",
				() => ({ result: { data: { key: "00", commitment: "00", proofs: [] } } }),
				/commitment is none|malformed|not/i,
			],
			[
				"/account.proof",
				(json) => ({ result: { data: { ...(json.result as { data: object }).data, proofs: ["00"] } } }),
				/proof/,
			],
			["/v1/commitments", () => ({ commitments: "x" }), /commitments are none/],
			["/v1/commitments", () => ({ commitments: [] }), /no place for its own commitment/],
			[
				"/account.statement",
				() => ({ result: { data: { lines: [{ position: 0 }], next: null } } }),
				/statement is none/,
			],
		];
		await funded("10", "hal");
		await done(prove, ["sound.json"], {}, "ian");
		for (const [path, lie, says] of lies) {
			liar.lies.set(path, lie);
			assert.match((await refused(prove, ["odd.json"], {}, "hal")).detail, says);
			liar.lies.clear();
		}
		assert.equal((await refused(prove, ["a", "b"])).problem, "usage");
		assert.equal((await refused(prove, ["sound.json/under-a-file"], {}, "hal")).problem, "disk");
		await writeFile(join(folder, "text.json"), "hello");
		assert.match((await refused(verify, ["sound.json"], { seen: "text.json" })).detail, /holds no commitments/);
		const text = await readFile(join(folder, "sound.json"), "utf8");
		await writeFile(join(folder, "forged.json"), text.replace(/"commitment":"01/, '"commitment":"02'));
		assert.match((await refused(verify, ["forged.json"])).detail, /check of the commitment fails/);
		await writeFile(join(folder, "cut.json"), text.slice(0, -3));
		assert.match((await refused(verify, ["cut.json"])).detail, /check of the form fails/);
		await writeFile(join(folder, "no-fork.json"), text.replace("proof/1", "fork/1"));
		assert.ok(isProblem(await refused(verify, ["no-fork.json"])));
	});
});
