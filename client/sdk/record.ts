/**
 * A tab as it rests in storage: `tab/<relay hex>`. Losing it loses nothing: the market knows the tab, the relay's welcome
 * brings the payer's own newest voucher back.
 */

import { fromHex, Reader, toHex, Writer } from "#contracts/bytes";
import { type Grant, readGrant } from "#contracts/grant";
import { KEY_BYTES } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { FeeRates } from "#contracts/tab";
import { areTranches, ownTranche, putTranches, type Tranche, takeTranches } from "#contracts/tranche";
import { readVoucher, writeVoucher } from "#contracts/voucher";
import type { Relay } from "./card.ts";
import type { PurseRecord } from "./purse.ts";
import { getJson, putJson, type Storage } from "./storage.ts";

/** What is known of a tab between starts. */
export type TabRecord = {
	readonly grant: Grant;
	readonly fees: FeeRates;
	readonly tranches: readonly Tranche[];
	readonly purse: PurseRecord;
};

type Row = {
	url: string;
	grant: string;
	fees: FeeRates;
	used: [string, string];
	lost: [string, string];
	voucher?: string;
	/** as they are signed, in hex */
	tranches?: string;
	vouchersSigned: number;
};

const keyOf = (relay: Relay) => `tab/${toHex(relay.key)}`;

/** Writes a tab's record. */
export function writeTab(storage: Storage, relay: Relay, tab: TabRecord): Promise<void> {
	const { used, lost, voucher, vouchersSigned } = tab.purse;
	const row: Row = {
		url: relay.url,
		grant: toHex(tab.grant.bytes),
		fees: tab.fees,
		used: [used.bytes.toString(), used.byteSeconds.toString()],
		lost: [lost.bytes.toString(), lost.byteSeconds.toString()],
		vouchersSigned,
		tranches: toHex(putTranches(new Writer(), tab.tranches).finish()),
		...(voucher && { voucher: toHex(writeVoucher(voucher)) }),
	};
	return putJson(storage, keyOf(relay), row);
}

/** Reads a tab's record; undefined when there is none or it is damaged, which costs nothing but a question to the market. */
export async function readTab(storage: Storage, relay: Relay): Promise<TabRecord | undefined> {
	const row = await getJson<Row>(storage, keyOf(relay));
	const grant = readGrant(fromHex(row?.grant) ?? new Uint8Array(0));
	if (!row || isProblem(grant)) return undefined;
	const voucher = row.voucher === undefined ? undefined : readVoucher(fromHex(row.voucher) ?? new Uint8Array(0));
	if (isProblem(voucher)) return undefined;
	const traffic = ([bytes, byteSeconds]: [string, string]) => ({
		bytes: BigInt(bytes),
		byteSeconds: BigInt(byteSeconds),
	});
	const reader = new Reader(fromHex(row.tranches) ?? new Uint8Array(0));
	const tranches = takeTranches(reader);
	const isWhole = tranches && reader.done && areTranches(tranches, grant.cap);
	try {
		const purse = { used: traffic(row.used), lost: traffic(row.lost), voucher, vouchersSigned: row.vouchersSigned };
		return { grant, fees: row.fees, tranches: isWhole ? tranches : [ownTranche(grant.cap)], purse };
	} catch {
		return undefined;
	}
}

/** The relays that tabs are recorded for, of earlier processes too. */
export async function recordedRelays(storage: Storage): Promise<Relay[]> {
	const relays: Relay[] = [];
	for (const name of await storage.list("tab/")) {
		const key = fromHex(name.slice("tab/".length), KEY_BYTES);
		const row = await getJson<Row>(storage, name);
		if (key && row) relays.push({ key, url: row.url });
	}
	return relays;
}

/** Notes that a relay claimed what was never signed: no tab is opened there again. */
export function shun(storage: Storage, relay: Relay, why: Problem): Promise<void> {
	return putJson(storage, `shunned/${toHex(relay.key)}`, why.detail);
}

/** Why a relay is not used any more; undefined while it is. */
export async function isShunned(storage: Storage, relay: Relay): Promise<Problem | undefined> {
	const detail = await getJson<string>(storage, `shunned/${toHex(relay.key)}`);
	return detail === undefined ? undefined : problem("relay-dishonest", detail, { spent: "no" });
}
