/**
 * One worker's process: a whole relay for its shards, told by its parent what to do. When the parent is gone it stops by itself, so that
 * nothing of a relay outlives it.
 */

import type { Socket } from "node:net";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openLog } from "#host/log";
import { RELAY_LIMITS, type RelayLimits } from "#relay/limit";
import { type RunningRelay, startRelay } from "#relay/relay";
import type { WorkerPart } from "#relay/workerpart";
import { Neighbours } from "./neighbours.ts";
import { workerOfId } from "./share.ts";
import type { ParentWord, WorkerTerms, WorkerWord } from "./word.ts";

/** Bounds of the whole relay that one address could otherwise have once at each worker. */
const SHARED: readonly (keyof RelayLimits)[] = [
	"strangersMax",
	"strangersPerAddressMax",
	"acceptsPerSecondMax",
	"connectionsPerAddressMax",
	"acceptsPerAddressMax",
	"newMailboxesPerHourMax",
	"newTabsPerHourMax",
];

/** How long a worker of a parent that was killed may take to stop, and keeps its folder. */
const ORPHAN_MS = 8_000;

/** Runs a worker until its parent says stop, or is gone. */
export function runWorker(): void {
	let running: Promise<RunningRelay | undefined> | undefined;
	let relay: RunningRelay | undefined;
	const others = Promise.withResolvers<void>();

	function say(word: WorkerWord): void {
		if (process.connected) process.send?.(word);
	}

	async function start(terms: WorkerTerms): Promise<RunningRelay | undefined> {
		const { share, config, folder, url, caps, seed, paths, secret, logLevel } = terms;
		const log = openLog({ name: "relay", level: logLevel }).child({ worker: share.worker });
		const clock = systemClock;
		const neighbours = new Neighbours({ share, paths, secret, clock, log });
		const part: WorkerPart = {
			relay: crypto.keyPair(seed),
			folder,
			url,
			caps,
			owns: (id) => workerOfId(id, share.workers) === share.worker,
			far: neighbours,
			meet: (parts, desk) => {
				neighbours.link(parts.tags);
				return neighbours.serve(parts, desk);
			},
			flush: () => neighbours.flush(),
			settled: async () => {
				await neighbours.settled();
				say({ say: "settled" });
				await others.promise;
			},
			leave: () => neighbours.stop(),
		};
		const limits: Partial<RelayLimits> = { ...RELAY_LIMITS, ...config.limits };
		for (const name of SHARED) Object.assign(limits, { [name]: Math.ceil((limits[name] as number) / share.workers) });
		const onDeath = (): never => process.exit(1);
		const deps = { crypto, clock, random: Math.random, fetch, log, onDeath, part };
		const endMs = clock.elapsedMs() + ORPHAN_MS;
		let started = await startRelay({ ...config, limits }, deps);
		while (isProblem(started) && started.problem === "conflict" && clock.elapsedMs() < endMs) {
			await new Promise<void>((resolve) => void clock.after(100, resolve));
			started = await startRelay({ ...config, limits }, deps);
		}
		if (isProblem(started)) {
			say({ say: "refused", why: started });
			neighbours.stop();
			return undefined;
		}
		relay = started;
		say({ say: "ready" });
		return relay;
	}

	async function stop(): Promise<void> {
		await (await running)?.stop();
		process.exit(0);
	}

	process.on("message", (word: ParentWord, socket?: Socket) => {
		switch (word.say) {
			case "start":
				running ??= start(word.terms);
				break;
			case "take":
				say({ say: "took" });
				// it may have ended on its way here; before `ready` nobody is sent here
				if (relay && socket) relay.take(socket, word.read);
				else socket?.destroy();
				break;
			case "report":
				void report(word.ask);
				break;
			case "caps":
				// nothing is written down for it here, so it cannot fail
				void relay?.change(word.caps);
				break;
			case "stop":
				void stop();
				break;
			case "close":
				others.resolve();
		}
	});

	async function report(ask: number): Promise<void> {
		if (!relay) return;
		const { health, metrics } = relay;
		say({
			say: "report",
			ask,
			report: { health: health.now(), state: relay.state(), metrics: await metrics.getMetricsAsJSON() },
		});
	}

	// the parent's word counts, not a terminal's that everybody hears
	process.on("SIGINT", () => {});
	process.on("SIGTERM", () => {});
	process.once("disconnect", () => {
		others.resolve();
		void stop();
	});
}

if (import.meta.main) runWorker();
