/** A relay's parts, and how each is given those that it needs. Starting and stopping them is `relay.ts`. */

import { BlockList } from "node:net";
import type { Registry } from "prom-client";
import type { KeyPair } from "#contracts/identity";
import { readNetworks } from "#host/address";
import type { Health } from "#host/health";
import type { RelayConfig } from "./config.ts";
import type { Disks } from "./disks.ts";
import { gaugesOf } from "./gauges.ts";
import type { RelayLimits } from "./limit.ts";
import { Desk } from "./mailbox/desk.ts";
import { MarketKeys } from "./market/market.ts";
import { Redeemer } from "./market/redeemer.ts";
import { Trust } from "./market/trust.ts";
import { Counts, openMetrics } from "./metrics.ts";
import type { CapsBook } from "./operator/caps.ts";
import { Gate, Operator } from "./operator/operator.ts";
import { Throttle } from "./operator/throttle.ts";
import { Traffic } from "./operator/traffic.ts";
import type { RelayParts } from "./parts.ts";
import type { RelayDeps } from "./relay.ts";
import { Greeter } from "./session/hello.ts";
import { Newcomers } from "./session/newcomers.ts";
import { Router } from "./session/router.ts";
import { Port } from "./session/server.ts";
import { Tabs } from "./tab/tabs.ts";
import { Tags } from "./tag/tags.ts";

/** A relay whose parts are joined, and that does nothing yet. */
export type Assembly = {
	readonly parts: RelayParts;
	readonly desk: Desk;
	readonly market: MarketKeys;
	readonly redeemer: Redeemer;
	readonly port: Port;
	readonly metrics: Registry;
	readonly operator: Operator;
};

/** Makes the parts and joins them. */
export function assemble(
	config: RelayConfig,
	deps: RelayDeps,
	limits: RelayLimits,
	relay: KeyPair,
	disks: Disks,
	health: Health,
	caps: CapsBook,
): Assembly {
	const { crypto, clock, log } = deps;
	const { store, till } = disks;
	const counts = new Counts();
	const market = new MarketKeys({
		...deps,
		limits,
		marketUrl: config.marketUrl,
		pin: config.marketKey,
		folder: deps.part ? deps.part.folder : config.data,
	});
	const tags: Tags = new Tags(store, limits, (error) => desk.failed(error));
	const onDisk = (works: boolean): void => {
		health.report("disk", works ? undefined : "disk");
		router.relieve();
		operator.look();
	};
	const desk: Desk = new Desk({ store, tags, clock, limits, log, onDisk });
	const router: Router = new Router(desk, clock, limits, counts, deps.part?.far);
	const { marketUrl, unconfirmedNanos } = config;
	const trust = new Trust({ ...deps, limits, market, marketUrl, unconfirmedNanos });
	const tabs = new Tabs({ crypto, till, relay, trust }, limits);
	const owns = (id: Uint8Array): boolean => deps.part?.owns(id) ?? true;
	const greeter = new Greeter({ crypto, relay, clock, market, tabs, trust, limits, owns });
	const newcomers = new Newcomers(limits.newMailboxesPerHourMax, clock.elapsedMs);
	const newTabs = new Newcomers(limits.newTabsPerHourMax, clock.elapsedMs);
	const gate = new Gate();
	const traffic = new Traffic({ clock, log, folder: config.data });
	const throttle = new Throttle(clock, () => counts.delays.bandwidth++);
	const operator = new Operator({ caps, gate, traffic, throttle, store });
	const parts: RelayParts = {
		crypto,
		clock,
		log,
		relay,
		limits,
		plain: config.plain,
		store,
		owns,
		greeter,
		router,
		newcomers,
		newTabs,
		tabs,
		tags,
		counts,
		gate,
		traffic,
		throttle,
	};
	const redeemer = new Redeemer({
		...deps,
		limits,
		relay,
		market,
		marketUrl: config.marketUrl,
		tabs,
		till,
		counts,
		trust,
		everyMs: config.redeemEveryMs,
	});
	const strangers = (): number => port.unknown;
	const gauges = gaugesOf(parts, { till, operator, health, strangers, slowed: () => desk.slowedCount });
	const metrics = openMetrics(counts, gauges, deps.processMetrics ?? true);
	const { host, port: wanted, trustProxy, helloMs, idleMs } = config;
	const trusted = readNetworks(trustProxy) ?? new BlockList();
	const port: Port = new Port({ parts, health, metrics, host, port: wanted, trusted, helloMs, idleMs });
	return { parts, desk, market, redeemer, port, metrics, operator };
}
