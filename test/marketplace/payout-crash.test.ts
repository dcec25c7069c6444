/**
 * A crash at every step of every payout (threat 19): each call of the book, the rail and the address is failed in turn, before it did anything and
 * after, and the process dies there. A new one on the same book and the same rail ends in exactly one honest outcome, told the same by all.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { openSilentLog } from "#host/log";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { askDue, askPayout, payoutOf, setWishes } from "#marketplace/payout/ask";
import { isUnderWay, payoutId } from "#marketplace/payout/payout";
import { makePayouts } from "#marketplace/payout/payouts";
import { type HeldClock, heldClock } from "#test/support/clock";
import { DoubleLightning, DoubleRail, type Fate, testRates } from "#test/support/doublerail";
import { ADDRESS, OPERATOR, openTill, type Till, usd } from "#test/support/payouts";

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
async function die(fate: Fate, by: "click" | "schedule", at: number, when: "before" | "after"): Promise<Outcome> {
	const clock = heldClock();
	const rail = new DoubleRail();
	const book = openMemoryBook();
	const till = openTill({ clock, rail, book });
	await till.earn(usd(10));
	await till.goTo();
	rail.fates.push(fate);
	const fuse = new Fuse(at, when);
	await firstProcess(till, fuse, by, clock);

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
	const { earned, leaving, out, rate } = await next.money();
	assert.deepEqual([leaving, earned + out + rate], [0n, usd(10)], here);
	if (state === "failed") assert.equal(earned, usd(10), here);
	else assert(earned < usd(1) && rail.paid[0]?.amount === payout.terms?.amount, here);
	await next.audit();
	return { state, blownAt: fuse.blownAt, paid };
}

async function firstProcess(till: Till, fuse: Fuse, by: "click" | "schedule", clock: HeldClock): Promise<void> {
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

describe("a market that dies in the middle of a payout", () => {
	const fates: Fate[] = [
		"sends",
		"fails",
		"is lost",
		"sends, and the answer is lost",
		"sends, and says that it failed",
		"takes its time",
	];
	for (const fate of fates)
		for (const by of ["click", "schedule"] as const)
			it(`whose order ${fate}, begun by a ${by}, ends in one honest outcome wherever it dies`, async (t) => {
				const ends = new Map<string, number>();
				let deaths = 0;
				for (const when of ["before", "after"] as const)
					for (let at = 0; ; at++) {
						const { state, blownAt } = await die(fate, by, at, when);
						if (!blownAt) break;
						deaths += 1;
						ends.set(state, (ends.get(state) ?? 0) + 1);
					}
				t.diagnostic(`${deaths} deaths: ${[...ends].map(([state, count]) => `${count} ${state}`).join(", ")}`);
				assert(deaths >= 40, `only ${deaths} deaths`);
			});
});

describe("a rail or a book that fails once", () => {
	it("and lives on leaves a payout that goes on by itself", async () => {
		const till = openTill();
		await till.earn(usd(10));
		await setWishes(till, OPERATOR, { target: { kind: "lightning", to: ADDRESS } });
		for (let at = 0; at < 30; at++) {
			await till.earn(usd(10));
			let calls = 0;
			const apply = till.book.apply.bind(till.book);
			const flaky: Book = {
				...till.book,
				apply: async (changes) =>
					calls++ === at % 6 ? [{ refused: "disk", detail: "The disk is full." }] : apply(changes),
			};
			const payouts = makePayouts({ ...till, book: flaky, log: openSilentLog() });
			const asked = await askPayout(till, OPERATOR, { name: `payout ${at}` });
			assert(!isProblem(asked));
			await payouts.advance(asked.id).catch(() => {});
			await payouts.stop();
			assert(!isUnderWay(await till.end(asked.id)));
			assert(till.rail.told.length <= at + 1);
		}
		const { leaving } = await till.money();
		assert.equal(leaving, 0n);
		assert.equal(new Set(till.rail.paid.map(({ id }) => id)).size, till.rail.paid.length);
		await till.audit();
	});
});
