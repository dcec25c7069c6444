/** People with the SDK: a market in memory that grants whatever it is asked to, and clients on it. The real market has tests of its own. */

import assert from "node:assert/strict";
import { type Amount, amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { type Grant, signGrant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { signMarketKey } from "#contracts/market";
import { problem } from "#contracts/problem";
import { verifyClose, verifyOpen } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import { crypto } from "#host/crypto";
import type { Relay } from "#sdk/card";
import { Client, type ClientOptions } from "#sdk/client";
import { type Device, device } from "#sdk/device";
import { identityOf } from "#sdk/identity";
import type { Closed, Market } from "#sdk/market";
import { memoryStorage, type Storage } from "#sdk/storage";

/** The default ask, and both fees at 2 %. */
export const TARIFF = { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) };
export const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };

export type TestMarket = {
	/** The seam, as one account sees it. */
	for(account: Uint8Array): Market;
	readonly grants: Grant[];
	readonly closes: { tab: string; final: Parameters<Market["close"]>[2] }[];
	balance: Amount;
	/** Answers nothing while it is away. */
	away: boolean;
};

/** A market that lists these relays at the default ask; with the keys of one that the relays know, where they check. */
export function marketInMemory(
	relays: readonly Relay[],
	{ root, online }: { readonly root: KeyPair; readonly online: KeyPair } = {
		root: crypto.keyPair(crypto.random(32)),
		online: crypto.keyPair(crypto.random(32)),
	},
): TestMarket {
	const nowMs = Date.now();
	const certified = signMarketKey(crypto, root, online.publicKey, nowMs - 86_400_000, nowMs + 86_400_000);
	const owners = new Map<string, string>();
	const market: TestMarket = {
		grants: [],
		closes: [],
		balance: amount(5_000_000_000n),
		away: false,
		for: (account) => ({
			terms: async () => away() ?? { market: root.publicKey, keys: [certified], fees: FEES },
			relays: async () => away() ?? relays.map((relay) => ({ ...relay, country: "KE", tariff: TARIFF })),
			balance: async () => away() ?? market.balance,
			quote: async (_relay, cap) => away() ?? { tranches: [ownTranche(cap)], reasons: [] },
			async open(order, signature) {
				if (away()) return problem("unavailable");
				assert.ok(verifyOpen(crypto, order, signature), "the account signed the order");
				const issuedAtMs = Date.now();
				const expiresAtMs = issuedAtMs + order.lifeMs;
				const redeemByMs = expiresAtMs + LIMIT.redeemGraceMs;
				const { market: name, tab, session, relay, cap, tariff } = order;
				const terms = { market: name, tab, session, relay, cap, tariff, issuedAtMs, expiresAtMs, redeemByMs };
				const grant = signGrant(crypto, terms, online);
				market.grants.push(grant);
				owners.set(toHex(tab), toHex(account));
				return grant;
			},
			async close(tab, signature, final): Promise<Closed> {
				assert.ok(verifyClose(crypto, root.publicKey, account, tab, signature), "the account signed the close");
				market.closes.push({ tab: toHex(tab), final });
				return { returned: final ? amount(1n) : undefined, receipt: undefined, bill: undefined };
			},
			tabs: async () =>
				away() ??
				market.grants
					.filter(({ tab }) => owners.get(toHex(tab)) === toHex(account))
					.filter(({ tab }) => !market.closes.some((close) => close.tab === toHex(tab)))
					.map((grant) => ({ grant, fees: FEES, tranches: [ownTranche(grant.cap)] })),
		}),
	};
	const away = () => (market.away ? problem("unavailable") : undefined);
	return market;
}

export type Person = { client: Client; storage: Storage; seed: Uint8Array };

/** Somebody with a phone. Give `storage` and `seed` to start the same person again. */
export async function person(
	market: TestMarket,
	given: Partial<Omit<ClientOptions, "market">> & { parts?: Partial<Device> } = {},
): Promise<Person> {
	const storage = given.storage ?? memoryStorage();
	const seed = given.seed ?? crypto.random(32);
	const parts = await device({ ...given.parts, storage });
	const identity = identityOf(parts, seed);
	const client = new Client(parts, identity, market.for(identity.account.publicKey), given);
	return { client, storage, seed };
}

/** Waits until something holds, and says what did not when it never does. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, patienceMs = 8_000): Promise<void> {
	const endMs = Date.now() + patienceMs;
	while (!(await holds())) {
		if (Date.now() > endMs) assert.fail(`never: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}
