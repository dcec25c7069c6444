import assert from "node:assert/strict";
import { openStripe } from "#marketplace/rail/stripe";
import { fundingAcceptance } from "#test/acceptance/funding";
import { heldClock } from "#test/support/clock";
import { fine } from "#test/support/market";
import { EVENT_SECRET, STRIPE_KEY, startStripe, THIN_SECRET } from "#test/support/stripe/double";

fundingAcceptance("of cards", async () => {
	const clock = heldClock(Date.UTC(2026, 9, 15, 12));
	const stripe = await startStripe(() => clock.nowMs());
	const rail = fine(
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
	return {
		rail,
		amounts: { in: 1_000n, out: 0n },
		feeMax: 0n,
		nowMs: () => clock.nowMs(),
		payIn: async ({ reference }) => {
			assert(reference.startsWith("cs_"));
			stripe.pay(reference);
		},
		strange: "cs_test_never",
		close: async () => {
			await rail.close();
			await stripe.close();
		},
	};
});
