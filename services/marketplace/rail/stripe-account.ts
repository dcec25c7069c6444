/**
 * Operators' accounts at Stripe: Accounts v2 with the recipient configuration, which receives transfers and sells nothing. Who they are they tell Stripe on Stripe's own
 * pages; the market keeps the account's id and nothing else.
 */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { SignedUp, SignUpOrder } from "./rail.ts";
import { ask, isRefused, type StripeParts } from "./stripe-client.ts";

/** Opens an account at Stripe, or goes on with the one that was opened, and says where to tell Stripe what it still wants to know. */
export async function signUp(parts: StripeParts, order: SignUpOrder): Promise<SignedUp | Problem> {
	const { stripe, options } = parts;
	const account = order.to ?? (await openAccount(parts, order));
	if (isProblem(account)) return account;
	const found = await ask(() => stripe.v2.core.accounts.retrieve(account, { include: ["configuration.recipient"] }));
	if (isProblem(found)) return found;
	if (isRefused(found)) return problem("not-found", `Stripe knows no such account (${found.refused}).`);
	const ready = found.configuration?.recipient?.capabilities?.stripe_balance?.stripe_transfers?.status === "active";
	if (ready) return { to: account, ready, url: undefined };
	const onboarding = { refresh_url: options.returnUrl, return_url: options.returnUrl };
	const link = await ask(() =>
		stripe.v2.core.accountLinks.create({
			account,
			use_case: { type: "account_onboarding", account_onboarding: onboarding },
		}),
	);
	if (isProblem(link)) return link;
	if (isRefused(link)) return problem("unavailable", `Stripe gives no page to sign up on (${link.refused}).`);
	return { to: account, ready, url: link.url };
}

async function openAccount({ stripe }: StripeParts, order: SignUpOrder): Promise<string | Problem> {
	const made = await ask(() =>
		stripe.v2.core.accounts.create(
			{
				contact_email: order.email,
				dashboard: "express",
				identity: { country: order.country },
				configuration: { recipient: { capabilities: { stripe_balance: { stripe_transfers: { requested: true } } } } },
				defaults: { responsibilities: { fees_collector: "application", losses_collector: "application" } },
				metadata: { operator: order.id },
			},
			{ idempotencyKey: `account:${order.id}` },
		),
	);
	if (isProblem(made)) return made;
	return isRefused(made) ? problem("malformed", `Stripe opens no such account (${made.refused}).`) : made.id;
}
