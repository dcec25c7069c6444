/**
 * Tabs through a day: each is planned and reserved as the market does it, and settled at the day's end by what was carried. A tab stands for all that somebody sends in a
 * week (thieves': as often as they choose), since a plan a day for each of a hundred thousand people says nothing more.
 */

import { amount } from "#contracts/amount";
import { billOf, type TabBill } from "#contracts/bill";
import { needPerMb, payerPpm } from "#contracts/need";
import type { ReasonCode } from "#contracts/reason";
import type { FeeRates } from "#contracts/tab";
import { price, traffic } from "#contracts/tariff";
import { ownTranche, type Tranche } from "#contracts/tranche";
import type { PassFacts, RelayFacts, Use } from "#marketplace/sponsor/facts";
import { plan } from "#marketplace/sponsor/plan";
import { quotaBytesOf, type Rules } from "#marketplace/sponsor/rules";
import type { Actor, Relay, World } from "./actor.ts";
import { type Cashbook, PAYERS_MAX, Page, purseOf } from "./cashbook.ts";
import { endOf, type Fund, isSaid, type Spot } from "./fund.ts";
import { countUse, type Quotas, type Used, type When } from "./quotas.ts";
import type { Rooms } from "./rooms.ts";
import type { Tally } from "./tally.ts";
import type { Watch } from "./watch.ts";

/** Half of what is sent waits for its reader for a week. */
const KEPT_S = (7 * 86_400) / 2;
/** A tab's cap over what its owner thinks it will take. */
const CAP_PERCENT = 125n;
/** What somebody pays in at once, when the purse is short: the least that rails take is a cent. */
const TOP_UP = 200_000_000n;
/** Why a fund pays less than it will another time: whoever cannot afford the full price waits for that. */
const WAITS: ReadonlySet<ReasonCode> = new Set([
	"fund-thin",
	"fund-empty",
	"fund-day",
	"fund-paused",
	"said-share",
	"operator-share",
	"pair-share",
	"new-operators",
	"no-room",
	"relay-paused",
	"day-used",
]);

type Tab = {
	readonly actor: Actor;
	readonly relay: Relay;
	readonly tranches: readonly Tranche[];
	readonly uses: readonly Use[];
	/** the bill of its whole cap: what is reserved */
	readonly held: TabBill;
	readonly bytes: number;
	/** what will be carried, and what its owner wanted to be */
	readonly ask: bigint;
	readonly wanted: bigint;
	readonly spot: Spot;
	readonly reader: number | undefined;
};

/** What tabs are opened and settled with. */
export type Market = {
	readonly world: World;
	readonly rules: Rules;
	readonly rooms: Rooms;
	readonly watch: Watch;
	readonly tally: Tally;
	readonly book: Cashbook;
	readonly pools: readonly Fund[];
	readonly commons: Fund;
	/** fees now */
	fees: FeeRates;
	/** eligible operators, each once */
	eligibleOperators: number;
	/** operators that are new, by number */
	readonly newOperators: ReadonlySet<number>;
};

/** The tabs of a run. */
export class Tabs {
	readonly #market: Market;
	readonly #quotas: Quotas;
	/** accounts' names in the ledger, and what they have there */
	readonly #purses: readonly string[];
	readonly #balances: bigint[];
	#open: Tab[] = [];
	/** what was carried today at the full price, in asks, and what the solidarity fee of it was */
	paid = 0n;
	solidarity = 0n;

	constructor(market: Market, quotas: Quotas) {
		this.#market = market;
		this.#quotas = quotas;
		this.#purses = market.world.actors.map(({ account }) => purseOf(account));
		this.#balances = market.world.actors.map(() => 0n);
	}

	/** Opens a tab for so many bytes to somebody's mailbox (undefined: to one of the gang's) at a relay. */
	open(actor: Actor, relay: Relay, bytes: number, when: When, reader?: number): void {
		const { rules, rooms, tally, fees, commons } = this.#market;
		const used = this.#quotas.now(actor.at, when);
		const wanted = price(relay.tariff, traffic(bytes, KEPT_S)) ?? 0n;
		const ask = wanted === 0n ? 1n : wanted;
		const spot: Spot = { group: relay.operator, pair: actor.at * 1_024 + relay.operator };
		const facts = {
			nowMs: when.nowMs,
			fees,
			person: {
				account: actor.account,
				sinceMs: 0,
				frozen: when.nowMs < (rooms.spentUntilMs[actor.at] ?? 0),
				country: actor.economy.code,
				evidence: actor.evidence,
				passes: this.#passesOf(actor, used),
				commonsUsed: used.commons,
				textUsed: used.text,
				elsewhereUsed: used.elsewhere,
			},
			pools:
				actor.pool === undefined
					? []
					: this.#market.pools.slice(actor.pool, actor.pool + 1).map((pool) => pool.facts(spot)),
			commons: commons.facts(spot),
			relay: this.#relayFacts(relay, when.day),
		};
		const cap = (ask * CAP_PERCENT) / 100n + 1n;
		const { tranches, uses, reasons } = plan({ cap, tariff: relay.tariff }, facts, rules);
		const isKnown = actor.evidence !== "none" && relay.isEligible;
		const ppm = isKnown ? payerPpm(needPerMb(actor.economy), relay.tariff, fees) : undefined;
		const waits = reasons.some(({ code }) => WAITS.has(code));
		// thieves never pay the full price, and who cannot afford it waits for the fund
		const holdsBack = actor.crowd !== undefined || (waits && (ppm !== undefined || actor.pool !== undefined));
		const kept = holdsBack ? tranches.filter(({ fund }) => fund !== "own") : tranches;
		const most = kept.reduce((sum, { cap: of }) => sum + of, 0n);
		const carried = ask < most ? ask : most;
		if (actor.human) tally.wanted(actor, bytes, ask, carried, reasons);
		if (carried === 0n) return;
		const held = billOf(amount(most), kept, fees);
		const tab = { actor, relay, tranches: kept, uses, held, bytes, ask: carried, wanted: ask, spot, reader };
		this.#reserve(tab, used, when);
	}

	/** A tab of somebody's own money, at full price. */
	openOwn(actor: Actor, relay: Relay, ask: bigint, when: When): void {
		const bytes = Number(quotaBytesOf(relay.tariff, ask));
		const tranches = [ownTranche(amount(ask))];
		const spot = { group: relay.operator, pair: 0 };
		const held = billOf(amount(ask), tranches, this.#market.fees);
		const tab: Tab = { actor, relay, tranches, uses: [], held, bytes, ask, wanted: ask, spot, reader: undefined };
		this.#reserve(tab, this.#quotas.now(actor.at, when), when);
	}

	/** A day begins with nothing counted. */
	newDay(): void {
		this.paid = 0n;
		this.solidarity = 0n;
	}

	#passesOf({ pool, enroller }: Actor, used: Used): PassFacts[] {
		if (pool === undefined) return [];
		const { world, rules } = this.#market;
		const { hex, for: from } = world.pools[pool] as World["pools"][number];
		return [
			{
				pool: hex,
				from,
				enroller: enroller === undefined ? undefined : world.enrollers[enroller]?.key,
				monthBytes: rules.quotaBytes,
				usedMonth: used.month,
				usedDay: used.day,
				validUntilMs: Number.MAX_SAFE_INTEGER,
				isVouched: from === "enroller",
			},
		];
	}

	#relayFacts({ at, key, operator, isEligible }: Relay, day: number): RelayFacts {
		const { world, rooms, watch, rules, newOperators, eligibleOperators, fees } = this.#market;
		return {
			relay: key,
			operator: world.operators[operator]?.key ?? "",
			group: String(operator),
			isEligible,
			isPaused: rules.defences.watching && watch.isOperatorPaused(operator, day),
			isNewOperator: newOperators.has(operator),
			eligibleOperators,
			room: rooms.room(at, fees.marketPpm),
		};
	}

	#reserve(tab: Tab, used: Used, when: When): void {
		const { rooms, watch } = this.#market;
		const { actor, relay, held, spot } = tab;
		let funded = 0n;
		for (const { tranche, rest, ask } of held.parts) {
			const fund = this.#fundOf(tranche, actor);
			if (!fund) continue;
			fund.count(rest, spot, this.#isNew(relay), isSaid(actor, tranche));
			watch.note(actor.at, relay.operator, rest, when);
			funded += ask;
		}
		this.#draw(actor.at, held.payer);
		if (funded > 0n) {
			const bytes = quotaBytesOf(relay.tariff, funded);
			rooms.count(relay.at, "opened", Number(bytes));
			countUse(used, tab, undefined);
		}
		this.#open.push(tab);
	}

	/** Takes from somebody's purse; who has too little in it pays in first. */
	#draw(actor: number, nanos: bigint): void {
		let left = (this.#balances[actor] ?? 0n) - nanos;
		if (left < 0n) {
			const top = TOP_UP > -left ? TOP_UP : -left;
			this.#market.book.deposit(this.#purses[actor] ?? "", top);
			left += top;
		}
		this.#balances[actor] = left;
	}

	#isNew({ operator }: Relay): boolean {
		return this.#market.newOperators.has(operator);
	}

	#fundOf({ fund }: Tranche, { pool }: Actor): Fund | undefined {
		if (fund === "own") return undefined;
		return fund === "commons" ? this.#market.commons : this.#market.pools[pool ?? -1];
	}

	/** The day ends: what was carried is paid, what was not used goes back, and it is all written to the ledger, relay by relay. */
	settle(when: When): void {
		const { book } = this.#market;
		const byRelay = Map.groupBy(this.#open.splice(0), ({ relay }) => relay);
		for (const [relay, tabs] of byRelay) {
			const operator = this.#market.world.operators[relay.operator]?.key ?? "";
			let page = new Page();
			for (const [i, tab] of tabs.entries()) {
				this.#settleOne(tab, page, when);
				if (page.payers < PAYERS_MAX && i < tabs.length - 1) continue;
				book.open(relay.key, page.reserved());
				book.settle(relay.key, { operator, ...page.sums, back: page.back() });
				page = new Page();
			}
		}
	}

	#settleOne(tab: Tab, page: Page, when: When): void {
		const { world, rooms, tally, fees, watch } = this.#market;
		const { actor, relay, tranches, held, ask, spot } = tab;
		const due = billOf(amount(ask), tranches, fees);
		const bytes = tab.wanted === 0n ? 0 : Math.round(tab.bytes * Number((ask * 1_000n) / tab.wanted)) / 1_000;
		const drop = BigInt(watch.dropsPct(relay.at, when.day));
		page.add(due);
		this.solidarity += due.solidarityFee;
		if (held.payer > 0n) {
			const back = held.payer - due.payer;
			page.take(this.#purses[actor.at] ?? "", held.payer, back);
			page.payers += 1;
			this.#balances[actor.at] = (this.#balances[actor.at] ?? 0n) + back;
		}
		let [opened, funded] = [0n, 0n];
		for (const [i, part] of due.parts.entries()) {
			const fund = this.#fundOf(part.tranche, actor);
			const reserved = held.parts[i]?.rest ?? 0n;
			if (!fund) {
				this.paid += part.ask;
				continue;
			}
			page.take(fund.account, reserved, reserved - part.rest);
			fund.count(part.rest - reserved, spot, this.#isNew(relay), isSaid(actor, part.tranche));
			const end = endOf(actor, part.tranche);
			const dropped = end === "honest" ? (part.rest * drop) / 100n : 0n;
			fund.spend(part.rest - dropped, end);
			fund.spend(dropped, "dropped");
			opened += held.parts[i]?.ask ?? 0n;
			funded += part.ask;
		}
		if (tab.uses.length > 0) {
			const gone = quotaBytesOf(relay.tariff, opened) - quotaBytesOf(relay.tariff, funded);
			rooms.count(relay.at, "opened", -Number(gone));
			countUse(this.#quotas.now(actor.at, when), tab, due);
		}
		const own = ask - funded;
		if (own > 0n) {
			rooms.count(relay.at, "other", Number(quotaBytesOf(relay.tariff, own)));
			const home = rooms.home[actor.at] ?? -1;
			if (world.relays[home]?.operator !== relay.operator) rooms.paid(actor.at, own);
		}
		if (tab.reader !== undefined) rooms.receive(tab.reader, Math.round(bytes));
		tally.settled(actor, relay, due, bytes);
	}
}
