/** A relay's settings: flags over `FARELAY_*` over the section "relay" of one JSON file (`host/env.ts`). */

import { amount, parseAmount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { KEY_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isRelayUrl } from "#contracts/listing";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Tariff } from "#contracts/tariff";
import { readNetworks } from "#host/address";
import { choice, flag, readSettings, type Setting, type Sources, text, whole } from "#host/env";
import { LOG_LEVELS, type LogLevel } from "#host/log";
import type { RelayLimits } from "./limit.ts";
import { CAP_MAX } from "./operator/caps.ts";
import { WORKERS_MAX } from "./workers/share.ts";

/** What a relay is told by its owner. */
export type RelayConfig = {
	readonly host: string;
	/** 0: any that is free. */
	readonly port: number;
	/** The folder of key, mail and till; undefined keeps everything in memory, for trying and for tests. */
	readonly data: string | undefined;
	/** The market's address, `http://` or `https://`. */
	readonly marketUrl: string;
	/** The market's root key, if the operator pins it; else the first one heard of is. */
	readonly marketKey: Uint8Array | undefined;
	/** The account that is paid. */
	readonly operator: Uint8Array;
	/** Where clients find it; undefined: `ws://host:port`. */
	readonly publicUrl: string | undefined;
	/** ISO 3166-1 alpha-2; ZZ: not said. */
	readonly country: string;
	readonly tariff: Tariff;
	/** Caps to start with; each can be changed while it runs (`operator/caps.ts`). 0: none. */
	readonly bandwidthMbit: number;
	readonly diskGb: number;
	readonly trafficGbMonth: number;
	/** What tabs of one market key may use together before the market has confirmed any of them: the most that whoever steals the key takes here. */
	readonly unconfirmedNanos: bigint;
	readonly redeemEveryMs: number;
	readonly announceEveryMs: number;
	readonly helloMs: number;
	readonly idleMs: number;
	/** Proxies in front whose `X-Forwarded-For` is believed: networks with commas between, `loopback`; "": none. */
	readonly trustProxy: string;
	/** Each frame alone, by the library `ws`: slow, and what the fast way is held against. */
	readonly plain: boolean;
	/** Bounds other than the usual ones. */
	readonly limits: Partial<RelayLimits>;
};

/** Settings nobody has to give. The asking prices are $0.50 a GB sent and $0.001 a GB-day kept. */
export const RELAY_DEFAULTS = {
	host: "127.0.0.1",
	port: 8_470,
	data: undefined,
	marketKey: undefined,
	publicUrl: undefined,
	country: "ZZ",
	tariff: { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) },
	bandwidthMbit: 0,
	diskGb: 10,
	trafficGbMonth: 0,
	unconfirmedNanos: 5_000_000_000n,
	redeemEveryMs: 60_000,
	announceEveryMs: 60_000,
	helloMs: LIMIT.helloMs,
	idleMs: LIMIT.idleMs,
	trustProxy: "",
	plain: false,
	limits: {},
} as const satisfies Partial<RelayConfig>;

const key: Setting<Uint8Array | undefined> = {
	expects: "a public key of 64 hexadecimal characters",
	read: (found) => fromHex(found, KEY_BYTES),
	fallback: undefined,
};

const nanos = (fallback: bigint): Setting<bigint> => ({
	expects: "a whole number of nano-dollars",
	read: (found) => {
		const asked = parseAmount(found);
		return asked !== undefined && asked <= LIMIT.priceNanosMax ? asked : undefined;
	},
	fallback,
});

/** Every setting by name: `redeemEveryMs` is `--redeem-every-ms`, `FARELAY_REDEEM_EVERY_MS` and `"redeemEveryMs"`. */
export const RELAY_SETTINGS = {
	host: text(RELAY_DEFAULTS.host),
	port: whole(RELAY_DEFAULTS.port, 0, 65_535),
	data: text("./.farelay/relay"),
	marketUrl: text(),
	marketKey: key,
	operator: key,
	publicUrl: text(),
	country: text(RELAY_DEFAULTS.country),
	sendPerMb: nanos(RELAY_DEFAULTS.tariff.sendPerMb),
	storePerMbDay: nanos(RELAY_DEFAULTS.tariff.storePerMbDay),
	bandwidthMbit: whole(RELAY_DEFAULTS.bandwidthMbit, 0, CAP_MAX.bandwidthMbit),
	diskGb: whole(RELAY_DEFAULTS.diskGb, 0, CAP_MAX.diskGb),
	trafficGbMonth: whole(RELAY_DEFAULTS.trafficGbMonth, 0, CAP_MAX.trafficGbMonth),
	unconfirmedNanos: nanos(RELAY_DEFAULTS.unconfirmedNanos),
	redeemEveryMs: whole(RELAY_DEFAULTS.redeemEveryMs, 100, 86_400_000),
	announceEveryMs: whole(RELAY_DEFAULTS.announceEveryMs, 1_000, LIMIT.listingMsMax),
	trustProxy: text(RELAY_DEFAULTS.trustProxy),
	workers: whole(1, 1, WORKERS_MAX),
	plain: flag(),
	logLevel: choice("info", LOG_LEVELS),
} as const;

/** Reads a relay's settings; a mistake is a problem that names it. */
export function readRelayConfig(
	sources: Omit<Sources, "section">,
): (RelayConfig & { logLevel: LogLevel; workers: number }) | Problem {
	const values = readSettings(RELAY_SETTINGS, { ...sources, section: "relay" });
	if (isProblem(values)) return values;
	const { marketUrl, operator, sendPerMb, storePerMbDay, ...rest } = values;
	if (!marketUrl)
		return problem("usage", "Say which market this relay works with: --market-url or FARELAY_MARKET_URL.");
	if (!operator) return problem("usage", "Say which account is paid: --operator or FARELAY_OPERATOR.");
	const config = {
		...RELAY_DEFAULTS,
		...rest,
		marketUrl,
		operator,
		tariff: { sendPerMb: amount(sendPerMb), storePerMbDay: amount(storePerMbDay) },
	};
	return checkRelayConfig(config) ?? config;
}

/** Where clients find a relay that listens on a port. */
export function urlOf({ publicUrl, host }: RelayConfig, port: number): string {
	return publicUrl ?? `ws://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** What is wrong with a configuration; undefined when nothing is. */
export function checkRelayConfig(config: RelayConfig): Problem | undefined {
	const market = URL.parse(config.marketUrl);
	if (!market || !/^https?:$/.test(market.protocol))
		return problem("usage", "The market's address must begin with http:// or https://.");
	if (config.publicUrl !== undefined && !isRelayUrl(config.publicUrl))
		return problem("usage", "The public address must be ws:// or wss://, a host, and nothing after the path.");
	if (!readNetworks(config.trustProxy))
		return problem("usage", "--trust-proxy takes addresses or networks like 10.0.0.0/8, with commas between.");
	if (!/^[A-Z]{2}$/.test(config.country)) return problem("usage", "The country must be two capital letters.");
	return undefined;
}
