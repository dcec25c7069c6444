/**
 * How the market speaks to Stripe: the package's client with our terms, and what becomes of its errors. Stripe's own messages are never passed on: they
 * can hold what was sent, a part of a key among it. A code of theirs is a word and tells enough.
 */

import type Stripe from "stripe";
import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { isLoopback } from "#host/loopback";

/** What the card rail is opened with. */
export type StripeOptions = {
	/** the market's secret or restricted key; from a file or the environment only */
	readonly key: string;
	/** what Stripe signs its events with, and those of Accounts v2, which come by a destination of their own */
	readonly eventSecret: string;
	readonly thinEventSecret?: string | undefined;
	/** where a person's browser goes after paying, and an operator's after signing up: the market's own page */
	readonly returnUrl: string;
	/** the least and the most of one top-up, in cents */
	readonly topUp?: { readonly min: bigint; readonly max: bigint } | undefined;
	readonly clock: Clock;
	/** elsewhere than Stripe: tests, on the loopback interface only */
	readonly at?: { readonly host: string; readonly port: number } | undefined;
	/** how long one request may take */
	readonly timeoutMs?: number | undefined;
};

/** What the parts of the card rail share. */
export type StripeParts = {
	readonly stripe: Stripe;
	readonly options: StripeOptions;
	readonly clock: Clock;
	/** whether the key moves real money: what an object says of itself must agree */
	readonly live: boolean;
};

/** Stripe answers within a second or two; behind this a payment is looked up instead of waited for. */
const TIMEOUT_MS = 20_000;

/** Loads the package (40 MB of memory, so only where cards are taken) and makes the client. */
export async function openClient(options: StripeOptions): Promise<StripeParts | Problem> {
	const key = /^(?:sk|rk)_(test|live)_[0-9A-Za-z_]{1,250}$/.exec(options.key);
	// the value is a secret: it is not shown, not even when it is wrong
	if (!key) return problem("usage", "FARELAY_STRIPE_KEY must be a secret or restricted key of Stripe's.");
	const secrets = [options.eventSecret, options.thinEventSecret].filter((secret) => secret !== undefined);
	if (!secrets.every((secret) => /^whsec_[!-~]{1,250}$/.test(secret)))
		return problem("usage", "The secrets that Stripe signs its events with begin with whsec_.");
	if (options.at && !isLoopback(options.at.host))
		return problem("usage", "Something else than Stripe can only stand in for it on this machine.");
	const { default: StripeClient } = await import("stripe");
	const stripe = new StripeClient(options.key, {
		// a lost answer is looked up: trying again in here would hide it
		maxNetworkRetries: 0,
		timeout: options.timeoutMs ?? TIMEOUT_MS,
		telemetry: false,
		...(options.at && { ...options.at, protocol: "http" as const }),
	});
	return { stripe, options, clock: options.clock, live: key[1] === "live" };
}

/** What Stripe refused for certain, with its code; everything else that goes wrong is a {@link Problem}. */
export type Refused = { readonly refused: string };

/** Whether an answer is Stripe's refusal. */
export function isRefused(answer: unknown): answer is Refused {
	return typeof answer === "object" && answer !== null && "refused" in answer;
}

/**
 * Asks Stripe. A refusal is one only when Stripe understood the request and did nothing: an idempotency key that is in use or was used otherwise,
 * a limit, a key that is not taken, a server's failure and a lost answer are problems after which it is not known what happened.
 */
export async function ask<T>(call: () => Promise<T>): Promise<T | Refused | Problem> {
	try {
		return await call();
	} catch (error) {
		const { statusCode, type, code } = error as { statusCode?: unknown; type?: unknown; code?: unknown };
		// a bug of ours has no status and is no error of Stripe's
		if (typeof type !== "string" || !type.startsWith("Stripe")) throw error;
		const word = typeof code === "string" && /^[a-z0-9_]{1,64}$/.test(code) ? code : "refused";
		if (statusCode === 401 || statusCode === 403)
			return problem("unavailable", "Stripe does not take the market's key for this.");
		if (statusCode === 429) return problem("unavailable", "Stripe takes no more requests right now.");
		if (type === "StripeInvalidRequestError" || type === "StripeCardError")
			return statusCode === 409 ? problem("unavailable", "Stripe is at work on the same request.") : { refused: word };
		if (type === "StripeIdempotencyError")
			return problem("unavailable", "Stripe knows this request with other contents; it is looked up.");
		return problem("unavailable", "Stripe could not be reached or did not answer.");
	}
}

/** The same where a refusal is not expected: what was asked for is the market's own. Not found is undefined. */
export async function askFor<T>(call: () => Promise<T>): Promise<T | undefined | Problem> {
	const answer = await ask(call);
	if (!isRefused(answer)) return answer;
	if (answer.refused === "resource_missing" || answer.refused === "not_found") return undefined;
	return problem("unavailable", `Stripe refuses what the market asks (${answer.refused}).`);
}

/** Cents as Stripe's JSON has them; undefined for what is no whole amount (threat 18). */
export function centsOf(found: unknown): bigint | undefined {
	return Number.isSafeInteger(found) && (found as number) >= 0 ? BigInt(found as number) : undefined;
}

/** Cents as the package wants them in a request: JSON's numbers. The rail's ranges keep them far below where one is not exact any more. */
export function centsFor(cents: bigint): number {
	if (cents <= 0n || cents > CENTS_MAX) throw new RangeError("not an amount of cents");
	return Number(cents);
}

/** Stripe's own bound on an amount: eight digits. */
export const CENTS_MAX = 99_999_999n;

/** Whether an object is in dollars and of the market's own mode: anything else is not what it asked for. */
export function isOurs(
	parts: StripeParts,
	found: { readonly currency?: string | null; readonly livemode: boolean },
): boolean {
	return found.livemode === parts.live && found.currency === "usd";
}

/** The id of what Stripe answers as an id or as the whole object. */
export function idOf(found: string | { readonly id: string } | null | undefined): string | undefined {
	return typeof found === "string" ? found : (found?.id ?? undefined);
}
