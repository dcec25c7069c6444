/** Giving some of one's own money to a friend: to their account, or by a link. Like the client's own, its promises reject with a `FarelayError`. */

import { type Amount, formatAmount, parseAmount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { codeHash, codeLink, makeCode, readCode, showCode } from "#contracts/code";
import { HASH_BYTES } from "#contracts/identity";
import { problem } from "#contracts/problem";
import type { Device } from "./device.ts";
import { askMarket, type MarketDoor } from "./door.ts";
import { FarelayError, orThrow } from "./error.ts";
import type { GiftJson } from "./rights.ts";
import { putJson } from "./storage.ts";

/** A gift by a link. `id` names it for {@link Gifts.takeBack}. */
export type OfferedGift = {
	readonly id: string;
	readonly state: GiftJson["state"];
	readonly amount: Amount;
	/** When it goes back by itself. */
	readonly untilMs: number;
};

/** How long a gift waits unless told otherwise, in days. */
const DAYS = 30;
const ID_BYTES = 8;

/** An account's gifts. */
export class Gifts {
	readonly #device: Device;
	readonly #market: MarketDoor;

	constructor(device: Device, market: MarketDoor) {
		this.#device = device;
		this.#market = market;
	}

	/** Gives to an account (public key in hex). The same `id` again gives nothing more: whoever heard no answer asks again by it. */
	async give(to: string, amount: Amount, id: string = toHex(this.#device.crypto.random(ID_BYTES))): Promise<void> {
		await askMarket(this.#market, (api) => api.gift.give.mutate({ id, to, amount: formatAmount(amount) }));
	}

	/**
	 * Puts a gift aside and makes its link: whoever has that may claim it, once. Its code is kept in storage before the market is told, so that a lost answer loses no
	 * money; unclaimed, the gift goes back after `days`.
	 */
	async offer(amount: Amount, days = DAYS): Promise<OfferedGift & { readonly link: string; readonly code: string }> {
		const { crypto, storage } = this.#device;
		const code = makeCode(crypto);
		const hash = toHex(codeHash(crypto, code));
		await putJson(storage, `gift/${hash}`, { code });
		const offered = await askMarket(this.#market, (api) =>
			api.gift.offer.mutate({ hash, amount: formatAmount(amount), days }),
		);
		return { ...readGift(offered), code: showCode(code), link: codeLink(this.#market.url, "gift", code) };
	}

	/** Claims a gift by its link or code; what it brought. */
	async claim(typed: string): Promise<Amount> {
		const code = orThrow(readCode(this.#device.crypto, typed));
		return money((await askMarket(this.#market, (api) => api.gift.claim.mutate({ code }))).amount);
	}

	/** Takes a gift back that nobody claimed yet, by its id, its link or its code. */
	async takeBack(gift: string): Promise<OfferedGift> {
		const { crypto } = this.#device;
		const hash = fromHex(gift, HASH_BYTES) ?? codeHash(crypto, orThrow(readCode(crypto, gift)));
		return readGift(await askMarket(this.#market, (api) => api.gift.takeBack.mutate({ hash: toHex(hash) })));
	}

	/** The gifts that one gave by links. */
	async list(): Promise<OfferedGift[]> {
		return (await askMarket(this.#market, (api) => api.gift.list.query())).gifts.map(readGift);
	}
}

function readGift({ hash, state, amount, untilMs }: GiftJson): OfferedGift {
	return { id: hash, state, amount: money(amount), untilMs };
}

function money(text: string): Amount {
	const nanos = parseAmount(text);
	if (nanos === undefined) throw new FarelayError(problem("malformed", "The market's amount is none."));
	return nanos;
}
