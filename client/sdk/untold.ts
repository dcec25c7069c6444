/** What a relay said of a mailbox to a visit that nobody listened to: it says losses once, so they wait in storage for the next listen. */

import { toHex } from "#contracts/bytes";
import type { Listening } from "#contracts/control";
import type { Relay } from "./card.ts";
import { getJson, putJson, type Storage } from "./storage.ts";

/** What is said once. */
export type News = Pick<Listening, "droppedTtl" | "droppedQuota" | "fresh">;

const NO_NEWS: News = { droppedTtl: 0, droppedQuota: 0, fresh: false };

function keyOf({ key }: Relay): string {
	return `untold/${toHex(key)}`;
}

/** The news so far and those of now. */
export async function withUntold(storage: Storage, relay: Relay, now: News): Promise<News> {
	const before = { ...NO_NEWS, ...(await getJson<Partial<News>>(storage, keyOf(relay))) };
	return {
		droppedTtl: before.droppedTtl + now.droppedTtl,
		droppedQuota: before.droppedQuota + now.droppedQuota,
		fresh: before.fresh || now.fresh,
	};
}

/** Keeps news for the next listen. */
export async function keepUntold(storage: Storage, relay: Relay, now: News): Promise<void> {
	if (!now.fresh && now.droppedTtl === 0 && now.droppedQuota === 0) return;
	await putJson(storage, keyOf(relay), await withUntold(storage, relay, now));
}

/** They were told. */
export function forgetUntold(storage: Storage, relay: Relay): Promise<void> {
	return storage.delete(keyOf(relay));
}
