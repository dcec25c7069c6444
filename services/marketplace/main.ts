/**
 * Starts a market: book, keys, rooms, door; stops it in order. Run by `farelay market`, by the box, and as a program of its own.
 */

import { createServer, type Server } from "node:http";
import { join } from "node:path";
import type { Crypto } from "#contracts/identity";
import { isProblem, type Problem } from "#contracts/problem";
import { type Clock, systemClock } from "#host/clock";
import { crypto as hostCrypto } from "#host/crypto";
import { problemOfDatabase } from "#host/database";
import { makeHealth } from "#host/health";
import { listenOn } from "#host/listening";
import { type Log, openLog } from "#host/log";
import { OFF_MS_MAX, shareClock } from "#host/shared-clock";
import { makeStopping, type Stopping, stopOnSignal } from "#host/stop";
import { openJournal } from "./backup/journal.ts";
import { openRestoring } from "./backup/restore.ts";
import { makeCards } from "./card/cards.ts";
import { startChores } from "./chores.ts";
import { openCommons } from "./commons/commons.ts";
import { type MarketplaceConfig, readConfig, refuseConfig } from "./config.ts";
import { databaseOf, rememberDatabase } from "./database.ts";
import { makeFrozen } from "./desk/frozen.ts";
import { makeOperators } from "./desk/operators.ts";
import { makeResolve } from "./desk/resolve.ts";
import { fundRisk } from "./funding/risk.ts";
import { openWatch } from "./funding/watch.ts";
import { Carried } from "./home/totals.ts";
import { openInspection } from "./inspect/door.ts";
import { makeReach } from "./inspect/reach.ts";
import { openKeys } from "./keys/keys.ts";
import { openObliviousSecret } from "./keys/oblivious.ts";
import { BookFailure } from "./ledger/book.ts";
import { makeListings } from "./listing/listings.ts";
import type { Market } from "./market.ts";
import { makeMetrics } from "./metrics.ts";
import { openOutages } from "./outage.ts";
import { type Lightning, openLightning } from "./payout/lightning.ts";
import { makePayouts } from "./payout/payouts.ts";
import { openProofs } from "./proof/proofs.ts";
import { openRails } from "./rail/open.ts";
import type { Rail } from "./rail/rail.ts";
import { openRates } from "./rate/open.ts";
import type { Rates } from "./rate/rate.ts";
import { makeServer } from "./server.ts";
import { type Sources, sourcesOf } from "./sponsor/sources.ts";
import { Turns } from "./sponsor/turns.ts";
import { openStores, type Stores } from "./stores.ts";
import { sweep } from "./tab/sweep.ts";
import { makeOblivious } from "./token/oblivious.ts";

/** What a market takes from outside; stores of somebody else's making too, instead of files in the data folder. */
export type MarketplaceDeps = Partial<Stores> & {
	readonly clock: Clock;
	readonly log: Log;
	/** with its random source: chance is an argument too */
	readonly crypto: Crypto;
	/** rails beside those of the configuration; the market closes them */
	readonly rails?: readonly Rail[];
	/** whoever knows the exchange rate, instead of the sources of the configuration */
	readonly rates?: Rates;
	/** how invoices are read and Lightning addresses asked, for the box and for tests; the market closes it */
	readonly lightning?: Lightning;
	/** what is known of people, funds and relays, instead of what the market's rooms know: for tests */
	readonly sources?: Partial<Sources>;
	/** told when a database's thread dies by a bug: nothing more can be done, and the program should end */
	readonly onDeath?: (why: Error) => void;
};

/** A market that is up. */
export type RunningMarketplace = {
	/** where it listens, without a slash at the end */
	readonly url: string;
	readonly port: number;
	/** its root key */
	readonly market: Uint8Array;
	/** Ends tabs whose time has passed, as it does every minute by itself; how many ended. */
	sweep(): Promise<number>;
	/** Asks the rails about deposits that are due, as it does every few seconds by itself, and finishes what was hinted at; how many. */
	lookAtDeposits(): Promise<number>;
	/** Answers what was begun, writes what waits, lets go of its files; false when something did not stop as it should. */
	stop(): Promise<boolean>;
};

/** Starts a market. */
export async function startMarketplace(
	config: MarketplaceConfig,
	deps: MarketplaceDeps,
): Promise<RunningMarketplace | Problem> {
	const refused = refuseConfig(config);
	if (refused) return refused;
	const stopping = makeStopping(deps);
	try {
		const started = await start(config, deps, stopping);
		if (isProblem(started)) await stopping.stop("it did not start");
		return started;
	} catch (error) {
		await stopping.stop("it did not start");
		const known = error instanceof BookFailure ? error.problem : problemOfDatabase(error, config.dataPath);
		if (known) return known;
		throw error;
	}
}

async function start(
	config: MarketplaceConfig,
	deps: MarketplaceDeps,
	stopping: Stopping,
): Promise<RunningMarketplace | Problem> {
	const { crypto, log } = deps;
	const health = makeHealth();
	const at = databaseOf(config);
	if (isProblem(at)) return at;
	const stores = await openStores(at, deps, stopping, died);
	if (isProblem(stores)) return stores;
	const { book, board, places } = stores;
	if (config.database !== undefined) await rememberDatabase(config.dataPath, at);
	const shared = stores.nowMs ? await shareClock(deps.clock, stores.nowMs, tellOfClock(log)) : undefined;
	if (shared && "problem" in shared) return shared;
	if (shared) stopping.add("clock", () => shared.stop());
	const clock = shared?.clock ?? deps.clock;
	const keys = await openKeys(crypto, join(config.dataPath, "keys"), clock.nowMs(), config.keysPassphrase);
	if (isProblem(keys)) return keys;
	const secret = await openObliviousSecret(crypto, join(config.dataPath, "keys"), config.keysPassphrase, board);
	if (isProblem(secret)) return secret;
	const outages = await openOutages(board, clock.nowMs(), join(config.dataPath, "outages.json"));
	if (isProblem(outages)) return outages;
	const cards = makeCards(crypto, places);
	const rates = deps.rates ?? openRates(config.rates, { clock, log, fetch });
	if (isProblem(rates)) return rates;
	const rails = await openRails(config, { ...deps, clock });
	if (isProblem(rails)) return rails;
	for (const rail of rails) stopping.add(`rail ${rail.name}`, () => rail.close());
	const frozen = makeFrozen(book, config.frozen);
	const lightning = deps.lightning ?? openLightning(config.lightning.lightningNetwork, clock);
	stopping.add("lightning addresses", () => lightning.close());
	const restoring = await openRestoring(config.dataPath);
	if (isProblem(restoring)) return restoring;
	const journal = await openJournal(config.payoutJournal ?? join(config.dataPath, "told.jsonl"), clock.nowMs());
	if (isProblem(journal)) return journal;
	stopping.add("journal of payouts", () => journal.close());
	const payouts = makePayouts({ book, clock, log, rails, rates, lightning, frozen, restoring, journal });
	stopping.add("hints of payouts", () => payouts.stop());
	const folder = join(config.dataPath, "proofs");
	const proofs = await openProofs({ crypto, clock, log, book, keys, rails, rates, folder });
	stopping.add("proofs", () => proofs.close());
	const commons = await openCommons({ book, clock }, config.fees.solidarityPpm);
	const listings = makeListings({
		crypto,
		clock,
		board,
		market: keys.market,
		privateRelays: config.privateRelays,
	});
	const resolve = makeResolve(clock);
	const operators = makeOperators({ book, clock, listings, market: keys.market, resolve });
	const market: Market = {
		crypto,
		clock,
		log,
		book,
		keys,
		oblivious: makeOblivious(secret, keys.market),
		board,
		listings,
		cards,
		outages,
		health,
		restoring,
		journal,
		metrics: makeMetrics(async () => (await listings.all(clock.nowMs())).length),
		// what new tabs pay now: the commons decide their part anew each day
		get fees() {
			return { ...config.fees, solidarityPpm: commons.feePpm() };
		},
		commons,
		rules: config.rules,
		carried: new Carried(),
		sources: { ...sourcesOf({ ...config, book, operators, commons, frozen }), ...deps.sources },
		turns: new Turns(),
		capMax: config.capMax,
		frozen,
		desk: config.desk,
		operators,
		rails,
		rates,
		lightning,
		payouts,
		proofs,
		play: config.play,
	};
	const unfunded = await fundRisk(market, config.risk);
	if (unfunded) return unfunded;
	let there = false;
	// marked once more at the end, so that an orderly stop is known to the moment
	stopping.add("last mark", () => (there ? outages.mark(clock.nowMs()) : undefined));
	const reach = makeReach(crypto, clock);
	const server = createServer(makeServer({ market, config, reach }));
	const port = await listen(server, config);
	if (isProblem(port)) return port;
	stopping.add("what was carried", () => market.carried.write(market));
	stopping.add("http", () => closeServer(server, clock));
	const door = await openInspection(market, reach, config.dataPath);
	if (isProblem(door)) log.warn({ says: door.detail }, "the market runs without a door for its owner");
	else stopping.add("owner's door", async () => door.close());
	there = true;
	await outages.mark(clock.nowMs());
	const watch = openWatch(market);
	stopping.add("deposits", () => watch.close());
	startChores(market, watch, stopping);
	// stopped before the chores that wait for a rail's answer, so that they wait no more
	stopping.add("payouts", () => payouts.stop());
	stopping.add("the day's commitment", () => proofs.halt());
	const host = config.host.includes(":") ? `[${config.host}]` : config.host;
	log.info({ host: config.host, port, play: config.play }, "the market is up");
	return {
		url: `http://${host}:${port}`,
		port,
		market: keys.market,
		sweep: () => sweep(market),
		lookAtDeposits: async () => {
			await watch.idle();
			return await watch.round();
		},
		stop: () => {
			health.drain();
			return stopping.stop("asked to");
		},
	};

	function died(name: string): (why: Error) => void {
		return (error) => {
			health.report(name, "internal");
			log.fatal({ err: error, thread: name }, "a thread died");
			deps.onDeath?.(error);
		};
	}
}

/** Says when this machine's clock begins to differ from the database's, by which the market goes, and when it does no more. */
function tellOfClock(log: Log): (aheadMs: number) => void {
	let differs = false;
	return (aheadMs) => {
		if (differs === Math.abs(aheadMs) > OFF_MS_MAX) return;
		differs = !differs;
		const aheadS = Math.round(aheadMs / 1_000);
		if (differs)
			log.warn({ aheadS }, "this machine's clock is not the database's, by which the market goes: set one of them");
		else log.info("this machine's clock is the database's again");
	};
}

/** Sockets that one process serves at once; more wait in the kernel. */
const CONNECTIONS_MAX = 10_000;

function listen(server: Server, config: MarketplaceConfig): Promise<number | Problem> {
	// somebody who sends a byte a minute is sent away (threat 11)
	server.headersTimeout = 10_000;
	server.requestTimeout = 20_000;
	server.keepAliveTimeout = 65_000;
	server.maxConnections = CONNECTIONS_MAX;
	return listenOn(server, config.host, config.port);
}

/** How long requests that are under way may take to end when the market stops. */
const DRAIN_MS = 3_000;

async function closeServer(server: Server, clock: Clock): Promise<void> {
	const closed = Promise.withResolvers<void>();
	server.close(() => closed.resolve());
	server.closeIdleConnections();
	const cancel = clock.after(DRAIN_MS, () => server.closeAllConnections());
	await closed.promise;
	cancel();
}

/** Runs a market until it is told to stop: settings from flags and the environment, logs on standard output. A problem when it could not start. */
export async function runMarketplace(sources: Parameters<typeof readConfig>[0]): Promise<Problem | undefined> {
	const config = readConfig(sources);
	if (isProblem(config)) return config;
	const log = openLog({ name: "market", level: config.logLevel });
	const running = await startMarketplace(config, { clock: systemClock, log, crypto: hostCrypto });
	if (isProblem(running)) return running;
	const stopping = makeStopping({ clock: systemClock, log });
	stopping.add("market", async () => {
		if (!(await running.stop())) throw new Error("the market did not stop as it should");
	});
	await stopOnSignal(stopping);
	return undefined;
}

if (import.meta.main) {
	const refused = await runMarketplace({ env: process.env });
	if (refused) {
		console.error(`farelay market: ${refused.detail}`);
		process.exitCode = 1;
	}
}
