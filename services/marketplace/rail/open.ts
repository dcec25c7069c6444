/** Opens the rails that a market is configured with. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { MarketplaceConfig } from "#marketplace/config";
import { lightningEngines } from "./lightning.ts";
import { makePlayRail } from "./play.ts";
import type { Rail } from "./rail.ts";
import { openStripe } from "./stripe.ts";

/** What an engine may need from outside. */
export type RailDeps = {
	readonly clock: Clock;
	readonly log: Log;
	/** rails of somebody else's making beside those of the configuration: the box's, a test's */
	readonly rails?: readonly Rail[];
};

/** All rails of a market, each name once; a problem when one cannot be opened, and then none stays open. */
export async function openRails(config: MarketplaceConfig, deps: RailDeps): Promise<readonly Rail[] | Problem> {
	const mixed = refuseMixing(config, deps);
	if (mixed) return mixed;
	const rails: Rail[] = [...(deps.rails ?? [])];
	for (const open of engines(config, deps)) {
		const rail = await open();
		if (!isProblem(rail)) {
			rails.push(rail);
			continue;
		}
		await Promise.all(rails.map((opened) => opened.close()));
		return rail;
	}
	if (new Set(rails.map((rail) => rail.name)).size === rails.length) return rails;
	await Promise.all(rails.map((rail) => rail.close()));
	return problem("usage", "Two rails have the same name.");
}

/** Keys of Stripe's for trying: no money stands behind them. */
const STRIPE_TEST_KEY = /^[rs]k_test_/;

/** Play money and real money never meet: what somebody made up and earned from themselves would be paid out in earnest. */
function refuseMixing(config: MarketplaceConfig, deps: RailDeps): Problem | undefined {
	if (!config.play) return undefined;
	const { card, dataPath, lightning } = config;
	const byCard = card !== undefined && !STRIPE_TEST_KEY.test(card.key);
	const byLightning =
		lightning.lightningNetwork === "bitcoin" && lightningEngines(lightning, dataPath, deps).length > 0;
	if (!byCard && !byLightning) return undefined;
	return problem(
		"usage",
		"Play money and real money cannot be had in one market: leave out --play, or use a test network and test keys.",
	);
}

/** One line for each engine that the configuration asks for. */
function engines(config: MarketplaceConfig, deps: RailDeps): (() => Promise<Rail | Problem>)[] {
	const { card } = config;
	return [
		...(config.play ? [async () => makePlayRail(deps.clock)] : []),
		...lightningEngines(config.lightning, config.dataPath, deps),
		...(card ? [() => openStripe({ ...card, clock: deps.clock })] : []),
	];
}
