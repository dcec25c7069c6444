/** What the market does by the clock. */

import { problemOfDatabase } from "#host/database";
import type { Stopping } from "#host/stop";
import { COMMONS_ROUND_MS } from "./commons/commons.ts";
import { endTurns, TURNS_ROUND_MS } from "./desk/cases.ts";
import { OPERATORS_MS } from "./desk/operators.ts";
import { releaseFirst } from "./desk/waits.ts";
import { judgeOperator, WATCH_MS, watchEnrollers } from "./desk/watch.ts";
import { LATE_ROUND_MS, releaseLate } from "./funding/late.ts";
import { ROUND_MS as DEPOSITS_MS, type Watch } from "./funding/watch.ts";
import { SEEN_MS, seeRelays } from "./home/homes.ts";
import { CARRIED_MS } from "./home/totals.ts";
import { BookFailure } from "./ledger/book.ts";
import type { Market } from "./market.ts";
import { MARK_MS } from "./outage.ts";
import { returnGifts } from "./pass/gift.ts";
import { askDue } from "./payout/ask.ts";
import { ROUND_MS as PAYOUTS_MS } from "./payout/payouts.ts";
import { takeUp } from "./payout/takeup.ts";
import { lookAtPools, POOLS_ROUND_MS } from "./pool/day.ts";
import { PROOF_MS } from "./proof/proofs.ts";
import { SWEEP_MS, sweep } from "./tab/sweep.ts";

/** How often the folder of keys is looked at: a certificate that was brought is published soon, and a stolen key's end at once. */
const KEYS_MS = 10_000;

/** How often their owner is told in the log what is not well with them. */
const KEYS_WARN_MS = 6 * 3_600_000;

/** Starts the chores: marks that the market is there, ends tabs that are due, renews its key, asks rails, commits to what it owes. One run at a time of each. */
export function startChores(market: Market, watch: Watch, stopping: Stopping): void {
	const { board, cards, clock, health, log, outages } = market;
	warnOfKeys(market);
	const chores = [
		{ name: "mark", everyMs: MARK_MS, run: () => outages.mark(clock.nowMs()) },
		{ name: "sweep", everyMs: SWEEP_MS, run: () => sweep(market) },
		{ name: "payouts-due", everyMs: PAYOUTS_MS, run: () => goOn(market) },
		{ name: "payouts-planned", everyMs: PAYOUTS_MS, run: () => payPlanned(market) },
		{ name: "deposits-due", everyMs: DEPOSITS_MS, run: () => watch.round() },
		{ name: "late-earnings", everyMs: LATE_ROUND_MS, run: () => releaseLate(market) },
		{ name: "operators", everyMs: OPERATORS_MS, run: () => market.operators.look() },
		{ name: "first-earnings", everyMs: LATE_ROUND_MS, run: () => payFirst(market) },
		{ name: "enrollers", everyMs: WATCH_MS, run: () => watchEnrollers(market) },
		{ name: "desk", everyMs: TURNS_ROUND_MS, run: () => endTurns(market) },
		{ name: "gifts", everyMs: SWEEP_MS, run: () => returnGifts(market) },
		{ name: "carried", everyMs: CARRIED_MS, run: () => market.carried.write(market) },
		{ name: "relays-seen", everyMs: SEEN_MS, run: () => seeRelays(market) },
		{ name: "commons", everyMs: COMMONS_ROUND_MS, run: () => market.commons.run() },
		{ name: "pools", everyMs: POOLS_ROUND_MS, run: () => lookAtPools(market) },
		{ name: "proof", everyMs: PROOF_MS, run: () => market.proofs.run() },
		{ name: "cards", everyMs: SWEEP_MS, run: () => cards.sweep(clock.nowMs()) },
		{ name: "board", everyMs: SWEEP_MS, run: () => board.sweep(clock.nowMs()) },
		{ name: "keys", everyMs: KEYS_MS, run: () => renewKeys(market) },
		{ name: "keys-warning", everyMs: KEYS_WARN_MS, run: () => warnOfKeys(market) },
	];
	// apart from its writing, which waits for the disk: that the market is here is known when the time comes
	stopping.add(
		"presence",
		clock.every(MARK_MS, () => outages.see(clock.nowMs())),
	);
	for (const { name, everyMs, run } of chores) {
		let running: Promise<void> | undefined;
		const cancel = clock.every(everyMs, () => {
			if (running) return;
			running = (async () => {
				try {
					await run();
					health.report(name, undefined);
				} catch (error) {
					const known = error instanceof BookFailure ? error.problem : problemOfDatabase(error);
					health.report(name, known?.problem ?? "internal");
					// a machine that is away says so each time: where the call came from tells nobody anything
					const why = known ? { problem: known.problem, says: known.detail } : { err: error };
					log.error({ ...why, chore: name }, "a chore failed; it is tried again at its next time");
				} finally {
					running = undefined;
				}
			})();
		});
		stopping.add(name, async () => {
			cancel();
			await running;
		});
	}
}

/** Goes on with payouts; those that a restored book has forgotten come back to it first. */
async function goOn(market: Market): Promise<void> {
	if (market.restoring.isHeld()) await takeUp(market);
	await market.payouts.round();
}

/** Lets go of operators' first earnings from funds, those of whom nothing is found. */
async function payFirst(market: Market): Promise<void> {
	const { eligible } = await market.operators.count();
	await releaseFirst(market, (operator) => judgeOperator(market, operator, eligible));
}

/** Begins the payouts that operators' schedules want, and goes on with it. */
async function payPlanned(market: Market): Promise<void> {
	// which payouts are due is not known before it is known which were paid
	if (market.restoring.isHeld()) return;
	const begun = await askDue(market);
	await Promise.allSettled(begun.map((id) => market.payouts.advance(id)));
}

async function renewKeys({ keys, clock }: Market): Promise<void> {
	const wrong = await keys.renew(clock.nowMs());
	if (wrong) throw new BookFailure(wrong);
}

function warnOfKeys({ keys, clock, log }: Market): void {
	const warning = keys.warning(clock.nowMs());
	if (warning) log.warn(warning);
}
