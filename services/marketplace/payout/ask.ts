/**
 * Asking for a payout, by an operator's click or by their schedule. An account has one payout at a time: its plan names the newest one and is
 * written with it, so of many who ask at once one begins a payout and the others are told of it (threat 19).
 */

import { type Amount, amount } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { RowChange } from "#marketplace/ledger/book";
import { earnedAccount } from "#marketplace/ledger/chart";
import { ATTEMPTS_MAX, problemOfRefusal } from "#marketplace/market";
import type { Rail } from "#marketplace/rail/rail";
import { type Kind, refuseUse, setDestination, type Target, WORLD_OF, writeDestination } from "./destination.ts";
import { isUnderWay, newPayout, type Payout, payoutId, readPayout, writePayout } from "./payout.ts";
import { nextLookMs, type Plan, readPlan, SCHEDULES, type Schedule, termsOfPlan, writePlan } from "./plan.ts";
import { destinationOf, FROZEN, type Parts, planOf, readBrought } from "./reserve.ts";

/** What an operator asks for. */
export type Ask = {
	/** theirs: asking again by the same name is the same payout */
	readonly name: string;
	/** at most so much; all that was earned when left out */
	readonly nanos?: Amount | undefined;
	readonly invoice?: string | undefined;
};

/** Plans looked at in one round; more wait for the next. */
const ROUND_MAX = 200;

/** How long somebody who asks twice should wait: most payouts take seconds. */
const BUSY_MS = 30_000;

/** The rail that pays a kind of destination; undefined when none does now. */
export function railFor(rails: readonly Rail[], kind: Kind): Rail | undefined {
	return rails.find((rail) => rail.world === WORLD_OF[kind] && rail.ranges.out !== undefined);
}

/** Begins a payout, or answers the one that was begun by the same name. */
export async function askPayout(parts: Parts, account: string, ask: Ask): Promise<Payout | Problem> {
	const id = payoutId(account, ask.name);
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const before = await payoutOf(parts, id);
		if (before) {
			const same = before.invoice === ask.invoice && before.wanted === ask.nanos;
			return same ? before : problem("conflict", "That name was used for another payout.");
		}
		const begun = await begin(parts, account, id, ask, await planOf(parts, account));
		if (begun !== "beaten") return begun;
	}
	return problemOfRefusal("stale", "");
}

/** A payout by its id. */
export async function payoutOf({ book }: Pick<Parts, "book">, id: string): Promise<Payout | undefined> {
	const row = await book.record("payouts", id);
	return row && readPayout(row);
}

async function begin(
	parts: Parts,
	account: string,
	id: string,
	ask: Ask,
	plan: Plan,
): Promise<Payout | Problem | "beaten"> {
	const { book, clock, frozen, rails } = parts;
	const nowMs = clock.nowMs();
	if (await frozen.has(account)) return problem("unauthorized", FROZEN);
	const newest = plan.payout === undefined ? undefined : await payoutOf(parts, plan.payout);
	if (newest && isUnderWay(newest))
		return problem("too-many", "A payout is under way; there is one at a time.", { retryAfterMs: BUSY_MS });
	const target = await targetOf(parts, account, ask);
	if (isProblem(target)) return target;
	const rail = railFor(rails, target.kind);
	if (!rail) return problem("rail-closed", "This market has no way to pay there now.");
	if ((await book.balance(earnedAccount(account))) === 0n)
		return problem("balance-short", "Nothing is free to be paid out.");
	const { name, world } = rail;
	const asked = { id, account, rail: name, world, target, invoice: ask.invoice, wanted: ask.nanos };
	const payout = newPayout(asked, nowMs);
	const rows = [
		writePayout(payout),
		writePlan({ ...plan, payout: id, dueMs: nextLookMs(plan.schedule, nowMs) }),
		...target.rows,
	];
	const applied = await writeRows(parts, rows);
	return applied === "done" ? { ...payout, version: 1 } : applied;
}

/** Where a payout that is asked for goes. A first invoice says that this account is paid by invoices: there is nothing that it changes. */
async function targetOf(
	parts: Parts,
	account: string,
	{ invoice }: Ask,
): Promise<(Target & { readonly rows: readonly RowChange[] }) | Problem> {
	const destination = await destinationOf(parts, account);
	const nowMs = parts.clock.nowMs();
	if (invoice !== undefined) {
		const read = readBrought(parts, invoice);
		if (isProblem(read)) return read;
		const target: Target = { kind: "invoice", to: "" };
		const first = destination ? undefined : setDestination(undefined, target, account, nowMs);
		if (first) return { ...target, rows: [writeDestination(first)] };
	}
	const refused = refuseUse(destination, nowMs);
	if (refused || !destination) return refused ?? problem("not-found");
	const { kind, to } = destination;
	if (invoice !== undefined && kind !== "invoice")
		return problem("conflict", `Payouts go to ${to}. To be paid by invoices, set that first; a change waits a day.`);
	if (invoice === undefined && kind === "invoice")
		return problem("usage", "This account is paid by invoices: bring one over the amount.");
	return { kind, to, rows: [] };
}

/** What an operator may set. */
export type Wishes = {
	readonly target?: Target | undefined;
	readonly schedule?: Schedule | undefined;
	/** null: the market's default */
	readonly threshold?: Amount | null | undefined;
	readonly feeMaxPpm?: number | null | undefined;
};

/** Sets what an operator wishes; what is left out stays. The first destination sets the schedule going. */
export async function setWishes(
	parts: Parts,
	account: string,
	{ target, schedule, threshold, feeMaxPpm }: Wishes,
): Promise<Problem | undefined> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const nowMs = parts.clock.nowMs();
		const plan = await planOf(parts, account);
		const before = await destinationOf(parts, account);
		const destination = target && setDestination(before, target, account, nowMs);
		const wished: Plan = {
			...plan,
			schedule: schedule ?? plan.schedule,
			threshold: threshold === undefined ? plan.threshold : (threshold ?? undefined),
			feeMaxPpm: feeMaxPpm === undefined ? plan.feeMaxPpm : (feeMaxPpm ?? undefined),
			dueMs: nowMs,
		};
		const applied = await writeRows(parts, [
			writePlan(wished),
			...(destination ? [writeDestination(destination)] : []),
		]);
		if (applied !== "beaten") return applied === "done" ? undefined : applied;
	}
	return problemOfRefusal("stale", "");
}

/** After a payout that a rail's most of one payment cut short, the schedule looks again soon. */
export async function lookSoon(parts: Parts, { id, account, target, wanted }: Payout): Promise<void> {
	const { book, clock } = parts;
	const plan = await planOf(parts, account);
	if (plan.payout !== id || plan.schedule === "never" || wanted !== undefined) return;
	const { threshold } = termsOfPlan(plan, target.kind);
	if ((await book.balance(earnedAccount(account))) < threshold) return;
	// whoever was first with the plan has set its time
	await writeRows(parts, [writePlan({ ...plan, dueMs: clock.nowMs() })]);
}

/** Begins the payouts of those whose schedule looks now and who earned enough; answers their ids. */
export async function askDue(parts: Parts): Promise<string[]> {
	const { book, clock } = parts;
	const begun: string[] = [];
	for (const schedule of SCHEDULES.filter((each) => each !== "never")) {
		const beforeMs = clock.nowMs() + 1;
		const rows = await book.records({ table: "plans", by: "due", state: schedule, beforeMs, limit: ROUND_MAX });
		for (const row of rows) {
			const plan = readPlan(row);
			const id = await askBySchedule(parts, plan);
			if (id !== undefined) begun.push(id);
		}
	}
	return begun;
}

/** Once for each look, though many look: the payout's id is of the plan's version, and the plan is written with it. */
async function askBySchedule(parts: Parts, plan: Plan): Promise<string | undefined> {
	const { book, clock } = parts;
	const { account } = plan;
	const nowMs = clock.nowMs();
	const destination = await destinationOf(parts, account);
	const waits = destination && refuseUse(destination, nowMs) !== undefined;
	if (destination && !waits && destination.kind !== "invoice") {
		const { threshold } = termsOfPlan(plan, destination.kind);
		const earned = amount(await book.balance(earnedAccount(account)));
		const id = payoutId(account, `plan:${plan.version}`);
		const begun = earned >= threshold && (await begin(parts, account, id, { name: "" }, plan));
		if (begun === "beaten") return undefined;
		if (begun && !isProblem(begun)) return begun.id;
	}
	const dueMs = waits ? destination.fromMs : nextLookMs(plan.schedule, nowMs);
	await writeRows(parts, [writePlan({ ...plan, dueMs })]);
	return undefined;
}

async function writeRows(
	{ book }: Pick<Parts, "book">,
	rows: readonly RowChange[],
): Promise<"done" | "beaten" | Problem> {
	const [outcome] = await book.apply([{ rows }]);
	if (outcome === "applied") return "done";
	if (outcome === undefined || outcome === "same" || outcome.refused === "stale") return "beaten";
	return problemOfRefusal(outcome.refused, outcome.detail);
}
