/**
 * The people whose cards are known: by a card from hand to hand, or by a link to a published one. A published card is asked for again when
 * its owner seems to have moved, at most so often; without an answer the card in hand goes on being used.
 */

import { same, toHex } from "#contracts/bytes";
import { type Card, readCard, readCardLink } from "#contracts/card";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { isPlaceLink, readPlaceLink } from "#contracts/published";
import type { Device } from "./device.ts";
import { isMany, type Whom } from "./options.ts";
import { fetchPublished } from "./published.ts";
import { getJson, putJson } from "./storage.ts";

/** How long a published card is used without asking for a newer one: each question tells a market that somebody is interested. */
export const LOOK_AGAIN_MS = 10 * 60_000;

/** What is remembered of a place: whose it is, the newest publication that was seen, and when was last asked. */
type Place = { readonly link: string; readonly identity: string; readonly serial: number; readonly lookedMs: number };

export class Contacts {
	private readonly device: Device;
	private readonly told: (problem: Problem) => void;
	/** Questions under way, by link: two messages to one person ask once. */
	private readonly looking = new Map<string, Promise<Card | Problem>>();

	/** `told` hears what a market showed that was not to be believed, where the card in hand is used instead. */
	constructor(device: Device, told: (problem: Problem) => void) {
		this.device = device;
		this.told = told;
	}

	/** The card that is known of a person. */
	async known(identity: Uint8Array): Promise<Card | undefined> {
		const bytes = await this.device.storage.get(`contact/${toHex(identity)}`);
		const card = bytes && readCard(this.device.crypto, bytes);
		return card && !isProblem(card) ? card : undefined;
	}

	/**
	 * Remembers a person's card, and answers the one to use: of somebody whose published card is followed the one that was signed for
	 * longer, so that an old link in an app's list undoes no move.
	 */
	async know(card: Card): Promise<Card> {
		const known = await this.known(card.identity);
		const followed = known && (await this.device.storage.get(`linked/${toHex(card.identity)}`));
		if (followed && known.expiresAtMs > card.expiresAtMs) return known;
		await this.device.storage.put(`contact/${toHex(card.identity)}`, card.bytes);
		return card;
	}

	/** The card that a link stands for: the one in it, or the newest that is published there. */
	async resolve(link: string): Promise<Card | Problem> {
		if (!isPlaceLink(link)) return readCardLink(this.device.crypto, link);
		const place = readPlaceLink(link);
		if (isProblem(place)) return place;
		const known = await getJson<Place>(this.device.storage, `place/${toHex(place.place)}`);
		const card = known && (await this.cardAt(known));
		if (card && this.device.nowMs() - known.lookedMs < LOOK_AGAIN_MS) return card;
		return this.look(link);
	}

	/** The cards of these people, each of them once. */
	async of(whom: Whom | readonly Whom[]): Promise<Card[] | Problem> {
		const cards = new Map<string, Card>();
		for (const one of isMany(whom) ? whom : [whom]) {
			const card = typeof one === "string" ? await this.resolve(one) : one;
			if (isProblem(card)) return card;
			cards.set(toHex(card.identity), card);
		}
		return [...cards.values()];
	}

	/** A newer card of somebody whose published one is followed; undefined where there is none, or it was asked for a moment ago. */
	async newer(card: Card): Promise<Card | undefined> {
		const link = await getJson<string>(this.device.storage, `linked/${toHex(card.identity)}`);
		const place = link === undefined ? undefined : readPlaceLink(link);
		if (link === undefined || !place || isProblem(place)) return undefined;
		const known = await getJson<Place>(this.device.storage, `place/${toHex(place.place)}`);
		const soon = known && Math.abs(this.device.nowMs() - known.lookedMs) < LOOK_AGAIN_MS;
		const found = soon ? await this.cardAt(known) : await this.look(link);
		return !found || isProblem(found) || same(found.bytes, card.bytes) ? undefined : found;
	}

	private async cardAt({ identity }: Place): Promise<Card | undefined> {
		const bytes = await this.device.storage.get(`contact/${identity}`);
		const card = bytes && readCard(this.device.crypto, bytes);
		return card && !isProblem(card) ? card : undefined;
	}

	private look(link: string): Promise<Card | Problem> {
		const under = this.looking.get(link);
		if (under) return under;
		const looking = this.ask(link).finally(() => this.looking.delete(link));
		this.looking.set(link, looking);
		return looking;
	}

	private async ask(link: string): Promise<Card | Problem> {
		const place = readPlaceLink(link);
		if (isProblem(place)) return place;
		const { storage } = this.device;
		const key = `place/${toHex(place.place)}`;
		const known = await getJson<Place>(storage, key);
		const found = await fetchPublished(this.device, place);
		const refused = isProblem(found) ? found : refuse(found, known);
		if (known) await putJson(storage, key, { ...known, lookedMs: this.device.nowMs() } satisfies Place);
		if (refused || isProblem(found)) {
			const inHand = known && (await this.cardAt(known));
			if (!inHand) return refused as Problem;
			this.told(refused as Problem);
			return inHand;
		}
		const { card, serial } = found;
		const identity = toHex(card.identity);
		await storage.put(`contact/${identity}`, card.bytes);
		await putJson(storage, `linked/${identity}`, link);
		await putJson(storage, key, { link, identity, serial, lookedMs: this.device.nowMs() } satisfies Place);
		return card;
	}
}

/** What no market may put in the place of what it showed before. */
function refuse({ card, serial }: { card: Card; serial: number }, known: Place | undefined): Problem | undefined {
	if (known && toHex(card.identity) !== known.identity)
		return problem("conflict", "The card that is published there is another person's than before.");
	if (known && serial < known.serial)
		return problem("conflict", "The market showed an older card than it had before; the newer one is used.");
	return undefined;
}
