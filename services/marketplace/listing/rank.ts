/** The order in which relays are shown. */

import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import type { Offer } from "#contracts/listing";
import { price, traffic } from "#contracts/tariff";

/** Relays are compared by what a hundred MB cost that are kept for the default time: postage and rent in one number. */
const BASKET_BYTES = 100_000_000;

/** Cheapest first; equal ones by key, so that the order is the same for everyone. */
export function rank<O extends Offer>(offers: readonly O[]): O[] {
	const basket = traffic(BASKET_BYTES, LIMIT.ttlSDefault);
	return offers
		.map((offer) => ({ offer, key: toHex(offer.relay), nanos: price(offer.tariff, basket) }))
		.sort((a, b) => compare(a.nanos, b.nanos) || (a.key < b.key ? -1 : 1))
		.map(({ offer }) => offer);
}

/** A price too large to be an amount comes last. */
function compare(a: bigint | undefined, b: bigint | undefined): number {
	if (a === b) return 0;
	if (a === undefined) return 1;
	if (b === undefined) return -1;
	return a < b ? -1 : 1;
}
