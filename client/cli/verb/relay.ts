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
		"The options: --host --port --data --market-url --market-key --operator --public-url --country --send-per-mb",
		"  --store-per-mb-day --bandwidth-mbps --storage-gb --traffic-cap-gb --redeem-every-ms --announce-every-ms",
		"  --trust-proxy --log-level",
	],
	options: async () => optionsOf((await load()).RELAY_SETTINGS),
	async run(call) {
		const { RELAY_SETTINGS } = await load();
		const { runRelay } = await import("#relay/main");
		return runRelay(flagsOf(call, RELAY_SETTINGS), call.env);
	},
};
