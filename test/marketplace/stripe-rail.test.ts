/** The card rail does what every rail must. */

import { systemClock } from "#host/clock";
import { openStripe } from "#marketplace/rail/stripe";
import { railAcceptance } from "#test/acceptance/rail";
import { fine } from "#test/support/market";
import { EVENT_SECRET, STRIPE_KEY, startStripe } from "#test/support/stripe/double";
import { newId } from "#test/support/stripe/world";

railAcceptance("card, with a double of Stripe", async () => {
	const stripe = await startStripe();
	const rail = fine(
		await openStripe({
			key: STRIPE_KEY,
			eventSecret: EVENT_SECRET,
			returnUrl: "https://market.example",
			clock: systemClock,
			at: { host: stripe.host, port: stripe.port },
		}),
	);
	stripe.world.available = 1_000_000;
	stripe.world.billsAtOnce = true;
	return {
		rail,
		amounts: { in: 700n, out: 5_000n },
		feeMax: 300n,
		nowMs: Date.now,
		payIn: async ({ reference }) => {
			stripe.pay(reference);
			const { body, headers } = stripe.posted(stripe.event("checkout.session.completed"));
			await rail.receive?.(body, headers);
		},
		months: {
			first: async ({ reference }) => void stripe.pay(reference),
			next: async ({ reference }) => void stripe.renew(stripe.world.sessions.get(reference)?.subscription as string),
		},
		destination: async () => {
			const id = newId("acct").slice(0, 21);
			const active = { stripe_balance: { stripe_transfers: { status: "active", status_details: [] } } };
			stripe.world.accounts.set(id, { id, configuration: { recipient: { capabilities: active } } });
			return id;
		},
		arrived: async (to) =>
			[...stripe.world.transfers.values()]
				.filter(({ destination }) => destination === to)
				.reduce((sum, { amount }) => sum + BigInt(amount as number), 0n),
		nowhere: ["acct_nobody"],
		strange: "cs_test_a1b2c3",
		close: async () => {
			await rail.close();
			await stripe.close();
		},
	};
});
