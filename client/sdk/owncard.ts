/** One's own card: it names the relays that one's mailboxes are at, and the published one follows when they change. */

import { type Card, cardLink } from "#contracts/card";
import { isProblem, type Problem } from "#contracts/problem";
import { makeCard } from "./card.ts";
import type { Device } from "./device.ts";
import type { MarketDoor } from "./door.ts";
import { type Drawn, HomeChoice, type Homes } from "./home.ts";
import type { Identity } from "./identity.ts";
import type { CardOptions } from "./options.ts";
import { Publishing } from "./publishing.ts";
import type { Clocks } from "./session.ts";

export class OwnCard {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly choice: HomeChoice;
	private readonly publishing: Publishing;

	constructor(device: Device, identity: Identity, market: MarketDoor, clocks: Clocks) {
		this.device = device;
		this.identity = identity;
		this.choice = new HomeChoice(device, identity, market, clocks);
		this.publishing = new Publishing(device, identity, market);
	}

	/** The relays with one's mailboxes. Where the market drew another one, the published card follows. */
	async homes(): Promise<Homes | Problem> {
		return this.follow(await this.choice.homes());
	}

	/** Asks the market for a home, or for another one, and moves there. */
	async draw(again: boolean): Promise<Drawn | Problem> {
		const answer = await this.choice.draw(again);
		const homes = isProblem(answer) ? answer : await this.follow(answer.homes);
		return isProblem(answer) ? answer : isProblem(homes) ? homes : answer.drawn;
	}

	/** A published card that names the old relays would send people to where nobody reads before long. */
	private async follow(homes: Homes | Problem): Promise<Homes | Problem> {
		const follows = !isProblem(homes) && homes.moved && (await this.publishing.name()) !== undefined;
		const published = follows ? await this.publish({}) : undefined;
		return isProblem(published) ? published : homes;
	}

	private async make({ relay, relays, name = "" }: CardOptions): Promise<Card | Problem> {
		const asked = relays ?? (relay && [relay]);
		const homes = asked ? await this.choice.homes(asked) : await this.homes();
		return isProblem(homes) ? homes : makeCard(this.device, this.identity, homes.card, { name });
	}

	/** A link that is the card. */
	async link(options: CardOptions): Promise<string | Problem> {
		const card = await this.make(options);
		if (isProblem(card)) return card;
		// a published card that names the old relays would send people to where nobody reads any more
		const follows = (options.relay || options.relays) && (await this.publishing.name()) !== undefined;
		const published = follows ? await this.publish({}) : undefined;
		return isProblem(published) ? published : cardLink(card);
	}

	/** Publishes it, under the name that it has there unless another is given; a link to where it is kept. */
	async publish(options: CardOptions): Promise<string | Problem> {
		const name = options.name ?? (await this.publishing.name()) ?? "";
		const card = await this.make({ ...options, name });
		return isProblem(card) ? card : this.publishing.publish(card);
	}

	/** Takes the published one back. */
	withdraw(): Promise<string | Problem> {
		return this.publishing.publish(undefined);
	}

	/** Publishes it again where that is due. */
	async renew(): Promise<Problem | undefined> {
		const published = (await this.publishing.isDue()) ? await this.publish({}) : undefined;
		return isProblem(published) ? published : undefined;
	}
}
