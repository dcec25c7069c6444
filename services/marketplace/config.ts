/** The market's settings (`host/env.ts`): flags over `FARELAY_*` over the "market" part of one JSON file. */

import { type Amount, NOTHING, parseDollars } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { FeeRates } from "#contracts/tab";
import { choice, flag, readSettings, type Sources, secret, text, type Values, whole } from "#host/env";
import { LOG_LEVELS, type LogLevel } from "#host/log";
import { isLoopback } from "#host/loopback";
import { refuseShown } from "./database.ts";
import { NETWORKS } from "./rail/bolt11.ts";
import { type LightningConfig, NO_LIGHTNING } from "./rail/lightning.ts";
import type { StripeOptions } from "./rail/stripe-client.ts";
import type { RateConfig } from "./rate/open.ts";
import { DEFENCES, RULES, type Rules, withoutDefences } from "./sponsor/rules.ts";

/** The settings by name: `publicUrl` is `--public-url`, `FARELAY_PUBLIC_URL`, `"publicUrl"`. */
export const MARKET_SETTINGS = {
	/** where the market keeps its keys and proofs, and its databases unless they are named: a folder */
	data: text("./.farelay"),
	/** seals the market's key files */
	keysPassphrase: secret(),
	/** where ledger, board and cards are: `sqlite:FOLDER` or `postgres://USER@HOST:PORT/DATABASE`; the data folder when left out */
	database: text(),
	/** the password of a Postgres */
	databasePassword: secret(),
	/** where it is written down what rails were told to pay: on another disk than the data, or both are lost together */
	payoutJournal: text(),
	/** the address to listen on; this machine only unless told otherwise */
	host: text("127.0.0.1"),
	port: whole(8787, 0, 65_535),
	/** play money: development only, and only on the loopback interface */
	play: flag(),
	/** lists relays whose URL leads into a private network; always so with play money */
	privateRelays: flag(),
	/** fees on top of what operators ask, in parts per million */
	marketPpm: whole(20_000, 0, 1_000_000),
	solidarityPpm: whole(20_000, 0, 100_000),
	/** defences against whoever drains funds that are turned off, with commas between (sponsor/rules.ts); all are on */
	defencesOff: text(),
	/** the highest cap of a tab, in dollars */
	cap: text("100"),
	/** accounts that may open nothing, until the desk decides otherwise: public keys in hex with commas between */
	frozen: text(),
	/** accounts of the market's people, who decide at its desk: public keys in hex with commas between */
	desk: text(),
	/** requests of one address in a minute */
	requestsPerMinute: whole(1_200, 1, 10_000_000),
	/** cards that one address may publish in an hour */
	cardsPerHour: whole(120, 1, 10_000_000),
	/** deposits, payouts and sign-ups that one address may begin in an hour, all together */
	depositsPerHour: whole(120, 1, 10_000_000),
	/** wrong codes, gifts' links and tokens that one address may bring in an hour */
	wrongCodesPerHour: whole(60, 1, 10_000_000),
	/** proxies in front whose `X-Forwarded-For` is believed; 0: none */
	proxies: whole(0, 0, 8),
	/** whoever asks `/metrics` from elsewhere than this machine shows it as a bearer token */
	metricsToken: secret(),
	/** what is asked for the price of a bitcoin: exchanges with commas between, each NAME or NAME=URL, at least three */
	rateSources: text("coinbase,kraken,bitstamp,gemini,bitfinex"),
	/** what the market keeps of an exchange, in parts per million */
	rateSpreadPpm: whole(5_000, 0, 100_000),
	/** dollars for a bitcoin, and nobody is asked: with play money only */
	fixedRate: text(),
	/** where Lightning payments come and go: real money is on `bitcoin` alone */
	lightningNetwork: choice("bitcoin", NETWORKS),
	/** an LND node's REST address, and the paths of a macaroon and of the node's certificate */
	lndUrl: text(),
	lndMacaroon: text(),
	lndCert: text(),
	/** a phoenixd's address; its password turns it on */
	phoenixdUrl: text("http://127.0.0.1:9740"),
	phoenixdPassword: secret(),
	/** a wallet's connection by Nostr Wallet Connect: whoever has it can spend what the wallet allows */
	nwc: secret(),
	/** Stripe's secret or restricted key: cards are taken where it is given */
	stripeKey: secret(),
	/** what Stripe signs its events with, and the events of operators' accounts, which come by a destination of their own */
	stripeEventSecret: secret(),
	stripeThinEventSecret: secret(),
	/** dollars of the market's own that it has put aside for payments that are taken back; without them no card is taken */
	risk: text("0"),
	/** where a browser goes after paying at Stripe: the market's own address as people see it */
	publicUrl: text(),
	logLevel: choice("info", LOG_LEVELS),
};

/** The market's configuration. */
export type MarketplaceConfig = {
	readonly dataPath: string;
	/** `sqlite:FOLDER` or `postgres://...`: see database.ts */
	readonly database: string | undefined;
	readonly databasePassword: string | undefined;
	/** undefined: in the data folder */
	readonly payoutJournal: string | undefined;
	/** seals the key files; undefined leaves them plain */
	readonly keysPassphrase: string | undefined;
	readonly host: string;
	readonly port: number;
	readonly play: boolean;
	readonly privateRelays: boolean;
	readonly fees: FeeRates;
	/** by which funds pay for people */
	readonly rules: Rules;
	readonly capMax: Amount;
	readonly frozen: readonly string[];
	readonly desk: readonly string[];
	readonly requestsPerMinuteMax: number;
	readonly cardsPerHourMax: number;
	readonly depositsPerHourMax: number;
	readonly wrongCodesPerHourMax: number;
	readonly proxies: number;
	readonly metricsToken: string | undefined;
	/** where browsers and providers find this market */
	readonly publicUrl: string | undefined;
	readonly rates: RateConfig;
	readonly lightning: LightningConfig;
	/** cards by Stripe; undefined where none are taken */
	readonly card: CardConfig | undefined;
	/** put aside for payments that are taken back */
	readonly risk: Amount;
	readonly logLevel: LogLevel;
};

/** What the card rail is told, its clock aside. */
export type CardConfig = Omit<StripeOptions, "clock">;

/** What a bitcoin costs in a market for trying and testing: a round number that nobody takes for today's. */
const FIXED_RATE = "50000";

/** A market for trying and testing: play money, any free port, nothing else changed. */
export function playConfig(dataPath: string): MarketplaceConfig {
	return {
		dataPath,
		database: undefined,
		databasePassword: undefined,
		payoutJournal: undefined,
		keysPassphrase: undefined,
		host: "127.0.0.1",
		port: 0,
		play: true,
		privateRelays: true,
		fees: { marketPpm: 20_000, solidarityPpm: 20_000 },
		rules: RULES,
		capMax: parseDollars("100") as Amount,
		frozen: [],
		desk: [],
		// everything comes from one address here
		requestsPerMinuteMax: 1_000_000,
		cardsPerHourMax: 120,
		depositsPerHourMax: 120,
		wrongCodesPerHourMax: 60,
		proxies: 0,
		metricsToken: undefined,
		publicUrl: undefined,
		rates: { rateSources: MARKET_SETTINGS.rateSources.fallback, rateSpreadPpm: 5_000, fixedRate: FIXED_RATE },
		lightning: NO_LIGHTNING,
		card: undefined,
		risk: NOTHING,
		logLevel: "info",
	};
}

/** Reads the configuration. */
export function readConfig(sources: Omit<Sources, "section">): MarketplaceConfig | Problem {
	const values = readSettings(MARKET_SETTINGS, { ...sources, section: "market" });
	if ("problem" in values) return values;
	const shown = refuseShown(sources.flags?.database);
	if (shown) return shown;
	const capMax = parseDollars(values.cap);
	if (!capMax) return problem("usage", "FARELAY_CAP must be dollars above nothing, like 25 or 0.5.");
	const frozen = keysOf("FARELAY_FROZEN", values.frozen);
	if (isProblem(frozen)) return frozen;
	const desk = keysOf("FARELAY_DESK", values.desk);
	if (isProblem(desk)) return desk;
	const off = (values.defencesOff ?? "").split(",").filter((name) => name !== "");
	const rules = withoutDefences(RULES, off);
	if (!rules)
		return problem("usage", `FARELAY_DEFENCES_OFF takes names of these, with commas between: ${DEFENCES.join(", ")}.`);
	if (values.fixedRate !== undefined && !values.play)
		return problem("usage", "A fixed rate is for play money: with real money it would be wrong within minutes.");
	const risk = parseDollars(values.risk);
	if (risk === undefined) return problem("usage", "FARELAY_RISK must be dollars, like 500.");
	const card = cardConfig(values);
	if (card && "problem" in card) return card;
	const config: MarketplaceConfig = {
		dataPath: values.data,
		database: values.database,
		databasePassword: values.databasePassword,
		payoutJournal: values.payoutJournal,
		keysPassphrase: values.keysPassphrase,
		host: values.host,
		port: values.port,
		play: values.play,
		privateRelays: values.privateRelays || values.play,
		fees: { marketPpm: values.marketPpm, solidarityPpm: values.solidarityPpm },
		rules,
		capMax,
		frozen,
		desk,
		requestsPerMinuteMax: values.requestsPerMinute,
		cardsPerHourMax: values.cardsPerHour,
		depositsPerHourMax: values.depositsPerHour,
		wrongCodesPerHourMax: values.wrongCodesPerHour,
		proxies: values.proxies,
		metricsToken: values.metricsToken,
		publicUrl: values.publicUrl,
		rates: {
			rateSources: values.rateSources,
			rateSpreadPpm: values.rateSpreadPpm,
			fixedRate: values.fixedRate,
		},
		lightning: {
			lightningNetwork: values.lightningNetwork,
			lndUrl: values.lndUrl,
			lndMacaroon: values.lndMacaroon,
			lndCert: values.lndCert,
			phoenixdUrl: values.phoenixdUrl,
			phoenixdPassword: values.phoenixdPassword,
			nwc: values.nwc,
		},
		card,
		risk,
		logLevel: values.logLevel,
	};
	return refuseConfig(config) ?? config;
}

function keysOf(name: string, list = ""): readonly string[] | Problem {
	const keys = list.split(",").filter((key) => key !== "");
	if (keys.every((key) => fromHex(key, 32))) return keys;
	return problem("usage", `${name} must be public keys in hex with commas between them.`);
}

function cardConfig(values: Values<typeof MARKET_SETTINGS>): CardConfig | Problem | undefined {
	const { stripeKey: key, stripeEventSecret: eventSecret, stripeThinEventSecret: thinEventSecret, publicUrl } = values;
	if (key === undefined) return undefined;
	if (eventSecret === undefined)
		return problem(
			"usage",
			"FARELAY_STRIPE_EVENT_SECRET is missing: without it nobody's event can be told from Stripe's.",
		);
	if (publicUrl === undefined || !/^https:\/\/[!-~]{1,200}$/.test(publicUrl))
		return problem(
			"usage",
			"FARELAY_PUBLIC_URL must be the market's https address: browsers come back to it after paying.",
		);
	return { key, eventSecret, thinEventSecret, returnUrl: publicUrl };
}

/** What no market may start with. */
export function refuseConfig(config: MarketplaceConfig): Problem | undefined {
	if (config.play && !isLoopback(config.host))
		return problem("usage", `Play money is for this machine only: it cannot be had on ${config.host}.`);
	return undefined;
}
