/** A market for tests of apps (`client/testing`): one marketplace and some relays in this process, in a temporary folder that goes with them. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { makeStopping, type Stopping } from "#host/stop";
import { playConfig } from "#marketplace/config";
import { startMarketplace } from "#marketplace/main";
import { RELAY_DEFAULTS, type RelayConfig } from "#relay/config";
import { type RunningRelay, startRelay } from "#relay/relay";

/** A relay that can be stopped and started again on its folder and port. */
export type OpenedRelay = {
	readonly key: Uint8Array;
	readonly url: string;
	stop(): Promise<void>;
	start(): Promise<void>;
};

/** A market that is up. */
export type OpenedMarket = { readonly url: string; readonly relays: readonly OpenedRelay[]; close(): Promise<void> };

/** More than a test of an app needs; each has threads and files of its own. */
const RELAYS_MAX = 8;

/** Tests wait for what is earned: relays redeem every second, not every minute. */
const REDEEM_EVERY_MS = 1_000;

/** Opens a market with so many relays; whatever did start is stopped again when something does not. */
export async function openTestMarket(relays: number): Promise<OpenedMarket | Problem> {
	if (!Number.isInteger(relays) || relays < 0 || relays > RELAYS_MAX)
		return problem("usage", `A test market has 0 to ${RELAYS_MAX} relays.`);
	const stopping = makeStopping({ clock: systemClock, log: openSilentLog() });
	const folder = await mkdtemp(join(tmpdir(), "farelay-test-"));
	stopping.add("folder", () => rm(folder, { recursive: true, force: true }));
	const opened = await open(folder, relays, stopping);
	if (isProblem(opened)) await stopping.stop("it did not start");
	return opened;
}

async function open(folder: string, count: number, stopping: Stopping): Promise<OpenedMarket | Problem> {
	const [clock, log] = [systemClock, openSilentLog()];
	const market = await startMarketplace(playConfig(join(folder, "market")), { clock, log, crypto });
	if (isProblem(market)) return market;
	stopping.add("market", async () => void (await market.stop()));
	const operator = crypto.keyPair(crypto.random(32)).publicKey;
	const relays: OpenedRelay[] = [];
	for (let index = 0; index < count; index++) {
		const relay = await openRelay({
			...RELAY_DEFAULTS,
			port: 0,
			data: join(folder, `relay-${index + 1}`),
			marketUrl: market.url,
			operator,
			redeemEveryMs: REDEEM_EVERY_MS,
		});
		if (isProblem(relay)) return relay;
		stopping.add(`relay ${index + 1}`, () => relay.stop());
		relays.push(relay);
	}
	return {
		url: market.url,
		relays,
		async close() {
			if (!(await stopping.stop("asked to"))) throw new Error("the test market did not stop as it should");
		},
	};

	/** Starts a relay and waits until the market lists it. */
	async function up(config: RelayConfig): Promise<RunningRelay | Problem> {
		const relay = await startRelay(config, {
			crypto,
			clock,
			random: Math.random,
			fetch,
			log,
			processMetrics: false,
		});
		if (isProblem(relay)) return relay;
		const refused = await relay.announce();
		if (!refused) return relay;
		await relay.stop();
		return refused;
	}

	async function openRelay(config: RelayConfig): Promise<OpenedRelay | Problem> {
		const first = await up(config);
		if (isProblem(first)) return first;
		let running: RunningRelay | undefined = first;
		return {
			key: first.publicKey,
			url: first.url,
			async stop() {
				const stopped = running;
				running = undefined;
				await stopped?.stop();
			},
			async start() {
				if (running) return;
				const again = await up({ ...config, port: first.port });
				if (isProblem(again)) throw new Error(`a relay did not start again: ${again.detail}`);
				running = again;
			},
		};
	}
}
