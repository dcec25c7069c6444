/**
 * Carries the course of payouts out on the book and the rails. A payout has one owner at a time in this process, and across processes whoever writes
 * the record next; the rail is told and asked outside of any change. Whatever fails in between leaves a record that the next round goes on from.
 */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Cancel } from "#host/clock";
import type { Log } from "#host/log";
import type { Journal } from "#marketplace/backup/journal";
import type { Restoring } from "#marketplace/backup/restore";
import { BookFailure, type Change } from "#marketplace/ledger/book";
import { problemOfRefusal } from "#marketplace/market";
import type { PaymentState, Rail } from "#marketplace/rail/rail";
import { lookSoon } from "./ask.ts";
import { mayTell, nextOf } from "./course.ts";
import { writeDestination } from "./destination.ts";
import {
	billOfPayout,
	happen,
	isUnderWay,
	orderOf,
	type Payout,
	readPayout,
	UNDER_WAY,
	writePayout,
} from "./payout.ts";
import { decideReserve, type Parts, refuseGoing } from "./reserve.ts";

/** How often what is due is looked for, should a timer have been lost with its process. */
export const ROUND_MS = 60_000;
/** How long the rail's answer to being told is waited for; then it is asked instead. */
const TELL_MS = 60_000;
/** The same for an answer to a question. */
const ASK_MS = 30_000;
/** Steps of one payout in one go: reserved, told, asked, and again those that somebody else took. */
const STEPS_MAX = 12;
/** How often a payout is tried while an address, a rate or the rail cannot be had: a quarter of an hour, then its owner is told. */
const TRIES_MAX = 6;
/** How long after the first try the next one comes, doubling. */
const TRY_AGAIN_MS = 30_000;
/** How long a payout waits whose rail is not there. */
const NO_RAIL_MS = 15 * 60_000;
/** Nothing waits this long: what is to be looked at even later was written under a clock that was ahead, and is looked at now. */
const WAIT_MS_MAX = 3_600_000;
/** Payouts of one state looked at in one round; more wait for the next, the longest due first. */
const ROUND_MAX = 200;
/** Payouts at once in one round: a rail is asked over one connection or a few. */
const SIDE_BY_SIDE = 8;
/** Payouts that have a timer of their own; the round finds the others. */
const TIMERS_MAX = 1_000;

/** Whoever pays out. */
export interface Payouts {
	/** Goes on with a payout until it has ended or must wait; answers it as it is then. */
	advance(id: string): Promise<Payout>;
	/** Goes on with those that are due; how many were looked at. */
	round(): Promise<number>;
	/** Stops listening to the rails and waiting for them, and finishes writing. */
	stop(): Promise<void>;
}

/** Makes the one owner of this process. */
export function makePayouts(
	parts: Parts & {
		readonly log: Log;
		readonly restoring?: Pick<Restoring, "isHeld"> | undefined;
		readonly journal?: Pick<Journal, "append"> | undefined;
	},
): Payouts {
	const { book, clock, log, rails } = parts;
	const isHeld = (): boolean => parts.restoring?.isHeld() ?? false;
	const owned = new Map<string, Promise<Payout>>();
	const timers = new Map<string, Cancel>();
	const stopped = Promise.withResolvers<Problem>();
	let stopping = false;
	const hints = rails.map((rail) =>
		rail.onEvent((reference) => {
			hinted(reference).catch((error) => log.error({ err: error }, "a hint came to nothing"));
		}),
	);

	function advance(id: string, eager = false): Promise<Payout> {
		const before = owned.get(id);
		if (before) return before;
		const going = go(id, eager).finally(() => owned.delete(id));
		owned.set(id, going);
		going.then(lookLater, () => {});
		return going;
	}

	async function go(id: string, eager: boolean): Promise<Payout> {
		let payout = await read(id);
		for (let step = 0; step < STEPS_MAX && !stopping; step++) {
			const next = nextOf(payout.course);
			// a restored book may not know that this was paid already
			if (next === "reserve" && isHeld()) return payout;
			const mustAsk = next === "send" && isHeld();
			if (next === "nothing" || !(mustAsk || isDue(payout) || (eager && step === 0))) return payout;
			const rail = rails.find(({ name }) => name === payout.rail);
			if (!rail) await postpone(payout);
			else if (next === "reserve") await reserve(payout, rail);
			else if (next === "send") await send(payout, rail);
			else await ask(payout, rail);
			payout = await read(id);
		}
		return payout;
	}

	function isDue({ dueMs }: Pick<Payout, "dueMs">): boolean {
		const leftMs = dueMs - clock.nowMs();
		return leftMs <= 0 || leftMs > WAIT_MS_MAX;
	}

	/** Its rail was taken out of the configuration: nobody else can say what became of it, so it waits. */
	async function postpone(payout: Payout): Promise<void> {
		log.error({ payout: payout.id, rail: payout.rail }, "a payout waits for a rail that is not there");
		await write({ rows: [writePayout({ ...payout, dueMs: clock.nowMs() + NO_RAIL_MS })] });
	}

	function lookLater(payout: Payout): void {
		timers.get(payout.id)?.();
		timers.delete(payout.id);
		if (!isUnderWay(payout) || (payout.course.state === "queued" && isHeld())) return;
		if (stopping || timers.size >= TIMERS_MAX) return;
		const cancel = clock.after(Math.max(1_000, payout.dueMs - clock.nowMs()), () => {
			timers.delete(payout.id);
			advance(payout.id).catch((error) => log.error({ err: error }, "a payout did not go on; the next round tries"));
		});
		timers.set(payout.id, cancel);
	}

	async function read(id: string): Promise<Payout> {
		const row = await book.record("payouts", id);
		if (!row) throw new Error(`there is no payout ${id}`);
		return readPayout(row);
	}

	/** Whether it was done; `beaten` when somebody else was first. @throws BookFailure when the machine did not take it. */
	async function write(change: Change): Promise<"done" | "beaten" | "short"> {
		const [outcome] = await book.apply([change]);
		if (outcome === "applied") return "done";
		if (outcome === undefined || outcome === "same" || outcome.refused === "stale") return "beaten";
		if (outcome.refused === "overdraft") return "short";
		throw new BookFailure(problemOfRefusal(outcome.refused, outcome.detail));
	}

	async function reserve(payout: Payout, rail: Rail): Promise<void> {
		const decided = await Promise.race([decideReserve(parts, payout, rail), stopped.promise]);
		// whoever comes after this process begins anew: nothing was moved
		if (stopping) return;
		if (isProblem(decided)) return refuse(payout, decided);
		// what was earned went elsewhere meanwhile
		if ((await write(decided)) === "short") await refuse(payout, problem("balance-short"));
	}

	/** What cannot go: tried again for a while when that may help; the rail was not told. */
	async function refuse(payout: Payout, refused: Problem): Promise<void> {
		const atMs = clock.nowMs();
		const tries = payout.tries + 1;
		if (refused.retry && refused.problem !== "destination-waits" && tries < TRIES_MAX) {
			const dueMs = atMs + TRY_AGAIN_MS * 2 ** payout.tries;
			const course = { ...payout.course, why: refused.detail };
			await write({ rows: [writePayout({ ...payout, tries, dueMs, course })] });
			return;
		}
		await write(happen(payout, { is: "refused", why: refused.detail }, { atMs }).change);
	}

	async function send(payout: Payout, rail: Rail): Promise<void> {
		// what was set aside in a book that was brought back may have been told: it counts as told, whatever has become of its destination
		if (isHeld()) {
			const atMs = clock.nowMs();
			await write(happen(payout, { is: "begun", atMs }, { atMs, dueMs: atMs }).change);
			return;
		}
		const destination = await refuseGoing(parts, payout);
		if (isProblem(destination)) return refuse(payout, destination);
		const order = orderOf(payout);
		// a rail that is away is not told: it would not be known what it made of that until the invoice had ended
		const before = await answered(() => rail.payment(order), ASK_MS);
		if (stopping) return;
		if (isProblem(before)) return refuse(payout, before);
		const begunAtMs = clock.nowMs();
		const begun = happen(payout, { is: "begun", atMs: begunAtMs }, { atMs: begunAtMs, dueMs: begunAtMs + TELL_MS });
		// the destination is written too, as it is: whoever changes it at this moment is either before this payout or after it, never beside it
		const rows = [...(begun.change.rows ?? []), writeDestination(destination)];
		const [record] = begun.change.rows ?? [];
		const told = { atMs: begunAtMs, id: payout.id, account: payout.account, value: record?.row.value ?? "" };
		const unkept = await parts.journal?.append(told);
		if (unkept) return refuse(payout, unkept);
		if ((await write({ rows })) !== "done") return;
		// a rail that knows it, or may know it from before a backup was brought back, is asked and never told again
		const isKnown = before.state === "sent" || before.state === "sending" || before.state === "failed";
		if (isKnown || !mayTell(clock.nowMs() - begunAtMs)) return;
		const says = await answered(() => rail.pay(order), TELL_MS);
		const atMs = clock.nowMs();
		await write(happen(begun.payout, { is: "told", says }, { atMs, dueMs: atMs }).change);
	}

	async function ask(payout: Payout, rail: Rail): Promise<void> {
		const order = orderOf(payout);
		const says = await answered(() => rail.payment(order), ASK_MS);
		const atMs = clock.nowMs();
		const looked = happen(payout, { is: "asked", says, amount: order.amount, atMs }, { atMs });
		if ((await write(looked.change)) !== "done" || isUnderWay(looked.payout)) return;
		log.info({ payout: payout.id, rail: rail.name, state: looked.payout.course.state }, "a payout ended");
		if (looked.payout.course.paid) await lookSoon(parts, looked.payout);
		const over = billOfPayout(looked.payout)?.over ?? 0n;
		if (over > 0n)
			log.warn({ payout: payout.id, rail: rail.name, nanos: `${over}` }, "a rail took more than its ceiling");
	}

	/** An answer in time, or that there was none; a rail that throws has said nothing. */
	async function answered<Answer extends PaymentState | Problem>(
		asked: () => Promise<Answer>,
		waitMs: number,
	): Promise<Answer | Problem> {
		const late = Promise.withResolvers<Problem>();
		const cancel = clock.after(waitMs, () => late.resolve(problem("unavailable", "The rail did not answer in time.")));
		try {
			return await Promise.race([asked(), late.promise, stopped.promise]);
		} catch (error) {
			log.error({ err: error }, "a rail threw");
			return problem("unavailable", "The rail broke.");
		} finally {
			cancel();
		}
	}

	async function round(): Promise<number> {
		const beforeMs = clock.nowMs() + 1;
		const due: string[] = [];
		for (const state of UNDER_WAY) {
			const query = { table: "payouts", limit: ROUND_MAX } as const;
			const rows = await book.records({ ...query, by: "due", state, beforeMs });
			const ahead = (await book.records({ ...query, by: "state", of: state })).filter((row) => row.dueMs > beforeMs);
			due.push(...[...rows, ...ahead.filter(isDue)].map((row) => row.key));
		}
		const failures: unknown[] = [];
		for (let at = 0; at < due.length; at += SIDE_BY_SIDE)
			for (const { reason } of await settle(due.slice(at, at + SIDE_BY_SIDE))) failures.push(reason);
		// one that breaks holds up no other
		if (failures.length > 0) throw failures[0];
		return due.length;
	}

	async function settle(ids: readonly string[]): Promise<PromiseRejectedResult[]> {
		const results = await Promise.allSettled(ids.map((id) => advance(id)));
		return results.filter((result) => result.status === "rejected");
	}

	/** A hint is no answer: it only brings the next question forward. */
	async function hinted(id: string): Promise<void> {
		if (stopping || !/^[0-9a-f]{32}$/.test(id) || owned.size >= ROUND_MAX) return;
		if (await book.record("payouts", id)) await advance(id, true);
	}

	return {
		advance,
		round,
		stop: async () => {
			stopping = true;
			for (const cancel of [...hints, ...timers.values()]) cancel();
			stopped.resolve(problem("unavailable", "The market stopped before the rail had answered."));
			await Promise.allSettled(owned.values());
		},
	};
}
