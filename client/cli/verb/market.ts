/** `farelay market`: runs a marketplace. Its log goes to standard output, as a service's does. */

import { flagsOf, optionsOf } from "#cli/service";
import type { Verb } from "#cli/verb";

const load = () => import("#marketplace/config");

export const verb: Verb = {
	summary: "runs a marketplace",
	usage: [
		"farelay market [options]",
		"",
		'Every option is also a variable (--market-ppm is FARELAY_MARKET_PPM) and a name in the "market" part of the JSON file',
		"that FARELAY_CONFIG names. With --play it makes play money, for development, and listens on this machine only.",
		"",
		"  --data PATH               the ledger and the market's keys (./.farelay)",
		"  --host HOST, --port N     where it listens (127.0.0.1, 8787)",
		"  --play                    makes play money for whoever asks",
		"  --private-relays          lists relays in a private network too; always so with --play",
		"  --market-ppm N            its fee on top of the ask, in parts per million (20000)",
		"  --solidarity-ppm N        the commons' share on top of the ask, in parts per million (20000)",
		"  --cap DOLLARS             the most that one tab may hold (100)",
		"  --frozen KEYS             accounts that may open nothing, with commas between",
		"  --requests-per-minute N   of one address (1200)",
		"  --cards-per-hour N        that one address may publish (120)",
		"  --proxies N               proxies in front whose X-Forwarded-For is believed (0)",
		"  --rate-sources NAMES      exchanges to ask what a bitcoin costs, with commas between (NAME or NAME=URL, at least three)",
		"  --rate-spread-ppm N       what it keeps of an exchange, in parts per million (5000)",
		"  --fixed-rate DOLLARS      for a bitcoin, and asks nobody; only with --play",
		"  --lnd-url URL             takes and sends Lightning payments by an LND node, with --lnd-macaroon PATH and --lnd-cert PATH",
		"  --lightning-network NAME  bitcoin unless given; testnet, signet, regtest and simnet for trying",
		"  --log-level LEVEL         info unless given",
	],
	options: async () => optionsOf((await load()).MARKET_SETTINGS),
	async run(call) {
		const { MARKET_SETTINGS } = await load();
		const { runMarketplace } = await import("#marketplace/main");
		return runMarketplace({ flags: flagsOf(call, MARKET_SETTINGS), env: call.env });
	},
};
