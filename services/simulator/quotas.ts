/** What people use of their quotas, as the market counts it (services/marketplace/sponsor/burn.ts), here in memory. */

import type { TabBill } from "#contracts/bill";
import type { Tariff } from "#contracts/tariff";
import type { Tranche } from "#contracts/tranche";
import type { Use } from "#marketplace/sponsor/facts";
import { quotaBytesOf } from "#marketplace/sponsor/rules";

/** When something happens: Unix milliseconds, and days and months of the run. */
export type When = { readonly nowMs: number; readonly day: number; readonly month: number };

/** What somebody used, in bytes of quota. */
export type Used = {
	month: bigint;
	day: bigint;
	commons: bigint;
	text: bigint;
	elsewhere: bigint;
	onDay: number;
	inMonth: number;
};

/** Everybody's. */
export class Quotas {
	readonly #used: readonly Used[];

	constructor(people: number) {
		const none = { month: 0n, day: 0n, commons: 0n, text: 0n, elsewhere: 0n, onDay: -1, inMonth: -1 };
		this.#used = Array.from({ length: people }, () => ({ ...none }));
	}

	/** What somebody used of this day and month. */
	now(at: number, { day, month }: When): Used {
		const used = this.#used[at];
		if (!used) throw new RangeError("nobody is there");
		if (used.inMonth !== month) Object.assign(used, { month: 0n, commons: 0n, elsewhere: 0n, inMonth: month });
		if (used.onDay !== day) Object.assign(used, { day: 0n, text: 0n, onDay: day });
		return used;
	}

	/** What somebody used lately of a month's quota, in parts per million. */
	usedPpm(at: number, quotaBytes: bigint): number {
		const used = this.#used[at];
		if (!used) return 0;
		return Number(((used.month > used.commons ? used.month : used.commons) * 1_000_000n) / quotaBytes);
	}
}

/** A tab of which quota is used. */
type Opened = {
	readonly relay: { readonly tariff: Tariff };
	readonly tranches: readonly Tranche[];
	readonly uses: readonly Use[];
};

/** Counts what a tab uses of its owner's quotas; once it is settled takes back what it did not, as the market does (sponsor/burn.ts). */
export function countUse(used: Used, { relay, tranches, uses }: Opened, due: TabBill | undefined): void {
	for (const [i, of] of uses.entries()) {
		const all = of.quota + of.texts;
		const back = due ? all - quotaBytesOf(relay.tariff, due.parts[i]?.ask ?? 0n) : all;
		const sign = due ? -1n : 1n;
		const texts = back < of.texts ? back : of.texts;
		const isPool = tranches[i]?.fund === "pool";
		if (isPool) {
			used.month += sign * (back - texts);
			used.day += sign * back;
		} else used.commons += sign * (back - texts);
		used.text += sign * texts;
		used.elsewhere += sign * (back < of.elsewhere ? back : of.elsewhere);
	}
}
