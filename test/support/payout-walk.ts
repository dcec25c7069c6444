/**
 * Walks through a payout failing each call of the book, the rail and the address in turn, before it did anything and after: the process dies there. A new one
 * on the same disk and the same rail ends in exactly one honest outcome, told the same by all (threat 19).
 */

import assert from "node:assert/strict";
import { isProblem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import type { Book } from "#marketplace/ledger/book";
import { askDue, askPayout, payoutOf } from "#marketplace/payout/ask";
import { isUnderWay, payoutId } from "#marketplace/payout/payout";
import { makePayouts } from "#marketplace/payout/payouts";
import { type HeldClock, heldClock } from "./clock.ts";
import { DoubleLightning, DoubleRail, type Fate, testRates } from "./doublerail.ts";
import type { Disk } from "./funding-walk.ts";
import { OPERATOR, openTill, type Till, usd } from "./payouts.ts";

/** What may become of an order. */
export const FATES: readonly Fate[] = [
	"sends",
	"fails",
	"is lost",
	"sends, and the answer is lost",
	"sends, and says that it failed",
	"takes its time",
];

/** Who begins it. */
export type By = "click" | "schedule";

/** The end of a process: nothing that it calls does anything any more. */
class Crash extends Error {}

/** Lets so many calls through; the next one fails, and all after it. */
class Fuse {
	calls = 0;
	/** what it failed at */
	blownAt: string | undefined;
	readonly #at: number;
	readonly #when: "before" | "after";

	constructor(at: number, when: "before" | "after") {
		this.#at = at;
		this.#when = when;
	}

	/** The same object, whose methods are counted. */
	through<Thing extends object>(thing: Thing, methods: readonly (keyof Thing)[]): Thing {
		return new Proxy(thing, {
			get: (target, name) => {
				const found = Reflect.get(target, name) as unknown;
				if (typeof found !== "function") return found;
				if (!methods.includes(name as keyof Thing)) return found.bind(target);
				return async (...given: unknown[]) => {
					if (this.blownAt) throw new Crash();
					const here = this.calls++ === this.#at;
					if (here) this.blownAt = `${this.#when} ${String(name)}`;
					if (here && this.#when === "before") throw new Crash();
					const answer = await found.apply(target, given);
					if (this.blownAt) throw new Crash();
					return answer;
				};
			},
		});
	}
}

const BOOK: (keyof Book)[] = ["apply", "balance", "balances", "record", "records"];

type Outcome = { readonly state: string; readonly blownAt: string | undefined; readonly paid: number };

/** One payout, begun by a click or by the schedule, in a process that dies at its so-manieth call. */
async function die(disk: Disk, fate: Fate, by: By, at: number, when: "before" | "after"): Promise<Outcome> {
	const clock = heldClock();
	const rail = new DoubleRail();
	// more than its ceiling: what the market bears must be there once too
	rail.fee = 1_000_000n;
	const first = await disk.open();
	const till = openTill({ clock, rail, book: first });
	await till.earn(usd(10));
	await till.goTo();
	rail.fates.push(fate);
	const fuse = new Fuse(at, when);
	await firstProcess(till, fuse, by, clock);
	await till.payouts.stop();
	await disk.close(first);

	const book = await disk.open();
	// the next process; whoever clicked and heard nothing clicks again
	const next = openTill({ clock, rail, book });
	if (by === "click") {
		const again = await askPayout(next, OPERATOR, { name: "first" });
		if (isProblem(again)) assert.fail(`${fuse.blownAt}: ${again.detail}`);
	} else await askDue(next);
	const ids = (await book.records({ table: "payouts", by: "account", of: OPERATOR, limit: 10 })).map(({ key }) => key);
	assert.equal(ids.length, 1, `${fuse.blownAt}: there is one payout`);
	if (by === "click") assert.equal(ids[0], payoutId(OPERATOR, "first"));
	await next.payouts.advance(ids[0] ?? "");
	rail.finish("sent");
	const payout = await next.end(ids[0] ?? "");

	// the record, the rail and the ledger tell the same
	const { state } = payout.course;
	const paid = rail.paid.length;
	assert.equal(paid, state === "sent" ? 1 : 0, `${fuse.blownAt}: ${state}, and the rail paid ${paid} times`);
	assert(rail.told.length <= 1, `${fuse.blownAt}: the rail was told ${rail.told.length} times`);
	const here = fuse.blownAt ?? "nowhere";
	const { earned, leaving, out, rate, overrun } = await next.money();
	assert.deepEqual([leaving, earned + out + rate + overrun], [0n, usd(10)], here);
	assert.equal(overrun < 0n, state === "sent", here);
	if (state === "failed") assert.equal(earned, usd(10), here);
	else assert(earned < usd(1) && rail.paid[0]?.amount === payout.terms?.amount, here);
	await next.audit();
	await next.payouts.stop();
	await disk.close(book);
	return { state, blownAt: fuse.blownAt, paid };
}

async function firstProcess(till: Till, fuse: Fuse, by: By, clock: HeldClock): Promise<void> {
	const parts = {
		clock,
		log: openSilentLog(),
		rates: testRates,
		frozen: new Set<string>(),
		book: fuse.through(till.book, BOOK),
		rails: [fuse.through(till.rail, ["quote", "pay", "payment"])],
		lightning: fuse.through(new DoubleLightning(() => clock.nowMs()), ["invoiceFrom"]),
	};
	const payouts = makePayouts(parts);
	try {
		const ids = by === "schedule" ? await askDue(parts) : [];
		if (by === "click") {
			const asked = await askPayout(parts, OPERATOR, { name: "first" });
			assert(!isProblem(asked));
			ids.push(asked.id);
		}
		for (const id of ids) {
			await payouts.advance(id);
			for (let waits = 0; waits < 8; waits++) {
				await clock.advance(60_000);
				const payout = await payoutOf(till, id);
				if (!payout || !isUnderWay(payout) || fuse.blownAt) break;
			}
		}
	} catch (error) {
		if (!(error instanceof Crash)) throw error;
	}
	await payouts.stop();
}

/** Walks through one fate; answers how often the process died, where, and how those payouts ended. */
export async function walkPayout(
	fate: Fate,
	by: By,
	newDisk: () => Promise<Disk>,
): Promise<{ deaths: number; ends: Map<string, number>; struck: Set<string> }> {
	const tally = { deaths: 0, ends: new Map<string, number>(), struck: new Set<string>() };
	for (const when of ["before", "after"] as const)
		for (let at = 0; ; at++) {
			const disk = await newDisk();
			try {
				const { state, blownAt } = await die(disk, fate, by, at, when);
				if (!blownAt) break;
				tally.deaths += 1;
				tally.struck.add(blownAt);
				tally.ends.set(state, (tally.ends.get(state) ?? 0) + 1);
			} finally {
				await disk.end();
			}
		}
	return tally;
}
