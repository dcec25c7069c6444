/** When an operator is paid by itself, from how much on, and what it may cost. Also the one place that says which payout of theirs is under way. */

import { type Amount, formatAmount, parseAmount, parseDollars } from "#contracts/amount";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";
import type { Kind } from "./destination.ts";

/** How often an operator is paid who has earned enough. */
export const SCHEDULES = ["daily", "weekly", "never"] as const;
export type Schedule = (typeof SCHEDULES)[number];

/** An operator's wishes; those that were never said are the market's defaults for their destination. */
export type Plan = {
	readonly version: number;
	readonly account: string;
	readonly schedule: Schedule;
	/** paid by itself from this on */
	readonly threshold: Amount | undefined;
	/** the most that the rail may take, in parts per million of what is paid out */
	readonly feeMaxPpm: number | undefined;
	/** the newest payout: no other begins before it has ended */
	readonly payout: string | undefined;
	/** when the schedule looks again */
	readonly dueMs: number;
};

const DAY_MS = 86_400_000;
const SPAN_MS: Readonly<Record<Schedule, number>> = { daily: DAY_MS, weekly: 7 * DAY_MS, never: 0 };

/** Stripe takes a fixed part of every payout: 4.8 % of $50, 22.8 % of $10. Lightning takes next to nothing from a dollar on. */
const DEFAULTS: Readonly<Record<Kind, { readonly threshold: Amount; readonly feeMaxPpm: number }>> = {
	lightning: { threshold: parseDollars("1") as Amount, feeMaxPpm: 10_000 },
	invoice: { threshold: parseDollars("1") as Amount, feeMaxPpm: 10_000 },
	stripe: { threshold: parseDollars("50") as Amount, feeMaxPpm: 50_000 },
};

/** A plan with its defaults, for somebody who is paid that way. */
export function termsOfPlan(plan: Plan, kind: Kind): { readonly threshold: Amount; readonly feeMaxPpm: number } {
	return {
		threshold: plan.threshold ?? DEFAULTS[kind].threshold,
		feeMaxPpm: plan.feeMaxPpm ?? DEFAULTS[kind].feeMaxPpm,
	};
}

/** The plan of somebody who never said anything. */
export function newPlan(account: string, nowMs: number): Plan {
	return {
		version: 0,
		account,
		schedule: "daily",
		threshold: undefined,
		feeMaxPpm: undefined,
		payout: undefined,
		dueMs: nowMs,
	};
}

/** When the schedule looks again after it has looked now. */
export function nextLookMs(schedule: Schedule, nowMs: number): number {
	return nowMs + SPAN_MS[schedule];
}

type Value = {
	readonly schedule: Schedule;
	readonly threshold?: string | undefined;
	readonly feeMaxPpm?: number | undefined;
	readonly payout?: string | undefined;
};

/** Reads a record; what it holds was written here. */
export function readPlan(row: RecordRow): Plan {
	const { schedule, threshold, feeMaxPpm, payout } = JSON.parse(row.value) as Value;
	const { version, account, dueMs } = row;
	return { version, account, schedule, threshold: parseAmount(threshold), feeMaxPpm, payout, dueMs };
}

/** The change that writes it over the version that it was read at. */
export function writePlan({ version, account, schedule, threshold, feeMaxPpm, payout, dueMs }: Plan): RowChange {
	const value: Value = {
		schedule,
		threshold: threshold === undefined ? undefined : formatAmount(threshold),
		feeMaxPpm,
		payout,
	};
	return {
		table: "plans",
		expect: version,
		row: { key: account, account, state: schedule, dueMs, value: JSON.stringify(value) },
	};
}
