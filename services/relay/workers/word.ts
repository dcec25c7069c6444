/** What a relay's parent and its workers say to each other over the channel between them. Structured clones: keys are bytes, money is bigint. */

import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { Problem } from "#contracts/problem";
import type { HealthReport } from "#host/health";
import type { LogLevel } from "#host/log";
import type { RelayConfig } from "#relay/config";
import type { Caps } from "#relay/operator/caps";
import type { RelayState } from "#relay/operator/state";
import type { Share } from "./share.ts";

/** What a worker is started with. */
export type WorkerTerms = {
	readonly share: Share;
	/** As its owner gave it, but for the worker's own folder. */
	readonly config: RelayConfig;
	/** The whole relay's folder. */
	readonly folder: string | undefined;
	readonly url: string;
	/** Its share. */
	readonly caps: Caps;
	/** The relay's own key, as the seed that its file holds. */
	readonly seed: Uint8Array;
	/** Sockets between workers, by number, and what opens them. */
	readonly paths: readonly string[];
	readonly secret: Uint8Array;
	readonly logLevel: LogLevel;
};

/** What a worker knows of itself. */
export type WorkerReport = {
	readonly health: HealthReport;
	readonly state: RelayState;
	readonly metrics: MetricObjectWithValues<MetricValue<string>>[];
};

/** From the parent. `take` comes with a connection. */
export type ParentWord =
	| { readonly say: "start"; readonly terms: WorkerTerms }
	| { readonly say: "take"; readonly read: Uint8Array }
	| { readonly say: "report"; readonly ask: number }
	/** Its share of the caps from now on. */
	| { readonly say: "caps"; readonly caps: Caps }
	/** Say goodbye to everyone, and say `settled` once nothing is under way to another worker. */
	| { readonly say: "stop" }
	/** All others are settled too. */
	| { readonly say: "close" };

/** From a worker. */
export type WorkerWord =
	| { readonly say: "ready" }
	| { readonly say: "refused"; readonly why: Problem }
	| { readonly say: "took" }
	| { readonly say: "report"; readonly ask: number; readonly report: WorkerReport }
	| { readonly say: "settled" };
