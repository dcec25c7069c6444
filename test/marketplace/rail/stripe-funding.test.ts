import assert from "node:assert/strict";
import { fundingAcceptance } from "#test/acceptance/funding";
import { heldClock } from "#test/support/clock";
import { startStripe } from "#test/support/stripe/double";
import { openCards } from "#test/support/stripe/market";

fundingAcceptance("of cards", async () => {
	const clock = heldClock(Date.UTC(2026, 9, 15, 12));
	const stripe = await startStripe(() => clock.nowMs());
	const rail = await openCards(stripe, clock);
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
