/**
 * The seam behind which money comes in and goes out (money.md, "Rails"). An engine speaks to one provider in the provider's own unit; dollars, accounts and
 * the ledger are the business of `funding/` and `payout/`. One acceptance suite runs on every engine (test/acceptance/rail.ts).
 */

import type { Problem } from "#contracts/problem";
import type { Cancel } from "#host/clock";

/** What a rail counts in: millisatoshi, US cents, or nano-dollars. */
export type RailUnit = "msat" | "cent" | "nano";

/** In whose name a rail moves money: the ledger's account of the outside world that it belongs to. */
export type RailWorld = "world:play" | "world:lightning" | "world:card";

/** Which way money goes: into the market, or out of it. */
export type Way = "in" | "out";

/** The least and the most of one payment, in the rail's unit. */
export type RailRange = { readonly min: bigint; readonly max: bigint };

/** What a payment would cost, as far as it is known before: the fee that the rail itself takes, in its unit. */
export type RailQuote = {
	readonly fee: bigint;
	/** Whether it is only about that: what is really taken is known afterwards, and may be less or more (routing; a card from abroad). A payout names its ceiling. */
	readonly isAbout: boolean;
};

/** A deposit to begin. The same `id` again begins nothing new: it answers what it answered. */
export type StartOrder = {
	/** ours, printable, unguessable, at most 64 characters */
	readonly id: string;
	readonly amount: bigint;
	/** what the payer reads; no name and no key */
	readonly text: string;
	/** Unix milliseconds after which it should not be paid any more */
	readonly expiresAtMs: number;
};

/** A deposit that can be paid now. */
export type Started = {
	/** the provider's name for it: a payment hash in hex, a Checkout session's id */
	readonly reference: string;
	/** what the payer pays by */
	readonly pay:
		| { readonly kind: "invoice"; readonly invoice: string }
		| { readonly kind: "link"; readonly url: string }
		/** nothing is to be done: play money */
		| { readonly kind: "nothing" };
	readonly expiresAtMs: number;
};

/**
 * What the rail says of a deposit, asked now. `amount` is what really came, in the rail's unit, and may be less or more than was asked for.
 * - `waiting`: nothing came yet; it may still
 * - `paid`: it is ours for good as far as the rail can say; `backUntilMs` when who paid can still take it back (a card)
 * - `ended`: nothing came and nothing can come any more
 * - `returned`: it came and was taken back (`amount` of it), by whoever paid or by us
 * - `absent`: the rail does not know the reference
 * - `monthly`: who pays agreed to pay every month (`Rail.monthly`). `months` are what was paid, each the reference of a deposit of its own; `isFailing`: the newest
 *   could not be had yet, and `url` is where its payer can mend that; `isOver`: no more will come
 *
 * `country`: where the bank is that issued the card, two capital letters; left out where the rail does not know.
 *
 * `penalty`: what the provider charged the market beside that, all in all, for a dispute or for giving it back; none when left out.
 */
export type DepositState =
	| { readonly state: "waiting" | "ended" | "absent" }
	| {
			readonly state: "monthly";
			readonly months: readonly string[];
			readonly isFailing: boolean;
			readonly isOver: boolean;
			readonly url?: string | undefined;
	  }
	| {
			readonly state: "paid";
			readonly amount: bigint;
			readonly fee: bigint;
			readonly atMs: number;
			readonly backUntilMs?: number;
			readonly penalty?: bigint;
			/** the same for all payments by one card, and nothing that it could be charged by; left out where the rail does not know */
			readonly card?: string;
			readonly country?: string;
	  }
	| {
			readonly state: "returned";
			readonly amount: bigint;
			readonly atMs: number;
			readonly why: "dispute" | "refund";
			readonly penalty?: bigint;
			/** what had come, as `paid` would tell it */
			readonly of?: {
				readonly amount: bigint;
				readonly fee: bigint;
				readonly atMs: number;
				readonly backUntilMs?: number;
			};
	  };

/** A payment out of the market. The same `id` again pays nothing more. */
export type PayOrder = {
	/** ours: also the provider's idempotency key, where it has one */
	readonly id: string;
	/** where to: a BOLT11 invoice, or a Stripe account's id. A Lightning address was resolved to an invoice before. */
	readonly to: string;
	readonly amount: bigint;
	/** the most that the rail may take on top, in its unit */
	readonly feeMax: bigint;
};

/**
 * What became of a payment out. Only what the rail itself says for certain is `sent` or `failed`: a lost answer, a time-out and an error are `unknown`,
 * which is looked up and never tried again blindly (threat 19).
 * - `sending`: the rail has it and is not done
 * - `absent`: the rail knows for certain that it never had it, and a copy that is still on its way cannot start it later
 */
export type PaymentState =
	| { readonly state: "sending" | "absent" }
	| { readonly state: "unknown"; readonly why: string }
	| {
			readonly state: "sent";
			readonly amount: bigint;
			readonly fee: bigint;
			readonly proof: string;
			readonly atMs: number;
	  }
	| { readonly state: "failed"; readonly why: string };

/** What a rail has with its provider, in its unit, for reconciling: undefined where it cannot be asked. */
export type RailBalance = {
	readonly spendable: bigint;
	readonly pending: bigint;
	/** what of it was there before anything moved, where the rail knows that itself: its owner's, and nobody's balance */
	readonly stake?: bigint;
};

/** Somebody who wants to be paid out by a provider that must know who they are. */
export type SignUpOrder = {
	/** ours: an operator's public key in hex */
	readonly id: string;
	/** two letters, as ISO 3166 has them, in lower case */
	readonly country: string;
	readonly email: string;
	/** the account that was opened for them before */
	readonly to: string | undefined;
};

/** An account to be paid out to; `url` is where its owner tells the provider what it still wants to know. */
export type SignedUp = { readonly to: string; readonly ready: boolean; readonly url: string | undefined };

/** A way for money to come in and go out. Every method may take as long as the network does, and none throws for what the provider says. */
export interface Rail {
	/** its name in listings, statements and records, like `lightning-lnd` */
	readonly name: string;
	readonly world: RailWorld;
	readonly unit: RailUnit;
	/** what it can do, and between which amounts; undefined: not this way */
	readonly ranges: Readonly<Record<Way, RailRange | undefined>>;
	/** What a payment would cost. */
	quote(way: Way, amount: bigint, to?: string): Promise<RailQuote | Problem>;
	/** Begins a deposit. */
	start(order: StartOrder): Promise<Started | Problem>;
	/** Calls `hint` with the reference of a deposit or the id of a payout of which something may have changed. Hints may be lost, doubled and wrong. */
	onEvent(hint: (reference: string) => void): Cancel;
	/** Asks the rail about a deposit. A problem when it could not be asked. */
	deposit(reference: string): Promise<DepositState | Problem>;
	/** Asks the rail about a payment out. A problem when it could not be asked. */
	payment(order: PayOrder): Promise<PaymentState | Problem>;
	/** Pays out; never throws and never guesses. */
	pay(order: PayOrder): Promise<PaymentState>;
	/** Gives a deposit back to whoever paid it (a card only); undefined where that cannot be done. */
	readonly giveBack?: (order: {
		readonly id: string;
		readonly reference: string;
		readonly amount: bigint;
	}) => Promise<PaymentState>;
	/** Money that comes every month by itself until it is stopped; undefined: not by this rail. What became of it `deposit` says, and of each month. */
	readonly monthly?: {
		/** Begins it, like {@link Rail.start}: who pays agrees to it once. */
		start(order: StartOrder): Promise<Started | Problem>;
		/** Ends it, and says what it is then: a problem, or not yet over, is to be stopped again. */
		stop(reference: string): Promise<DepositState | Problem>;
	};
	/** Opens an account to be paid out to; undefined where nobody needs one. */
	readonly signUp?: (order: SignUpOrder) => Promise<SignedUp | Problem>;
	/** Takes what the provider posts to the market's door. A problem when it is forged, stale or nonsense; what it says becomes a hint. */
	readonly receive?: (
		body: Uint8Array,
		headers: Readonly<Record<string, string | undefined>>,
	) => Promise<Problem | undefined>;
	/** What the provider says we have. */
	balance(): Promise<RailBalance | Problem | undefined>;
	/** Whether it works now, for the doctor: undefined, or what is wrong. */
	check(): Promise<Problem | undefined>;
	close(): Promise<void>;
}
