/** PROTOCOL.md, "Commitments" and "Proof file": what a market that owes more than it says would try, each seen by whoever checks a file. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Amount, amount } from "#contracts/amount";
import { CHAIN_MAX } from "#contracts/chain";
import { type Commitment, type Facts, owedBy, readCommitment, signCommitment } from "#contracts/commitment";
import { hashFor } from "#contracts/identity";
import { readMarketKey, signMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { fileKind, type ProofParts, readFork, readProof, writeFork, writeProof } from "#contracts/proof";
import { buildTree, joinNodes, leafNode, padsOf, pathOf, type SumNode, writeLeafProof } from "#contracts/sumtree";
import { crypto } from "#host/crypto";
import { DAY_MS, must, NOW_MS, patch, resign, seed, u64, world } from "#test/contracts/world";
import { type Balance, Books, chainOf, linkOf, partsOf } from "#test/support/books";

const w = world(crypto);
const signer = { market: w.root.publicKey, online: w.online, key: w.marketKey.bytes };
const ada = w.account.publicKey;
const olu = w.operator.publicKey;
const BALANCES: readonly Balance[] = [
	{ kind: "payer", id: ada, nanos: 5_000n },
	{ kind: "payer", id: olu, nanos: 300n },
	{ kind: "payer", id: w.other.publicKey, nanos: 70n },
	{ kind: "earned", id: olu, nanos: 900n },
];
const books = new Books(crypto, BALANCES);
const [yesterday, today] = chainOf(crypto, signer, [books, books]) as [Commitment, Commitment];
const adas = partsOf(signer, [yesterday, today], books, ada, [["payer", 0]]);

/** What checking a file of these parts says: nothing, or which check fails and why. */
function says(parts: ProofParts, seen: readonly Commitment[] = []): string | undefined {
	const verdict = readProof(crypto, writeProof(parts), { market: signer.market, seen });
	return isProblem(verdict) ? `${verdict.check}: ${verdict.detail}` : undefined;
}
const signed = (facts: Partial<Facts>, from = books): Commitment =>
	signCommitment(crypto, signer.market, from.facts({ takenMs: NOW_MS + DAY_MS, position: 8, ...facts }), w.online);

test("an account's balance is proven by its file and public keys alone, and the file says which day it is of", () => {
	const text = writeProof(adas);
	assert.equal(fileKind(text), "proof/1");
	const verdict = readProof(crypto, text, { market: signer.market });
	assert(!isProblem(verdict));
	assert.deepEqual(
		verdict.purses.map(({ kind, nanos }) => [kind, nanos]),
		[["payer", 5_000n]],
	);
	assert.deepEqual([verdict.days.links, verdict.days.to, verdict.pinned], [2, today.day, true]);
	const unpinned = readProof(crypto, text);
	assert(!isProblem(unpinned) && !unpinned.pinned);
});

test("all that is owed is the sum of every kind and every purse of the market's own", () => {
	assert.equal(owedBy(today), 5_000n + 300n + 70n + 900n + 700n + 50_000n + 3n + 900n + 11n);
});

test("a market that leaves an account out has no proof to give, and the file says so", () => {
	const without = new Books(crypto, BALANCES.slice(1));
	const chain = chainOf(crypto, signer, [books, without]);
	const parts = { chain: chain.map((link) => linkOf(signer, link)), account: ada };
	const purse = { kind: "payer", id: ada, nanos: amount(5_000n) } as const;
	assert.match(says({ ...parts, purses: [{ ...purse, proof: undefined }] }) ?? "", /^purse: .*leaves it out/);
	// and yesterday's proof leads nowhere in today's trees
	assert.match(says({ ...parts, purses: [{ ...purse, proof: books.proof("payer", 0) }] }) ?? "", /does not lead/);
});

test("a market cannot set a negative balance against what it owes: neither in a leaf, beside a way nor in a total", () => {
	const leaf = must(books.leaves.payer[0]);
	const path = pathOf(crypto, books.levels.payer, 0);
	const below = { hash: must(path[0]).hash, sum: -4_900n };
	assert.equal(joinNodes(crypto, leafNode(crypto, leaf), below), undefined);
	assert.throws(() => writeLeafProof({ leaf, index: 0, path: [below, ...path.slice(1)] }), RangeError);
	assert.throws(() => writeLeafProof({ leaf: { ...leaf, nanos: -1n as Amount }, index: 0, path }), RangeError);
	// two's complement, as it would come over a wire that forgot that sums have no sign
	const wrapped = patch(books.proof("payer", 0), 62 + 32, u64(2n ** 64n - 4_900n));
	assert.match(says({ ...adas, purses: [{ ...must(adas.purses[0]), proof: wrapped }] }) ?? "", /no amount/);
	const trees = { ...books.facts().trees, payer: { ...books.root("payer"), sum: -5n } };
	assert.throws(() => signed({ trees }), RangeError);
	const total = resign(crypto, "commitment", patch(today.bytes, 93 + 33, u64(2n ** 64n - 5n)), w.online.secretKey);
	const read = readCommitment(crypto, total, must(readMarketKey(crypto, signer.key)));
	assert(isProblem(read));
	assert.match(read.detail, /below nothing/);
});

test("a market cannot show everybody a root whose sum is only the largest balance: a node commits to both of its sums", () => {
	// the flaw of the first summation trees: a node that hashes the total of its children, and their hashes
	const [one, two] = books.leaves.payer.map((leaf) => leafNode(crypto, leaf)) as [SumNode, SumNode];
	const most = one.sum > two.sum ? one.sum : two.sum;
	const joined = must(joinNodes(crypto, one, two));
	const lied = must(joinNodes(crypto, one, { ...two, sum: most - one.sum }));
	assert.equal(lied.sum, most);
	assert.notDeepEqual(lied.hash, joined.hash);
	// so under the liar's root Ada finds herself, and Olu cannot
	const root = { ...lied, height: 1 };
	const file = (index: number, beside: SumNode): ProofParts => {
		const leaf = must(books.leaves.payer[index]);
		const proof = writeLeafProof({ leaf, index, path: [beside] });
		const commitment = signed({ trees: { ...books.facts().trees, payer: root } });
		const purse = { kind: "payer", id: leaf.id, nanos: leaf.nanos, proof } as const;
		return { chain: [linkOf(signer, commitment)], account: leaf.id, purses: [purse] };
	};
	assert.equal(says(file(0, { ...two, sum: most - one.sum })), undefined);
	assert.match(says(file(1, one)) ?? "", /does not lead/);
	assert.match(says(file(1, { ...one, sum: most - two.sum })) ?? "", /does not lead/);
});

test("a market cannot show two accounts the same leaf: each leaf is of the account that it names", () => {
	const twins = new Books(crypto, [{ kind: "payer", id: ada, nanos: 5_000n }]);
	const chain = chainOf(crypto, signer, [twins]);
	const shown = twins.proof("payer", 0);
	const file = (id: Uint8Array): ProofParts => ({
		chain: chain.map((link) => linkOf(signer, link)),
		account: id,
		purses: [{ kind: "payer", id, nanos: amount(5_000n), proof: shown }],
	});
	assert.equal(says(file(ada)), undefined);
	assert.match(says(file(olu)) ?? "", /^purse: .*somebody else's/);
	// a leaf that only says that it is Olu's has another hash
	const renamed = patch(shown, 1, olu);
	const purse = { kind: "payer", id: olu, nanos: amount(5_000n), proof: renamed } as const;
	assert.match(says({ ...file(olu), purses: [purse] }) ?? "", /does not lead/);
});

test("a leaf of one kind is no proof in another kind's tree, and no node passes for a leaf", () => {
	const earned = { ...must(books.leaves.earned[0]), kind: "payer" as const };
	const proof = writeLeafProof({ leaf: earned, index: 0, path: [] });
	const parts = { ...adas, account: olu, purses: [{ kind: "payer" as const, id: olu, nanos: earned.nanos, proof }] };
	assert.match(says(parts) ?? "", /does not lead/);
	const body = new Uint8Array(80);
	assert.notDeepEqual(hashFor(crypto, "proof-leaf", body), hashFor(crypto, "proof-node", body));
});

test("a market that rewrites yesterday is caught by whoever kept yesterday's commitment", () => {
	const smaller = new Books(crypto, BALANCES.slice(0, 2));
	const rewritten = chainOf(crypto, signer, [smaller, books]);
	const parts = partsOf(signer, rewritten, books, ada, [["payer", 0]]);
	assert.equal(says(parts), undefined, "whoever kept nothing cannot see it");
	assert.match(says(parts, [yesterday]) ?? "", /^head: The market signed two different commitments for 2027-01-15/);
	// leaving the day out is no way around it
	const facts = (takenMs: number, previous?: Uint8Array) => signed({ takenMs, ...(previous && { previous }) });
	const before = facts(NOW_MS - DAY_MS / 2);
	const after = facts(NOW_MS + DAY_MS, before.hash);
	const skipping = partsOf(signer, [before, after], books, ada, [["payer", 0]]);
	assert.match(says(skipping, [yesterday]) ?? "", /^head: .*leaves out: it rewrote its past/);
	// nor is a chain that only begins later
	const anew = partsOf(signer, [facts(NOW_MS + DAY_MS)], books, ada, [["payer", 0]]);
	assert.match(says(anew, [yesterday]) ?? "", /^head: .*leaves out/);
	assert.equal(says(adas, [yesterday, today]), undefined);
	assert.equal(says({ ...adas, chain: adas.chain.slice(1) }, [yesterday]), undefined, "it does not reach that day");
});

test("a link that does not name the one before it, is not of a later day, or takes transfers back breaks the chain", () => {
	const other = signed({ takenMs: NOW_MS });
	const chained = (next: Partial<Facts>) => {
		const last = signed({ previous: other.hash, ...next });
		return says({ ...adas, chain: [linkOf(signer, other), linkOf(signer, last)], account: undefined, purses: [] });
	};
	assert.equal(chained({}), undefined);
	assert.match(chained({ previous: yesterday.hash }) ?? "", /^chain: .*names another one/);
	assert.match(chained({ takenMs: NOW_MS + 1 }) ?? "", /^chain: .*backwards/);
	assert.match(chained({ position: 7 }) ?? "", /^chain: .*backwards/);
});

test("two signed commitments for one day are a fork file, which proves it to anybody; one commitment twice proves nothing", () => {
	const other = signed({ previous: yesterday.hash, position: 9 });
	const fork = writeFork(linkOf(signer, other), adas.chain);
	assert.equal(fileKind(fork), "fork/1");
	const verdict = readFork(crypto, fork, signer.market);
	assert(!isProblem(verdict));
	assert.equal(verdict.kind, "twice");
	assert.deepEqual([verdict.seen.commitment.hash, verdict.other.commitment.hash], [other.hash, today.hash]);
	const innocent = readFork(crypto, writeFork(linkOf(signer, today), adas.chain), signer.market);
	assert(isProblem(innocent) && innocent.check === "head");
	// the same facts signed again, by the market's next key, are no second history
	const forged = readFork(crypto, fork.replace(/"commitment":"01/, '"commitment":"02'), signer.market);
	assert(isProblem(forged) && forged.check === "commitment");
	const liar = crypto.keyPair(seed(77));
	const market = crypto.keyPair(seed(78));
	const theirs = {
		market: market.publicKey,
		online: liar,
		key: signMarketKey(crypto, market, liar.publicKey, NOW_MS, NOW_MS + DAY_MS).bytes,
	};
	const strangers = chainOf(crypto, theirs, [books]);
	const mixed = readFork(crypto, writeFork(linkOf(theirs, must(strangers[0])), adas.chain));
	assert(isProblem(mixed), "two markets are no fork of one");
});

test("an old balance is not today's: the file says its day, and whoever has seen a later commitment is told", () => {
	const old = partsOf(signer, [yesterday], books, ada, [["payer", 0]]);
	const verdict = readProof(crypto, writeProof(old), { market: signer.market, seen: [today] });
	assert(!isProblem(verdict));
	assert.deepEqual([verdict.newest.commitment.day, verdict.newerDay], [yesterday.day, today.day]);
	const richer = new Books(
		crypto,
		BALANCES.map((balance) => ({ ...balance, nanos: balance.nanos * 2n })),
	);
	const chain = chainOf(crypto, signer, [books, richer]);
	// yesterday's proof under today's commitment, and today's commitment with yesterday's balance
	assert.match(says({ ...old, chain: chain.map((link) => linkOf(signer, link)) }) ?? "", /does not lead/);
	const now = partsOf(signer, chain, richer, ada, [["payer", 0]]);
	const purse = { ...must(now.purses[0]), nanos: amount(5_000n) };
	assert.match(says({ ...now, purses: [purse] }) ?? "", /\$0\.000005 by the account's own books; .* has \$0\.00001\./);
});

test("a commitment counts only while its key lives, under the root that its reader trusts", () => {
	const late = signed({ takenMs: NOW_MS + 29 * DAY_MS });
	const chain = [linkOf(signer, late)];
	assert.match(says({ chain, account: undefined, purses: [] }) ?? "", /^commitment: .*in its life/);
	const other = readProof(crypto, writeProof(adas), { market: w.other.publicKey });
	assert(isProblem(other) && other.check === "market");
});

test("a rail that did not answer is told from one that says that it holds nothing", () => {
	const [card, lightning, play] = today.rails;
	assert.deepEqual([card?.state, lightning?.state, play?.state], ["says", "silent", "unasked"]);
	const rail = (change: object) => signed({ rails: [{ ...must(lightning), ...change }] });
	assert.equal(rail({ state: "says" }).rails[0]?.state, "says");
	assert.throws(() => rail({ pending: 1n }), RangeError);
	assert.throws(() => rail({ name: "Lightning" }), RangeError);
	assert.throws(() => rail({ state: "says", spendable: 2n ** 63n }), RangeError);
	assert.throws(() => signed({ rails: [must(play), must(card)] }), RangeError, "by name");
	assert.throws(() => signed({ rails: [must(card), must(card)] }), RangeError, "each once");
	const many = Array.from({ length: 17 }, (_, at) => ({ ...must(card), name: `rail-${at + 10}` }));
	assert.throws(() => signed({ rails: many }), RangeError);
	assert.equal(signed({ rails: many.slice(1) }).rails.length, 16);
});

test("a file holds a year of days and no more than it may", () => {
	const long = { ...adas, account: undefined, purses: [] };
	const many = (length: number) => ({ ...long, chain: Array.from({ length }, () => must(adas.chain[0])) });
	assert.match(says(many(CHAIN_MAX)) ?? "", /^chain:/);
	assert.match(says(many(CHAIN_MAX + 1)) ?? "", /^form:/);
	const purse = must(adas.purses[0]);
	const purses = (length: number) => ({ ...adas, purses: Array.from({ length }, () => purse) });
	assert.match(says(purses(120)) ?? "", /^purse:/);
	assert.match(says(purses(121)) ?? "", /^form:/);
});

test("an empty tree and a tree of one leaf have no level above them", () => {
	assert.deepEqual(buildTree(crypto, []), [padsOf(crypto, 0)]);
	const [leaf] = books.leaves.earned;
	assert.deepEqual(buildTree(crypto, [leafNode(crypto, must(leaf))]), [[leafNode(crypto, must(leaf))]]);
	assert.throws(
		() =>
			buildTree(
				crypto,
				[1n, 2n ** 63n - 1n].map((sum) => ({ hash: new Uint8Array(32), sum })),
			),
		RangeError,
	);
});
