/** A whole market on this machine: the real marketplace, real relays on real disks, and people with the SDK. Real time. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Amount, amount, formatAmount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import type { AuditReport } from "#marketplace/ledger/audit";
import { auditFile } from "#marketplace/ledger/sqlite";
import { type RunningMarketplace, startMarketplace } from "#marketplace/main";
import { checkPayouts } from "#marketplace/payout/check";
import { ledgerPath } from "#marketplace/stores";
import { checkTabs } from "#marketplace/tab/check";
import { RELAY_DEFAULTS, type RelayConfig } from "#relay/config";
import { type RunningRelay, startRelay } from "#relay/relay";
import { type Client, type ClientOptions, createClient } from "#sdk/client";
import { memoryStorage, type Storage } from "#sdk/storage";
import { fine } from "./market.ts";

/** A relay with its folder and port: stopped and started it is the same. */
export type WorldRelay = {
	running: RunningRelay;
	readonly config: RelayConfig;
	/** Stops it in order and starts it again on the same port and folder. */
	restart(change?: Partial<RelayConfig>): Promise<void>;
};

export type World = {
	readonly market: RunningMarketplace;
	relay(change?: Partial<RelayConfig>): Promise<WorldRelay>;
	/** Somebody with play money; give `storage` to start the same person again. */
	person(given?: Partial<ClientOptions> & { dollars?: Amount }): Promise<Client & { storage: Storage }>;
	/** Stops everything, proves the ledger, and removes what is on disk. */
	end(): Promise<AuditReport>;
};

export async function startWorld(): Promise<World> {
	const folder = await mkdtemp(join(tmpdir(), "farelay-world-"));
	const log = openSilentLog();
	const ledger = join(folder, "market");
	const market = fine(await startMarketplace(playConfig(ledger), { clock: systemClock, log, crypto }));
	const relays: WorldRelay[] = [];
	const people: Client[] = [];
	const start = async (config: RelayConfig) =>
		fine(await startRelay(config, { crypto, clock: systemClock, random: () => 0.5, fetch, log }));
	return {
		market,
		async relay(change = {}) {
			const config: RelayConfig = {
				...RELAY_DEFAULTS,
				port: 0,
				data: join(folder, `relay-${relays.length}`),
				marketUrl: market.url,
				operator: crypto.keyPair(crypto.random(32)).publicKey,
				...change,
			};
			const relay: WorldRelay = {
				running: await start(config),
				config,
				async restart(again = {}) {
					const { port } = relay.running;
					await relay.running.stop();
					relay.running = await start({ ...config, ...again, port });
				},
			};
			relays.push(relay);
			fine(await relay.running.announce());
			return relay;
		},
		async person({ dollars = amount(1_000_000_000n), ...given } = {}) {
			const storage = given.storage ?? memoryStorage();
			const client = await createClient({ ...given, storage, market: market.url });
			people.push(client);
			// The id is the account's, so that the same person is not given more when started again.
			if (dollars > 0n)
				await client.market.api.funding.play.mutate({ id: "start-money", amount: formatAmount(dollars) });
			return Object.assign(client, { storage });
		},
		async end() {
			for (const client of people) await client.close();
			for (const { running } of relays) await running.stop();
			await market.stop();
			const report = await auditFile(ledgerPath(ledger), [checkTabs, checkPayouts]);
			await rm(folder, { recursive: true, force: true });
			if (isProblem(report)) throw new Error(report.detail);
			return report;
		},
	};
}
