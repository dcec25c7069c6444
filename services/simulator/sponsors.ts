/**
 * Where funds' money comes from and how it is rationed: sponsors pay in once a month what their people are expected to use and some more; the commons live on the
 * solidarity fee, by the market's own rule (services/marketplace/commons).
 */

import type { FeeRates } from "#contracts/tab";
import type { Tranche } from "#contracts/tranche";
import { dayBudget, FEE_RULE, nextFeePpm } from "#marketplace/commons/rule";
import { budgetOfMonth, mayTakeBack, quotaPpm } from "#marketplace/pool/decide";
import { quotaAsk, type Rules } from "#marketplace/sponsor/rules";
import type { World } from "./actor.ts";
import type { Cashbook } from "./cashbook.ts";
import { Fund } from "./fund.ts";
import type { Scheme } from "./scheme.ts";
import type { Tabs } from "./tabs.ts";

/** Over what is expected: people come, and nobody wants to be the one whose pool was empty. */
const SPARE_PERCENT = 130n;
/** A pool may burn a month's money in ten days: a tab stands for a week here. */
const DAYS_OF_MONTH = 10n;
/** Days over which what comes and goes in a day is evened out. */
const EVEN_DAYS = 14n;
/** Sponsors pay for two months ahead, so that nobody's quota shrinks at a month's end. */
const MONTHS = 2n;

/** The funds of a run. */
export class Sponsors {
	readonly pools: readonly Fund[];
	readonly commons = new Fund("commons", "commons", undefined);
	readonly #monthly: readonly bigint[];
	readonly #book: Cashbook;
	readonly #scheme: Scheme;
	readonly #outADay: bigint[];
	/** evened out, nano-dollars a day */
	#wanted = 0n;
	#paid = 0n;
	/** times that a sponsor took something back, and how much */
	readonly taken = { times: 0, nanos: 0n };
	solidarityPpm = FEE_RULE.startPpm;

	constructor(world: World, rules: Rules, book: Cashbook, scheme: Scheme) {
		this.#book = book;
		this.#scheme = scheme;
		const asks = world.relays
			.filter(({ isEligible, isThief }) => isEligible && !isThief)
			.map(({ tariff }) => quotaAsk(tariff, 1_000_000n));
		const askPerMb = asks.reduce((sum, ask) => sum + ask, 0n) / BigInt(asks.length || 1);
		const quota = Number(rules.quotaBytes);
		this.#monthly = world.pools.map((_, place) => {
			const own = world.actors.slice(0, world.humans).filter(({ pool }) => pool === place);
			const bytes = own.reduce((sum, { human }) => sum + Math.min(human?.monthBytes ?? 0, quota), 0);
			return (((BigInt(bytes) * askPerMb) / 1_000_000n) * SPARE_PERCENT) / 100n;
		});
		this.#outADay = world.pools.map(() => 0n);
		this.pools = world.pools.map(({ name, hex, id }, place) => {
			const fund = new Fund(name, hex, id);
			fund.rules = {
				countries: [],
				enrollers: world.enrollers.map(({ key }) => key),
				monthBytes: rules.quotaBytes,
				dayBytes: rules.quotaBytes,
				dayLimit: (this.#monthly[place] ?? 0n) / DAYS_OF_MONTH,
				fromMs: 0,
			};
			return fund;
		});
	}

	/** Passes of these enrollers count. */
	enrollers(keys: readonly string[]): void {
		for (const fund of this.pools) if (fund.rules) fund.rules = { ...fund.rules, enrollers: keys };
	}

	/** A month begins: sponsors pay in what is missing of two months. */
	newMonth(): void {
		for (const [place, fund] of this.pools.entries()) {
			fund.newMonth();
			const missing = (this.#monthly[place] ?? 0n) * MONTHS - fund.free;
			if (missing <= 0n) continue;
			fund.fill(missing);
			this.#book.deposit(fund.account, missing);
		}
		this.commons.newMonth();
	}

	/** A day begins: what each fund may spend, and what of everybody's quota it can pay for. */
	newDay(): void {
		for (const [place, fund] of this.pools.entries()) {
			fund.newDay();
			fund.dayLimit = fund.rules?.dayLimit ?? 0n;
			fund.budget30 = budgetOfMonth(fund.free, fund.burnedThisMonth, fund.dayLimit);
			fund.quotaPpm = quotaPpm(fund.free, this.#outADay[place] ?? 0n);
		}
		const { commons } = this;
		commons.newDay();
		commons.dayLimit = dayBudget(commons.free, this.#in);
		commons.budget30 = budgetOfMonth(commons.free, commons.burnedThisMonth, commons.dayLimit);
		// what it lacks is rationed by the day; a quota shrinks where more is wanted than comes in
		commons.quotaPpm = quotaPpm(commons.free, least0(this.#wanted - this.#in));
	}

	/** Evened out, what the solidarity fee brings in a day. */
	get #in(): bigint {
		return (this.#paid * BigInt(this.solidarityPpm)) / 1_000_000n;
	}

	/** The dishonest sponsor's day, with tabs open: takes back all it can, and puts some in again at times. */
	withdraw(day: number): void {
		const { sponsor } = this.#scheme;
		const fund = this.pools[0];
		if (!sponsor || !fund || day < sponsor.day || (day - sponsor.day) % sponsor.everyDays !== 0) return;
		const nanos = (mayTakeBack(fund.free, 0n) * BigInt(sponsor.pct)) / 100n;
		if (nanos > 0n) {
			fund.takeBack(nanos);
			this.#book.takeBack(fund.account, nanos);
			this.taken.times += 1;
			this.taken.nanos += nanos;
		}
		const again = (nanos * BigInt(sponsor.putsBackPct)) / 100n;
		if (again === 0n) return;
		fund.fill(again);
		this.#book.deposit(fund.account, again);
	}

	/** A day ends: the solidarity fee came in, and the next day's follows from what was wanted. */
	endDay(tabs: Pick<Tabs, "wanted" | "paid" | "solidarity">): void {
		this.commons.fill(tabs.solidarity);
		const even = (before: bigint, now: bigint) => before + (now - before) / EVEN_DAYS;
		this.#wanted = even(this.#wanted, tabs.wanted);
		this.#paid = even(this.#paid, tabs.paid);
		for (const [place, fund] of this.pools.entries())
			this.#outADay[place] = even(this.#outADay[place] ?? 0n, fund.burnedToday);
		this.solidarityPpm = nextFeePpm(this.solidarityPpm, {
			free: this.commons.free,
			wantedADay: this.#wanted,
			paidADay: this.#paid,
		});
	}
}

function least0(nanos: bigint): bigint {
	return nanos > 0n ? nanos : 0n;
}

/** What the commons would have paid of this if they could: their part, and what its owner waits for. */
export function wantedOf(
	tranches: readonly Tranche[],
	waits: boolean,
	ppm: number,
	ask: bigint,
	fees: FeeRates,
): bigint {
	let left = ask;
	let wanted = 0n;
	for (const { fund, cap } of tranches) {
		const part = cap < left ? cap : left;
		left -= part;
		if (fund === "commons" || (fund === "own" && waits)) wanted += part;
	}
	const total = wanted + (wanted * BigInt(fees.marketPpm)) / 1_000_000n;
	return total - (total * BigInt(ppm)) / 1_000_000n;
}
