/** A relay to test against: real sockets on a free port, a market that can be told what to do, disks in memory unless said otherwise. */

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Grant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { isProblem, type Problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { RELAY_DEFAULTS, type RelayConfig } from "#relay/config";
import { type RelayDeps, type RunningRelay, startRelay } from "#relay/relay";
import { FakeMarket, type GrantWish, TARIFF } from "./fakemarket.ts";
import { keys, RawClient } from "./rawclient.ts";

export type TestRelay = RunningRelay & {
	readonly market: FakeMarket;
	readonly deps: RelayDeps;
	readonly config: RelayConfig;
	/** A connection that has said nothing yet. */
	connect(): Promise<RawClient>;
	/** A connection that may only read. */
	reader(): Promise<RawClient>;
	/** A connection that listens on a mailbox. */
	listener(mailbox: KeyPair, handle?: number, token?: Uint8Array): Promise<RawClient>;
	/** A connection with a grant of its own. */
	sender(wish?: GrantWish): Promise<RawClient & { grant: Grant }>;
};

export function relayConfig(market: FakeMarket, change: Partial<RelayConfig> = {}): RelayConfig {
	const operator = keys().publicKey;
	return { ...RELAY_DEFAULTS, port: 0, marketUrl: market.url, operator, tariff: TARIFF, ...change };
}

export function relayDeps(change: Partial<RelayDeps> = {}): RelayDeps {
	return {
		crypto,
		clock: systemClock,
		random: Math.random,
		fetch,
		log: openSilentLog(),
		processMetrics: false,
		...change,
	};
}

/** Starts a market and a relay; both are stopped when the test ends. */
export async function startTestRelay(
	t: TestContext,
	change: Partial<RelayConfig> = {},
	more: Partial<RelayDeps> & { market?: FakeMarket } = {},
): Promise<TestRelay> {
	const { market: given, ...depsChange } = more;
	const market = given ?? (await FakeMarket.start());
	const config = relayConfig(market, change);
	const deps = relayDeps(depsChange);
	const relay: RunningRelay | Problem = await startRelay(config, deps);
	assert(!isProblem(relay), isProblem(relay) ? relay.detail : "");
	const clients: RawClient[] = [];
	t.after(async () => {
		for (const client of clients) client.ws.terminate();
		await relay.stop();
		if (!given) await market.stop();
	});
	const connect = async (): Promise<RawClient> => {
		const client = await RawClient.connect(`ws://127.0.0.1:${relay.port}`, relay.publicKey);
		clients.push(client);
		return client;
	};
	const reader = async (): Promise<RawClient> => {
		const client = await connect();
		client.put(client.helloFrame());
		await client.welcome();
		return client;
	};
	return Object.assign(relay, {
		market,
		deps,
		config,
		connect,
		reader,
		listener: async (mailbox: KeyPair, handle = 1, token?: Uint8Array) => {
			const client = await reader();
			client.put(client.listenFrame(handle, mailbox, token));
			await client.listening();
			return client;
		},
		sender: async (wish: GrantWish = {}) => {
			const client = await connect();
			const session: KeyPair = keys();
			const grant = market.grant(relay.publicKey, session.publicKey, wish);
			client.put(client.helloFrame({ grant, session }));
			await client.welcome();
			return Object.assign(client, { grant });
		},
	});
}
