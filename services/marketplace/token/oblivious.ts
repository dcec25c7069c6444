/**
 * The market's oblivious functions: it answers for what it does not see, proves which key it answered by, and knows its own answers again. One secret, a key for each
 * use: tags of persons, and a pool's tokens of a month (PROTOCOL.md, "Quota tokens"; docs/decisions/quota-tokens.md).
 */

import { derivePrivateKey, EvaluationRequest, generatePublicKey, Oprf, VOPRFServer } from "@cloudflare/voprf-ts";
import { CryptoNoble } from "@cloudflare/voprf-ts/crypto-noble";
import { join, Writer } from "#contracts/bytes";
import { KEY_BYTES } from "#contracts/identity";
import { COMMONS_POOL } from "#contracts/pass";
import { type Problem, problem } from "#contracts/problem";
import { ELEMENT_BYTES, PROOF_BYTES, TOKENS_MAX } from "#contracts/quota";
import { POOL_BYTES } from "#contracts/tranche";

const SUITE = Oprf.Suite.RISTRETTO255_SHA512;
const MODE = Oprf.Mode.VOPRF;

/** What a key is for: a pool's tokens of a month, or tags. */
export type Purpose = { readonly pool: Uint8Array; readonly month: number };

/** Tags of persons: one key for all of them, and for as long as there is the market, or nobody would be known again. */
export const TAGS: Purpose = { pool: COMMONS_POOL, month: 0 };

/** Answers to blinded elements, in their order, and the proof that they are the named key's. */
export type Answered = { readonly evaluated: Uint8Array; readonly proof: Uint8Array };

/** The market's oblivious functions. */
export interface Oblivious {
	/** The public key for a purpose. */
	key(purpose: Purpose): Promise<Uint8Array>;
	/** Answers for blinded elements, joined. A problem for what are none. */
	answer(purpose: Purpose, blinded: Uint8Array): Promise<Answered | Problem>;
	/** Whether an output is the one of this input. */
	isOutput(purpose: Purpose, input: Uint8Array, output: Uint8Array): Promise<boolean>;
}

type Ready = { readonly key: Uint8Array; readonly server: VOPRFServer };

/** Keys that are kept ready: making one costs as much as an answer; a market with more pools makes some anew. */
const READY_MAX = 200;

/** The functions of a market's secret. */
export function makeOblivious(secret: Uint8Array, market: Uint8Array): Oblivious {
	const ready = new Map<string, Promise<Ready>>();

	async function make({ pool, month }: Purpose): Promise<Ready> {
		const info = new Writer().put(market, KEY_BYTES).put(pool, POOL_BYTES).u32(month).finish();
		const secretKey = await derivePrivateKey(MODE, SUITE, secret, info, CryptoNoble);
		return {
			key: generatePublicKey(SUITE, secretKey, CryptoNoble),
			server: new VOPRFServer(SUITE, secretKey, CryptoNoble),
		};
	}

	function of(purpose: Purpose): Promise<Ready> {
		const name = `${purpose.month} ${purpose.pool.join()}`;
		const known = ready.get(name);
		if (known) return known;
		if (ready.size >= READY_MAX) ready.delete(ready.keys().next().value as string);
		const made = make(purpose);
		ready.set(name, made);
		return made;
	}

	return {
		key: async (purpose) => (await of(purpose)).key,
		answer: async (purpose, blinded) => {
			const request = readBlinded(blinded);
			if ("problem" in request) return request;
			const { server } = await of(purpose);
			const bytes = (await server.blindEvaluate(request)).serialize();
			// how many, the elements, which mode, the proof
			const end = 2 + blinded.length;
			return { evaluated: bytes.slice(2, end), proof: bytes.slice(end + 1, end + 1 + PROOF_BYTES) };
		},
		isOutput: async (purpose, input, output) => (await of(purpose)).server.verifyFinalize(input, output),
	};
}

/** Elements as they come from outside: as many as may come at once, each a point, and none the neutral one, which would be answered by itself. */
function readBlinded(blinded: Uint8Array): EvaluationRequest | Problem {
	const count = blinded.length / ELEMENT_BYTES;
	if (!Number.isInteger(count) || count < 1 || count > TOKENS_MAX)
		return problem(
			"malformed",
			`1 to ${TOKENS_MAX} blinded elements of ${ELEMENT_BYTES} bytes can be answered at once.`,
		);
	try {
		const request = EvaluationRequest.deserialize(
			SUITE,
			join(Uint8Array.of(count >> 8, count & 255), blinded),
			CryptoNoble,
		);
		if (request.blinded.length === count && !request.blinded.some((element) => element.isIdentity())) return request;
	} catch {
		// the package says which rule of the group the bytes break
	}
	return problem("malformed", "What is to be answered is no blinded element.");
}
