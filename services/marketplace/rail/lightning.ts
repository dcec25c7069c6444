/** Lightning as a market is set up with it: which of its engines are on, and what each of them needs. */

import { join } from "node:path";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Network } from "./bolt11.ts";
import { openLnd } from "./lnd.ts";
import { openPhoenixd } from "./phoenixd.ts";
import { openPreimageKey } from "./preimage.ts";
import type { Rail } from "./rail.ts";

/** Settings of the market, by their names there; an engine without its address or secret is off. */
export type LightningConfig = {
	readonly lightningNetwork: Network;
	readonly lndUrl: string | undefined;
	/** the path of a macaroon: it is read from its file only */
	readonly lndMacaroon: string | undefined;
	/** the path of the node's certificate */
	readonly lndCert: string | undefined;
	readonly phoenixdUrl: string;
	readonly phoenixdPassword: string | undefined;
	/** a wallet's connection by Nostr Wallet Connect */
	readonly nwc: string | undefined;
};

/** None of the engines, and no network with real money. */
export const NO_LIGHTNING: LightningConfig = {
	lightningNetwork: "regtest",
	lndUrl: undefined,
	lndMacaroon: undefined,
	lndCert: undefined,
	phoenixdUrl: "",
	phoenixdPassword: undefined,
	nwc: undefined,
};

/** From a satoshi, about a twentieth of a cent, to a tenth of a bitcoin: more at once is for people who talk to each other. */
const RANGE = { min: 1_000n, max: 10_000_000_000n };

/** What a wallet without a fee ceiling and without ids of ours is good for: a hundred thousand satoshi at once. */
const WALLET_RANGE = { min: 1_000n, max: 100_000_000n };

/** Ways are found within seconds or hardly ever. */
const LND_PAY_MS_MAX = 60_000;

/** The engines that are on, each to be opened. */
export function lightningEngines(
	config: LightningConfig,
	dataPath: string,
	deps: { readonly clock: Clock },
): (() => Promise<Rail | Problem>)[] {
	const { lightningNetwork: network, lndUrl, lndMacaroon, lndCert, phoenixdUrl, phoenixdPassword, nwc } = config;
	const ranges = { in: RANGE, out: RANGE };
	const lnd = async (url: string): Promise<Rail | Problem> => {
		if (lndMacaroon === undefined)
			return problem("usage", "LND needs a macaroon: set FARELAY_LND_MACAROON to the path of its file.");
		const preimageKey = await openPreimageKey(join(dataPath, "keys", "preimages.json"));
		if (isProblem(preimageKey)) return preimageKey;
		const paths = { macaroonPath: lndMacaroon, certPath: lndCert };
		return openLnd({ url, ...paths, network, ranges, payMsMax: LND_PAY_MS_MAX }, { ...deps, preimageKey });
	};
	const phoenixd = async (password: string) => openPhoenixd({ url: phoenixdUrl, password, network, ranges }, deps);
	const wallet = async (connection: string) => {
		// a market that needs no wallet does not load one: its client brings a cryptography of its own
		const { openNwc } = await import("./nwc.ts");
		return openNwc({ connection, network, ranges: { in: WALLET_RANGE, out: WALLET_RANGE } }, deps);
	};
	return [
		...(lndUrl === undefined ? [] : [() => lnd(lndUrl)]),
		...(phoenixdPassword === undefined ? [] : [() => phoenixd(phoenixdPassword)]),
		...(nwc === undefined ? [] : [() => wallet(nwc)]),
	];
}
