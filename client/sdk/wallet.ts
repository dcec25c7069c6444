/**
 * The tabs of an account: opens one at each relay that is sent to, keeps its purse across restarts, goes over to the next
 * when one is used up or half its life is over, and settles them (PROTOCOL.md, "Tab").
 */

import { type Amount, NOTHING } from "#contracts/amount";
import { same, toHex } from "#contracts/bytes";
import type { Grant } from "#contracts/grant";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Reason } from "#contracts/reason";
import type { FeeRates } from "#contracts/tab";
import { price, type Traffic } from "#contracts/tariff";
import type { Tranche } from "#contracts/tranche";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import { type Settlement, settleTab } from "./finish.ts";
import type { Identity } from "./identity.ts";
import { capWished, type Market, offerOf } from "./market.ts";
import { type Opened, openTab } from "./opening.ts";
import { dearer, type Plan, Plans, type Rates } from "./plan.ts";
import { Purse } from "./purse.ts";
import { isShunned, readTab, recordedRelays, shun, writeTab } from "./record.ts";
import { Sender } from "./sender.ts";
import { type Clocks, relayNow } from "./session.ts";
import { costOf, type Spending } from "./spending.ts";

/** What sending on a tab costs, and whom. */
function ratesOf({ purse, fees, tranches, reasons = [] }: Opened): Rates {
	const { tariff } = purse.grant;
	return { tariff, fees, paying: { tranches, used: price(tariff, purse.used) ?? NOTHING, reasons } };
}

/** How long after a renewal that failed the next is tried. */
const RENEW_AGAIN_MS = 10 * 60_000;

/** How long a relay may answer nothing to what is under way on a tab that is to be settled: longer than one takes to start anew. */
const SILENT_MS = 30_000;

export type { Settlement };

export type WalletEvents = {
	/** Traffic that was paid for and never answered, and what it cost with fees. */
	lost(relay: Relay, lost: Traffic, total: Amount): void;
	dishonest(relay: Relay, why: Problem): void;
	problem(relay: Relay, problem: Problem): void;
};

type Tab = {
	relay: Relay;
	purse: Purse;
	fees: FeeRates;
	tranches: readonly Tranche[];
	reasons?: readonly Reason[];
	sender: Sender;
	cancelRenewal: () => void;
};

export class Wallet {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly market: Market;
	private readonly clocks: Clocks;
	private readonly spending: Spending;
	private readonly events: WalletEvents;
	private readonly tabs = new Map<string, Promise<Tab | Problem>>();
	private over = false;
	private resting = false;
	/** What is about to be spent, and what was agreed to for it. */
	readonly plans = new Plans();

	constructor(
		device: Device,
		identity: Identity,
		market: Market,
		clocks: Clocks,
		spending: Spending,
		events: WalletEvents,
	) {
		this.device = device;
		this.identity = identity;
		this.market = market;
		this.clocks = clocks;
		this.spending = spending;
		this.events = events;
	}

	/** The sender to a relay, with an open tab that asks no more than was planned; the plan ends with {@link plans}.delete. */
	async sender(relay: Relay, plan: Plan): Promise<Sender | Problem> {
		if (this.over) return problem("unavailable", "This client was closed.", { spent: "no" });
		const key = toHex(relay.key);
		this.plans.add(relay, plan);
		const tab = this.tabs.get(key) ?? this.start(relay);
		this.tabs.set(key, tab);
		const opened = await tab;
		if (isProblem(opened)) this.tabs.delete(key);
		const refused = isProblem(opened) ? opened : dearer({ ...opened.purse.grant, fees: opened.fees }, plan);
		if (refused) this.plans.delete(relay, plan);
		return refused ?? (opened as Tab).sender;
	}

	/** What sending to a relay costs: as signed for the open tab, else as the market lists it now. Needs no market where a tab is open. */
	async rates(relay: Relay): Promise<Rates | Problem> {
		const tab = await this.tabs.get(toHex(relay.key));
		if (tab && !isProblem(tab)) return ratesOf(tab);
		const found = await this.recorded(relay);
		if (found) return ratesOf(found);
		const terms = await this.market.terms();
		if (isProblem(terms)) return terms;
		const offer = await offerOf(this.market, relay.key);
		if (isProblem(offer)) return offer;
		const quote = await this.market.quote(relay.key, capWished(NOTHING), offer.tariff);
		if (isProblem(quote)) return quote;
		return { tariff: offer.tariff, fees: terms.fees, paying: { ...quote, used: NOTHING } };
	}

	private async start(relay: Relay): Promise<Tab | Problem> {
		const shunned = await isShunned(this.device.storage, relay);
		if (shunned) return shunned;
		const found = (await this.recorded(relay)) ?? (await this.restored(relay));
		const opened = found ?? (await this.open(relay));
		if (isProblem(opened)) return opened;
		const { purse } = opened;
		const tab: Tab = { relay, ...opened, cancelRenewal: () => {} } as Tab;
		tab.sender = new Sender(this.device, relay, this.clocks, purse, found === undefined, {
			changed: (changed) => this.later(relay, this.save({ ...tab, purse: changed })),
			lost: (purse, lost) => this.later(relay, this.count({ ...tab, purse }, lost)),
			dishonest: (purse, why) => {
				this.later(relay, this.save({ ...tab, purse }));
				this.later(relay, shun(this.device.storage, relay, why));
				this.events.dishonest(relay, why);
			},
			next: (_purse, ended) => this.next(tab, ended),
			problem: (refusal) => this.events.problem(relay, refusal),
		});
		tab.sender.idle.background(this.resting);
		this.planRenewal(tab);
		return tab;
	}

	/** Half of the life of a grant lies behind it: time for the next, while this one still works. */
	private planRenewal(tab: Tab): void {
		const { issuedAtMs, expiresAtMs } = tab.purse.grant;
		const leftMs = (issuedAtMs + expiresAtMs) / 2 - relayNow(this.device, this.clocks, tab.relay);
		tab.cancelRenewal();
		if (this.over) return;
		tab.cancelRenewal = this.device.after(Math.max(leftMs, 0), () => tab.sender.renew());
	}

	private usable(grant: Grant, relay: Relay): boolean {
		const nowMs = relayNow(this.device, this.clocks, relay);
		const mine = same(grant.session, this.identity.session(grant.tab).publicKey);
		return mine && same(grant.relay, relay.key) && nowMs < grant.expiresAtMs - LIMIT.grantEndMarginMs;
	}

	/** The tab that an earlier process used. */
	private async recorded(relay: Relay): Promise<Opened | undefined> {
		const record = await readTab(this.device.storage, relay);
		if (!record || !this.usable(record.grant, relay)) return undefined;
		const { grant, fees, tranches, purse } = record;
		return { purse: new Purse(this.device.crypto, grant, this.identity.session(grant.tab), purse), fees, tranches };
	}

	/** A tab that the market knows and this device does not: its state was lost, and the relay's welcome gives it back. */
	private async restored(relay: Relay): Promise<Opened | undefined> {
		const tabs = await this.market.tabs();
		if (isProblem(tabs)) return undefined;
		const found = tabs.find(({ grant }) => this.usable(grant, relay));
		return (
			found && {
				purse: new Purse(this.device.crypto, found.grant, this.identity.session(found.grant.tab)),
				fees: found.fees,
				tranches: found.tranches,
			}
		);
	}

	private async open(relay: Relay): Promise<Opened | Problem> {
		const opened = await openTab(this.device, this.identity, this.market, relay, this.plans);
		if (!isProblem(opened)) await this.save({ relay, ...opened });
		return opened;
	}

	private save({ relay, purse, fees, tranches }: Opened & { readonly relay: Relay }): Promise<void> {
		return writeTab(this.device.storage, relay, { grant: purse.grant, fees, tranches, purse: purse.record });
	}

	/** Writing that nobody waits for. A full disk costs a record that can be made again, and must not end the app. */
	private later(relay: Relay, writing: Promise<void>): void {
		writing.catch(() => this.events.problem(relay, problem("disk", "The tab's state could not be written down.")));
	}

	private async count(tab: Tab, lost: Traffic): Promise<void> {
		const cost = costOf(ratesOf(tab), lost);
		if (isProblem(cost)) return;
		this.events.lost(tab.relay, lost, cost.payer);
		await this.spending.lose(cost.payer);
	}

	/** Opens the next tab and settles the one before it; where none is to be had for now the old one goes on while it lives. */
	private async next(tab: Tab, ended: boolean): Promise<Purse | Problem> {
		let opened = await this.open(tab.relay);
		let settled = false;
		if (isProblem(opened) && opened.problem === "balance-short") {
			// What the old tab holds may be what is missing.
			await this.end(tab, true);
			settled = true;
			opened = await this.open(tab.relay);
		}
		if (isProblem(opened) && opened.problem === "conflict") {
			// What waits was agreed to at another price: it is refused, and what comes is priced anew.
			tab.sender.close(opened);
			this.tabs.delete(toHex(tab.relay.key));
			if (!settled) await this.end(tab, true);
			return opened;
		}
		if (isProblem(opened)) {
			const alive = !ended && !settled && opened.retry && this.usable(tab.purse.grant, tab.relay);
			if (!alive || !tab.purse.hasRoom) return opened;
			tab.cancelRenewal();
			if (!this.over) tab.cancelRenewal = this.device.after(RENEW_AGAIN_MS, () => tab.sender.renew());
			return tab.purse;
		}
		if (!settled) await this.end(tab, true);
		tab.purse = opened.purse;
		tab.fees = opened.fees;
		tab.tranches = opened.tranches;
		tab.reasons = opened.reasons ?? [];
		await this.save(tab);
		this.planRenewal(tab);
		return opened.purse;
	}

	/** Finishes the tab at the relay, closes it at the market, forgets it. */
	private async end(tab: Omit<Tab, "sender">, known: boolean): Promise<Settlement> {
		tab.cancelRenewal();
		const settlement = await settleTab(this.device, this.identity, this.market, this.clocks, tab, known);
		const { relay, dispute } = settlement;
		if (dispute?.problem === "relay-dishonest") {
			await shun(this.device.storage, relay, dispute);
			this.events.dishonest(relay, dispute);
		}
		await this.device.storage.delete(`tab/${toHex(relay.key)}`);
		return settlement;
	}

	/**
	 * Settles every tab of this process, and those that earlier ones left: money that is not spent comes back. What is under way is waited for
	 * while its relay answers; what is not answered then stays in the outbox.
	 */
	async settle(silentMs = SILENT_MS): Promise<Settlement[]> {
		const settled: Settlement[] = [];
		for (const [key, pending] of [...this.tabs]) {
			const tab = await pending;
			if (isProblem(tab)) continue;
			await tab.sender.drain(silentMs);
			tab.sender.close(problem("unavailable", "Its tab was settled before the relay answered.", { spent: "unknown" }));
			this.tabs.delete(key);
			settled.push(await this.end(tab, true));
		}
		for (const relay of await recordedRelays(this.device.storage)) {
			const found = await this.recorded(relay);
			if (found) settled.push(await this.end({ relay, ...found, cancelRenewal: () => {} }, false));
		}
		return settled;
	}

	private async *opened(): AsyncGenerator<Tab> {
		for (const pending of this.tabs.values()) {
			const tab = await pending;
			if (!isProblem(tab)) yield tab;
		}
	}

	/** Tries again at once, as when a network came back. */
	async hurry(): Promise<void> {
		for await (const { sender } of this.opened()) sender.hurry();
	}

	/** Into the background, or out of it: of the tabs to come too. */
	async background(on: boolean): Promise<void> {
		this.resting = on;
		for await (const { sender } of this.opened()) sender.idle.background(this.resting);
	}

	/** Stops sending and leaves the tabs open for the next start. */
	async close(): Promise<void> {
		this.over = true;
		for await (const tab of this.opened()) {
			tab.cancelRenewal();
			tab.sender.close();
			await this.save(tab);
		}
		this.tabs.clear();
	}
}
