/** One's own card: it names the relays that one's mailboxes are at, and the published one follows when they change. */

import { type Card, cardLink } from "#contracts/card";
import { isProblem, type Problem } from "#contracts/problem";
import { makeCard, type Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { MarketDoor } from "./door.ts";
import { homesOf } from "./home.ts";
import type { Identity } from "./identity.ts";
import type { CardOptions } from "./options.ts";
import { Publishing } from "./publishing.ts";
import type { Clocks } from "./session.ts";

export class OwnCard {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly market: MarketDoor;
	private readonly clocks: Clocks;
	private readonly publishing: Publishing;

	constructor(device: Device, identity: Identity, market: MarketDoor, clocks: Clocks) {
		this.device = device;
		this.identity = identity;
		this.market = market;
		this.clocks = clocks;
		this.publishing = new Publishing(device, identity, market);
	}

	/** The relays with one's mailboxes: those named, those chosen before, or the cheapest. */
	homes(asked?: readonly Relay[]): Promise<Relay[] | Problem> {
		return homesOf(this.device, this.identity, this.market, this.clocks, asked);
	}

	private async make({ relay, relays, name = "" }: CardOptions): Promise<Card | Problem> {
		const homes = await this.homes(relays ?? (relay && [relay]));
		return isProblem(homes) ? homes : makeCard(this.device, this.identity, homes, { name });
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
