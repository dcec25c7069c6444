/** A market's rooms for passes and tokens on any book and board, time held; its sponsors, enrollers and people. */

import assert from "node:assert/strict";
import { Evaluation, Oprf, VOPRFClient } from "@cloudflare/voprf-ts";
import { CryptoNoble } from "@cloudflare/voprf-ts/crypto-noble";
import { join, toHex } from "#contracts/bytes";
import { codeHash, makeCode } from "#contracts/code";
import { COMMONS_POOL, checkedBytes, signPass, tagOf } from "#contracts/pass";
import { isProblem, type Problem } from "#contracts/problem";
import { ELEMENT_BYTES, monthOf, type QuotaToken, tokenInput } from "#contracts/quota";
import { crypto } from "#host/crypto";
import type { Board } from "#marketplace/board/board";
import { openMemoryBoard } from "#marketplace/board/memory";
import type { Keys } from "#marketplace/keys/keys";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import type { Market } from "#marketplace/market";
import { issuePass, lookUp } from "#marketplace/pass/enroll";
import { askToEnroll, decideEnroller } from "#marketplace/pass/enroller";
import { giveCodes } from "#marketplace/pass/give";
import { newPool } from "#marketplace/pool/decide";
import { type Pool, readPool, writePool } from "#marketplace/pool/pool";
import { Burns, counterOf } from "#marketplace/sponsor/burn";
import { RULES } from "#marketplace/sponsor/rules";
import { drawTokens } from "#marketplace/token/draw";
import { type Answered, makeOblivious, TAGS } from "#marketplace/token/oblivious";
import { type HeldClock, heldClock } from "./clock.ts";

export type Rooms = Pick<Market, "board" | "book" | "clock" | "crypto" | "keys" | "oblivious"> & {
	readonly clock: HeldClock;
};

export const DAY_MS = 86_400_000;
const SUITE = Oprf.Suite.RISTRETTO255_SHA512;
export const MONTH_BYTES = 100_000_000n;

/** Rooms on a book and a board; others on the same are other processes of the market. */
export function roomsOf({
	book = openMemoryBook(),
	board = openMemoryBoard(),
	clock = heldClock(Date.UTC(2026, 10, 10, 12)),
}: {
	book?: Book;
	board?: Board;
	clock?: HeldClock;
} = {}): Rooms {
	const root = crypto.keyPair(new Uint8Array(32).fill(1));
	const keys = { market: root.publicKey, online: () => root } as unknown as Keys;
	return { crypto, book, board, clock, keys, oblivious: makeOblivious(new Uint8Array(32).fill(7), root.publicKey) };
}

export const someone = () => toHex(crypto.random(32));

/** The answer, which must be no refusal. */
export function well<T>(answer: T | Problem): T {
	if (isProblem(answer)) assert.fail(`refused: ${JSON.stringify(answer)}`);
	return answer;
}

/** The refusal, which it must be; its words are looked at, for a person reads them. */
export function refusal(answer: unknown, code: Problem["problem"], says: RegExp): Problem {
	assert(
		isProblem(answer),
		`was not refused: ${JSON.stringify(answer, (_, v) => (typeof v === "bigint" ? `${v}` : v))}`,
	);
	assert.deepEqual([answer.problem, says.test(answer.detail)], [code, true], answer.detail);
	assert.equal(answer.spent, "no");
	return answer;
}

/** A pool of a sponsor's, in any state. */
export async function makePool(
	{ book, clock }: Pick<Rooms, "book"> & { clock: Pick<HeldClock, "nowMs"> },
	{
		sponsor = someone(),
		state = "open" as Pool["state"],
		enrollers = [] as string[],
		monthBytes = MONTH_BYTES,
		untilMs = undefined as number | undefined,
	} = {},
): Promise<{ pool: string; bytes: Uint8Array; sponsor: string }> {
	const bytes = crypto.random(16);
	const nowMs = clock.nowMs();
	const limits = { monthBytes, dayBytes: monthBytes, dayLimit: 10n ** 12n };
	const rules = { countries: [], enrollers, ...limits, fromMs: nowMs, untilMs };
	const order = { pool: toHex(bytes), sponsor, rules, rest: "back" as const };
	const pool = well(newPool(order, RULES, nowMs));
	assert.deepEqual(await book.apply([{ rows: [writePool({ ...pool, state })] }]), ["applied"]);
	return { pool: pool.pool, bytes, sponsor };
}

/** The pool in another state. */
export async function turnPool({ book }: Pick<Rooms, "book">, id: string, state: Pool["state"]): Promise<void> {
	const row = await book.record("pools", id);
	assert(row);
	assert.deepEqual(await book.apply([{ rows: [writePool({ ...readPool(row), state })] }]), ["applied"]);
}

/** A batch of codes that a sponsor made; the codes themselves are known to nobody else. */
export async function codesFor(
	rooms: Rooms,
	of: { pool: string; sponsor: string },
	{ count = 1, uses = 1, days = 60, untilMs = rooms.clock.nowMs() + 30 * DAY_MS, monthBytes = MONTH_BYTES } = {},
): Promise<{ codes: string[]; batch: string }> {
	const codes = Array.from({ length: count }, () => makeCode(crypto));
	const batch = toHex(crypto.random(16));
	const hashes = codes.map((code) => codeHash(crypto, code));
	well(await giveCodes(rooms, of.sponsor, { batch, pool: of.pool, hashes, uses, untilMs, days, monthBytes }));
	return { codes, batch };
}

/** An enroller that the market's people approved. */
export class Partner {
	readonly key = crypto.keyPair(crypto.random(32));
	readonly account = toHex(this.key.publicKey);
	readonly rooms: Rooms;

	constructor(rooms: Rooms) {
		this.rooms = rooms;
	}

	async approved(dayMax = 100): Promise<this> {
		well(await askToEnroll(this.rooms, this.account, { name: "A school", about: "We teach 300 children." }));
		well(await decideEnroller(this.rooms, this.account, "approved", { dayMax }));
		return this;
	}

	/** The tag of whoever has such a document, as an enroller's client finds it; the proof is checked. */
	async tag(pool: Uint8Array, checked: string, kind = "ke-national-id"): Promise<Uint8Array | Problem> {
		const { rooms, account } = this;
		const blind = await blindOf(
			[well(checkedBytes(rooms.keys.market, kind, checked))],
			await rooms.oblivious.key(TAGS),
		);
		const answered = await lookUp(rooms, account, blind.blinded);
		if (isProblem(answered)) return answered;
		const [output] = await blind.finish(answered);
		assert(output);
		return tagOf(crypto, pool, output);
	}

	/** Looks a person up and hands them a code. */
	async enroll(
		pool: Uint8Array,
		checked: string,
		{ country = undefined as string | undefined, days = 200 } = {},
	): Promise<string | Problem> {
		const tag = await this.tag(pool, checked);
		if (isProblem(tag)) return tag;
		const code = makeCode(crypto);
		const issued = await issuePass(this.rooms, this.account, this.pass(pool, code, tag, { country, days }));
		return isProblem(issued) ? issued : code;
	}

	pass(
		pool: Uint8Array,
		code: string,
		tag: Uint8Array,
		{ country = undefined as string | undefined, days = 200, issuedAtMs = this.rooms.clock.nowMs() } = {},
	): Uint8Array {
		const { market } = this.rooms.keys;
		const said = { market, pool, code: codeHash(crypto, code), tag, country, issuedAtMs };
		return signPass(crypto, { ...said, validUntilMs: issuedAtMs + days * DAY_MS }, this.key).bytes;
	}
}

/** Blinds inputs as any implementation of RFC 9497 does. */
export async function blindOf(inputs: readonly Uint8Array[], key: Uint8Array) {
	const client = new VOPRFClient(SUITE, key, CryptoNoble);
	const [data, request] = await client.blind([...inputs]);
	const count = inputs.length;
	return {
		blinded: request.serialize().slice(2),
		finish: ({ evaluated, proof }: Answered) => {
			const bytes = join(Uint8Array.of(count >> 8, count & 255), evaluated, Uint8Array.of(Oprf.Mode.VOPRF), proof);
			return client.finalize(data, Evaluation.deserialize(SUITE, bytes, CryptoNoble));
		},
	};
}

/** Draws tokens as a client does. */
export async function draw(
	rooms: Rooms,
	account: string,
	pool: Uint8Array,
	count: number,
): Promise<QuotaToken[] | Problem> {
	const month = monthOf(rooms.clock.nowMs());
	const nonces = Array.from({ length: count }, () => crypto.random(32));
	const inputs = nonces.map((nonce) => tokenInput(rooms.keys.market, pool, month, nonce));
	const blind = await blindOf(inputs, await rooms.oblivious.key({ pool, month }));
	assert.equal(blind.blinded.length, count * ELEMENT_BYTES);
	const answered = await drawTokens(rooms, account, { pool: toHex(pool), month, blinded: blind.blinded });
	if (isProblem(answered)) return answered;
	const outputs = await blind.finish(answered);
	return nonces.map((nonce, i) => ({ nonce, output: outputs[i] ?? new Uint8Array() }));
}

/** So many bytes that tabs used of an account's pass of a pool, counted as `sponsor/` counts them. */
export async function useBytes(rooms: Rooms, account: string, pool: string, bytes: bigint): Promise<void> {
	const month = String(monthOf(rooms.clock.nowMs()));
	const isCommons = pool === toHex(COMMONS_POOL);
	const key = isCommons ? counterOf.person(account, month) : counterOf.pass(pool, month, account);
	const burns = await Burns.read(rooms.book, [key]);
	burns.add(key, isCommons ? "commons" : "bytes", bytes, { account });
	assert.deepEqual(await rooms.book.apply([{ rows: burns.changes(rooms.clock.nowMs()) }]), ["applied"]);
}

/** What is counted of the commons' quota for an account. */
export async function commonsUsed(rooms: Rooms, account: string): Promise<bigint> {
	const key = counterOf.person(account, String(monthOf(rooms.clock.nowMs())));
	return (await Burns.read(rooms.book, [key])).of(key, "commons");
}
