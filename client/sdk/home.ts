/** The relays with one's mailboxes: chosen once, then kept (PROTOCOL.md, "Cards, sealing and files"). */

import { fromHex, same, toHex } from "#contracts/bytes";
import { isProblem, type Problem } from "#contracts/problem";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { type Market, unlisted } from "./market.ts";
import type { Clocks } from "./session.ts";
import { getJson, putJson } from "./storage.ts";
import { visitMailbox } from "./visit.ts";

type Row = { readonly key: string; readonly url: string };

/** The relays asked for, or those chosen before, or the cheapest one listed; with a mailbox at each. */
export async function homesOf(
	device: Device,
	identity: Identity,
	market: Pick<Market, "relays">,
	clocks: Clocks,
	asked?: readonly Relay[],
): Promise<Relay[] | Problem> {
	const stored = (await getJson<Row[]>(device.storage, "homes")) ?? [];
	const known = stored.map(({ key, url }) => ({ key: fromHex(key) as Uint8Array, url }));
	if (!asked && known.length > 0) return known;
	const listed = asked ?? (await market.relays());
	if (isProblem(listed)) return listed;
	const homes = asked ?? listed.slice(0, 1);
	if (homes.length === 0) return unlisted("No relay is listed at this market now.");
	// one that is known may be listened on now, and a visit would take it away
	const added = homes.filter((home) => !known.some(({ key }) => same(key, home.key)));
	const visits = await Promise.all(added.map((relay) => visitMailbox(device, identity, relay, clocks)));
	const refusal = visits.find(isProblem);
	if (refusal) return refusal;
	const rows: Row[] = homes.map(({ key, url }) => ({ key: toHex(key), url }));
	await putJson(device.storage, "homes", rows);
	return homes.map(({ key, url }) => ({ key, url }));
}
