/** Starts a relay and ends it in order. Its parts, which know nothing of the whole, are put together in `assembly.ts`. */

import type { Socket } from "node:net";
import type { Registry } from "prom-client";
import type { Crypto } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { type Health, makeHealth } from "#host/health";
import { type FolderLock, lockFolder } from "#host/lock";
import type { Log } from "#host/log";
import { type Assembly, assemble } from "./assembly.ts";
import { checkRelayConfig, type RelayConfig, urlOf } from "./config.ts";
import { type Disks, openDisks } from "./disks.ts";
import { openRelayKey } from "./key.ts";
import { RELAY_LIMITS, type RelayLimits } from "./limit.ts";
import type { MailStore } from "./mailbox/store.ts";
import { Announcer, offerOf } from "./market/announce.ts";
import { waitBriefly } from "./market/market.ts";
import type { Counts } from "./metrics.ts";
import { type Change, openCaps } from "./operator/caps.ts";
import { openDoor } from "./operator/door.ts";
import { type RelayState, readState } from "./operator/state.ts";
import type { Till } from "./till/till.ts";
import { startUpkeep } from "./upkeep.ts";
import type { WorkerPart } from "./workerpart.ts";

/** What a relay is given besides its settings. */
export type RelayDeps = {
	readonly crypto: Crypto;
	readonly clock: Clock;
	/** From 0 to 1, for jitter only. */
	readonly random: () => number;
	readonly fetch: typeof fetch;
	readonly log: Log;
	/** Disks other than the usual ones: SQLite in the data folder, memory without one. */
	readonly store?: MailStore;
	readonly till?: Till;
	/** Told when something broke for good: the process should stop. */
	readonly onDeath?: (why: Error) => void;
	/** Whether `/metrics` shows the process too; not where several relays share one. Default true. */
	readonly processMetrics?: boolean;
	/** Set for one worker of several. It does not listen, is handed its connections, and lists itself nowhere. */
	readonly part?: WorkerPart;
};

/** A relay that runs. */
export type RunningRelay = {
	/** Where clients find it. */
	readonly url: string;
	readonly port: number;
	readonly publicKey: Uint8Array;
	readonly counts: Counts;
	readonly health: Health;
	readonly metrics: Registry;
	/** Takes over a connection of which these bytes were read, the beginning of an upgrade. */
	take(socket: Socket, read: Uint8Array): void;
	/** Posts what was earned, now; the problem when the market did not answer. */
	redeem(): Promise<Problem | undefined>;
	/** Says to the market what it offers, now. */
	announce(): Promise<Problem | undefined>;
	/** Earned and not yet paid. */
	unredeemedNanos(): bigint;
	/** What its operator sees. */
	state(): RelayState;
	/** Changes its caps, or pauses it; the problem when that could not be written down. */
	change(change: Change): Promise<Problem | undefined>;
	/** Says goodbye to everyone, writes everything down, redeems once, and closes; within some seconds, whatever hangs. */
	stop(): Promise<void>;
};

/** Starts a relay, or says why not. It starts without the market too. */
export async function startRelay(config: RelayConfig, deps: RelayDeps): Promise<RunningRelay | Problem> {
	const wrong = checkRelayConfig(config);
	if (wrong) return wrong;
	// two processes on one till would each count the same vouchers as their own
	const lock = config.data === undefined ? { release: () => {} } : lockFolder(config.data);
	if (isProblem(lock)) return lock;
	const started = await start(config, deps, lock);
	if (isProblem(started)) lock.release();
	return started;
}

async function start(config: RelayConfig, deps: RelayDeps, lock: FolderLock): Promise<RunningRelay | Problem> {
	const limits: RelayLimits = { ...RELAY_LIMITS, ...config.limits };
	const { part } = deps;
	const relay = part?.relay ?? (await openRelayKey(deps.crypto, config.data));
	if (isProblem(relay)) return relay;
	const health = makeHealth();
	// a worker's caps are its parent's to remember
	const caps = openCaps(part?.caps ?? config, part ? undefined : config.data);
	if (isProblem(caps)) return caps;
	const disks = await openDisks(config.data, { ...deps, health });
	if (isProblem(disks)) return disks;
	const built = assemble(config, deps, limits, relay, disks, health, caps);
	const forgotten = await built.market.restore();
	if (!forgotten) await waitBriefly(deps.clock, built.market.refresh());
	const port = forgotten ?? (part ? ((await part.meet(built.parts, built.desk)) ?? 0) : await built.port.listen());
	if (typeof port !== "number") {
		await Promise.all([disks.store.close(), disks.till.close()]);
		return port;
	}
	const url = part?.url ?? urlOf(config, port);
	const announcer = new Announcer({
		...deps,
		limits,
		relay,
		market: built.market,
		marketUrl: config.marketUrl,
		everyMs: config.announceEveryMs,
		offer: () => offerOf(config, url, built.operator.offer),
	});
	// a worker has no listing of its own
	if (!part) built.operator.onChange = () => announcer.soon();
	const startedAtMs = deps.clock.nowMs();
	const { parts, operator, market, redeemer } = built;
	const state = (): RelayState =>
		readState({
			parts,
			operator,
			health,
			url,
			marketUrl: config.marketUrl,
			startedAtMs,
			strangers: built.port.unknown,
			asked: { keys: market.last ?? null, listing: announcer.last ?? null, redemption: redeemer.last ?? null },
		});
	const change = (asked: Change) => operator.change(asked);
	const own = part ? undefined : config.data;
	const door = own === undefined ? undefined : await openDoor({ ...deps, folder: own, state, change });
	if (isProblem(door)) deps.log.warn({ problem: door.problem }, door.detail);
	const stopUpkeep = startUpkeep(parts, market, built.port, operator, part);
	if (!part) await waitBriefly(deps.clock, announcer.start());
	built.redeemer.start();
	void built.redeemer.redeem();
	let stopping: Promise<void> | undefined;
	return {
		url,
		port,
		publicKey: relay.publicKey,
		counts: built.parts.counts,
		health,
		metrics: built.metrics,
		take: (socket, read) => built.port.take(socket, read),
		redeem: () => built.redeemer.redeem(),
		announce: () => announcer.announce(),
		unredeemedNanos: () => built.parts.tabs.unredeemedNanos,
		state,
		change,
		stop: () => {
			stopping ??= stop(built, disks, health, limits, deps, () => {
				stopUpkeep();
				announcer.stop();
				if (door && !isProblem(door)) door.close();
			}).finally(() => lock.release());
			return stopping;
		},
	};
}

/** Drains: nobody new, goodbye, live mail and counts to the disk, one redemption, closed. Each step within what is left of the time. */
async function stop(
	{ parts, desk, redeemer, port, operator }: Assembly,
	disks: Disks,
	health: Health,
	limits: RelayLimits,
	deps: RelayDeps,
	stopTimers: () => void,
): Promise<void> {
	const endMs = deps.clock.elapsedMs() + limits.drainMs;
	const within = async (what: string, work: Promise<unknown>): Promise<void> => {
		const late = Promise.withResolvers<Problem>();
		const leftMs = Math.max(0, endMs - deps.clock.elapsedMs());
		const cancel = deps.clock.after(leftMs, () => late.resolve(problem("unavailable", `${what} took too long`)));
		const done = await Promise.race([work, late.promise]).catch((error: unknown) => ({ error }));
		cancel();
		if (isProblem(done)) deps.log.warn({ problem: done.problem, step: what }, "a step of stopping did not end well");
		else if (done instanceof Object && "error" in done) deps.log.error({ err: done.error, step: what }, "stopping");
	};
	health.drain();
	stopTimers();
	redeemer.stop();
	port.drain();
	await within("mail", desk.settled());
	if (deps.part) await within("other workers", deps.part.settled());
	deps.part?.leave();
	parts.tags.flush();
	// the count first: what is claimed and paid afterwards is noted beside it
	await within("till", parts.tabs.stop());
	await within("redemption", redeemer.redeem());
	port.close();
	await within("traffic", operator.close());
	await within("store", disks.store.close());
	await within("till", disks.till.close());
}
