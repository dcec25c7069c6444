/**
 * The asking half of the market's oblivious functions (RFC 9497): blinds what it asks about, checks the proof that the answer came from the key that the market
 * signed, and unblinds. The package is loaded where it is needed first: most people never do.
 */

import { fromHex, join, same, toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { ELEMENT_BYTES, isForked, type ObliviousKey, PROOF_BYTES, readObliviousKey } from "#contracts/quota";
import type { Device } from "./device.ts";
import type { MarketDoor } from "./door.ts";
import type { AnsweredJson } from "./rights.ts";
import { getJson, putJson } from "./storage.ts";

/** Elements on their way to the market, and what makes of its answer the outputs, in their order. */
export type Blinded = {
	readonly blinded: Uint8Array;
	open(answered: AnsweredJson): Promise<readonly Uint8Array[] | Problem>;
};

/** Blinds inputs for a key. */
export async function blind(inputs: readonly Uint8Array[], key: ObliviousKey): Promise<Blinded> {
	const [{ Evaluation, Oprf, VOPRFClient }, { CryptoNoble }] = await Promise.all([
		import("@cloudflare/voprf-ts"),
		import("@cloudflare/voprf-ts/crypto-noble"),
	]);
	const suite = Oprf.Suite.RISTRETTO255_SHA512;
	const client = new VOPRFClient(suite, key.key, CryptoNoble);
	const [kept, request] = await client.blind([...inputs]);
	const count = Uint8Array.of(inputs.length >> 8, inputs.length & 255);
	return {
		// without the count that the package writes in front
		blinded: request.serialize().slice(count.length),
		open: async ({ evaluated, proof }) => {
			const elements = fromHex(evaluated, inputs.length * ELEMENT_BYTES);
			const proven = fromHex(proof, PROOF_BYTES);
			const wrong = problem(
				"signature-bad",
				"The market's answer is not by the key that it published; it is not used.",
			);
			if (!elements || !proven) return wrong;
			try {
				const bytes = join(count, elements, Uint8Array.of(Oprf.Mode.VOPRF), proven);
				return await client.finalize(kept, Evaluation.deserialize(suite, bytes, CryptoNoble));
			} catch {
				// the package says only that a proof or an element is none
				return wrong;
			}
		},
	};
}

/**
 * The market's word on a key, asked for without saying who asks, checked by its online keys, and held against what it said before: a market that shows somebody
 * a key of their own could tell them apart by it.
 */
export async function publishedKey(
	device: Device,
	market: MarketDoor,
	pool: Uint8Array,
	month: number,
): Promise<ObliviousKey | Problem> {
	const terms = await market.terms();
	if (isProblem(terms)) return terms;
	const input = encodeURIComponent(JSON.stringify({ pool: toHex(pool), month }));
	let answer: { result?: { data?: { key?: unknown } } };
	try {
		const answered = await device.fetch(`${market.url}/trpc/tokens.key?input=${input}`);
		answer = (await answered.json()) as typeof answer;
	} catch {
		return problem("unavailable", "The market could not be reached or did not answer.", { spent: "no" });
	}
	const bytes = fromHex(answer.result?.data?.key);
	if (!bytes)
		return problem("not-found", "This market has no such key: keys are of pools, for this month and the next.");
	const key = readObliviousKey(device.crypto, bytes, terms.keys);
	if (isProblem(key)) return key;
	if (!same(key.market, terms.market) || !same(key.pool, pool) || key.month !== month)
		return problem("conflict", "The market answered with another key than was asked for.");
	return (await heldAgainst(device, key)) ?? key;
}

/** What a market said of a key first is kept: it can say nothing else later. */
async function heldAgainst({ storage }: Device, key: ObliviousKey): Promise<Problem | undefined> {
	const name = `oblivious/${toHex(key.market)}/${toHex(key.pool)}/${key.month}`;
	const before = await getJson<{ key: string }>(storage, name);
	const known = fromHex(before?.key);
	if (!known) {
		await putJson(storage, name, { key: toHex(key.key) });
		return undefined;
	}
	if (!isForked({ ...key, key: known }, key)) return undefined;
	return problem(
		"data-corrupt",
		"This market shows another key than it did before for the same month: by such keys people can be told apart, so nothing is drawn or spent.",
		{ spent: "no" },
	);
}
