/**
 * A relay as a process of its own: settings from flags, environment and file, an orderly stop on SIGTERM. The verb `farelay relay`
 * starts it with `--max-semi-space-size=1`: fresh 64 KiB read buffers otherwise push V8 into full collections (docs/bench).
 */

import { isProblem, type Problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openLog } from "#host/log";
import { makeStopping, stopOnSignal } from "#host/stop";
import { readRelayConfig } from "./config.ts";
import { type RunningRelay, startRelay } from "./relay.ts";
import { startCrew } from "./workers/parent.ts";

/** Runs a relay until it is told to stop. `onReady` hears of it once it serves. A problem when it could not start. */
export async function runRelay(
	flags: Readonly<Record<string, string | boolean | undefined>>,
	env: Readonly<Record<string, string | undefined>>,
	onReady: (relay: Pick<RunningRelay, "url">) => void = () => {},
): Promise<Problem | undefined> {
	const config = readRelayConfig({ flags, env });
	if (isProblem(config)) return config;
	const log = openLog({ name: "relay", level: config.logLevel });
	const clock = systemClock;
	const parts = { crypto, clock, random: Math.random, fetch, log };
	const stopping = makeStopping({ clock, log });
	const onDeath = (): void => void process.kill(process.pid, "SIGTERM");
	const { workers, logLevel } = config;
	const relay =
		workers > 1
			? await startCrew(config, workers, { ...parts, logLevel })
			: await startRelay(config, { ...parts, onDeath });
	if (isProblem(relay)) return relay;
	stopping.add("relay", () => relay.stop());
	log.info({ url: relay.url, port: relay.port }, "the relay is open");
	onReady(relay);
	await stopOnSignal(stopping);
	return undefined;
}

if (import.meta.main) {
	const refused = await runRelay({}, process.env);
	if (refused) {
		console.error(`farelay relay: ${refused.detail}`);
		process.exitCode = 1;
	}
}
