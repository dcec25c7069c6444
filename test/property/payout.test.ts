/**
 * Threat 19: ten thousand runs of a payout's course against a rail that lies, loses and repeats, carried out by two workers who crash. Nothing is paid
 * twice, nothing that was paid is given back, and once the rail tells the truth every run ends in it. The seed is printed; `PAYOUT_SEED` has it again.
 */

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { problem } from "#contracts/problem";
import {
	ABSENT_AFTER_MS,
	CONFIRM_MS,
	type Course,
	type Event,
	follow,
	lookAgainMs,
	mayTell,
	nextOf,
	QUEUED,
	TELL_WITHIN_MS,
} from "#marketplace/payout/course";
import type { PaymentState } from "#marketplace/rail/rail";
import { type Chance, chanceOf } from "#test/soak/chance";

const AMOUNT = 1_000n;
const RUNS = 10_000;
/** A copy of an order that is still on its way arrives before this, as the seam has it. */
const COPY_MS_MAX = ABSENT_AFTER_MS - TELL_WITHIN_MS;

const lost = problem("unavailable", "Nothing came back.");
const sent = (fee: bigint): PaymentState => ({ state: "sent", amount: AMOUNT, fee, proof: "00", atMs: 1 });

const below = (chance: Chance, bound: number) => chance.whole(0, bound - 1);

/** A rail without idempotency: every order that reaches it is a payment of its own, so telling it twice would pay twice. */
class LyingRail {
	paid = 0;
	lies = 0;
	#truths: ("sending" | "sent" | "failed")[] = [];
	#copies: { atMs: number }[] = [];
	/** since when it has been saying, without a word to the contrary, that it did not pay what it paid or may still pay */
	#lyingSinceMs: number | undefined;
	readonly chance: Chance;
	honest = false;

	constructor(chance: Chance) {
		this.chance = chance;
	}

	/** What is on its way arrives, what is under way ends. */
	live(nowMs: number): void {
		const due = this.#copies.filter(({ atMs }) => atMs <= nowMs);
		this.#copies = this.#copies.filter(({ atMs }) => atMs > nowMs);
		for (const _ of due) this.#truths.push("sending");
		this.#truths = this.#truths.map((truth) => {
			if (truth !== "sending" || !(this.honest || below(this.chance, 4) === 0)) return truth;
			if (below(this.chance, 3) === 0) return "failed";
			this.paid += 1;
			return "sent";
		});
	}

	tell(nowMs: number): PaymentState | undefined {
		switch (below(this.chance, 5)) {
			case 0:
				break; // never arrives
			case 1:
				this.#copies.push({ atMs: nowMs + below(this.chance, COPY_MS_MAX) });
				break;
			default:
				this.#truths.push("sending");
		}
		this.live(nowMs);
		// whatever it answers to being told, it may be a lie
		const answers: (PaymentState | undefined)[] = [
			undefined,
			{ state: "sending" },
			{ state: "absent" },
			{ state: "unknown", why: "a time-out" },
			{ state: "failed", why: "invoice is already paid" },
			sent(1n),
		];
		return answers[below(this.chance, answers.length)];
	}

	ask(nowMs: number): PaymentState | typeof lost {
		this.live(nowMs);
		if (!this.honest) {
			const draw = below(this.chance, 6);
			if (draw === 0) return lost;
			if (draw === 1) return { state: "unknown", why: "try later" };
			// it repeats what was once so
			if (draw === 2 && this.#truths.length > 0) return { state: "sending" };
			if (draw <= 4 && this.#mayLie(nowMs)) {
				this.#lyingSinceMs ??= nowMs;
				this.lies += 1;
				return draw === 3 ? { state: "absent" } : { state: "failed", why: "no route" };
			}
		}
		if (this.#truths.includes("sent")) return sent(2n);
		if (this.#truths.includes("sending")) return { state: "sending" };
		if (this.#truths.includes("failed")) return { state: "failed", why: "no route" };
		// that it has nothing is no lie, though a copy be on its way
		return { state: "absent" };
	}

	/** It was heard to say something else. */
	denied(): void {
		this.#lyingSinceMs = undefined;
	}

	/** It does not keep to a lie for longer than it takes to confirm a word: nobody could tell that from the truth. */
	#mayLie(nowMs: number): boolean {
		const unpaid = !this.#truths.includes("sent") && !this.#truths.includes("sending");
		return !unpaid && (this.#lyingSinceMs === undefined || nowMs - this.#lyingSinceMs < CONFIRM_MS);
	}
}

/** The record and the money, changed together and only from the version that was read. */
class Ledger {
	version = 0;
	course: Course = QUEUED;
	earned = AMOUNT;
	leaving = 0n;
	gone = 0n;

	write(expect: number, event: Event, crash: boolean): boolean {
		const step = follow(this.course, event);
		if (expect !== this.version || crash) return false;
		this.version += 1;
		this.course = step.course;
		if (step.move === "reserve") [this.earned, this.leaving] = [this.earned - AMOUNT, this.leaving + AMOUNT];
		if (step.move === "return") [this.earned, this.leaving] = [this.earned + AMOUNT, this.leaving - AMOUNT];
		if (step.move === "spend") [this.leaving, this.gone] = [this.leaving - AMOUNT, this.gone + AMOUNT];
		assert(this.earned >= 0n && this.leaving >= 0n, "money was moved that was not there");
		return true;
	}
}

/** One worker's way through one step, with a place to be interrupted after each call: another worker, or its own end. */
function* work(ledger: Ledger, rail: LyingRail, clock: { nowMs: number }, chance: Chance): Generator<undefined, void> {
	const crashes = () => !rail.honest && below(chance, 8) === 0;
	const { version, course } = ledger;
	// another worker may have been there in between: what was read is what is decided on
	const stale = () => ledger.version !== version;
	switch (nextOf(course)) {
		case "reserve":
			yield;
			if (!stale())
				ledger.write(
					version,
					below(chance, 30) === 0 ? { is: "refused", why: "no invoice" } : { is: "reserved" },
					crashes(),
				);
			return;
		case "send": {
			yield;
			if (stale()) return;
			if (below(chance, 30) === 0) return void ledger.write(version, { is: "refused", why: "expired" }, crashes());
			const begunAtMs = clock.nowMs;
			if (!ledger.write(version, { is: "begun", atMs: begunAtMs }, crashes())) return;
			// whoever wrote it may be held up before it tells the rail, and the other asks meanwhile
			yield;
			if (crashes() || !mayTell(clock.nowMs - begunAtMs)) return;
			const says = rail.tell(clock.nowMs);
			yield;
			if (crashes() || ledger.version !== version + 1) return;
			ledger.write(version + 1, { is: "told", says: says ?? lost }, crashes());
			return;
		}
		case "ask": {
			const says = rail.ask(clock.nowMs);
			const atMs = clock.nowMs;
			yield;
			if (stale() || crashes()) return;
			const heard = ledger.write(version, { is: "asked", says, amount: AMOUNT, atMs }, crashes());
			if (heard && "state" in says && says.state === "sending") rail.denied();
			return;
		}
	}
}

function run(seed: number): { end: string; lies: number } {
	const chance = chanceOf(seed);
	const rail = new LyingRail(chance);
	const ledger = new Ledger();
	const clock = { nowMs: 1_000_000 };
	const check = () => {
		assert(rail.paid <= 1, `seed ${seed}: paid ${rail.paid} times`);
		assert(!(rail.paid > 0 && ledger.course.state === "failed"), `seed ${seed}: given back what was paid`);
	};
	const workers: Generator[] = [];
	const steps = 5 + below(chance, 60);
	for (let step = 0; step < steps; step++) {
		const at = below(chance, 2);
		const worker = workers[at] ?? work(ledger, rail, clock, chance);
		workers[at] = worker;
		if (worker.next().done) delete workers[at];
		// a little, as long as it should wait, or a day
		clock.nowMs += chance.one([0, 0, 1_000, 1_000, lookAgainMs(ledger.course), below(chance, 86_400_000)]);
		rail.live(clock.nowMs);
		check();
	}
	rail.honest = true;
	for (let left = 40; nextOf(ledger.course) !== "nothing"; left--) {
		assert(left > 0, `seed ${seed}: still ${ledger.course.state} though the rail told the truth`);
		for (const _ of work(ledger, rail, clock, chance));
		clock.nowMs += lookAgainMs(ledger.course);
		check();
	}
	clock.nowMs += COPY_MS_MAX;
	rail.live(clock.nowMs);
	check();
	const { state } = ledger.course;
	assert.equal(rail.paid, state === "sent" ? 1 : 0, `seed ${seed}: it ended as ${state}`);
	assert.deepEqual(
		[ledger.earned, ledger.leaving, ledger.gone],
		state === "sent" ? [0n, 0n, AMOUNT] : [AMOUNT, 0n, 0n],
		`seed ${seed}`,
	);
	return { end: state, lies: rail.lies };
}

describe("a payout against a rail that lies, loses and repeats", () => {
	it("is paid at most once, never given back when it was paid, and ends in the truth once the rail tells it", (t) => {
		const first = Number(process.env.PAYOUT_SEED ?? randomInt(2 ** 31));
		const ends = { sent: 0, failed: 0, lies: 0 };
		for (let at = 0; at < RUNS; at++) {
			const { end, lies } = run(first + at);
			if (end === "sent") ends.sent += 1;
			else ends.failed += 1;
			ends.lies += lies;
		}
		t.diagnostic(
			`seed ${first}: ${RUNS} runs, ${ends.sent} sent, ${ends.failed} failed, ${ends.lies} lies to a question`,
		);
		assert(ends.sent > RUNS / 10 && ends.failed > RUNS / 10 && ends.lies > RUNS / 10, "the runs say little");
	});
});
