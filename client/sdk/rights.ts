/** The market's procedures for passes, codes, enrollers, tokens and gifts. A part of `MarketApi`, written out as that is. */

import type { Hex, Mutation, Nanos, Query } from "./api.ts";

/** A pass as its account sees it. Bytes of quota are decimal strings. */
export type PassJson = {
	pool: Hex;
	from: "code" | "enroller" | "token" | "gift" | "app";
	enroller: Hex | null;
	monthBytes: string;
	usedMonth: string;
	usedDay: string;
	validUntilMs: number;
};

/** What an account may be paid for by. */
export type RightsJson = {
	country: string | null;
	evidence: "none" | "said" | "strong";
	said: { readonly country: string; readonly month: number } | null;
	passes: PassJson[];
	/** When this month's quota is there anew. */
	refillsAtMs: number;
};

/** A batch of codes. */
export type BatchJson = {
	batch: Hex;
	pool: Hex;
	isBack: boolean;
	count: number;
	uses: number;
	untilMs: number;
	days: number;
	monthBytes: string;
	madeAtMs: number;
};

/** An enroller as it sees itself. */
export type EnrollerJson = {
	account: Hex;
	state: "asked" | "approved" | "paused" | "refused";
	name: string;
	about: string;
	why: string | null;
	dayMax: number;
};

/** A gift by a link, as its giver sees it. */
export type GiftJson = { hash: Hex; state: "gift" | "claimed" | "returned"; amount: Nanos; untilMs: number };

/** Answers to blinded elements, joined, and their proof. */
export type AnsweredJson = { evaluated: Hex; proof: Hex };

/** For people. */
export type PassApi = {
	show: Query<void, RightsJson>;
	say: Mutation<{ country: string }, RightsJson>;
	redeem: Mutation<{ code: string }, PassJson>;
};

/** For sponsors, and for enrollers who take a code back. */
export type CodeApi = {
	give: Mutation<
		{ batch: Hex; pool: Hex; hashes: Hex[]; uses: number; untilMs: number; days: number; monthBytes: string },
		BatchJson
	>;
	list: Query<void, { batches: BatchJson[] }>;
	takeBatch: Mutation<{ batch: Hex }, BatchJson>;
	takeBack: Mutation<{ hash: Hex }, { pool: Hex; used: number }>;
};

/** For enrollers. */
export type EnrollerApi = {
	ask: Mutation<{ name: string; about: string }, EnrollerJson>;
	show: Query<void, EnrollerJson>;
	lookUp: Mutation<{ blinded: Hex }, AnsweredJson>;
	issue: Mutation<{ pass: Hex }, { pool: Hex; untilMs: number }>;
};

/** Quota tokens. */
export type TokensApi = {
	/** Anyone's: the market's signed word on a key. */
	key: Query<{ pool: Hex; month: number }, { key: Hex }>;
	draw: Mutation<{ pool: Hex; month: number; blinded: string }, AnsweredJson>;
	spend: Mutation<{ pool: Hex; month: number; tokens: { nonce: Hex; output: Hex }[] }, PassJson>;
	end: Mutation<{ pool: Hex; month: number }, { pool: Hex; month: number }>;
};

/** Gifts between people. */
export type GiftApi = {
	give: Mutation<{ id: string; to: Hex; amount: Nanos }, { given: Nanos }>;
	offer: Mutation<{ hash: Hex; amount: Nanos; days: number }, GiftJson>;
	claim: Mutation<{ code: string }, { amount: Nanos }>;
	takeBack: Mutation<{ hash: Hex }, GiftJson>;
	list: Query<void, { gifts: GiftJson[] }>;
};
