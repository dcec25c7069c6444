/** What a person does with a market that takes cards by Stripe: pays, pays every month, ends that, takes a payment back, and signs up to be paid out. Processes, sockets, a double of Stripe. */

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { systemClock } from "#host/clock";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import { type RunningMarketplace, startMarketplace } from "#marketplace/main";
import type { Rail } from "#marketplace/rail/rail";
import { openStripe } from "#marketplace/rail/stripe";
import { crypto, fine } from "#test/support/market";
import { assertRefused, Place } from "#test/support/process";
import { heldRates, scriptedRail } from "#test/support/rail";
import { EVENT_SECRET, STRIPE_KEY, type StripeDouble, startStripe } from "#test/support/stripe/double";

suite("farelay with a market that takes cards", () => {
	let place: Place;
	let stripe: StripeDouble;
	let market: RunningMarketplace;
	const run = (...words: string[]) => place.run(words, { home: "ada", market: market.url });
	const done = (...words: string[]) => place.done(words, { home: "ada", market: market.url });

	before(async () => {
		place = await Place.open();
		stripe = await startStripe();
		const rail: Rail = fine(
			await openStripe({
				key: STRIPE_KEY,
				eventSecret: EVENT_SECRET,
				returnUrl: "https://market.example",
				clock: systemClock,
				at: { host: stripe.host, port: stripe.port },
			}),
		);
		// cards are taken only where something is put aside for those that are taken back
		const config = { ...playConfig(place.path("market")), play: false, risk: amount(500_000_000_000n) };
		const deps = {
			clock: systemClock,
			log: openSilentLog(),
			crypto,
			rails: [scriptedRail(), rail],
			rates: heldRates(),
		};
		market = fine(await startMarketplace(config, deps));
	});
	after(async () => {
		await market.stop();
		await stripe.close();
		await place.end();
	});

	/** Stripe posts its newest event of a type to the market's door. */
	async function post(type: string): Promise<void> {
		const { body, headers } = stripe.posted(stripe.event(type));
		const answer = await fetch(`${market.url}/v1/event/card`, { method: "POST", body: body as BodyInit, headers });
		assert.equal(answer.status, 200);
	}
	const session = (id: unknown): string =>
		[...stripe.world.sessions.values()].find(({ url }) => url === id)?.id as string;
	const begun = async (...words: string[]): Promise<string> =>
		session(((await done("fund", ...words, "--no-wait")).pay as { url: string }).url);

	test("a payment's fee is known afterwards: what the card's bank took is said, and stands on the statement", async () => {
		const listed = await run("fund", "10", "--list");
		assert.match(listed.out, /card +\$10\.61 +about \$0\.61 +\$0\.00 +about \$10\.00/);
		const asked = await run("fund", "10", "--rail", "card", "--id", "first", "--no-wait");
		assert.match(
			asked.out,
			/Pay \$10\.61 by card .*about \$10\.00 arrive\.\nIts fee is about \$0\.61.* It is known when/,
		);
		const [id = ""] = stripe.world.sessions.keys();
		// a card from abroad costs more
		const intent = stripe.pay(id, { settle: false });
		stripe.settle(intent);
		const charge = stripe.world.charges.get(stripe.world.intents.get(intent)?.latest_charge as string);
		const settled = stripe.world.settled.get(charge?.balance_transaction as string);
		if (settled) settled.fee = 77;
		await post("checkout.session.completed");
		const came = await run("fund", "10", "--rail", "card", "--id", "first");
		assert.equal(came.code, 0, came.out + came.err);
		assert.match(came.out, /Funded with \$9\.84 by card \(card kept \$0\.77, not \$0\.61\); the balance is \$9\.84/);
		const { lines } = await done("statement");
		const [line] = lines as { net: string; railFee: string; gross: string }[];
		assert.deepEqual([line?.net, line?.railFee, line?.gross].map(String), ["9840000000", "770000000", "10610000000"]);
	});

	test("so much every month is agreed to once, shows each month, and is ended", async () => {
		const none = await run("fund", "10", "--monthly", "--rail", "scripted", "--json");
		assertRefused(none, 1, "rail-closed");
		const id = await begun("10", "--monthly", "--id", "gift");
		const subscription = stripe.pay(id);
		await post("checkout.session.completed");
		const agreed = await run("fund", "10", "--monthly", "--rail", "card", "--id", "gift");
		assert.equal(agreed.code, 0, agreed.out + agreed.err);
		assert.match(
			agreed.out,
			/\$10\.00 every month by card, credited when each has come\. To end it: farelay fund --stop gift/,
		);
		await market.lookAtDeposits();
		stripe.decline(subscription);
		await post("invoice.payment_failed");
		await market.lookAtDeposits();
		const history = await run("fund", "--history");
		assert.match(
			history.out,
			/gift\.[0-9a-f]{8} +credited +card +\$10\.00 +\$0\.61 +a month of gift; can be taken back until/,
		);
		assert.match(history.out, /gift +monthly .*could not be had.*https:\/\/invoice\.stripe\.test\/i\/in_/);
		const ended = await run("fund", "--stop", "gift");
		assert.match(ended.out, /has ended after 1 of them: no more will come\./);
		assert.equal(stripe.world.subscriptions.get(subscription)?.status, "canceled");
	});

	test("a payment goes back to its card: a part, once; what makes no sense says why", async () => {
		stripe.pay(await begun("7", "--rail", "card", "--id", "back"));
		await post("checkout.session.completed");
		await market.lookAtDeposits();
		assertRefused(await run("fund", "--refund", "back", "7.005", "--json"), 1, "malformed");
		const part = await run("fund", "--refund", "back", "3");
		assert.equal(part.code, 0, part.out + part.err);
		assert.match(part.out, /^\$3\.00 of back went back to the card\.$/m);
		assert.match((await run("fund", "--refund", "back")).out, /^\$3\.00 of back went back to the card\.$/m);
		assert.deepEqual(
			[...stripe.world.refunds.values()].map((refund) => refund.amount),
			[300],
		);
		assertRefused(await run("fund", "--refund", "nobody", "--json"), 1, "not-found");
		assertRefused(await run("fund", "--stop", "back", "--json"), 1, "malformed");
		assertRefused(await run("fund", "5", "--stop", "back"), 2, "usage");
		assertRefused(await run("fund", "--refund", "back", "--history"), 2, "usage");
	});

	test("an operator signs up at Stripe, and sees which rail pays where", async () => {
		assertRefused(await run("payout", "sign-up", "--country", "US"), 2, "usage");
		const first = await run("payout", "sign-up", "--country", "US", "--email", "ada@example.com");
		assert.equal(first.code, 0, first.out + first.err);
		const [to = ""] = stripe.world.accounts.keys();
		assert.match(first.out, new RegExp(`^${to} is your account at Stripe`));
		assert.match(first.out, /^https:\/\/connect\.stripe\.test\/setup\/s_/m);
		stripe.activate(to);
		const again = await run("payout", "sign-up", "--country", "US", "--email", "ada@example.com");
		assert.match(again.out, new RegExp(`^${to} can be paid out to\\. .*farelay payout set --to ${to}`));
		assert.equal(stripe.world.accounts.size, 1, "no second account");
		assertRefused(
			await run("payout", "sign-up", "--country", "US", "--email", "a@b.example", "--rail", "scripted", "--json"),
			1,
			"rail-closed",
		);
		const set = await run("payout", "set", "--to", to);
		assert.match(set.out, /^this market pays to Stripe accounts by card$/m);
	});
});
