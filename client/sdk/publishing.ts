/** One's own published card: put where a market keeps it, said again before it is over, taken back. */

import { toHex } from "#contracts/bytes";
import type { Card } from "#contracts/card";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import { placeKey, placeLink, publishedKey } from "#contracts/published";
import type { Device } from "./device.ts";
import type { MarketDoor } from "./door.ts";
import type { Identity } from "./identity.ts";
import { ask, fetchPublished, sealPublished } from "./published.ts";
import { getJson, putJson } from "./storage.ts";

/** How old a publication may be before it is said again, where its owner's client runs: a fraction of the longest that a market keeps it. */
const AGAIN_MS = 24 * 60 * 60_000;

/** What is remembered of one's own publication, at `published`. A withdrawal keeps its serial, so that the next is higher. */
type Own = { readonly serial: number; readonly atMs: number; readonly name?: string };

/** The market that keeps the card. */
type Where = Pick<MarketDoor, "url" | "nowMs">;

export class Publishing {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly market: Where;

	constructor(device: Device, identity: Identity, market: Where) {
		this.device = device;
		this.identity = identity;
		this.market = market;
	}

	private place() {
		const { crypto } = this.device;
		const { seed } = this.identity;
		return { url: this.market.url, place: placeKey(crypto, seed).publicKey, key: publishedKey(crypto, seed) };
	}

	private own(): Promise<Own | undefined> {
		return getJson<Own>(this.device.storage, "published");
	}

	/** The name on the published card; undefined where none is published. */
	async name(): Promise<string | undefined> {
		return (await this.own())?.name;
	}

	/** Whether it is time to say it again. */
	async isDue(): Promise<boolean> {
		const own = await this.own();
		return own?.name !== undefined && Math.abs(this.device.nowMs() - own.atMs) > AGAIN_MS;
	}

	/** Publishes a card, or withdraws what is published; higher than whatever the market has, even where this device has forgotten it. */
	async publish(card: Card | undefined): Promise<string | Problem> {
		const atMs = this.device.nowMs();
		// by the market's clock: a phone that is a day off must not be refused, nor write a serial that it cannot reach again
		const nowMs = await this.market.nowMs();
		const place = this.place();
		const post = async (serial: number) => {
			const said = sealPublished(this.device, this.identity, { card, serial, untilMs: nowMs + LIMIT.publishedMsMax });
			const answer = await ask(this.device, `${this.market.url}/v1/card`, { card: toHex(said.bytes) });
			return isProblem(answer) ? answer : undefined;
		};
		let serial = Math.max(nowMs, ((await this.own())?.serial ?? 0) + 1);
		let refusal = await post(serial);
		if (refusal?.problem === "conflict") {
			// another device of this account, or this one with its clock ahead, has published since
			const there = await fetchPublished(this.device, place);
			if (isProblem(there)) return refusal;
			serial = there.serial + 1;
			refusal = await post(serial);
		}
		if (refusal) return refusal;
		const own: Own = { serial, atMs, ...(card && { name: card.name }) };
		await putJson(this.device.storage, "published", own);
		return placeLink(place);
	}
}
