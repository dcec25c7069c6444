/**
 * The card rail: Stripe behind the seam of `rail.ts`. Money comes in by Checkout on Stripe's own pages, so that the market never sees a card, and goes out to
 * operators' Stripe accounts. The ledger is the market's own: nothing is kept at Stripe that is not asked for again.
 */

import type Stripe from "stripe";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Rail, RailBalance, StartOrder } from "./rail.ts";
import { signUp } from "./stripe-account.ts";
import { askFor, CENTS_MAX, centsOf, openClient, type StripeOptions, type StripeParts } from "./stripe-client.ts";
import { depositOf, giveBack, startDeposit } from "./stripe-deposit.ts";
import { eventDoor } from "./stripe-event.ts";
import { startMonthly, stopMonthly } from "./stripe-monthly.ts";
import { payOut, payoutOf, payoutQuote, type Sent } from "./stripe-payout.ts";

/** Under five dollars a card payment loses too much to its fee; the most is what the market is ready to lose to one stolen card. */
const TOP_UP = { min: 500n, max: 100_000n };

/** What Stripe itself takes for a transfer. */
const PAYOUT = { min: 1n, max: CENTS_MAX };

/** What Stripe takes of a card payment: 2.9 % and 30 cents, more for a foreign card. */
const CARD_FEE = { perMille: 29n, each: 30n };

/** Opens the card rail. Nothing is asked of Stripe yet. */
export async function openStripe(options: StripeOptions): Promise<Rail | Problem> {
	const parts = await openClient(options);
	if (isProblem(parts)) return parts;
	const hints = new Set<(reference: string) => void>();
	const sent: Sent = { sinceMs: parts.clock.nowMs(), last: new Map() };
	const topUp = options.topUp ?? TOP_UP;
	const refuse = ({ amount }: StartOrder): Problem | undefined =>
		amount < topUp.min || amount > topUp.max
			? problem("malformed", `A card pays ${topUp.min} to ${topUp.max} cents at once.`)
			: undefined;
	return {
		name: "card",
		world: "world:card",
		unit: "cent",
		ranges: { in: topUp, out: PAYOUT },
		quote: async (way, amount, to) => {
			const { min, max } = way === "in" ? topUp : PAYOUT;
			if (amount < min || amount > max) return problem("malformed", `By card it is ${min} to ${max} cents at once.`);
			return way === "in" ? { fee: cardFee(amount), isAbout: true } : await payoutQuote(parts, amount, to);
		},
		start: async (order) => refuse(order) ?? (await startDeposit(parts, order)),
		monthly: {
			start: async (order) => refuse(order) ?? (await startMonthly(parts, order)),
			stop: (reference) => stopMonthly(parts, reference),
		},
		onEvent: (hint) => {
			hints.add(hint);
			return () => hints.delete(hint);
		},
		deposit: (reference) => depositOf(parts, reference),
		payment: (order) => payoutOf(parts, sent, order),
		pay: (order) => payOut(parts, sent, order),
		giveBack: (order) => giveBack(parts, order),
		signUp: (order) => signUp(parts, order),
		receive: eventDoor(parts, (reference) => {
			for (const hint of hints) hint(reference);
		}),
		balance: () => balanceOf(parts),
		check: async () => {
			const balance = await balanceOf(parts);
			return isProblem(balance) ? balance : undefined;
		},
		close: async () => hints.clear(),
	};
}

function cardFee(amount: bigint): bigint {
	return (amount * CARD_FEE.perMille + 999n) / 1_000n + CARD_FEE.each;
}

async function balanceOf({ stripe }: StripeParts): Promise<RailBalance | Problem> {
	const found = await askFor(() => stripe.balance.retrieve());
	if (isProblem(found)) return found;
	if (!found) return problem("unavailable", "Stripe shows no balance.");
	return { spendable: sumOf(found.available), pending: sumOf(found.pending) };
}

/** Dollars are all that the market has at Stripe. They may be below nothing after a dispute. */
function sumOf(parts: readonly (Stripe.Balance.Available | Stripe.Balance.Pending)[]): bigint {
	return parts
		.filter(({ currency }) => currency === "usd")
		.reduce((sum, { amount }) => sum + (centsOf(amount) ?? -(centsOf(-amount) ?? 0n)), 0n);
}
