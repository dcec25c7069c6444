/** By what one's messages are paid for: a country, passes, codes; and for sponsors, making codes and taking them back. Like the client's own, its promises reject with a `FarelayError`. */

import { fromHex, toHex } from "#contracts/bytes";
import { codeHash, codeLink, makeCode, readCode, showCode } from "#contracts/code";
import { HASH_BYTES } from "#contracts/identity";
import { problem } from "#contracts/problem";
import type { Device } from "./device.ts";
import { askMarket, type MarketDoor } from "./door.ts";
import { FarelayError, orThrow } from "./error.ts";
import type { BatchJson, PassJson, RightsJson } from "./rights.ts";

/** A right to be paid for from a pool: how many bytes of quota a month, what of them was used, until when. */
export type HeldPass = {
	readonly pool: string;
	readonly from: PassJson["from"];
	readonly monthBytes: bigint;
	readonly usedMonth: bigint;
	readonly validUntilMs: number;
};

/** What an account may be paid for by. */
export type Rights = {
	/** The country that counts, and how sure it is. */
	readonly country: string | undefined;
	readonly evidence: RightsJson["evidence"];
	readonly passes: readonly HeldPass[];
	readonly refillsAtMs: number;
};

/** A code to hand out: as people read it, and as a link whose secret stays behind its `#`. */
export type HandedCode = { readonly code: string; readonly link: string };

/** What codes bring. */
export type CodesWanted = {
	readonly pool: string;
	readonly count: number;
	/** For how many people each is good. */
	readonly uses?: number;
	/** How long each can be used, and how long a pass lasts that it brings. */
	readonly usableDays?: number;
	readonly passDays?: number;
	/** Quota of a month; the pool's own bound holds too. */
	readonly monthBytes?: bigint;
};

const BATCH_BYTES = 16;
const DAY_MS = 86_400_000;
const MONTH_BYTES = 100_000_000n;

/** An account's passes, and the codes that it gives. */
export class Passes {
	readonly #device: Device;
	readonly #market: MarketDoor;

	constructor(device: Device, market: MarketDoor) {
		this.#device = device;
		this.#market = market;
	}

	/** The account's country and passes. */
	async show(): Promise<Rights> {
		return readRights(await askMarket(this.#market, (api) => api.pass.show.query()));
	}

	/** Says where one lives: once in a calendar month. */
	async say(country: string): Promise<Rights> {
		return readRights(await askMarket(this.#market, (api) => api.pass.say.mutate({ country })));
	}

	/** Uses a code, as typed or as the link that it came in. The same again answers the same pass. */
	async redeem(typed: string): Promise<HeldPass> {
		const code = orThrow(readCode(this.#device.crypto, typed));
		return readHeld(await askMarket(this.#market, (api) => api.pass.redeem.mutate({ code })));
	}

	/** Makes codes for a pool of one's own. They are made here: the market is told their hashes, and can use none. */
	async makeCodes(wanted: CodesWanted): Promise<{ readonly batch: string; readonly codes: readonly HandedCode[] }> {
		const { crypto } = this.#device;
		const { pool, count, uses = 1, usableDays = 90, passDays = 365, monthBytes = MONTH_BYTES } = wanted;
		const made = Array.from({ length: count }, () => makeCode(crypto));
		const batch = toHex(crypto.random(BATCH_BYTES));
		const untilMs = (await this.#market.nowMs()) + usableDays * DAY_MS;
		const hashes = made.map((code) => toHex(codeHash(crypto, code)));
		const order = { batch, pool, hashes, uses, untilMs, days: passDays, monthBytes: monthBytes.toString() };
		await askMarket(this.#market, (api) => api.code.give.mutate(order));
		return { batch, codes: made.map((code) => this.handed(code)) };
	}

	/** A code as it is handed out. */
	handed(code: string): HandedCode {
		return { code: showCode(code), link: codeLink(this.#market.url, "pass", code) };
	}

	/** The batches that one gave. */
	async batches(): Promise<readonly BatchJson[]> {
		return (await askMarket(this.#market, (api) => api.code.list.query())).batches;
	}

	/** Takes a batch back: its passes end. */
	async takeBatchBack(batch: string): Promise<BatchJson> {
		return askMarket(this.#market, (api) => api.code.takeBatch.mutate({ batch }));
	}

	/** Takes one code back, by itself or its hash in hex: its passes end. Answers how many people had one. */
	async takeBack(code: string): Promise<number> {
		const hash =
			fromHex(code, HASH_BYTES) ?? codeHash(this.#device.crypto, orThrow(readCode(this.#device.crypto, code)));
		return (await askMarket(this.#market, (api) => api.code.takeBack.mutate({ hash: toHex(hash) }))).used;
	}
}

function readRights({ country, evidence, passes, refillsAtMs }: RightsJson): Rights {
	return { country: country ?? undefined, evidence, passes: passes.map(readHeld), refillsAtMs };
}

/** A pass, from a market that is not trusted with numbers. */
export function readHeld({ pool, from, monthBytes, usedMonth, validUntilMs }: PassJson): HeldPass {
	if (![monthBytes, usedMonth].every((bytes) => /^\d{1,18}$/.test(bytes)) || !/^[0-9a-f]{32}$/.test(pool))
		throw new FarelayError(problem("malformed", "The market's pass is none."));
	return { pool, from, monthBytes: BigInt(monthBytes), usedMonth: BigInt(usedMonth), validUntilMs };
}
