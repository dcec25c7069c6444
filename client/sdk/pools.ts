/** Pools as a sponsor has them: made, filled, ruled, ended, and accounted for. And what the market answers of them, written out like the rest of {@link MarketApi}. */

import { type Amount, formatAmount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import type { Hex, Mutation, Nanos, Query } from "./api.ts";
import type { Device } from "./device.ts";
import { askMarket, type MarketDoor } from "./door.ts";

/** Whom a pool pays for, how much, from when to when. Bytes are of quota, as decimal strings; shares in parts per million. */
export type PoolRulesJson = {
	/** Two capital letters each; none: every country. */
	countries: string[];
	/** Whose passes count, public keys; none: all whom the market approved. */
	enrollers: Hex[];
	/** For one person. */
	monthBytes: string;
	dayBytes: string;
	/** For all together. */
	dayLimit: Nanos;
	fromMs: number;
	untilMs?: number | undefined;
	operatorSharePpm?: number | undefined;
	pairSharePpm?: number | undefined;
	/** An app's developer, who signs passes for its users. */
	app?: Hex | undefined;
};

/** The same as a market shows them. */
export type PoolShownRulesJson = {
	countries: string[];
	enrollers: Hex[];
	monthBytes: string;
	dayBytes: string;
	dayLimit: Nanos;
	fromMs: number;
	untilMs: number | null;
	operatorSharePpm: number | null;
	pairSharePpm: number | null;
	app: Hex | null;
};

/** Of one or several weeks, Monday to Monday UTC. */
export type PoolWeeksJson = {
	fromMs: number;
	toMs: number;
	/** 0: fewer than twenty. */
	people: number;
	bytes: string;
	toOperators: Nanos;
	marketFee: Nanos;
	countries: string[];
};

/** A pool's page: `came = back + on + lost + toOperators + marketFee + reserved + left`. */
export type PoolJson = {
	pool: Hex;
	state: "open" | "paused" | "ending" | "ended";
	createdMs: number;
	/** Where what is unspent goes at the end. */
	rest: "back" | "commons";
	rules: PoolShownRulesJson;
	/** Of when the figures are: of the last day, for its sponsor of now. */
	atMs: number;
	came: Nanos;
	/** What rails and the exchange kept beside that. */
	railFee: Nanos;
	exchangeFee: Nanos;
	toOperators: Nanos;
	marketFee: Nanos;
	reserved: Nanos;
	left: Nanos;
	back: Nanos;
	on: Nanos;
	/** Taken back by banks of those who gave by card. */
	lost: Nanos;
	daysOfCover: string | null;
	weeks: PoolWeeksJson[];
	/** What only its sponsor sees: what of cards' gifts cannot be taken back yet. */
	own: { early: Nanos } | null;
};

/** The market's procedures for pools. */
export type PoolApi = {
	create: Mutation<{ pool: Hex; rules: PoolRulesJson; rest: "back" | "commons" }, PoolJson>;
	show: Query<{ pool: Hex }, PoolJson>;
	mine: Query<void, { pools: { pool: Hex; state: PoolJson["state"]; came: Nanos }[] }>;
	rules: Mutation<{ pool: Hex; rules: PoolRulesJson }, PoolJson>;
	pause: Mutation<{ pool: Hex }, PoolJson>;
	resume: Mutation<{ pool: Hex }, PoolJson>;
	end: Mutation<{ pool: Hex }, PoolJson>;
	fund: Mutation<{ pool: Hex; id: string; amount: Nanos }, PoolJson>;
	takeBack: Mutation<{ pool: Hex; id: string; amount?: Nanos | undefined }, PoolJson>;
	/** What an app's developer signed for the caller (PROTOCOL.md, "Passes"). */
	useApp: Mutation<{ pass: Hex }, { pool: Hex; monthBytes: string; validUntilMs: number }>;
	/** The signed report's one text: `readReport` of the contracts checks it. */
	report: Query<{ pool: Hex }, { text: string }>;
};

/** The commons' page. Amounts may be below nothing where more came back than went out. */
export type CommonsJson = {
	/** Of when it is: the beginning of a day; null before the first. */
	atMs: number | null;
	left: Nanos;
	reserved: Nanos;
	/** The solidarity fee, in parts per million; `next`: decided and not yet in force. */
	fee: {
		nowPpm: number;
		next: { feePpm: number; fromMs: number } | null;
		maxPpm: number;
		stepPpm: number;
		coverDays: number;
	};
	inADay: Nanos;
	outADay: Nanos;
	/** With their whole quota people would have had so much. */
	wantedADay: Nanos;
	dayLimit: Nanos;
	/** Whole days, null for as long as this goes on; and how that is reckoned. */
	forecast: { daysOfCover: string | null; says: string };
	/** The newest first. */
	days: { atMs: number; fees: Nanos; given: Nanos; out: string }[];
};

/** The market's procedures for the commons. */
export type CommonsApi = { show: Query<void, CommonsJson> };

const ID_BYTES = 16;

/** An account's pools. Like the client's own, its promises reject with a `FarelayError`. */
export class Pools {
	readonly #device: Device;
	readonly #market: MarketDoor;

	constructor(device: Device, market: MarketDoor) {
		this.#device = device;
		this.#market = market;
	}

	/** A new id, of a pool or of a movement: asking again by the same does nothing twice. */
	newId(): string {
		return toHex(this.#device.crypto.random(ID_BYTES));
	}

	/** Makes a pool. `rest` says where what is unspent goes when it ends, and cannot be changed. */
	create(rules: PoolRulesJson, rest: "back" | "commons" = "back", pool: Hex = this.newId()): Promise<PoolJson> {
		return askMarket(this.#market, (api) => api.pool.create.mutate({ pool, rules, rest }));
	}

	/** A pool's page: anybody's. */
	show(pool: Hex): Promise<PoolJson> {
		return askMarket(this.#market, (api) => api.pool.show.query({ pool }));
	}

	/** The account's own. */
	async mine(): Promise<{ pool: Hex; state: PoolJson["state"]; came: Nanos }[]> {
		return (await askMarket(this.#market, (api) => api.pool.mine.query())).pools;
	}

	/** Moves money from the account's balance into a pool. By a rail: `deposits.start` with a pool. */
	fund(pool: Hex, amount: Amount, id: string = this.newId()): Promise<PoolJson> {
		return askMarket(this.#market, (api) => api.pool.fund.mutate({ pool, id, amount: formatAmount(amount) }));
	}

	/** Takes back what is reserved for nobody, so much or all of it. */
	takeBack(pool: Hex, amount?: Amount, id: string = this.newId()): Promise<PoolJson> {
		const most = amount === undefined ? {} : { amount: formatAmount(amount) };
		return askMarket(this.#market, (api) => api.pool.takeBack.mutate({ pool, id, ...most }));
	}

	/** Other rules, for what is opened from now on: what was granted stands. */
	rules(pool: Hex, rules: PoolRulesJson): Promise<PoolJson> {
		return askMarket(this.#market, (api) => api.pool.rules.mutate({ pool, rules }));
	}

	/** Pauses, goes on, or tells its people that it ends in seven days. */
	steer(pool: Hex, what: "pause" | "resume" | "end"): Promise<PoolJson> {
		return askMarket(this.#market, (api) => api.pool[what].mutate({ pool }));
	}

	/** The signed report, as the one text that `farelay verify` checks offline. */
	async report(pool: Hex): Promise<string> {
		return (await askMarket(this.#market, (api) => api.pool.report.query({ pool }))).text;
	}
}
