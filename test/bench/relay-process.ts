/**
 * Our relay as its owner runs it: the verb `farelay relay` in a process of its own, with a real data folder (SQLite, synced to
 * disk), and the least market that it needs. Tabs are granted without money: what a market does is not measured here.
 */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { crypto } from "#host/crypto";
import { FakeMarket } from "#test/support/fakemarket";
import { CORE, start } from "./measure.ts";

/** What a client names at the upgrade (PROTOCOL.md, "Transport"). */
export const SUBPROTOCOL = "farelay.v1";

/** The verb starts with this (`client/cli/farelay.mjs`). */
export const RELAY_FLAGS = ["--max-semi-space-size=1"];

/** A relay's process. */
export type RelayProcess = {
	readonly pid: number;
	readonly port: number;
	/** Its public key, in hex. */
	readonly relay: string;
	/** So many new tabs, with the seeds of their session keys; the i-th with an id that `fits`. */
	tabs(count: number, fits?: (id: Uint8Array, i: number) => boolean): { grant: string; seed: string }[];
	stop(): Promise<void>;
};

/** Starts a relay pinned to the server's core or to `cores`. `flags` are Node's, `more` is the verb's. */
export async function startRelayProcess(
	flags: readonly string[] = RELAY_FLAGS,
	more: readonly string[] = [],
	cores: number | string = CORE.server,
): Promise<RelayProcess> {
	const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
	const market = await FakeMarket.start();
	const seed = crypto.random(32);
	const { publicKey } = crypto.keyPair(seed);
	const data = join(folder, "relay");
	mkdirSync(data, { mode: 0o700 });
	writeFileSync(join(data, "relay.key"), seed, { mode: 0o600 });
	const options = {
		"--port": "0",
		"--data": data,
		"--market-url": market.url,
		"--operator": toHex(crypto.keyPair(crypto.random(32)).publicKey),
	};
	const main = join(import.meta.dirname, "../../client/cli/main.ts");
	const child = start(cores, [...flags, main, "relay", ...Object.entries(options).flat(), ...more]);
	const ended = once(child, "close");
	const stop = async () => {
		child.kill("SIGTERM");
		await ended;
		await market.stop();
		rmSync(folder, { recursive: true, force: true });
	};
	try {
		const port = await portOf(child.stdout);
		return {
			pid: child.pid ?? 0,
			port,
			relay: toHex(publicKey),
			tabs: (count, fits = () => true) =>
				Array.from({ length: count }, (_, i) => {
					const session = crypto.random(32);
					const wish = {
						cap: LIMIT.capNanosMax,
						tariff: { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) },
					};
					let grant = market.grant(publicKey, crypto.keyPair(session).publicKey, wish);
					while (!fits(grant.tab, i)) grant = market.grant(publicKey, crypto.keyPair(session).publicKey, wish);
					return { grant: toHex(grant.bytes), seed: toHex(session) };
				}),
			stop,
		};
	} catch (error) {
		await stop();
		throw error;
	}
}

/** The port that the relay's log tells; the rest of the log is read and let go. */
async function portOf(log: NodeJS.ReadableStream | null): Promise<number> {
	if (!log) throw new Error("the relay has no log");
	const found = Promise.withResolvers<number>();
	const lines = createInterface({ input: log });
	lines.on("line", (line) => {
		const url = /"url":"ws:\/\/127\.0\.0\.1:(\d+)"/.exec(line);
		if (url) found.resolve(Number(url[1]));
	});
	lines.on("close", () => found.reject(new Error("the relay did not start")));
	return found.promise;
}
