/**
 * What a person agreed to spend in a day, and what today came to: fees included, counted before anything is sent. Days are UTC.
 */

import {
	type Amount,
	add,
	amount,
	formatAmount,
	formatDollars,
	isAmount,
	NOTHING,
	parseAmount,
} from "#contracts/amount";
import { billOf } from "#contracts/bill";
import { type Problem, problem } from "#contracts/problem";
import type { Reason } from "#contracts/reason";
import { bill } from "#contracts/tab";
import { price, type Traffic } from "#contracts/tariff";
import type { Device } from "./device.ts";
import { capOf } from "./market.ts";
import type { Rates } from "./plan.ts";
import { getJson, putJson } from "./storage.ts";

/** What sending comes to: the sealed bytes that are charged, the relay's ask, the whole with its fees, and who pays that: the account itself, the commons, pools. */
export type Cost = {
	readonly sealedBytes: bigint;
	readonly ask: Amount;
	readonly total: Amount;
	readonly payer: Amount;
	readonly commons: Amount;
	readonly pools: Amount;
	/** why it is paid so, for people (`contracts/reason.json`) */
	readonly reasons: readonly Reason[];
};

/** The cost of some traffic by itself: at most a nano above its share of a longer tab, because each is rounded up once. */
export function costOf({ tariff, fees, paying }: Rates, sent: Traffic): Cost | Problem {
	const ask = price(tariff, sent);
	if (ask === undefined) return problem("balance-short", "That costs more than there is money in the world.");
	const base = { sealedBytes: sent.bytes, ask, reasons: paying?.reasons ?? [] };
	// by itself where one pays it all: then it costs the same wherever on a tab it stands
	const isOwn = !paying || paying.tranches[0]?.fund === "own";
	if (isOwn || !isAmount(paying.used + ask) || paying.used + ask > capOf(paying.tranches)) {
		const { total } = bill(ask, fees);
		return { ...base, total, payer: total, commons: NOTHING, pools: NOTHING };
	}
	const before = billOf(paying.used, paying.tranches, fees);
	const after = billOf(amount(paying.used + ask), paying.tranches, fees);
	const more = (of: "total" | "payer" | "commons" | "pools") => amount(after[of] - before[of]);
	return { ...base, total: more("total"), payer: more("payer"), commons: more("commons"), pools: more("pools") };
}

export class Spending {
	private readonly device: Device;
	private limit: Amount | undefined;
	private day = "";
	private spent: Amount = NOTHING;

	constructor(device: Device, limit: Amount | undefined) {
		this.device = device;
		this.limit = limit;
	}

	/** The most that may be spent in a day; undefined for no limit. */
	setLimit(limit: Amount | undefined): void {
		this.limit = limit;
	}

	private async today(): Promise<string> {
		const day = new Date(this.device.nowMs()).toISOString().slice(0, 10);
		if (day !== this.day) {
			const kept = parseAmount(await getJson<string>(this.device.storage, `spent/${day}`)) ?? NOTHING;
			// Two callers may have waited here: the second must not forget what the first has added.
			if (day !== this.day) {
				this.day = day;
				this.spent = kept;
			}
		}
		return day;
	}

	/** What today came to so far. */
	async spentToday(): Promise<Amount> {
		await this.today();
		return this.spent;
	}

	/** Counts a cost before it is made, or refuses it. */
	async take(total: Amount): Promise<Problem | undefined> {
		const day = await this.today();
		if (this.limit !== undefined && this.spent + total > this.limit)
			return problem(
				"spending-limit",
				`This costs ${formatDollars(total)}; of the ${formatDollars(this.limit)} agreed on for a day, ${formatDollars(this.spent)} are spent. Nothing was sent.`,
			);
		this.spent = add(this.spent, total);
		await putJson(this.device.storage, `spent/${day}`, formatAmount(this.spent));
		return undefined;
	}

	/** Counts what was lost, limit or not. */
	async lose(total: Amount): Promise<void> {
		const day = await this.today();
		this.spent = add(this.spent, total);
		await putJson(this.device.storage, `spent/${day}`, formatAmount(this.spent));
	}

	/** Gives back what was counted and not spent after all. */
	async giveBack(total: Amount): Promise<void> {
		const day = await this.today();
		this.spent = amount(this.spent > total ? this.spent - total : 0n);
		await putJson(this.device.storage, `spent/${day}`, formatAmount(this.spent));
	}
}
