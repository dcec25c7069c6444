/**
 * What tells this installation from the others of the same account: 32 random bytes, made once and kept in storage. A relay sees
 * only an id made of them and its own key (`deviceAt`), so two relays cannot tie the same phone together.
 */

import { fromHex, toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { getJson, putJson, type Storage } from "./storage.ts";

const INSTALL_BYTES = 32;

/** The installation's bytes: those in storage, or new ones that are kept there. */
export async function installOf(crypto: Crypto, storage: Storage): Promise<Uint8Array> {
	const stored = fromHex(await getJson(storage, "install"));
	if (stored?.length === INSTALL_BYTES) return stored;
	const install = crypto.random(INSTALL_BYTES);
	await putJson(storage, "install", toHex(install));
	return install;
}
