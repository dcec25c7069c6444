/**
 * What funds paid, counted as tabs are opened and taken back by what they did not spend: rows of `burns`, written in the same change as the money. Operators' groups and
 * pairs are kept as hashes, so that nobody reads who wrote to whom from them.
 */

import { hash } from "node:crypto";
import { billOf, type TabBill } from "#contracts/bill";
import { WINDOW_DAYS } from "#marketplace/home/window";
import type { Book, RecordRow, RowChange } from "#marketplace/ledger/book";
import { fundOf, type Tab } from "#marketplace/tab/tab";
import type { Counted } from "./facts.ts";
import { quotaBytesOf } from "./rules.ts";

const DAY_MS = 86_400_000;
const PPM = 1_000_000n;
/** Months may be looked at again for two more: reports are made of them. */
const KEEP_MS = 92 * DAY_MS;
/** Rows that are nobody's. */
const NOBODY = "0".repeat(64);

/** The names of counters. A month is six digits, YYYYMM. */
export const counterOf = {
	/** of a fund's month: `burned`, `new` (to new operators); of its day: `burned`, `said` */
	fund: (fund: string, month: string) => `fund:${fund}:${month}`,
	/** to one group of operators */
	operator: (fund: string, month: string, group: string) => `to:${fund}:${month}:${short(group)}`,
	/** to one group for one person's mail */
	pair: (fund: string, month: string, group: string, account: string) => `pair:${short(fund, month, group, account)}`,
	/** of one person's month, in bytes: `commons`, `elsewhere`; of their day: `texts` */
	person: (account: string, month: string) => `use:${month}:${account}`,
	/** of one pass's month and day, in bytes: `bytes` */
	pass: (fund: string, month: string, account: string) => `pass:${short(fund, month, account)}`,
	/** what funds opened at one relay and was not returned, in bytes, each day under its number */
	relay: (relay: string) => `at:${relay}`,
};

function short(...of: string[]): string {
	return hash("sha256", of.join(":"), "hex").slice(0, 32);
}

/** The month of a time, as counters are named. */
export function monthOf(atMs: number): string {
	return new Date(atMs).toISOString().slice(0, 7).replace("-", "");
}

/** The day of a time, in days since 1970. */
export function dayOf(atMs: number): number {
	return Math.floor(atMs / DAY_MS);
}

type Count = {
	row: RecordRow | undefined;
	account: string;
	day: number;
	value: Record<string, string>;
	dirty: boolean;
};

/** Counters as they were read, and what becomes of them. */
export class Burns {
	readonly #counts = new Map<string, Count>();

	/** Reads counters by their names. */
	static async read(book: Pick<Book, "record">, keys: readonly string[]): Promise<Burns> {
		const burns = new Burns();
		const rows = await Promise.all(keys.map((key) => book.record("burns", key)));
		for (const [i, key] of keys.entries()) {
			const row = rows[i];
			const { day = 0, ...value } = row ? (JSON.parse(row.value) as { day?: number } & Record<string, string>) : {};
			burns.#counts.set(key, { row, account: NOBODY, day, value, dirty: false });
		}
		return burns;
	}

	/** What is counted; `day`: of that day only. */
	of(key: string, name: string, day?: number): bigint {
		const count = this.#counts.get(key);
		if (!count || (day !== undefined && count.day !== day)) return 0n;
		return BigInt(count.value[day === undefined ? name : `day.${name}`] ?? "0");
	}

	/** Counts more, or less. What is of an earlier day than the one that is counted now is over. */
	add(key: string, name: string, by: bigint, { day, account = NOBODY }: { day?: number; account?: string } = {}): void {
		const count = this.#counts.get(key);
		if (!count) throw new Error(`the counter ${key} was not read`);
		if (by === 0n || (day !== undefined && day < count.day)) return;
		if (day !== undefined && day > count.day) {
			count.day = day;
			for (const each of Object.keys(count.value)) if (each.startsWith("day.")) delete count.value[each];
		}
		const name_ = day === undefined ? name : `day.${name}`;
		const next = BigInt(count.value[name_] ?? "0") + by;
		count.value[name_] = (next > 0n ? next : 0n).toString();
		count.account = account;
		count.dirty = true;
	}

	/** What is counted under days' numbers over the last thirty days; older ones are over. */
	lately(key: string, today: number): bigint {
		let sum = 0n;
		const value = this.#counts.get(key)?.value ?? {};
		for (const [name, bytes] of Object.entries(value)) if (Number(name) > today - WINDOW_DAYS) sum += BigInt(bytes);
		return sum;
	}

	/** Counts under a day's number, which is forgotten after thirty days. */
	addLately(key: string, day: number, by: bigint, today: number): void {
		const value = this.#counts.get(key)?.value ?? {};
		for (const name of Object.keys(value)) if (Number(name) <= today - WINDOW_DAYS) delete value[name];
		if (day > today - WINDOW_DAYS) this.add(key, String(day), by);
	}

	/** Writes what changed, each on the version that it was read at. */
	changes(nowMs: number): RowChange[] {
		return [...this.#counts].flatMap(([key, { row, account, day, value, dirty }]): RowChange[] => {
			if (!dirty) return [];
			const owner = row?.account ?? account;
			const text = JSON.stringify({ ...value, day });
			const kept = { key, account: owner, state: "counted", dueMs: row?.dueMs ?? nowMs + KEEP_MS, value: text };
			return [{ table: "burns", expect: row?.version ?? 0, row: kept }];
		});
	}
}

/** A tab as its counters are told it. */
type Sponsored = Pick<Tab, "account" | "relay" | "grant" | "tranches" | "fees" | "paid"> & {
	readonly counted: Counted;
};

/** The counters that a tab is counted in. */
export function countersOf(
	tab: Pick<Sponsored, "account" | "relay" | "tranches"> & { readonly group: string; readonly atMs: number },
): string[] {
	const month = monthOf(tab.atMs);
	const keys = [counterOf.relay(tab.relay), counterOf.person(tab.account, month)];
	for (const tranche of tab.tranches) {
		if (tranche.fund === "own") continue;
		const fund = fundOf(tranche);
		keys.push(counterOf.fund(fund, month), counterOf.operator(fund, month, tab.group));
		keys.push(counterOf.pair(fund, month, tab.group, tab.account));
		if (tranche.fund === "pool") keys.push(counterOf.pass(fund, month, tab.account));
	}
	return keys;
}

/** Counts what opening a tab takes from funds. */
export function countOpened(burns: Burns, tab: Sponsored): void {
	count(burns, tab, 1n, billOf(tab.grant.cap, tab.tranches, tab.fees), undefined, dayOf(tab.grant.issuedAtMs));
}

/** Takes back what a tab that ends did not spend. */
export function countReturned(burns: Burns, tab: Sponsored, nowMs: number): void {
	const [had, spent] = [tab.grant.cap, tab.paid.nanos].map((ask) => billOf(ask, tab.tranches, tab.fees));
	count(burns, tab, -1n, had as TabBill, spent, dayOf(nowMs));
}

function count(
	burns: Burns,
	tab: Sponsored,
	sign: 1n | -1n,
	had: TabBill,
	spent: TabBill | undefined,
	today: number,
): void {
	const { account, relay, counted, grant } = tab;
	const month = monthOf(grant.issuedAtMs);
	const day = dayOf(grant.issuedAtMs);
	const person = counterOf.person(account, month);
	for (const [i, tranche] of tab.tranches.entries()) {
		const use = counted.uses[i];
		const part = had.parts[i];
		if (tranche.fund === "own" || !use || !part) continue;
		const gone = spent?.parts[i];
		const fund = fundOf(tranche);
		const nanos = sign * (part.rest - (gone?.rest ?? 0n));
		const ofFund = counterOf.fund(fund, month);
		burns.add(ofFund, "burned", nanos);
		burns.add(ofFund, "burned", nanos, { day });
		if (counted.isSaid) burns.add(ofFund, "said", nanos, { day });
		if (counted.isNewOperator) burns.add(ofFund, "new", nanos);
		burns.add(counterOf.operator(fund, month, counted.group), "nanos", nanos);
		burns.add(counterOf.pair(fund, month, counted.group, account), "nanos", nanos);
		const ofRelay = sign * quotaBytesOf(grant.tariff, (sign * nanos * PPM) / (PPM + BigInt(tab.fees.marketPpm)));
		burns.addLately(counterOf.relay(relay), day, ofRelay, today);
		// the little a day for texts and the little elsewhere are used last, and so come back first
		const all = use.quota + use.texts;
		const back = gone ? all - quotaBytesOf(grant.tariff, gone.ask) : all;
		const texts = back < use.texts ? back : use.texts;
		const quota = back - texts;
		if (tranche.fund === "pool") {
			const pass = counterOf.pass(fund, month, account);
			burns.add(pass, "bytes", sign * quota, { account });
			burns.add(pass, "bytes", sign * back, { day, account });
		} else burns.add(person, "commons", sign * quota, { account });
		burns.add(person, "texts", sign * texts, { day, account });
		burns.add(person, "elsewhere", sign * (back < use.elsewhere ? back : use.elsewhere), { account });
	}
}
