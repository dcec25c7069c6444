/** `farelay relay`: runs a relay. Its log goes to standard output, as a service's does. */

import { flagsOf, optionsOf } from "#cli/service";
import type { Verb } from "#cli/verb";

const load = () => import("#relay/config");

export const verb: Verb = {
	summary: "runs a relay and earns for what it carries",
	usage: [
		"farelay relay --market-url URL --operator ACCOUNT [options]",
		"",
		'Every option is also a variable (--send-per-mb is FARELAY_SEND_PER_MB) and a name in the "relay" part of the JSON file',
		"that FARELAY_CONFIG names. ACCOUNT is who is paid: farelay account shows yours. Prices are nano-dollars.",
		"",
		"  --market-url URL          the marketplace it is listed at and redeems its vouchers with",
		"  --market-key KEY          that market's root key, if you pin it; else the first one heard of is kept",
		"  --operator ACCOUNT        who is paid",
		"  --send-per-mb NANOS       its ask for a megabyte forwarded (500000, which is $0.50 a GB)",
		"  --store-per-mb-day NANOS  its ask for a megabyte kept for a day (1000, which is $0.001 a GB-day)",
		"  --host HOST, --port N     where it listens (127.0.0.1, 8470)",
		"  --public-url URL          where clients find it, ws:// or wss://, where that is another address",
		"  --country CC              two letters of the country it is in (ZZ: not said)",
		"  --data PATH               its key, its mail and its vouchers (./.farelay/relay)",
		"  --bandwidth-mbps N        how much of the line it may use (100)",
		"  --storage-gb N            how much of the disk it may use (10)",
		"  --traffic-cap-gb N        how much it may carry in a month (0: no cap)",
		"  --redeem-every-ms N       how often it redeems (60000)",
		"  --announce-every-ms N     how often it tells the market that it is there (240000)",
		"  --workers N               processes that share the work, one a core (1)",
		"  --trust-proxy             believes the address that a proxy in front of it names",
		"  --log-level LEVEL         info unless given",
	],
	options: async () => optionsOf((await load()).RELAY_SETTINGS),
	async run(call) {
		const { RELAY_SETTINGS } = await load();
		const { runRelay } = await import("#relay/main");
		return runRelay(flagsOf(call, RELAY_SETTINGS), call.env);
	},
};
