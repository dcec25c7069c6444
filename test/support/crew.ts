/** A relay of several workers to test against: real processes, real sockets, a market that can be told what to do. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { FRAME } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import { shardUrl } from "#contracts/shard";
import type { RelayConfig } from "#relay/config";
import { type RunningCrew, startCrew } from "#relay/workers/parent";
import { workerOfId } from "#relay/workers/share";
import { FakeMarket, type GrantWish } from "./fakemarket.ts";
import { keys, RawClient, until } from "./rawclient.ts";
import { relayConfig, relayDeps } from "./relay.ts";

/** A mailbox key that a worker of so many has. */
export function keysAt(worker: number, workers: number): KeyPair {
	for (;;) {
		const pair = keys();
		if (workerOfId(pair.publicKey, workers) === worker) return pair;
	}
}

export type TestCrew = RunningCrew & {
	readonly market: FakeMarket;
	readonly workers: number;
	readonly folder: string;
	readonly config: RelayConfig;
	/** A connection for a tab or mailbox that has said nothing yet. */
	connect(id: Uint8Array): Promise<RawClient>;
	/** A connection that listens on a mailbox. */
	reader(mailbox: KeyPair, token?: Uint8Array): Promise<RawClient>;
	/** A grant on a tab that a worker has. */
	grantAt(worker: number, session: KeyPair, wish?: GrantWish): Grant;
	/** A connection with a tab at a worker, on a grant of its own or one that is given. */
	sender(worker: number, given?: { grant: Grant; session: KeyPair; tag?: Uint8Array }): Promise<RawClient>;
	/** Kills a worker's process. */
	kill(worker: number): Promise<void>;
	/** Waits until the workers have found each other: just after a start what is for another is to be sent again. */
	linked(): Promise<void>;
	/** Waits until all workers are up. */
	whole(): Promise<void>;
};

/** Starts a market and a relay of several workers; both are stopped when the test ends. */
export async function startTestCrew(t: TestContext, workers = 2, change: Partial<RelayConfig> = {}): Promise<TestCrew> {
	const market = await FakeMarket.start();
	const folder = await mkdtemp(join(tmpdir(), "farelay-crew-"));
	const config = relayConfig(market, { data: folder, ...change });
	const crew = await startCrew(config, workers, { ...relayDeps(), logLevel: "silent" });
	assert(!isProblem(crew), isProblem(crew) ? crew.detail : "");
	const clients: RawClient[] = [];
	t.after(async () => {
		for (const client of clients) client.ws.terminate();
		await crew.stop();
		await market.stop();
		await rm(folder, { recursive: true, force: true, maxRetries: 5 });
	});
	const connect = async (id: Uint8Array): Promise<RawClient> => {
		const client = await RawClient.connect(shardUrl(crew.url, id), crew.publicKey);
		clients.push(client);
		return client;
	};
	const grantAt = (worker: number, session: KeyPair, wish: GrantWish = {}): Grant => {
		for (;;) {
			const grant = market.grant(crew.publicKey, session.publicKey, wish);
			if (workerOfId(grant.tab, workers) === worker) return grant;
		}
	};
	const sender = async (worker: number, given?: { grant: Grant; session: KeyPair; tag?: Uint8Array }) => {
		const session = given?.session ?? keys();
		const grant = given?.grant ?? grantAt(worker, session);
		const client = await connect(grant.tab);
		if (given?.tag) client.tag = given.tag;
		client.put(client.helloFrame({ grant, session }));
		await client.welcome();
		return client;
	};
	const findsNext = async (worker: number): Promise<void> => {
		const alice = await sender(worker);
		const { publicKey } = keysAt((worker + 1) % workers, workers);
		alice.put(alice.openFrame(1, publicKey, 0), alice.payFrame(1_000));
		for (let tries = 1; tries === 1 || alice.refused.get(0) === "disk"; tries++) {
			alice.put(alice.sendFrame(1, 0, new Uint8Array(1)));
			await until("an answer", () => alice.of(FRAME.refused).length === tries);
		}
		await alice.end();
	};
	return Object.assign(crew, {
		linked: async () => {
			for (let worker = 0; worker < workers; worker++) await findsNext(worker);
		},
		sender,
		market,
		workers,
		folder,
		config,
		connect,
		grantAt,
		reader: async (mailbox: KeyPair, token?: Uint8Array) => {
			const client = await connect(mailbox.publicKey);
			client.put(client.helloFrame(), client.listenFrame(1, mailbox, token));
			await client.listening();
			return client;
		},
		kill: async (worker: number) => {
			const pid = crew.pids[worker];
			assert(pid !== undefined);
			process.kill(pid, "SIGKILL");
			await until("the worker's end", () => crew.pids[worker] !== pid || undefined);
		},
		whole: () => until("all workers", () => crew.pids.every((pid) => pid !== undefined) || undefined).then(() => {}),
	});
}
