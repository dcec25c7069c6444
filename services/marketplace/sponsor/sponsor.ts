/** Carries the plan out: gathers its facts, answers what would be paid by whom, and gives an order and an end the counters that are written with them. */

import { type Amount, amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import type { Offer } from "#contracts/listing";
import type { Reason } from "#contracts/reason";
import type { OpenOrder } from "#contracts/tab";
import type { Tariff } from "#contracts/tariff";
import type { Tranche } from "#contracts/tranche";
import { firstCent } from "#marketplace/desk/operators";
import { waitOf } from "#marketplace/desk/waits";
import type { RowChange } from "#marketplace/ledger/book";
import { COMMONS } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { fundOf, type Tab } from "#marketplace/tab/tab";
import { Burns, counterOf, countersOf, countOpened, countReturned, dayOf, monthOf } from "./burn.ts";
import type { Counted, Facts, FundFacts } from "./facts.ts";
import { type Plan, plan } from "./plan.ts";
import type { FundKnown } from "./sources.ts";

/** What this room needs of the market. */
export type Parts = Pick<Market, "book" | "fees" | "sources" | "rules">;

/** The facts of a tab that an account may open at a relay now, with the counters that they were read from. */
export async function factsOf(
	{ book, fees, sources }: Parts,
	account: string,
	offer: Offer,
	nowMs: number,
): Promise<{ readonly facts: Facts; readonly burns: Burns }> {
	const [month, day] = [monthOf(nowMs), dayOf(nowMs)];
	const at = counterOf.relay(toHex(offer.relay));
	const opened = (await Burns.read(book, [at])).lately(at, day);
	const [person, commons, relay] = await Promise.all([
		sources.person(account, nowMs),
		sources.commons(nowMs),
		sources.relay(offer, opened, nowMs),
	]);
	const pools = await sources.pools(
		person.passes.map((pass) => pass.pool),
		nowMs,
	);
	const tranches = [...pools, commons].map(({ fund, pool }): Tranche => {
		const part = { cap: amount(0n), payerPpm: 0 };
		return pool ? { fund: "pool", pool, ...part } : { fund: fund === COMMONS ? "commons" : "own", ...part };
	});
	const keys = countersOf({ account, relay: relay.relay, group: relay.group, atMs: nowMs, tranches });
	const burns = await Burns.read(book, keys);
	const counted = (known: FundKnown): FundFacts => {
		const ofFund = counterOf.fund(known.fund, month);
		const money = known.free + burns.of(ofFund, "burned");
		return {
			...known,
			// a part of money that is not there is no bound
			budget30: known.budget30 < money ? known.budget30 : money,
			burnedToday: burns.of(ofFund, "burned", day),
			saidToday: burns.of(ofFund, "said", day),
			toNewOperators: burns.of(ofFund, "new"),
			toOperator: burns.of(counterOf.operator(known.fund, month, relay.group), "nanos"),
			toPair: burns.of(counterOf.pair(known.fund, month, relay.group, account), "nanos"),
		};
	};
	const ofPerson = counterOf.person(account, month);
	const passes = person.passes.map((pass) => {
		const used = counterOf.pass(pass.pool, month, account);
		const [usedMonth, usedDay] = [burns.of(used, "bytes"), burns.of(used, "bytes", day)];
		return { ...pass, usedMonth: pass.usedMonth + usedMonth, usedDay: pass.usedDay + usedDay };
	});
	const facts: Facts = {
		nowMs,
		fees,
		person: {
			...person,
			passes,
			commonsUsed: person.commonsUsed + burns.of(ofPerson, "commons"),
			textUsed: person.textUsed + burns.of(ofPerson, "texts", day),
			elsewhereUsed: person.elsewhereUsed + burns.of(ofPerson, "elsewhere"),
		},
		pools: pools.map(counted),
		commons: counted(commons),
		relay,
	};
	return { facts, burns };
}

/** What would be paid by whom for a tab of this cap at this tariff, opened now. */
export async function quoteOf(
	parts: Parts,
	account: string,
	offer: Offer,
	asked: { readonly cap: Amount; readonly tariff: Tariff },
	nowMs: number,
): Promise<Plan> {
	const { facts } = await factsOf(parts, account, offer, nowMs);
	return plan(asked, facts, parts.rules);
}

/** What is decided now on an order that asks something of funds, and the counters to write with it. */
export type Sponsored = {
	readonly tranches: readonly Tranche[];
	readonly reasons: readonly Reason[];
	readonly counted: Counted;
	/** what funds pay of it waits */
	readonly waits: boolean;
	/** writes the counters of the tab, on the versions that it was decided on */
	readonly count: (tab: Tab) => readonly RowChange[];
};

/** Decides on an order; undefined where it asks nothing of funds: whoever wants to pay all themselves may. */
export async function sponsorOf(
	parts: Parts,
	order: OpenOrder,
	offer: Offer | undefined,
	nowMs: number,
): Promise<Sponsored | undefined> {
	if (!offer || !order.tranches.some(({ fund }) => fund !== "own")) return undefined;
	const { facts, burns } = await factsOf(parts, toHex(order.account), offer, nowMs);
	const planned = plan({ cap: order.cap, tariff: order.tariff }, facts, parts.rules);
	const { relay, person } = facts;
	const counted: Counted = {
		...{ group: relay.group, isNewOperator: relay.isNewOperator, isSaid: person.evidence !== "strong" },
		uses: planned.uses,
	};
	const first = await firstCent(parts.book, relay.operator, nowMs);
	return {
		...{ tranches: planned.tranches, reasons: planned.reasons, counted },
		waits: relay.isNewOperator && parts.rules.defences.waiting,
		count: (tab) => {
			countOpened(burns, { ...tab, counted });
			return [...burns.changes(nowMs), ...first, ...(tab.waits ? [waitOf(tab)] : [])];
		},
	};
}

/** The counters of a tab that ends, to be written with what goes back. */
export async function returnedOf(
	{ book }: Pick<Parts, "book">,
	tab: Tab,
	nowMs: number,
): Promise<readonly RowChange[]> {
	const { counted } = tab;
	if (!counted) return [];
	const burns = await Burns.read(book, countersOf({ ...tab, group: counted.group, atMs: tab.grant.issuedAtMs }));
	countReturned(burns, { ...tab, counted }, nowMs);
	return burns.changes(nowMs);
}

/** The funds of a tab, as their queues are called. */
export function fundsOf(tranches: readonly Tranche[]): string[] {
	return tranches.filter(({ fund }) => fund !== "own").map(fundOf);
}
