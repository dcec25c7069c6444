/** A market's rooms for tabs and sponsors on any book: keys, one relay, people, and funds whose rules and people a story holds in its hand. */

import assert from "node:assert/strict";
import { type Amount, amount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { type KeyPair, sessionKey } from "#contracts/identity";
import type { Offer } from "#contracts/listing";
import type { Problem } from "#contracts/problem";
import { signUsage } from "#contracts/redemption";
import { type OpenOrder, signClose, signOpen } from "#contracts/tab";
import type { Tariff, Traffic } from "#contracts/tariff";
import { ownTranche, type Tranche } from "#contracts/tranche";
import { signVoucher, writeVoucher } from "#contracts/voucher";
import { makeHealth } from "#host/health";
import { Carried } from "#marketplace/home/totals";
import type { Keys } from "#marketplace/keys/keys";
import type { Book } from "#marketplace/ledger/book";
import { COMMONS, payerAccount, poolAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { makeMetrics } from "#marketplace/metrics";
import type { PassFacts, PersonFacts } from "#marketplace/sponsor/facts";
import { RULES, type Rules } from "#marketplace/sponsor/rules";
import type { FundKnown, Sources } from "#marketplace/sponsor/sources";
import { quoteOf } from "#marketplace/sponsor/sponsor";
import { Turns } from "#marketplace/sponsor/turns";
import { redeemBatch } from "#marketplace/tab/batch";
import type { Tab } from "#marketplace/tab/tab";
import { closeTab, openTab } from "#marketplace/tab/tabs";
import { type HeldClock, heldClock } from "./clock.ts";
import { crypto, DAY_MS, fine, toHex } from "./market.ts";

export const POOL = "11".repeat(16);
export const OTHER_POOL = "22".repeat(16);
export const DOLLAR = 1_000_000_000n;
/** As dear as funds pay for, so that whoever is poor pays a part. */
export const TARIFF: Tariff = { sendPerMb: amount(2_000_000n), storePerMbDay: amount(4_000n) };
export const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };

/** A pass for a pool, as wide as may be. */
export function pass(pool: string, more: Partial<PassFacts> = {}): PassFacts {
	const validUntilMs = Number.MAX_SAFE_INTEGER;
	return {
		...{ pool, from: "code", monthBytes: 100_000_000n, usedMonth: 0n, usedDay: 0n, validUntilMs, isVouched: false },
		...more,
	} as PassFacts;
}

/** What a story says of funds and people; read whenever somebody asks. */
export type Held = {
	funds: Partial<FundKnown>;
	person: Partial<PersonFacts>;
	relay: { room?: bigint; isNewOperator?: boolean; isPaused?: boolean };
};

/** One process of a market. Another on the same book and keys is another process. */
export class Funds {
	readonly clock: HeldClock;
	readonly root: KeyPair = crypto.keyPair(new Uint8Array(32).fill(1));
	readonly relay: KeyPair = crypto.keyPair(new Uint8Array(32).fill(2));
	readonly operator: KeyPair = crypto.keyPair(new Uint8Array(32).fill(3));
	readonly market: Market;
	readonly book: Book;
	readonly held: Held = { funds: {}, person: {}, relay: {} };

	constructor(book: Book, clock = heldClock(Date.UTC(2026, 4, 10, 12)), rules: Rules = RULES) {
		this.book = book;
		this.clock = clock;
		const keys = { market: this.root.publicKey, online: () => this.root } as unknown as Keys;
		this.market = {
			...{ crypto, clock, book, keys, fees: FEES, rules, capMax: amount(100n * DOLLAR) },
			...{ outages: { all: () => [] }, metrics: makeMetrics(async () => 0), health: makeHealth() },
			...{ frozen: { has: () => false }, turns: new Turns(), carried: new Carried(), sources: this.sources() },
			listings: { of: async () => [this.offer()] },
		} as unknown as Market;
	}

	private offer(): Offer {
		const { publicKey: relay } = this.relay;
		return { relay, operator: this.operator.publicKey, tariff: TARIFF, takes: true } as Offer;
	}

	private sources(): Sources {
		const known = async (fund: string, account: string): Promise<FundKnown> => ({
			...{ fund, state: "open", free: await this.book.balance(account), dayLimit: DOLLAR, budget30: 30n * DOLLAR },
			...{ quotaPpm: 1_000_000, ...this.held.funds },
			...(fund !== COMMONS && { pool: fromHex(fund) as Uint8Array }),
		});
		return {
			person: async (account) => ({
				...{ account, sinceMs: 0, frozen: false, evidence: "none", passes: [] },
				...{ commonsUsed: 0n, textUsed: 0n, elsewhereUsed: 0n, ...this.held.person },
			}),
			pools: (ids) => Promise.all(ids.map((id) => known(id, poolAccount(id)))),
			commons: () => known(COMMONS, COMMONS),
			relay: async () => ({
				...{ relay: toHex(this.relay.publicKey), operator: toHex(this.operator.publicKey), group: "all" },
				...{ isEligible: true, isPaused: false, isNewOperator: false, eligibleOperators: 1, room: undefined },
				...this.held.relay,
			}),
		};
	}

	/** Puts play money on an account of the chart. */
	async put(account: string, nanos: bigint, id = toHex(crypto.random(8))): Promise<void> {
		const entries = [
			{ account: WORLD_PLAY, nanos: -nanos },
			{ account, nanos },
		];
		const [outcome] = await this.book.apply([{ transfer: { id: `put:${id}`, cause: "put", atMs: 1, entries } }]);
		assert.equal(outcome, "applied");
	}

	quote(who: Somebody, cap: bigint) {
		const asked = { cap: amount(cap), tariff: TARIFF };
		return quoteOf(this.market, who.id, this.offer(), asked, this.clock.nowMs());
	}

	order(who: Somebody, cap: bigint, tranches: readonly Tranche[] = [ownTranche(amount(cap))]): OpenOrder {
		const tab = crypto.random(16);
		return {
			...{ market: this.root.publicKey, account: who.keys.publicKey, tab, relay: this.relay.publicKey },
			...{ session: sessionKey(crypto, who.seed, tab).publicKey, cap: amount(cap), tariff: TARIFF },
			...{ fees: FEES, lifeMs: DAY_MS, tranches },
		};
	}

	/** Opens what is quoted now, or what is given. */
	async open(who: Somebody, cap: bigint, tranches?: readonly Tranche[]): Promise<Tab | Problem> {
		const quoted = tranches ?? (await this.quote(who, cap)).tranches;
		const order = this.order(who, cap, quoted);
		return openTab(this.market, order, signOpen(crypto, order, who.keys));
	}

	async redeem(who: Somebody, { grant }: Tab, used: Traffic, signed = used) {
		const voucher = fine(signVoucher(crypto, grant, signed, sessionKey(crypto, who.seed, grant.tab).secretKey));
		const claims = [{ tab: grant.tab, voucher, used }];
		const relay = this.relay.publicKey;
		const { results } = await redeemBatch(this.market, { relay, atMs: this.clock.nowMs(), claims });
		return results[0];
	}

	/** Closes with both ends' word on what was used. */
	async close(who: Somebody, { grant, tab }: Tab, used: Traffic): Promise<Tab | Problem> {
		const signature = signClose(crypto, this.root.publicKey, grant.tab, who.keys);
		const usage = signUsage(crypto, grant, used, true, this.clock.nowMs(), this.relay.secretKey).bytes;
		const secret = sessionKey(crypto, who.seed, grant.tab).secretKey;
		const voucher = used.bytes > 0n ? writeVoucher(fine(signVoucher(crypto, grant, used, secret))) : undefined;
		const order = {
			account: who.keys.publicKey,
			tab: fromHex(tab) as Uint8Array,
			signature,
			final: { usage, voucher },
		};
		return closeTab(this.market, order, who.id);
	}

	/** Every counter that is not nothing. */
	async counted(): Promise<Record<string, string>> {
		const rows = await this.book.records({ table: "burns", by: "state", of: "counted", limit: 1_000 });
		return Object.fromEntries(
			rows.flatMap(({ key, value }) =>
				Object.entries(JSON.parse(value) as Record<string, string>)
					.filter(([name, count]) => name !== "day" && count !== "0")
					.map(([name, count]) => [`${key} ${name}`, count]),
			),
		);
	}
}

/** Somebody with an account. */
export class Somebody {
	readonly seed = crypto.random(32);
	readonly keys = crypto.keyPair(this.seed);
	readonly id = toHex(this.keys.publicKey);
	readonly purse = payerAccount(this.id);
}

/** So many bytes, kept for two weeks. */
export function kept(bytes: bigint): Traffic {
	return { bytes, byteSeconds: bytes * 14n * 86_400n };
}

/** The amount of a sum of dollars' millionths. */
export function micros(count: bigint): Amount {
	return amount(count * 1_000n);
}
