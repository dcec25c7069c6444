/**
 * The whole market in one process: a marketplace with play money and with Lightning of its own (`lightning/`), and two relays with different prices, each with its own
 * operator, folder, sockets and databases. They meet over the same HTTP and WebSockets as separate machines would.
 */

import { join } from "node:path";
import { parseDollars } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Tariff } from "#contracts/tariff";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openFolder } from "#host/folder";
import { lockFolder } from "#host/lock";
import { type Log, type LogLevel, openLog } from "#host/log";
import { makeStopping, type Stopping } from "#host/stop";
import { playConfig } from "#marketplace/config";
import { startMarketplace } from "#marketplace/main";
import type { Rail } from "#marketplace/rail/rail";
import { RELAY_DEFAULTS } from "#relay/config";
import { startRelay } from "#relay/relay";
import { type Client, createClient } from "#sdk/client";
import type { Hub } from "./lightning/hub.ts";

export type BoxOptions = {
	/** The folder of everything: `market/`, `relay-1/`, `relay-2/`, `people/`, `received/`. */
	readonly data: string;
	/** The market's port; the relays take the next two. 0: any that are free. */
	readonly port: number;
	readonly logLevel: LogLevel;
	/** play money alone, without the Lightning nodes */
	readonly play: boolean;
};

/** A box that is up. */
export type Box = {
	readonly data: string;
	readonly marketUrl: string;
	readonly relays: readonly { readonly name: string; readonly url: string; readonly operator: Client }[];
	/** the embedded Lightning network; undefined with play money alone */
	readonly lightning: Hub | undefined;
	/** A person who lives in the box: their client, on a folder of their own. */
	person(name: string): Promise<Client>;
	stop(): Promise<void>;
};

function dollars(text: string): Tariff["sendPerMb"] {
	const nanos = parseDollars(text);
	if (nanos === undefined) throw new RangeError(`not dollars: ${text}`);
	return nanos;
}

/** Where in a box's folder its Lightning nodes keep what they have, and have their door. */
const LIGHTNING_FOLDER = "lightning";

/** Dollars for a bitcoin, of which there are none in a box: at this a millisatoshi is less than what an empty file costs to send. */
export const FIXED_RATE = "10000";

/** The two relays: the default ask, and twice that for sending with half of it for keeping. */
const TARIFFS: readonly Tariff[] = [
	{ sendPerMb: dollars("0.0005"), storePerMbDay: dollars("0.000001") },
	{ sendPerMb: dollars("0.001"), storePerMbDay: dollars("0.0000005") },
];

/** A box is watched by somebody who waits: its relays redeem every second, not every minute. */
const REDEEM_EVERY_MS = 1_000;

/** Starts a box; whatever did start is stopped again when something does not. */
export async function startBox(options: BoxOptions): Promise<Box | Problem> {
	const log = openLog({ name: "box", level: options.logLevel });
	const stopping = makeStopping({ clock: systemClock, log });
	const lock = lockFolder(options.data);
	if (isProblem(lock)) return lock;
	stopping.add("lock", () => lock.release());
	const started = await start(options, stopping);
	if (isProblem(started)) await stopping.stop("it did not start");
	return started;
}

async function start({ data, port, logLevel, play }: BoxOptions, stopping: Stopping): Promise<Box | Problem> {
	const logOf = (name: string) => openLog({ name, level: logLevel });
	const clock = systemClock;
	const lightning = play ? undefined : await startLightning(join(data, LIGHTNING_FOLDER), logOf("lightning"), stopping);
	if (isProblem(lightning)) return lightning;
	const config = playConfig(join(data, "market"));
	const market = await startMarketplace(
		{ ...config, rates: { ...config.rates, fixedRate: FIXED_RATE }, port, logLevel },
		{ clock, log: logOf("market"), crypto, ...(lightning && { rails: [lightning.rail] }) },
	);
	if (isProblem(market)) return market;
	stopping.add("market", async () => void (await market.stop()));
	const person = (name: string) =>
		createClient({ market: market.url, storage: openFolder(join(data, "people", name)) });
	const relays: Box["relays"][number][] = [];
	for (const [index, tariff] of TARIFFS.entries()) {
		const name = `relay-${index + 1}`;
		const operator = await person(`operator-${index + 1}`);
		const config = {
			...RELAY_DEFAULTS,
			port: port === 0 ? 0 : port + 1 + index,
			data: join(data, name),
			marketUrl: market.url,
			operator: operator.identity.account.publicKey,
			tariff,
			redeemEveryMs: REDEEM_EVERY_MS,
		};
		const deps = { crypto, clock, random: Math.random, fetch, log: logOf(name), processMetrics: false };
		const relay = await startRelay(config, deps);
		if (isProblem(relay)) return relay;
		stopping.add(name, () => relay.stop());
		relays.push({ name, url: relay.url, operator });
	}
	return {
		data,
		marketUrl: market.url,
		relays,
		lightning: lightning?.hub,
		person,
		async stop() {
			if (!(await stopping.stop("asked to"))) throw new Error("the box did not stop as it should");
		},
	};
}

/** The embedded Lightning network and the market's rail on it; loaded only where it is wanted, for it is large. */
async function startLightning(
	data: string,
	log: Log,
	stopping: Stopping,
): Promise<{ readonly hub: Hub; readonly rail: Rail } | Problem> {
	const [{ openHub }, { makeLightningRail }, { openWalletDoor }] = await Promise.all([
		import("./lightning/hub.ts"),
		import("./lightning/rail.ts"),
		import("./lightning/door.ts"),
	]);
	const hub = await openHub({ data, clock: systemClock, log, random: crypto.random, network: "regtest" });
	if (isProblem(hub)) return hub;
	stopping.add("lightning", () => hub.stop());
	const door = await openWalletDoor(hub, { folder: data, clock: systemClock, log });
	// nothing but `farelay wallet` needs it
	if (isProblem(door)) log.warn(door.detail);
	else stopping.add("wallets' door", () => door.close());
	return { hub, rail: makeLightningRail(hub) };
}

/** What is said when the port of a box is taken. */
export function sayPorts(refusal: Problem, port: number): Problem {
	if (refusal.problem !== "port-in-use") return refusal;
	return problem(
		"port-in-use",
		`${refusal.detail} A box needs ports ${port} to ${port + TARIFFS.length}; name others with --port, or 0 for any.`,
	);
}
