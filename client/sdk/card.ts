/**
 * Making one's own contact card. The token on it is derived from the seed, so every card that is out stays good and a
 * restored phone knows it again (PROTOCOL.md, "Cards").
 */

import { type Card, type Home, signCard } from "#contracts/card";
import { hashFor, TOKEN_BYTES } from "#contracts/identity";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";

/** A relay to have a mailbox at: its key, which is what is trusted, and where to reach it. */
export type Relay = { readonly key: Uint8Array; readonly url: string };

/** How long a card is good for unless said otherwise: a year. */
export const CARD_LIFE_MS = 365 * 24 * 60 * 60 * 1000;

/** The token that goes on a person's cards: whoever shows it is no stranger. */
export function cardToken({ crypto }: Pick<Device, "crypto">, identity: Identity): Uint8Array {
	return hashFor(crypto, "card-token", new Uint8Array(0), identity.seed).slice(0, TOKEN_BYTES);
}

/** A card that names a mailbox at each of these relays, the preferred first. */
export function makeCard(
	device: Pick<Device, "crypto" | "nowMs">,
	identity: Identity,
	relays: readonly Relay[],
	{ name = "", lifeMs = CARD_LIFE_MS }: { name?: string; lifeMs?: number } = {},
): Card {
	const homes = relays.map(
		(relay): Home => ({ relay: relay.key, url: relay.url, mailbox: identity.mailbox(relay.key).publicKey }),
	);
	const body = {
		identity: identity.account.publicKey,
		name,
		seal: identity.seal.publicKey,
		token: cardToken(device, identity),
		homes,
		expiresAtMs: device.nowMs() + lifeMs,
	};
	return signCard(device.crypto, body, identity.account);
}
