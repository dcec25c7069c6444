/**
 * Private passes: draws quota tokens on one's own account, and spends them later from an account that is made for that and for nothing else, so that the market cannot
 * tell who drew them. What is drawn is in storage before it is spent.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { hashFor } from "#contracts/identity";
import { isProblem, problem } from "#contracts/problem";
import {
	monthOf,
	type QuotaToken,
	TOKEN_NONCE_BYTES,
	TOKEN_QUOTA_BYTES,
	TOKENS_MAX,
	tokenInput,
} from "#contracts/quota";
import { POOL_BYTES } from "#contracts/tranche";
import { blind, publishedKey } from "./blind.ts";
import type { Device } from "./device.ts";
import { attempt, type MarketDoor, marketDoor } from "./door.ts";
import { FarelayError, orThrow } from "./error.ts";
import { type Identity, identityOf } from "./identity.ts";
import { type HeldPass, readHeld } from "./passes.ts";
import { getJson, putJson } from "./storage.ts";

/** A token in storage. */
type Kept = { readonly nonce: string; readonly output: string; readonly notBeforeMs: number };
type Purse = { readonly tokens: readonly Kept[] };

/** A token is spent an hour to a day after it was drawn: who spends in the minute in which somebody drew is that somebody. */
const WAIT_MS = 3_600_000;
const WAIT_MORE_MS = 23 * 3_600_000;

/** An account's private quota. */
export class Quotas {
	readonly #device: Device;
	readonly #identity: Identity;
	readonly #market: MarketDoor;

	constructor(device: Device, identity: Identity, market: MarketDoor) {
		this.#device = device;
		this.#identity = identity;
		this.#market = market;
	}

	/** Draws so many tokens of 10 MB from one's pass of a pool, for this month. Answers how many there are now, spent ones not counted. */
	async draw(pool: string, count: number): Promise<number> {
		const of = poolOf(pool);
		if (!Number.isInteger(count) || count < 1 || count > TOKENS_MAX)
			throw new FarelayError(problem("malformed", `1 to ${TOKENS_MAX} tokens are drawn at once.`));
		const { crypto, storage } = this.#device;
		const month = monthOf(await this.#market.nowMs());
		const { market } = orThrow(await this.#market.terms());
		const key = orThrow(await publishedKey(this.#device, this.#market, of, month));
		const nonces = Array.from({ length: count }, () => crypto.random(TOKEN_NONCE_BYTES));
		const asked = await blind(
			nonces.map((nonce) => tokenInput(market, of, month, nonce)),
			key,
		);
		const order = { pool, month, blinded: toHex(asked.blinded) };
		const drawn = await attempt(() => this.#market.api.tokens.draw.mutate(order));
		// an answer that was lost is asked for once more: the market answers the same again, and takes nothing more for it
		const answered =
			isProblem(drawn) && drawn.retry ? await attempt(() => this.#market.api.tokens.draw.mutate(order)) : drawn;
		const outputs = orThrow(await asked.open(orThrow(answered)));
		const notBeforeMs = (await this.#market.nowMs()) + waitOf(crypto.random(4));
		const kept = nonces.map((nonce, i): Kept => {
			return { nonce: toHex(nonce), output: toHex(outputs[i] ?? new Uint8Array()), notBeforeMs };
		});
		const tokens = [...(await this.#purse(pool, month)).tokens, ...kept];
		await putJson(storage, purseKey(pool, month), { tokens });
		return tokens.length;
	}

	/** The seed of the account that spends a pool's tokens of this month: derived from one's own, so that a restored phone has it again; the market sees no more than that it is one. */
	async seed(pool: string): Promise<Uint8Array> {
		const month = monthOf(await this.#market.nowMs());
		const body = new TextEncoder().encode(`${pool}:${month}`);
		return hashFor(this.#device.crypto, "private-account", body, this.#identity.seed);
	}

	/**
	 * Spends the tokens that have waited long enough (`now`: all of them, at the price of telling when), on the account of {@link seed}. Answers what that account has of the
	 * pool, undefined where nothing was ready. A client with that seed as its `payer` sends by it.
	 */
	async spend(pool: string, { now = false } = {}): Promise<HeldPass | undefined> {
		poolOf(pool);
		const { storage } = this.#device;
		const nowMs = await this.#market.nowMs();
		const month = monthOf(nowMs);
		const { tokens } = await this.#purse(pool, month);
		const ready = tokens.filter(({ notBeforeMs }) => now || notBeforeMs <= nowMs).slice(0, TOKENS_MAX);
		if (ready.length === 0) return undefined;
		const apart = marketDoor(
			this.#device,
			identityOf(this.#device, await this.seed(pool)),
			this.#market.url,
			orThrow(await this.#market.terms()).market,
		);
		// by that account too the key must be the one that everybody is shown
		orThrow(await publishedKey(this.#device, apart, poolOf(pool), month));
		const brought = ready.map(({ nonce, output }) => ({ nonce, output }));
		const pass = readHeld(
			orThrow(await attempt(() => apart.api.tokens.spend.mutate({ pool, month, tokens: brought }))),
		);
		const left = tokens.filter((token) => !ready.includes(token));
		await putJson(storage, purseKey(pool, month), { tokens: left });
		return pass;
	}

	/** Tokens of this month that wait to be spent, and when the next may be. */
	async waiting(pool: string): Promise<{ readonly bytes: bigint; readonly nextMs: number | undefined }> {
		const { tokens } = await this.#purse(pool, monthOf(await this.#market.nowMs()));
		const nextMs = tokens.reduce<number | undefined>(
			(next, { notBeforeMs }) => (next === undefined || notBeforeMs < next ? notBeforeMs : next),
			undefined,
		);
		return { bytes: BigInt(tokens.length) * TOKEN_QUOTA_BYTES, nextMs };
	}

	async #purse(pool: string, month: number): Promise<Purse> {
		const purse = await getJson<Purse>(this.#device.storage, purseKey(pool, month));
		return { tokens: (purse?.tokens ?? []).filter((token) => readToken(token) !== undefined) };
	}
}

function purseKey(pool: string, month: number): string {
	return `quota/${pool}/${month}`;
}

function readToken({ nonce, output }: Kept): QuotaToken | undefined {
	const [a, b] = [fromHex(nonce), fromHex(output)];
	return a && b && { nonce: a, output: b };
}

function poolOf(pool: string): Uint8Array {
	const of = fromHex(pool, POOL_BYTES);
	if (!of) throw new FarelayError(problem("malformed", "A pool is named by 32 hex digits."));
	return of;
}

/** From chance: an hour, and up to a day. */
function waitOf(chance: Uint8Array): number {
	const [a = 0, b = 0, c = 0] = chance;
	return WAIT_MS + Math.floor((((a << 16) | (b << 8) | c) / 2 ** 24) * WAIT_MORE_MS);
}
