/** The vectors of commitments, trees, proof files and fork files. */
import { NOTHING } from "#contracts/amount";
import { join, toHex, Writer } from "#contracts/bytes";
import { forkLines } from "#contracts/chain";
import { readCommitment, signCommitment } from "#contracts/commitment";
import type { Crypto } from "#contracts/identity";
import { readMarketKey } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { readFork, readProof, writeFork, writeProof } from "#contracts/proof";
import { leafNode, padsOf, readLeafProof, rootOf, writeLeafProof } from "#contracts/sumtree";
import { flip, must, NOW_MS, patch, resign, seed, u64, world } from "#test/contracts/world";
import { Books, chainOf, linkOf, partsOf } from "#test/support/books";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";

export function proofVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const signer = { market: w.root.publicKey, online: w.online, key: w.marketKey.bytes };
	const key = must(readMarketKey(crypto, w.marketKey.bytes));
	const id = w.account.publicKey;
	const books = new Books(crypto, [
		{ kind: "payer", id, nanos: 5_000_000_000n },
		{ kind: "payer", id: w.operator.publicKey, nanos: 1n },
		{ kind: "payer", id: w.other.publicKey, nanos: 70n },
		{ kind: "fresh", id, nanos: 10n },
		{ kind: "hold", id: w.tab, nanos: 10_400_000n },
		{ kind: "earned", id: w.operator.publicKey, nanos: 507_000n },
		{ kind: "waiting", id: w.operator.publicKey, nanos: 20n },
		{ kind: "pool", id: w.tab, nanos: 7_000n },
		{ kind: "gift", id: w.tab, nanos: 3n },
	]);
	const empty = new Books(crypto, []);
	const chain = chainOf(crypto, signer, [empty, books]);
	const newest = must(chain[1]);
	const parts = partsOf(signer, chain, books, id, [
		["payer", 0],
		["fresh", 0],
		["hold", 0],
		["pool", 0],
		["gift", 0],
	]);
	const whole = writeProof(parts);
	const resigned = (at: number, over: Uint8Array) =>
		resign(crypto, "commitment", patch(newest.bytes, at, over), w.online.secretKey);
	const u32 = (value: number) => new Writer().u32(value).finish();
	const end = newest.bytes.length - 64;
	const badCommitments: [string, Uint8Array][] = [
		...lengths(newest.bytes),
		["another version", resigned(0, new Uint8Array([2]))],
		["another market", resigned(1, w.other.publicKey)],
		["another key's id", resigned(33, new Uint8Array(8))],
		["a day that is not its time's", resigned(41, new Uint8Array([1]))],
		["a time past what a date can be", resigned(41, join(u32(104_249_991), u64(2n ** 53n - 1n)))],
		["a sum past the largest amount", resigned(93 + 33, u64(2n ** 63n))],
		["a sum that nothing came in against", resigned(93 + 33, u64(5_000_000_072n))],
		["a tree that is too high", resigned(93, new Uint8Array([33]))],
		["a rail's name in capitals", resigned(end - 22, new Uint8Array([0x41]))],
		["a rail of a world that is not known", resigned(end - 19, new Uint8Array([3]))],
		["a rail's unit that is not known", resigned(end - 18, new Uint8Array([3]))],
		["a rail's state that is not known", resigned(end - 17, new Uint8Array([3]))],
		["a rail that was not asked and says something", resigned(end - 16, u64(1n))],
		["a signature of somebody else", resign(crypto, "commitment", newest.bytes, w.other.secretKey)],
		["a signature with a bit changed", flip(newest.bytes, end + 1)],
	];
	const proof = books.proof("payer", 2);
	const read = must(readLeafProof(proof));
	const badProofs: [string, Uint8Array][] = [
		...lengths(proof),
		["a kind that is not known", patch(proof, 0, new Uint8Array([8]))],
		["an empty balance", patch(proof, 49, u64(0n))],
		["a balance past the largest amount", patch(proof, 49, u64(2n ** 63n))],
		["a place that the tree has not", patch(proof, 57, new Uint8Array([4]))],
		["more levels than places have bits", patch(proof, 61, new Uint8Array([33]))],
		["a sum beside its way past the largest amount", patch(proof, 62 + 32, u64(2n ** 63n))],
	];
	const other = signCommitment(crypto, signer.market, { ...books.facts(), takenMs: NOW_MS + 1 }, w.online);
	const [payer, fresh, hold] = parts.purses;
	const foreign = books.proof("payer", 1);
	const badFiles: [string, string][] = [
		["nothing", ""],
		["no newline at the end", whole.slice(0, -1)],
		["a space", whole.replace(",", ", ")],
		["a field more", whole.replace('"account"', '"note":"x","account"')],
		["no commitment", writeProof({ ...parts, chain: [] })],
		["a link twice", writeProof({ ...parts, chain: [...parts.chain, linkOf(signer, newest)] })],
		["links in another order", writeProof({ ...parts, chain: parts.chain.toReversed() })],
		["another market's key", writeProof({ ...parts, chain: [{ ...must(parts.chain[0]), key: flip(signer.key, 0) }] })],
		["a balance for nobody", writeProof({ ...parts, account: undefined })],
		["a balance that is named twice", writeProof({ ...parts, purses: [must(payer), must(payer)] })],
		["a balance of somebody else", writeProof({ ...parts, account: w.other.publicKey })],
		["a balance that was left out", writeProof({ ...parts, purses: [{ ...must(payer), proof: undefined }] })],
		["a proof of somebody else's", writeProof({ ...parts, purses: [{ ...must(payer), proof: foreign }] })],
		["a proof of another kind", writeProof({ ...parts, purses: [{ ...must(payer), proof: must(fresh).proof }] })],
		["more than is committed to", writeProof({ ...parts, purses: [{ ...must(hold), nanos: must(payer).nanos }] })],
		["a proof in another day's trees", writeProof({ ...parts, chain: parts.chain.slice(0, 1) })],
	];
	const failure = (name: string, file: string, market = signer.market) => {
		const answer = readProof(crypto, file, { market });
		return { ...(refused(name, { file }, answer) as object), check: isProblem(answer) ? answer.check : "" };
	};
	const forks: [string, string][] = [
		["two for one day", writeFork(linkOf(signer, other), [linkOf(signer, must(chain[0]))])],
		["one for a day that the chain leaves out", droppedFork()],
	];
	function droppedFork(): string {
		const days = [0, 2].map((day) => NOW_MS + day * 86_400_000);
		const [first, last] = days.map((takenMs) => ({ ...books.facts(), takenMs }));
		const one = signCommitment(crypto, signer.market, must(first), w.online);
		const two = signCommitment(crypto, signer.market, { ...must(last), previous: one.hash }, w.online);
		return writeFork(linkOf(signer, newest), [linkOf(signer, one), linkOf(signer, two)]);
	}
	return {
		contract: "proof",
		section: "Commitments",
		market: toHex(signer.market),
		key: toHex(signer.key),
		pads: padsOf(crypto, 3).map(({ hash }) => toHex(hash)),
		leaves: Object.values(books.leaves)
			.flat()
			.map((leaf) => accepted(leaf.kind, { ...leaf, hash: leafNode(crypto, leaf).hash })),
		proofs: [0, 1, 2].map((index) => {
			const bytes = books.proof("payer", index);
			return accepted(`place ${index}`, { bytes, root: rootOf(crypto, must(readLeafProof(bytes))) });
		}),
		proofsRefused: badProofs.map(([name, bytes]) => refused(name, bytes, readLeafProof(bytes))),
		rootsRefused: [
			refused(
				"sums that are too much together",
				writeLeafProof({ ...read, path: read.path.map(({ hash }) => ({ hash, sum: 2n ** 63n - 1n })) }),
				rootOf(crypto, { ...read, path: read.path.map(({ hash }) => ({ hash, sum: 2n ** 63n - 1n })) }),
			),
		],
		commitments: chain.map(({ bytes, ...facts }) => accepted(`day ${facts.day}`, { bytes, ...facts })),
		commitmentsRefused: badCommitments.map(([name, bytes]) => refused(name, bytes, readCommitment(crypto, bytes, key))),
		files: [
			["an account in a chain of two", parts] as const,
			["a chain alone", { ...parts, account: undefined, purses: [] }] as const,
			[
				"an account without anything",
				{ ...parts, purses: [{ ...must(payer), nanos: NOTHING, proof: undefined }] },
			] as const,
		].map(([name, own]) => {
			const verdict = readProof(crypto, writeProof(own), { market: signer.market });
			if (isProblem(verdict)) throw new Error(`${name}: ${verdict.detail}`);
			return accepted(name, { file: writeProof(own), days: verdict.days });
		}),
		filesRefused: [
			...badFiles.map(([name, file]) => failure(name, file)),
			failure("another root is pinned", whole, crypto.keyPair(seed(8)).publicKey),
		],
		forks: forks.map(([name, file]) => {
			const verdict = readFork(crypto, file, signer.market);
			if (isProblem(verdict)) throw new Error(`${name}: ${verdict.detail}`);
			return accepted(name, { file, kind: verdict.kind, says: forkLines(verdict.seen.commitment, verdict.kind) });
		}),
		forksRefused: [
			["nothing", ""],
			["a commitment that the chain has", writeFork(linkOf(signer, newest), parts.chain)],
			["a commitment of a day before the chain", writeFork(linkOf(signer, must(chain[0])), parts.chain.slice(1))],
		].map(([name = "", file = ""]) => refused(name, { file }, readFork(crypto, file, signer.market))),
	};
}
