/**
 * A relay of several workers: this process has the port, the folder's lock, the relay's key and its listing at the market; everything else
 * is the workers' (docs/decisions/workers.md). It reads no WebSocket.
 */

import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AggregatorRegistry, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { HASH_BYTES } from "#contracts/identity";
import { isProblem, type Problem } from "#contracts/problem";
import { type HealthReport, makeHealth } from "#host/health";
import { type FolderLock, lockFolder } from "#host/lock";
import type { LogLevel } from "#host/log";
import { isFromHere } from "#host/loopback";
import { checkRelayConfig, type RelayConfig, urlOf } from "#relay/config";
import { openRelaySeed } from "#relay/key";
import { RELAY_LIMITS } from "#relay/limit";
import { Announcer, offerOf } from "#relay/market/announce";
import { MarketKeys, waitBriefly } from "#relay/market/market";
import { type CapsBook, type Change, openCaps } from "#relay/operator/caps";
import { openDoor } from "#relay/operator/door";
import { leftOf } from "#relay/operator/operator";
import { addStates, type RelayState } from "#relay/operator/state";
import type { RelayDeps } from "#relay/relay";
import { sharesOf } from "./capshares.ts";
import { Crew } from "./crew.ts";
import { Doorman } from "./doorman.ts";
import { layOut } from "./layout.ts";
import { workerOf } from "./share.ts";

/** How often workers are asked what they used: a cap is passed by no more than what they had left together meanwhile. */
const LOOK_EVERY_MS = 5_000;
/** How old what workers said of themselves may be when anybody asks how the relay is: counting walks all their tabs. */
const HEALTH_MS = 1_000;
/** A unix socket's address has 108 bytes on Linux and 104 elsewhere, its end included. */
const SOCKET_PATH_BYTES_MAX = 100;

/** What a parent is given besides its settings. */
export type ParentDeps = Pick<RelayDeps, "crypto" | "clock" | "random" | "fetch" | "log"> & {
	readonly logLevel: LogLevel;
};

/** A relay of several workers that runs. */
export type RunningCrew = {
	readonly url: string;
	readonly port: number;
	readonly publicKey: Uint8Array;
	/** As `/health` says it. */
	health(): Promise<HealthReport>;
	/** The workers' process ids, by number; undefined for one that is away. */
	readonly pids: readonly (number | undefined)[];
	/** Stops the workers in order, and then itself; within some seconds, whatever hangs. */
	stop(): Promise<void>;
};

/** Starts a relay of so many workers, or says why not. It starts without the market too. */
export async function startCrew(
	config: RelayConfig,
	workers: number,
	deps: ParentDeps,
): Promise<RunningCrew | Problem> {
	const wrong = checkRelayConfig(config);
	if (wrong) return wrong;
	const lock = config.data === undefined ? { release: () => {} } : lockFolder(config.data);
	if (isProblem(lock)) return lock;
	const started = await start(config, workers, deps, lock);
	if (isProblem(started)) lock.release();
	return started;
}

async function start(
	config: RelayConfig,
	workers: number,
	deps: ParentDeps,
	lock: FolderLock,
): Promise<RunningCrew | Problem> {
	const { crypto, clock, log, logLevel } = deps;
	const limits = { ...RELAY_LIMITS, ...config.limits };
	const seed = await openRelaySeed(crypto, config.data);
	if (isProblem(seed)) return seed;
	const relay = crypto.keyPair(seed);
	const opened = openCaps(config, config.data);
	if (isProblem(opened)) return opened;
	const caps: CapsBook = opened;
	const startedAtMs = clock.nowMs();
	let states: (RelayState | undefined)[] = Array.from({ length: workers }, () => undefined);
	const folders = config.data === undefined ? [] : await layOut(config.data, workers);
	if (isProblem(folders)) return folders;
	const { marketUrl } = config;
	const market = new MarketKeys({ ...deps, limits, marketUrl, pin: config.marketKey, folder: config.data });
	const forgotten = await market.restore();
	if (forgotten) return forgotten;
	await waitBriefly(clock, market.refresh());
	const sockets = socketsOf(config.data, workers);
	const secret = crypto.random(HASH_BYTES);
	const health = makeHealth();
	let url = "";
	const crew = new Crew({
		clock,
		log,
		workers,
		termsOf: (worker) => ({
			share: { worker, workers },
			// all workers work with the market that the first answer showed
			config: {
				...config,
				data: folders[worker],
				marketKey: market.root,
				unconfirmedNanos: config.unconfirmedNanos / BigInt(workers),
			},
			folder: config.data,
			url,
			caps: sharesOf(caps.now, states)[worker] ?? caps.now,
			seed,
			paths: sockets.paths,
			secret,
			logLevel,
		}),
	});
	let next = 0;
	const doorman = new Doorman({
		...config,
		trustProxy: config.trustProxy !== "",
		clock,
		limits,
		hand: (shard, socket, read) => {
			// who names no shard may be lucky; if not, the worker says where to go
			const worker = shard === undefined ? next++ % workers : workerOf(shard, workers);
			return crew.hand(worker, socket, read);
		},
		answer: (request, response) => void answer(request, response),
	});
	const registry = new Registry();
	collectDefaultMetrics({ register: registry });
	const gauge = (name: string, help: string, value: () => number) =>
		new Gauge({
			name: `farelay_relay_${name}`,
			help,
			registers: [registry],
			collect() {
				this.set(value());
			},
		});
	gauge("workers", "Worker processes that are up.", () => crew.up);
	gauge("worker_restarts", "Worker processes that were started again.", () => crew.restarts);

	async function healthNow(): Promise<HealthReport> {
		const reports = await crew.reports(HEALTH_MS);
		const { pids } = crew;
		for (const [worker, report] of reports.entries()) {
			const there = pids[worker] === undefined ? undefined : report;
			health.report(`worker-${worker}`, there ? Object.values(there.health.troubles)[0] : "unavailable");
		}
		return health.now();
	}

	async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const path = request.url?.split("?")[0];
		response.setHeader("cache-control", "no-store").setHeader("x-content-type-options", "nosniff");
		if (request.method !== "GET") response.writeHead(405).end();
		else if (path === "/health") {
			const now = await healthNow();
			response.writeHead(now.ok ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(now));
		} else if (path === "/metrics" && isFromHere(request)) {
			const reports = await crew.reports();
			const all = [await registry.getMetricsAsJSON(), ...reports.flatMap((report) => (report ? [report.metrics] : []))];
			const text = await AggregatorRegistry.aggregate(all).metrics();
			response.writeHead(200, { "content-type": registry.contentType }).end(text);
		} else response.writeHead(404).end();
	}

	const port = await doorman.listen();
	if (isProblem(port)) {
		sockets.remove();
		return port;
	}
	url = urlOf(config, port);
	const refused = await crew.start();
	if (refused) {
		doorman.close();
		sockets.remove();
		return refused;
	}
	/** Looks what each worker has used, and shares what is left. A worker that is away keeps what it last said. */
	async function look(): Promise<void> {
		const reports = await crew.reports();
		states = states.map((before, worker) => reports[worker]?.state ?? before);
		crew.share(sharesOf(caps.now, states));
	}

	function stateNow(): RelayState | undefined {
		const [first, ...others] = states.filter((state) => state !== undefined);
		if (!first) return undefined;
		const sum = addStates([first, ...others]);
		const left = (capGb: number, usedBytes: number) => (capGb > 0 ? Math.max(0, capGb * 1e9 - usedBytes) : null);
		return {
			...sum,
			atMs: clock.nowMs(),
			startedAtMs,
			caps: caps.now,
			traffic: { ...sum.traffic, leftBytes: left(caps.now.trafficGbMonth, sum.traffic.usedBytes) },
			disk: { ...sum.disk, leftBytes: left(caps.now.diskGb, sum.disk.bytes) },
			market: { ...sum.market, keys: market.last ?? null, listing: announcer.last ?? null },
		};
	}

	async function state(): Promise<RelayState> {
		await look();
		const now = stateNow();
		if (!now) throw new Error("no worker has said how it is");
		return now;
	}

	async function change(asked: Change): Promise<Problem | undefined> {
		const wrong = await caps.change(asked);
		if (wrong) return wrong;
		crew.share(sharesOf(caps.now, states));
		announcer.soon();
		return undefined;
	}

	const announcer: Announcer = new Announcer({
		...deps,
		limits,
		relay,
		market,
		marketUrl,
		everyMs: config.announceEveryMs,
		offer: () => offerOf(config, url, leftOf(caps.now, stateNow())),
	});
	await look();
	await waitBriefly(clock, announcer.start());
	const stopLooking = clock.every(LOOK_EVERY_MS, () => void look());
	const door = config.data === undefined ? undefined : await openDoor({ log, folder: config.data, state, change });
	if (isProblem(door)) log.warn({ problem: door.problem }, door.detail);
	const stopRefresh = clock.every(limits.sweepEveryMs, () => {
		if (market.due) void market.refresh();
	});
	let stopping: Promise<void> | undefined;

	async function stop(): Promise<void> {
		health.drain();
		doorman.drain();
		announcer.stop();
		stopRefresh();
		stopLooking();
		if (door && !isProblem(door)) door.close();
		await crew.stop();
		doorman.close();
		sockets.remove();
		lock.release();
	}

	return {
		url,
		port,
		publicKey: relay.publicKey,
		health: healthNow,
		get pids() {
			return crew.pids;
		},
		stop: () => {
			stopping ??= stop();
			return stopping;
		},
	};
}

/** Where the workers' sockets are: in the data folder, or where its path is too long or it has none, in a temporary one. Only the owner may enter. */
function socketsOf(data: string | undefined, workers: number): { paths: string[]; remove: () => void } {
	const name = (folder: string, worker: number) => join(folder, `${worker}.sock`);
	const own = data === undefined ? undefined : join(data, "links");
	const fits = own !== undefined && Buffer.byteLength(name(own, workers)) <= SOCKET_PATH_BYTES_MAX;
	const folder = fits ? own : mkdtempSync(join(tmpdir(), "farelay-"));
	mkdirSync(folder, { recursive: true, mode: 0o700 });
	chmodSync(folder, 0o700);
	return {
		paths: Array.from({ length: workers }, (_, worker) => name(folder, worker)),
		remove: () => rmSync(folder, { recursive: true, force: true }),
	};
}
