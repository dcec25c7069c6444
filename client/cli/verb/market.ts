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
		"The options: --data --host --port --play --private-relays --market-ppm --solidarity-ppm --cap --frozen",
		"  --requests-per-minute --proxies --log-level",
	],
	options: async () => optionsOf((await load()).MARKET_SETTINGS),
	async run(call) {
		const { MARKET_SETTINGS } = await load();
		const { runMarketplace } = await import("#marketplace/main");
		return runMarketplace({ flags: flagsOf(call, MARKET_SETTINGS), env: call.env });
	},
};
