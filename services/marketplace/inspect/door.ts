/**
 * What the owner of a market that runs may ask of it (`host/ownerdoor.ts`): `POST /reconcile` holds its rails against its ledger, `POST /rails` says whether
 * they work, `POST /word` gives a word by which its address in the world is tried.
 */

import { z } from "zod";
import { type Problem, problem } from "#contracts/problem";
import { openOwnerDoor } from "#host/ownerdoor";
import type { Market } from "#marketplace/market";
import { checkRails } from "./finding.ts";
import type { Reach } from "./reach.ts";
import { reconcile } from "./reconcile.ts";

/** What is to be reconciled, as it comes in. */
const ORDER = z.strictObject({
	days: z.int().min(0).max(36_500),
	own: z.record(z.string().max(100), z.string().regex(/^(0|-?[1-9][0-9]{0,30})$/)),
});

/** Opens the door. Without it a market works all the same. */
export function openInspection(market: Market, reach: Reach, folder: string): Promise<{ close(): void } | Problem> {
	let busy = false;
	return openOwnerDoor({
		folder,
		log: market.log,
		answer: async (asked, body) => {
			if (asked === "POST /word") return { word: reach.make() };
			if (asked === "POST /rails") return { findings: await checkRails(market.rails, market.clock) };
			if (asked !== "POST /reconcile") return problem("not-found");
			const order = ORDER.safeParse(body).data;
			if (!order) return problem("malformed", "That is not what is to be reconciled.");
			// one at a time: each asks every rail about every movement
			if (busy) return problem("too-many", "The market is being reconciled already.");
			busy = true;
			try {
				return await run(order);
			} finally {
				busy = false;
			}
		},
	});

	async function run({ days, own: texts }: z.infer<typeof ORDER>): Promise<object> {
		const nowMs = market.clock.nowMs();
		const own = Object.fromEntries(Object.entries(texts).map(([rail, units]) => [rail, BigInt(units)]));
		const sinceMs = nowMs - days * 86_400_000;
		const found = await reconcile({ ledger: market.book, rails: market.rails, nowMs, sinceMs, own });
		return JSON.parse(JSON.stringify(found, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
	}
}
