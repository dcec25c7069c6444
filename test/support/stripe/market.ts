/** A market that takes cards: the card rail on a double of Stripe, a reserve, a watch, a held clock. */

import assert from "node:assert/strict";
import { amount } from "#contracts/amount";
import { openSilentLog } from "#host/log";
import { fundRisk } from "#marketplace/funding/risk";
import type { FundingMarket } from "#marketplace/funding/start";
import { openWatch, ROUND_MS, type Watch } from "#marketplace/funding/watch";
import type { Book } from "#marketplace/ledger/book";
import { openMemoryBook } from "#marketplace/ledger/memory";
import type { Rail } from "#marketplace/rail/rail";
import { openStripe } from "#marketplace/rail/stripe";
import { type HeldClock, heldClock } from "#test/support/clock";
import { crypto, fine } from "#test/support/market";
import { heldRates } from "#test/support/rail";
import { EVENT_SECRET, STRIPE_KEY, type StripeDouble, startStripe, THIN_SECRET } from "./double.ts";

export type CardMarket = {
	readonly clock: HeldClock;
	readonly stripe: StripeDouble;
	readonly rail: Rail;
	readonly market: FundingMarket;
	readonly watch: Watch;
	/** Stripe posts its newest event of each type, and the market follows it. */
	post(...types: string[]): Promise<void>;
	/** So long later, the market looks at what is due. */
	round(ms?: number): Promise<void>;
	/** Ends it; the ledger must hold. */
	close(): Promise<void>;
};

/** The card rail on a double. */
export async function openCards(stripe: StripeDouble, clock: HeldClock): Promise<Rail> {
	return fine(
		await openStripe({
			key: STRIPE_KEY,
			eventSecret: EVENT_SECRET,
			thinEventSecret: THIN_SECRET,
			returnUrl: "https://market.example/paid",
			clock,
			at: { host: stripe.host, port: stripe.port },
			timeoutMs: 2_000,
		}),
	);
}

/** Opens one, with so much put aside. */
export async function openCardMarket(reserve = 100_000_000_000n, book: Book = openMemoryBook()): Promise<CardMarket> {
	const clock = heldClock(Date.UTC(2026, 9, 15, 12));
	const stripe = await startStripe(() => clock.nowMs());
	const rail = await openCards(stripe, clock);
	const market = { book, clock, crypto, log: openSilentLog(), rails: [rail], rates: heldRates() };
	await fundRisk(market, amount(reserve));
	const watch = openWatch(market);
	const round = async (ms = ROUND_MS): Promise<void> => {
		clock.jump(ms);
		await watch.round();
	};
	return {
		clock,
		stripe,
		rail,
		market,
		watch,
		round,
		post: async (...types) => {
			for (const type of types) {
				const { body, headers } = stripe.posted(stripe.event(type));
				assert.equal(await rail.receive?.(body, headers), undefined, type);
				await watch.idle();
			}
			await round();
		},
		close: async () => {
			await watch.close();
			await rail.close();
			await stripe.close();
			assert.deepEqual((await book.audit()).findings, []);
		},
	};
}
