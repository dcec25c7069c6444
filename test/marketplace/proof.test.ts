/** What the market owes, committed to once a day, and each account's proof of its own (PROTOCOL.md, "Commitments"). */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { checkChain, type Link, readLink } from "#contracts/chain";
import { type Commitment, owedBy } from "#contracts/commitment";
import { readMarketInfo } from "#contracts/market";
import { isProblem, type Problem } from "#contracts/problem";
import { buildTree, KINDS, type Leaf, leafNode, pathOf, readLeafProof, rootOf } from "#contracts/sumtree";
import { openSilentLog } from "#host/log";
import { type Keys, openKeys } from "#marketplace/keys/keys";
import { type Book, BookFailure } from "#marketplace/ledger/book";
import {
	CHART,
	earnedAccount,
	freshAccount,
	holdAccount,
	leavingAccount,
	OVERRUN,
	owedAccount,
	payerAccount,
	poolAccount,
	poolFreshAccount,
	WORLD_PLAY,
	waitingAccount,
} from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { type Answered, openProofs, type Proofs } from "#marketplace/proof/proofs";
import { orderOf, placeOf, Sorted } from "#marketplace/proof/sorted";
import { growTrees, openTrees } from "#marketplace/proof/trees";
import type { Rail } from "#marketplace/rail/rail";
import { must } from "#test/contracts/world";
import { heldClock } from "#test/support/clock";
import { DoubleRail } from "#test/support/doublerail";
import {
	carried,
	crypto,
	DAY_MS,
	fine,
	Person,
	startTestMarket,
	type TestMarket,
	TestRelay,
} from "#test/support/market";
import { until } from "#test/support/rawclient";

const live = new AbortController().signal;
let folder = "";
let keys: Keys;
let count = 0;
before(async () => {
	folder = await mkdtemp(join(tmpdir(), "farelay-proof-"));
	keys = fine(await openKeys(crypto, join(folder, "keys"), heldClock().nowMs()));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A key in hex and as bytes. */
const key = (n: number): string => n.toString(16).padStart(64, "0");
const bytesOf = (hex: string): Uint8Array => must(fromHex(hex));

describe("the trees of a day", () => {
	const secret = new Uint8Array(32).fill(7);

	it("has a place for every account of the chart: what is owed on a new one cannot be forgotten", () => {
		for (const { name } of CHART) {
			const account = name.replace("<account>", key(5)).replace(/<tab>|<pool>|<gift>/, "c3".repeat(16));
			const place = placeOf(account);
			assert.equal(typeof place === "string" || "world" in place, account.startsWith("world:"), name);
		}
		for (const odd of ["pool:1", "payer:1", "operator:x:earned", "world:moon", `payer:${key(1)}:stale`])
			assert.throws(() => placeOf(odd), /commitments know no account/);
	});

	it("grows the same roots and ways as the contracts' own tree, for any number of leaves", async () => {
		for (const size of [0, 1, 2, 3, 4, 5, 8, 9, 33, 300]) {
			const accounts = Array.from({ length: size }, (_, n) => key(n * 7 + 1));
			const sorted = new Sorted(crypto, secret, live);
			await sorted.take(accounts.map((hex, n) => ({ account: payerAccount(hex), balance: BigInt(n + 1) })));
			await sorted.take([{ account: payerAccount(key(0)), balance: 0n }]);
			const grown = await growTrees(crypto, join(folder, "trees"), sorted, live);
			const leaves = accounts.map((hex, n): Leaf & { order: string } => {
				const [order, salt] = orderOf(crypto, secret, "payer", bytesOf(hex));
				return { kind: "payer", id: bytesOf(hex), salt, nanos: amount(BigInt(n + 1)), order: toHex(order) };
			});
			leaves.sort((a, b) => (a.order < b.order ? -1 : 1));
			const levels = buildTree(
				crypto,
				leaves.map((leaf) => leafNode(crypto, leaf)),
			);
			assert.deepEqual(grown.roots.payer, { ...must(levels.at(-1)?.[0]), height: levels.length - 1 });
			const hash = crypto.random(32);
			await grown.keep(hash, Date.now());
			const trees = must(await openTrees(crypto, join(folder, "trees"), { hash, secret }));
			for (const [index, { order: _order, ...leaf }] of leaves.entries()) {
				const proof = must(await trees.proofOf("payer", leaf.id));
				assert.deepEqual(proof, { leaf, index, path: pathOf(crypto, levels, index) });
				assert.deepEqual(rootOf(crypto, proof), grown.roots.payer);
			}
			assert.equal(await trees.proofOf("payer", bytesOf(key(0))), undefined, "an empty balance has no leaf");
			assert.equal(await trees.proofOf("earned", bytesOf(key(1))), undefined);
			await trees.close();
			assert.deepEqual(await readdir(join(folder, "trees")), [`${toHex(hash)}.trees`], "another day's are gone");
		}
	});

	it("orders and salts an account anew each day: who was beside it yesterday says nothing of today", () => {
		const id = bytesOf(key(1));
		const [order, salt] = orderOf(crypto, secret, "payer", id);
		const [next, other] = orderOf(crypto, new Uint8Array(32).fill(8), "payer", id);
		assert.notDeepEqual(order, next);
		assert.notDeepEqual(salt, other);
		assert.notDeepEqual(orderOf(crypto, secret, "fresh", id)[0], order);
	});

	it("leaves nothing behind when it is given up", async () => {
		const sorted = new Sorted(crypto, secret, live);
		await sorted.take([{ account: payerAccount(key(1)), balance: 1n }]);
		const given = new AbortController();
		given.abort();
		await assert.rejects(growTrees(crypto, join(folder, "given-up"), sorted, given.signal), { name: "AbortError" });
		await (await growTrees(crypto, join(folder, "given-up"), sorted, live)).drop();
		assert.deepEqual(await readdir(join(folder, "given-up")), []);
	});

	it("clears away what a crash left half written a day ago, and not what another process writes now", async () => {
		const path = join(folder, "left");
		const nowMs = 1_900_000_000_000;
		const grown = await growTrees(crypto, path, new Sorted(crypto, secret, live), live);
		for (const [name, agoMs] of [
			["crashed.part", 86_400_001],
			["writing.part", 86_399_000],
			["notes.txt", 86_400_001],
		] as const) {
			await writeFile(join(path, name), "");
			await utimes(join(path, name), new Date(nowMs - agoMs), new Date(nowMs - agoMs));
		}
		const hash = new Uint8Array(32).fill(3);
		await grown.keep(hash, nowMs);
		assert.deepEqual((await readdir(path)).sort(), [`${toHex(hash)}.trees`, "notes.txt", "writing.part"]);
	});

	it("takes a file of another commitment, or one that is cut short, for none", async () => {
		const path = join(folder, "odd");
		const grown = await growTrees(crypto, path, new Sorted(crypto, secret, live), live);
		const hash = new Uint8Array(32).fill(1);
		await grown.keep(hash, Date.now());
		const whole = await readFile(join(path, `${toHex(hash)}.trees`));
		assert.ok(await openTrees(crypto, path, { hash, secret }).then((trees) => trees?.close().then(() => true)));
		const other = new Uint8Array(32).fill(2);
		assert.equal(await openTrees(crypto, path, { hash: other, secret }), undefined);
		const bad = [new Uint8Array(0), whole.subarray(0, -1), Buffer.concat([whole, Buffer.alloc(1)])];
		for (const bytes of [...bad, Buffer.concat([other, whole.subarray(32)])]) {
			await writeFile(join(path, `${toHex(hash)}.trees`), bytes);
			assert.equal(await openTrees(crypto, path, { hash, secret }), undefined);
		}
	});
});

describe("the day's commitment", () => {
	const ADA = key(0xada);
	const OLU = key(0x01);
	const clock = heldClock();
	const TAB = "c3".repeat(16);
	const POOL = "d4".repeat(16);

	/** A book with something on every kind of account. */
	async function filled(): Promise<Book> {
		const book = openMemoryBook();
		const give = (account: string, nanos: bigint) => ({
			transfer: {
				id: `give:${account}`,
				cause: "play money",
				atMs: 1,
				entries: [
					{ account: WORLD_PLAY, nanos: -nanos },
					{ account, nanos },
				],
			},
		});
		const accounts = [
			payerAccount(ADA),
			freshAccount(ADA),
			holdAccount(TAB),
			earnedAccount(OLU),
			waitingAccount(OLU),
			leavingAccount(OLU),
			"commons",
			"risk",
			"risk:lent",
			"market:fees",
			"market:rate",
			"world:card",
			poolAccount(POOL),
			poolFreshAccount(POOL),
		];
		const OWING = [owedAccount(ADA), OVERRUN];
		const outcomes = await book.apply(accounts.map((account, n) => give(account, 10n ** BigInt(n))));
		const owing = await book.apply(OWING.map((account, n) => give(account, -BigInt(n + 1))));
		assert.ok([...outcomes, ...owing].every((outcome) => outcome === "applied"));
		return book;
	}

	function opened(book: Book, more: { rails?: Rail[]; at?: string; rate?: bigint } = {}): Promise<Proofs> {
		const rate = { msatPerDollar: more.rate ?? 0n, spreadPpm: 0, atMs: 0, says: "a rate for tests" };
		const rates = { now: async () => (more.rate === undefined ? problemOfRates : rate) };
		const at = join(folder, more.at ?? `proofs-${count++}`);
		return openProofs({ crypto, clock, log: openSilentLog(), book, keys, rails: more.rails ?? [], rates, folder: at });
	}
	const problemOfRates: Problem = { problem: "unavailable", retry: true, spent: "no", detail: "Nobody knows." };

	function readAll(links: readonly Link[]): Commitment[] {
		const chain = checkChain(crypto, links, keys.market);
		if ("problem" in chain) assert.fail(chain.detail);
		return chain.map(({ commitment }) => commitment);
	}
	const answered = async (
		proofs: Proofs,
		account: string,
		tabs: string[] = [],
		pools: string[] = [],
	): Promise<Answered> =>
		fine(await proofs.prove({ account: bytesOf(account), tabs: tabs.map(bytesOf), pools: pools.map(bytesOf) }));

	it("says of each kind what is owed, and what came in against it, to the nano-dollar", async () => {
		const proofs = await opened(await filled(), { rate: 1_500n });
		assert.equal(proofs.newest(), undefined);
		assert.equal(await proofs.run(), true);
		const [made] = readAll(await proofs.after(-1, 9));
		assert(made);
		assert.deepEqual(
			KINDS.map((kind) => made.trees[kind].sum),
			[1n, 10n, 100n, 1_000n, 10_000n, 100_000n, 10n ** 12n, 10n ** 13n],
		);
		assert.deepEqual(made.own, {
			commons: 10n ** 6n,
			risk: 10n ** 7n,
			lent: 10n ** 8n,
			fees: 10n ** 9n,
			rate: 10n ** 10n,
		});
		assert.deepEqual(made.worlds, { play: 11_111_111_111_108n, lightning: 0n, card: -(10n ** 11n) });
		assert.deepEqual([made.owed, made.overrun], [1n, 2n]);
		assert.deepEqual([made.position, owedBy(made), made.msatPerDollar], [16, 11_011_111_111_111n, 1_500n]);
		assert.deepEqual(made.takenMs, clock.nowMs());
		await proofs.close();
	});

	it("proves each of an account's balances, and nothing of what it has not", async () => {
		const proofs = await opened(await filled());
		await proofs.run();
		const [made] = readAll(await proofs.after(-1, 9));
		assert(made);
		const ada = await answered(proofs, ADA, [TAB, "00".repeat(16)]);
		assert.deepEqual(ada.link, proofs.newest());
		assert.deepEqual(
			ada.proofs.map(({ leaf }) => [leaf.kind, leaf.nanos]),
			[
				["payer", 1n],
				["fresh", 10n],
				["hold", 100n],
			],
		);
		const sponsor = await answered(proofs, "e5".repeat(32), [], [POOL]);
		assert.deepEqual(
			sponsor.proofs.map(({ leaf }) => [leaf.kind, toHex(leaf.id), leaf.nanos]),
			[
				["pool", POOL, 10n ** 12n],
				["gift", POOL, 10n ** 13n],
			],
		);
		const olu = await answered(proofs, OLU);
		assert.deepEqual(
			olu.proofs.map(({ leaf }) => leaf.nanos),
			[1_000n, 10_000n, 100_000n],
		);
		for (const proof of [...ada.proofs, ...olu.proofs])
			assert.deepEqual(rootOf(crypto, proof), made.trees[proof.leaf.kind]);
		assert.deepEqual((await answered(proofs, key(9))).proofs, []);
		await proofs.close();
	});

	it("makes one a day and no more, each naming the one before; none when nothing ever moved, none for a day that is over", async () => {
		const empty = await opened(openMemoryBook());
		assert.equal(await empty.run(), false);
		const refused = await empty.prove({ account: bytesOf(ADA), tabs: [], pools: [] });
		assert(isProblem(refused) && refused.problem === "not-found");
		const proofs = await opened(await filled());
		assert.deepEqual([await proofs.run(), await proofs.run()], [true, false]);
		clock.jump(DAY_MS);
		assert.deepEqual([await proofs.run(), await proofs.run()], [true, false]);
		for (const back of [-DAY_MS, -2 * DAY_MS]) {
			clock.jump(back);
			assert.equal(await proofs.run(), false, "a clock that was set back makes none before the newest");
		}
		clock.jump(3 * DAY_MS);
		const days = readAll(await proofs.after(-1, 9)).map(({ day }) => day);
		assert.deepEqual(days, [must(days[0]), must(days[0]) + 1]);
		assert.deepEqual(
			readAll(await proofs.after(must(days[0]), 9)).map(({ day }) => day),
			days.slice(1),
		);
		assert.deepEqual(await proofs.after(-1, 1), [await proofs.after(-1, 9)].flat().slice(0, 1));
		await Promise.all([proofs.close(), empty.close()]);
	});

	it("threat 5: of several processes that make the day's at once, one's stands, and all prove in it", async () => {
		const book = await filled();
		const many = await Promise.all(Array.from({ length: 4 }, () => opened(book)));
		const made = await Promise.all(many.map((proofs) => proofs.run()));
		assert.equal(made.filter((own) => own).length, 1);
		const links = await must(many[0]).after(-1, 9);
		assert.equal(links.length, 1);
		for (const proofs of many) {
			await proofs.run();
			assert.deepEqual(proofs.newest(), links[0]);
			assert.equal((await answered(proofs, ADA)).proofs.length, 2);
			await proofs.close();
		}
	});

	it("grows the trees of a commitment anew from the ledger as it was then, and refuses a ledger that was not like that", async () => {
		const book = await filled();
		const first = await opened(book);
		await first.run();
		const then = (await answered(first, ADA)).proofs;
		await book.apply([
			{
				transfer: {
					id: "later",
					cause: "later",
					atMs: 2,
					entries: [
						{ account: payerAccount(ADA), nanos: -1n },
						{ account: earnedAccount(ADA), nanos: 1n },
					],
				},
			},
		]);
		const second = await opened(book);
		const waits = await second.prove({ account: bytesOf(ADA), tabs: [], pools: [] });
		assert(isProblem(waits) && waits.problem === "unavailable" && waits.retry);
		assert.equal(await second.run(), false);
		assert.deepEqual((await answered(second, ADA)).proofs, then);
		const rewritten = {
			...book,
			eachBalance: (take: Parameters<Book["eachBalance"]>[0], at?: number) =>
				book.eachBalance((page) => take(page.filter(({ account }) => account !== freshAccount(ADA))), at),
		};
		const third = await opened(rewritten);
		await assert.rejects(third.run(), /is not what was committed to/);
		await Promise.all([first, second, third].map((proofs) => proofs.close()));
	});

	it("cannot leave out an account: what is owed would not be what came in, and nothing is signed", async () => {
		const book = await filled();
		const without = {
			...book,
			eachBalance: (take: Parameters<Book["eachBalance"]>[0]) =>
				book.eachBalance((page) => take(page.filter(({ account }) => account !== payerAccount(ADA)))),
		};
		const proofs = await opened(without, { at: "left-out" });
		await assert.rejects(proofs.run(), /came in against it/);
		assert.equal(proofs.newest(), undefined);
		assert.deepEqual(await readdir(join(folder, "left-out")), []);
		await proofs.close();
	});

	it("finds its trees again after a restart, and forgets yesterday's", async () => {
		const book = await filled();
		const first = await opened(book, { at: "again" });
		await first.run();
		const ada = await answered(first, ADA);
		await first.close();
		const second = await opened(book, { at: "again" });
		assert.deepEqual(await answered(second, ADA), ada);
		clock.jump(DAY_MS);
		await second.run();
		assert.equal((await readdir(join(folder, "again"))).length, 1);
		await second.close();
	});

	it("shows nobody what a bad disk made of its trees, and grows them anew", async () => {
		const proofs = await opened(await filled(), { at: "bad-disk" });
		await proofs.run();
		const ada = await answered(proofs, ADA);
		const [name = ""] = await readdir(join(folder, "bad-disk"));
		const file = await readFile(join(folder, "bad-disk", name));
		const at = file.indexOf(Buffer.from(leafNode(crypto, must(ada.proofs[0]).leaf).hash)) + 32;
		file[at] = must(file[at]) ^ 1;
		await writeFile(join(folder, "bad-disk", name), file);
		const refused = await proofs.prove({ account: bytesOf(ADA), tabs: [], pools: [] });
		assert(isProblem(refused) && refused.problem === "unavailable");
		await proofs.run();
		assert.deepEqual(await answered(proofs, ADA), ada);
		await proofs.close();
	});

	it("says of each rail what it says it holds, that it is silent, or that it cannot be asked", async () => {
		const says = Object.assign(new DoubleRail({ name: "b-lightning" }), {
			balance: async () => ({ spendable: 7n, pending: -2n }),
		});
		const silent = Object.assign(new DoubleRail({ name: "a-card", world: "world:card", unit: "cent" }), {
			balance: async () => problemOfRates,
		});
		const never = Object.assign(new DoubleRail({ name: "c-slow" }), { balance: () => new Promise<never>(() => {}) });
		const unasked = Object.assign(new DoubleRail({ name: "d-play", world: "world:play", unit: "nano" }), {
			balance: async () => undefined,
		});
		const proofs = await opened(await filled(), { rails: [unasked, says, never, silent] });
		let done = false;
		const running = proofs.run().finally(() => {
			done = true;
		});
		while (!done) await clock.advance(1_000);
		await running;
		const [made] = readAll(await proofs.after(-1, 9));
		assert.deepEqual(
			made?.rails.map(({ name, world, unit, state, spendable, pending }) => [
				name,
				world,
				unit,
				state,
				spendable,
				pending,
			]),
			[
				["a-card", "card", "cent", "silent", 0n, 0n],
				["b-lightning", "lightning", "msat", "says", 7n, -2n],
				["c-slow", "lightning", "msat", "silent", 0n, 0n],
				["d-play", "play", "nano", "unasked", 0n, 0n],
			],
		);
		assert.equal(made?.msatPerDollar, 0n, "nobody knows the rate");
		await proofs.close();
	});

	it("gives up when the market stops: it waits for no rail, and leaves nothing half made", async () => {
		const asked = Promise.withResolvers<void>();
		const never = Object.assign(new DoubleRail(), {
			balance: () => {
				asked.resolve();
				return new Promise<never>(() => {});
			},
		});
		const proofs = await opened(await filled(), { rails: [never], at: "halted" });
		const running = proofs.run();
		await asked.promise;
		proofs.halt();
		assert.equal(await running, false);
		assert.deepEqual([proofs.newest(), await readdir(join(folder, "halted"))], [undefined, []]);
		await proofs.close();
	});

	it("throws what the book refuses, and refuses a book whose commitments no market wrote", async () => {
		const book = await filled();
		const full = { ...book, apply: async () => [{ refused: "disk" as const, detail: "full" }] };
		const proofs = await opened(full);
		await assert.rejects(proofs.run(), /not written down: full/);
		await proofs.close();
		const row = { account: "00".repeat(32), state: "newest", dueMs: 1, key: "newest", value: "0000000001" };
		await book.apply([{ rows: [{ table: "commitments", expect: 0, row }] }]);
		await assert.rejects(opened(book), BookFailure);
		const day = { ...row, key: "0000000001", state: "made", value: '{"commitment":"01","key":"","secret":""}' };
		await book.apply([{ rows: [{ table: "commitments", expect: 0, row: day }] }]);
		await assert.rejects(opened(book), /day 0000000001 in the ledger is none/);
	});
});

describe("proofs over HTTP", () => {
	let market: TestMarket;
	let ada: Person;
	let relay: TestRelay;
	before(async () => {
		market = await startTestMarket();
		ada = new Person(market);
		relay = new TestRelay(market);
		await ada.fund(5_000_000_000n);
		await relay.list();
		const grant = await ada.open({ relay: relay.key.publicKey });
		const used = carried(100_000);
		await relay.redeem({ tab: grant.tab, voucher: ada.voucher(grant, used), used });
	});
	after(() => market.end());

	/** Lets the market's own chore make the day's commitment. */
	async function dayPasses(): Promise<void> {
		const had = JSON.stringify(await head());
		await until("the day has its commitment", async () => {
			await market.clock.advance(60_000);
			return JSON.stringify(await head()) !== had;
		});
	}
	async function head(): Promise<unknown> {
		const info = await (await fetch(`${market.url}/.well-known/farelay.json`)).json();
		return fine(readMarketInfo(crypto, info)).info.head;
	}
	async function chain(after?: number): Promise<Link[]> {
		const response = await fetch(`${market.url}/v1/commitments${after === undefined ? "" : `?after=${after}`}`);
		assert.equal(response.status, 200);
		const { commitments } = (await response.json()) as { commitments: unknown[] };
		return commitments.map((json) => must(readLink(json)));
	}

	it("the day's commitment is made by itself, stands in the market's description, and is anybody's to read and keep", async () => {
		assert.deepEqual(await chain(), []);
		await dayPasses();
		const [first] = await chain();
		assert.deepEqual(readLink(await head()), first);
		const response = await fetch(`${market.url}/v1/commitments`);
		assert.equal(response.headers.get("cache-control"), "public, max-age=60");
		assert.equal(response.headers.get("access-control-allow-origin"), "*");
		for (const odd of ["?after=x", "?after=-2", "?after=01", "?after=1&after=2"]) {
			const refused = await fetch(`${market.url}/v1/commitments${odd}`);
			assert.deepEqual([refused.status, ((await refused.json()) as Problem).problem], [400, "malformed"]);
		}
	});

	it("an account gets its own proofs, a hold of its tab among them; somebody else gets nothing of it", async () => {
		const answer = await ada.client.account.proof.query();
		const [link] = await chain();
		assert.deepEqual(readLink(answer), link);
		const checked = checkChain(crypto, [must(link)], market.market);
		if ("problem" in checked) assert.fail(checked.detail);
		const { trees } = must(checked[0]).commitment;
		const proofs = answer.proofs.map((hex) => fine(readLeafProof(bytesOf(hex))));
		assert.deepEqual(
			proofs.map(({ leaf }) => leaf.kind),
			["payer", "hold"],
		);
		for (const proof of proofs) assert.deepEqual(rootOf(crypto, proof), trees[proof.leaf.kind]);
		assert.equal(must(proofs[0]).leaf.nanos, await ada.balance());
		const olu = await relay.operator.client.account.proof.query();
		assert.deepEqual(
			olu.proofs.map((hex) => fine(readLeafProof(bytesOf(hex))).leaf.kind),
			["earned"],
		);
		assert.deepEqual((await new Person(market).client.account.proof.query()).proofs, []);
	});

	it("the next day's names it, also after a restart", async () => {
		const [first] = await chain();
		market = await market.restart();
		ada.where = market;
		assert.deepEqual(await chain(), [first]);
		assert.equal((await ada.client.account.proof.query()).proofs.length, 2, "before any chore ran");
		market.clock.jump(DAY_MS);
		await dayPasses();
		const both = await chain();
		const checked = checkChain(crypto, both, market.market);
		if ("problem" in checked) assert.fail(checked.detail);
		assert.deepEqual(await chain(must(checked[0]).commitment.day), both.slice(1));
	});
});
