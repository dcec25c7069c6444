/**
 * The relays with one's mailboxes: those that a person chose; else the home that the market drew, for mail to which funds pay; else the cheapest. Who is drawn a
 * home later moves there: the card names the new one, and the old one is read for as long as mail may still come to it (PROTOCOL.md, sections 16 and 20).
 */

import { fromHex, toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { type Market, unlisted } from "./market.ts";
import type { Clocks } from "./session.ts";
import { getJson, putJson } from "./storage.ts";
import { visitMailbox } from "./visit.ts";

/** A home that the market drew; or why it drew none. */
export type Drawn = {
	/** undefined where none was drawn, or its relay is not listed now and nobody knows its address */
	readonly relay: Relay | undefined;
	/** `not-yet`: nothing gives one, no pass and no payment; `has-one`; `too-soon` for another one */
	readonly why: "drawn" | "has-one" | "not-yet" | "too-soon";
	/** when it was drawn, and from when another can be asked for, Unix milliseconds */
	readonly drawnMs: number | undefined;
	readonly againMs: number | undefined;
	/** what was signed for there so far */
	readonly megabytes: number;
};

/** What homes are had from: a market; one of a test's may draw nothing. */
export type HomeMarket = Pick<Market, "relays"> & {
	/** Asks for a home; `again` for another one. */
	readonly draw?: (again: boolean) => Promise<Drawn | Problem>;
};

/** `leftMs`: moved away from then; `by`: who chose it, the market's draw or its owner; left out: it was the cheapest. */
type Row = { readonly key: string; readonly url: string; readonly by?: "draw" | "owner"; readonly leftMs?: number };

/** One's homes. `read`: those on the card, and those that were left and may still get mail. */
export type Homes = {
	readonly card: readonly Relay[];
	readonly read: readonly Relay[];
	/** that the market drew: what comes there is counted */
	readonly drawn: Relay | undefined;
	/** the card is another than it was */
	readonly moved: boolean;
};

const DAY_MS = 86_400_000;

/** How often a person without a home asks for one: they may have paid, or been given a pass. Who has one asks for news of it once a week. */
const ASK_MS = DAY_MS;
const ASK_AGAIN_MS = 7 * DAY_MS;

/** Mail may wait for so long, and somebody with an old card may write for a while yet. */
const LEFT_MS = LIMIT.ttlSMax * 1_000;

export class HomeChoice {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly market: HomeMarket;
	private readonly clocks: Clocks;

	constructor(device: Device, identity: Identity, market: HomeMarket, clocks: Clocks) {
		this.device = device;
		this.identity = identity;
		this.market = market;
		this.clocks = clocks;
	}

	/** The relays asked for, or those chosen before, or the one that was drawn, or the cheapest one listed; with a mailbox at each. */
	async homes(asked?: readonly Relay[]): Promise<Homes | Problem> {
		const rows = await this.rows();
		if (asked)
			return this.move(
				rows,
				asked.map((relay) => rowOf(relay, "owner")),
				false,
			);
		const isChosen = rows.some(({ by, leftMs }) => by === "owner" && leftMs === undefined);
		const drawn = isChosen ? undefined : await this.news(rows);
		if (drawn) return this.moveTo(drawn);
		if (rows.some(({ leftMs }) => leftMs === undefined)) return this.kept(rows);
		const listed = await this.market.relays();
		if (isProblem(listed)) return listed;
		const [cheapest] = listed;
		return cheapest ? this.move(rows, [rowOf(cheapest)], false) : unlisted("No relay is listed at this market now.");
	}

	/** Asks the market for a home, and moves there whatever was chosen before; `again` for another one. The answer is the market's. */
	async draw(again: boolean): Promise<{ readonly drawn: Drawn; readonly homes: Homes } | Problem> {
		const drawn = await this.ask(again);
		if (!drawn || isProblem(drawn)) return drawn ?? unlisted("This market draws no homes.");
		const { relay } = drawn;
		const homes = await (relay ? this.moveTo(relay) : this.homes());
		return isProblem(homes) ? homes : { drawn, homes };
	}

	/** Moves to the home that was drawn, if that is another. */
	private async moveTo(relay: Relay): Promise<Homes | Problem> {
		const rows = await this.rows();
		const to = rowOf(relay, "draw");
		const isThere = rows.some(({ key, by, leftMs }) => leftMs === undefined && by === "draw" && key === to.key);
		return isThere ? this.kept(rows) : this.move(rows, [to], true);
	}

	private async rows(): Promise<Row[]> {
		const rows = (await getJson<Row[]>(this.device.storage, "homes")) ?? [];
		const nowMs = this.device.nowMs();
		return rows.filter(({ leftMs }) => leftMs === undefined || Math.abs(nowMs - leftMs) < LEFT_MS);
	}

	/** What the market says when it is time to ask it; otherwise, and where it does not answer, nothing new. */
	private async news(rows: readonly Row[]): Promise<Relay | undefined> {
		const hasOne = rows.some(({ by, leftMs }) => by === "draw" && leftMs === undefined);
		const { storage } = this.device;
		const asked = await getJson<{ atMs: number; relay?: Row }>(storage, "drawn");
		const isDue = !asked || Math.abs(this.device.nowMs() - asked.atMs) >= (hasOne ? ASK_AGAIN_MS : ASK_MS);
		if (isDue) await this.ask(false);
		const { relay } = (await getJson<{ relay?: Row }>(storage, "drawn")) ?? {};
		return relay && relayOf(relay);
	}

	private async ask(again: boolean): Promise<Drawn | Problem | undefined> {
		const drawn = await this.market.draw?.(again);
		if (!drawn || isProblem(drawn)) return drawn;
		const known = { atMs: this.device.nowMs(), ...(drawn.relay && { relay: rowOf(drawn.relay) }) };
		await putJson(this.device.storage, "drawn", known);
		return drawn;
	}

	/** Makes these the homes. `keep`: those that were are read on for a while, for nobody was told yet. */
	private async move(rows: readonly Row[], to: readonly Row[], keep: boolean): Promise<Homes | Problem> {
		// one that is known may be listened on now, and a visit would take it away
		const added = to.filter(({ key }) => !rows.some((row) => row.key === key));
		const visits = await Promise.all(
			added.map((row) => visitMailbox(this.device, this.identity, relayOf(row), this.clocks)),
		);
		const refusal = visits.find(isProblem);
		// where nobody is forced to move now, they stay until the new home can be reached
		if (refusal) return keep && rows.some(({ leftMs }) => leftMs === undefined) ? this.kept(rows) : refusal;
		const nowMs = this.device.nowMs();
		const left = keep
			? rows.filter(({ key }) => !to.some((row) => row.key === key)).map((row) => ({ leftMs: nowMs, ...row }))
			: [];
		const next = [...to, ...left];
		await putJson(this.device.storage, "homes", next);
		return { ...this.kept(next), moved: keep && rows.length > 0 };
	}

	private kept(rows: readonly Row[]): Homes {
		const card = rows.filter(({ leftMs }) => leftMs === undefined);
		const drawn = card.find(({ by }) => by === "draw");
		return {
			card: card.map(relayOf),
			read: rows.map(relayOf),
			drawn: drawn && relayOf(drawn),
			moved: false,
		};
	}
}

function rowOf({ key, url }: Relay, by?: Row["by"]): Row {
	return { key: toHex(key), url, ...(by && { by }) };
}

function relayOf({ key, url }: Row): Relay {
	return { key: fromHex(key) as Uint8Array, url };
}
