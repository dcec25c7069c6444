/**
 * The market's procedures as an app may call them directly, by `client.market.api`: what goes in and comes out, over HTTP. Written out, so that
 * whoever uses the SDK needs none of the market's own types; the door's compiler check holds it to the router (PROTOCOL.md, "The marketplace's HTTP").
 */

import type { ReasonCode } from "#contracts/reason";
import type { StatementLineJson } from "#contracts/statement";
import type { AskApi, DeskApi, FindingJson } from "./cases.ts";
import type { CommonsApi, PoolApi } from "./pools.ts";
import type { CodeApi, EnrollerApi, GiftApi, PassApi, TokensApi } from "./rights.ts";

/** A question; asking again changes nothing. */
export type Query<In, Out> = { query(input: In): Promise<Out> };
/** A change. */
export type Mutation<In, Out> = { mutate(input: In): Promise<Out> };

/** Nano-dollars as a decimal string. */
export type Nanos = string;
/** Bytes in lowercase hex. */
export type Hex = string;

/** Prices a relay asks. */
export type TariffJson = { sendPerMb: Nanos; storePerMbDay: Nanos };
/** The market's and the solidarity fee, in parts per million. */
export type FeesJson = { marketPpm: number; solidarityPpm: number };

/** A part of a tab's cap and who pays for it: `payerPpm` of its bill its account, the rest the fund. */
export type TrancheJson = { fund: "own" | "commons" | "pool"; pool?: Hex; cap: Nanos; payerPpm: number };

/** Why a fund pays, or pays no more than it does: `code` is of a closed list (`reason.json`). */
export type ReasonJson = { code: ReasonCode; fund?: string; untilMs?: number };

/** A relay on show. */
export type RelayJson = {
	relay: Hex;
	operator: Hex;
	url: string;
	country: string;
	bandwidthMbps: number;
	storageGb: number;
	/** Gigabytes a month; 0 for no cap. */
	trafficCapGb: number;
	tariff: TariffJson;
	eligible: boolean;
	/** Unix milliseconds. */
	validUntilMs: number;
};

/** A tab as its account sees it. Times are Unix milliseconds; bytes and money decimal strings. */
export type TabJson = {
	tab: Hex;
	state: "open" | "closing" | "closed";
	relay: Hex;
	operator: Hex;
	session: Hex;
	cap: Nanos;
	tariff: TariffJson;
	fees: FeesJson;
	/** Who pays for which part of the cap. */
	tranches: TrancheJson[];
	issuedAtMs: number;
	expiresAtMs: number;
	redeemByMs: number;
	grant: Hex;
	/** What opening it took from the balance (the account's own part), and what of that is still held. */
	reserved: Nanos;
	held: Nanos;
	/** Redeemed so far. */
	paid: {
		bytes: string;
		byteSeconds: string;
		nanos: Nanos;
		marketFee: Nanos;
		solidarityFee: Nanos;
		/** Who paid it all. */
		payer: Nanos;
		commons: Nanos;
		pools: Nanos;
	};
	/** What went back, once closed. */
	returned: Nanos | null;
	receipt: Hex | null;
	/** What was billed and to whom, signed by the market. */
	bill: Hex;
};

/** What it costs on a rail to have so much on the balance. `units` and `fee` are what the rail counts in, as decimal strings. */
export type QuoteJson = {
	rail: string;
	unit: "msat" | "cent" | "nano";
	/** What is wanted on the balance, and what arrives there when exactly `units` are paid in time. */
	asked: Nanos;
	credited: Nanos;
	/** To be paid, and what the rail keeps of it. */
	units: string;
	fee: string;
	feeNanos: Nanos;
	feeIsAbout: boolean;
	/** What the market keeps by the rate; null where dollars are paid. */
	spread: Nanos;
	rate: { msatPerDollar: string; spreadPpm: number; says: string } | null;
	untilMs: number;
};

/** A rail with its quote, or why it cannot be used for that. */
export type RailJson = { rail: string; quote: QuoteJson | null; refused: string | null };

/** A deposit as its account sees it. */
export type DepositJson = {
	id: string;
	/** `monthly`: it is paid every month, each month as a deposit of its own. */
	state: "starting" | "waiting" | "expired" | "credited" | "ended" | "monthly";
	quote: QuoteJson;
	startedMs: number;
	payUntilMs: number;
	/** How to pay; null when nobody should (any more). */
	pay: { kind: "invoice"; invoice: string } | { kind: "link"; url: string } | { kind: "nothing" } | null;
	came: {
		units: string;
		fee: string;
		credited: Nanos;
		atMs: number;
		/** Until when who paid can take it back. */
		backUntilMs: number | null;
		/** What was given back to the card at its owner's wish, or is on its way there. */
		refund: { amount: Nanos; state: "sending" | "sent" | "failed" } | null;
	} | null;
	/** What is said of a deposit that comes every month. `url` is where a month that failed can be mended. */
	monthly: { months: number; isFailing: boolean; url: string | null; isStopped: boolean; isOver: boolean } | null;
	/** The pool that it is for, instead of the balance. */
	pool: Hex | null;
	/** The deposit that this is a month of. */
	of: string | null;
	/** Why it ended, for people. */
	says: string | null;
};

/** To a Lightning address, by an invoice that comes with each payout, or to a Stripe account. */
export type PayoutKind = "lightning" | "invoice" | "stripe";

/** A payout. What it came to stands there once it was sent: gross is net, the rail's fee and what the market keeps by the rate. */
export type PayoutJson = {
	payout: Hex;
	state: "queued" | "reserved" | "sending" | "unknown" | "sent" | "failed";
	rail: string;
	kind: PayoutKind;
	to: string;
	askedAtMs: number;
	/** Taken from what was earned, with the most that the rail may keep of it. */
	reserved: Nanos | null;
	gross: Nanos | null;
	marketFee: Nanos | null;
	railFee: Nanos | null;
	net: Nanos | null;
	/** Taken by the rail beyond its ceiling: the market bore it, and it is no part of gross. */
	over: Nanos | null;
	proof: string | null;
	endedAtMs: number | null;
	/** Why it failed, or what it waits for. */
	why: string | null;
	/** Ended by the market's people and not by its rail, and why. */
	byHand: string | null;
	lookAtMs: number | null;
};

/** How an operator is paid. */
export type PayoutPlanJson = {
	/** `waitsUntilMs`: it was changed, and nothing is paid out before then. */
	destination: { kind: PayoutKind; to: string; setAtMs: number; waitsUntilMs: number | null } | null;
	schedule: "daily" | "weekly" | "never";
	threshold: Nanos;
	feeMaxPpm: number;
	/** When the schedule looks again. */
	dueMs: number;
	leaving: Nanos;
	newest: PayoutJson | null;
	/** How this market pays out now, and the rail that does. */
	ways: { kind: PayoutKind; rail: string }[];
};

/** A home that was drawn, or why none was. Bytes are decimal strings. */
export type HomeJson = {
	home: { relay: Hex; url: string | null; drawnMs: number; againMs: number; spentUntilMs: number | null } | null;
	why: "drawn" | "has-one" | "not-yet" | "too-soon";
	received: { megabytes: number; known: string; paying: string };
};

/** A page's place and length. */
export type Page<Cursor> = { after?: Cursor | undefined; limit?: number | undefined };

/** Every procedure. They reject with tRPC's error, whose `data.problem` is the problem; `client` wraps those that have a name there. */
export type MarketApi = {
	market: {
		relays: Query<{ country?: string | undefined; limit?: number | undefined } | undefined, { relays: RelayJson[] }>;
	};
	account: {
		balance: Query<void, { balance: Nanos }>;
		statement: Query<Page<number> | undefined, { lines: StatementLineJson[]; next: number | null }>;
		/** The newest commitment, the certificate of its key, and the account's own balances in it. */
		proof: Query<void, { key: Hex; commitment: Hex; proofs: Hex[] }>;
	};
	tab: {
		/** Who would pay for a tab of this cap, opened now. */
		quote: Query<
			{ relay: Hex; cap: Nanos; tariff: TariffJson },
			{ tranches: TrancheJson[]; lifeMsMax: number; reasons: readonly ReasonJson[] }
		>;
		open: Mutation<
			{
				tab: Hex;
				session: Hex;
				relay: Hex;
				cap: Nanos;
				tariff: TariffJson;
				fees: FeesJson;
				lifeMs: number;
				tranches: TrancheJson[];
				signature: Hex;
			},
			TabJson
		>;
		close: Mutation<
			{ tab: Hex; signature: Hex; final?: { usage: Hex; voucher?: Hex | undefined } | undefined },
			TabJson
		>;
		list: Query<(Page<Hex> & { live?: boolean | undefined }) | undefined, { tabs: TabJson[]; next: Hex | null }>;
	};
	home: {
		/** The home that was drawn, and what was signed for there. */
		get: Query<void, HomeJson>;
		/** Draws one; answers the one that there is. */
		draw: Mutation<{ again?: boolean | undefined } | undefined, HomeJson>;
	};
	funding: {
		rails: Query<{ amount: Nanos; monthly?: boolean | undefined }, { rails: RailJson[] }>;
		quote: Query<{ rail: string; amount: Nanos }, QuoteJson>;
		start: Mutation<
			{ id: string; rail: string; amount: Nanos; monthly?: boolean | undefined; pool?: Hex | undefined },
			DepositJson
		>;
		refund: Mutation<{ id: string; amount: Nanos }, DepositJson>;
		stop: Mutation<{ id: string }, DepositJson>;
		status: Query<{ id: string }, DepositJson>;
		list: Query<Page<string> | undefined, { deposits: DepositJson[]; next: string | null }>;
		play: Mutation<{ id: string; amount: Nanos }, { balance: Nanos }>;
	};
	operator: {
		/** An account at a rail's provider to be paid out to; `url` is where the provider is told what it still wants to know. */
		signUp: Mutation<
			{ rail: string; country: string; email: string },
			{ to: string; ready: boolean; url: string | null }
		>;
		earnings: Query<void, { earned: Nanos; waiting: Nanos; leaving: Nanos; paidOut: Nanos; findings: FindingJson[] }>;
		payout: {
			show: Query<void, PayoutPlanJson>;
			set: Mutation<
				{
					destination?: { kind: PayoutKind; to?: string | undefined } | undefined;
					schedule?: PayoutPlanJson["schedule"] | undefined;
					/** Null for the market's own. */
					threshold?: Nanos | null | undefined;
					feeMaxPpm?: number | null | undefined;
				},
				PayoutPlanJson
			>;
			now: Mutation<{ id: string; amount?: Nanos | undefined; invoice?: string | undefined }, PayoutJson>;
			get: Query<{ payout: Hex }, PayoutJson>;
			list: Query<Page<Hex> | undefined, { payouts: PayoutJson[]; next: Hex | null }>;
		};
	};
	pass: PassApi;
	code: CodeApi;
	enroller: EnrollerApi;
	tokens: TokensApi;
	gift: GiftApi;
	ask: AskApi;
	desk: DeskApi;
	pool: PoolApi;
	commons: CommonsApi;
};
