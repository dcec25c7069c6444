/**
 * Where funds' money comes from and how it is rationed: sponsors pay in once a month what their people are expected to use and some more; the commons live on the
 * solidarity fee, by the market's own rule (services/marketplace/commons).
 */

import { DAYS_KEPT, type Day, meanOf } from "#marketplace/commons/figures";
import { BUDGET_DAYS, dayBudget, FEE_RULE, nextFeePpm } from "#marketplace/commons/rule";
import { budgetOfMonth, mayTakeBack, quotaPpm, THIN_DAYS } from "#marketplace/pool/decide";
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
/** Days over which what goes out of a pool in a day is evened out. */
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
	/** the commons' last days, the newest first */
	#days: readonly Day[] = [];
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
			fund.quotaPpm = quotaPpm(fund.free, this.#outADay[place] ?? 0n, THIN_DAYS);
		}
		const { commons } = this;
		commons.newDay();
		// as services/marketplace/commons tells a plan of them
		const { inADay, outADay } = meanOf(this.#days);
		commons.dayLimit = dayBudget(commons.free, inADay);
		commons.budget30 = commons.dayLimit * BUDGET_DAYS;
		commons.quotaPpm = quotaPpm(commons.free, outADay - inADay, THIN_DAYS);
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

	/** A day ends: the solidarity fee came in, and the next day's follows from what the commons paid. */
	endDay(day: number, { paid, solidarity }: Pick<Tabs, "paid" | "solidarity">): void {
		const { commons } = this;
		commons.fill(solidarity);
		for (const [place, fund] of this.pools.entries()) {
			const before = this.#outADay[place] ?? 0n;
			this.#outADay[place] = before + (fund.burnedToday - before) / EVEN_DAYS;
		}
		const out = commons.burnedToday;
		const today: Day = { day, fees: solidarity, given: 0n, out, paid, quotaPpm: commons.quotaPpm, after: 0 };
		this.#days = [today, ...this.#days].slice(0, DAYS_KEPT);
		const { wantedADay, paidADay } = meanOf(this.#days);
		this.solidarityPpm = nextFeePpm(this.solidarityPpm, { free: commons.free, wantedADay, paidADay });
	}
}
