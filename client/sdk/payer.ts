/** Who opens the tabs that one's messages are paid by: oneself, or another account of one's own that the market cannot tie to one (quotas.ts). What such an account keeps lies apart. */

import { toHex } from "#contracts/bytes";
import type { Device } from "./device.ts";
import { type MarketDoor, marketDoor } from "./door.ts";
import { type Identity, identityOf } from "./identity.ts";
import type { Market } from "./market.ts";
import type { Storage } from "./storage.ts";

/** An account with what it needs to open tabs. */
export type Payer = { readonly device: Device; readonly identity: Identity; readonly market: Market };

/** The account of a seed as payer; oneself where there is none. */
export function payerOf(
	device: Device,
	identity: Identity,
	market: Market | MarketDoor,
	seed: Uint8Array | undefined,
): Payer {
	if (!seed) return { device, identity, market };
	const payer = identityOf(device, seed);
	const apart = { ...device, storage: below(device.storage, `payer/${toHex(payer.account.publicKey).slice(0, 16)}/`) };
	return { device: apart, identity: payer, market: marketDoor(device, payer, (market as MarketDoor).url) };
}

/** A part of a storage, under names of its own. */
function below(storage: Storage, prefix: string): Storage {
	return {
		get: (key) => storage.get(prefix + key),
		put: (key, value) => storage.put(prefix + key, value),
		delete: (key) => storage.delete(prefix + key),
		list: async (start) => (await storage.list(prefix + start)).map((key) => key.slice(prefix.length)),
	};
}
