/**
 * What the owner of a market that runs may ask of it (`host/ownerdoor.ts`): `POST /reconcile` holds its rails against its ledger, `POST /rails` says whether
 * they work, `POST /word` gives a word by which its address in the world is tried; `POST /payouts` lists those that are under way, `POST /payout` says what is
 * known of one and ends it by its owner's word.
 */

import { z } from "zod";
import { toJson } from "#contracts/amount";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { openOwnerDoor } from "#host/ownerdoor";
import type { Market } from "#marketplace/market";
import { endByHand, knownOf, openPayouts } from "#marketplace/payout/byhand";
import { takeUp } from "#marketplace/payout/takeup";
import { checkRails } from "./finding.ts";
import type { Reach } from "./reach.ts";
import { reconcile } from "./reconcile.ts";

/** What is to be reconciled, as it comes in. */
const ORDER = z.strictObject({
	days: z.int().min(0).max(36_500),
	own: z.record(z.string().max(100), z.string().regex(/^(0|-?[1-9][0-9]{0,30})$/)),
	anyway: z.boolean().optional(),
});

/** A payout to look at, and how it ended where its owner says so. */
const PAYOUT = z.strictObject({
	id: z.string().regex(/^[0-9a-f]{32}$/),
	end: z
		.strictObject({
			how: z.enum(["sent", "failed"]),
			fee: z.string().regex(/^(0|[1-9][0-9]{0,17})$/),
			note: z.string().min(1).max(200),
		})
		.optional(),
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
			if (asked === "POST /payouts") return plain({ payouts: await openPayouts(market) });
			if (asked === "POST /payout") {
				const read = PAYOUT.safeParse(body).data;
				return read
					? plain(await lookAtPayout(read))
					: problem("malformed", "That is no payout's id, or not how one ends.");
			}
			if (asked !== "POST /reconcile" && asked !== "POST /release") return problem("not-found");
			const order = ORDER.safeParse(body).data;
			if (!order) return problem("malformed", "That is not what is to be reconciled.");
			// one at a time: each asks every rail about every movement
			if (busy) return problem("too-many", "The market is being reconciled already.");
			busy = true;
			try {
				return await (asked === "POST /release" ? release(order) : run(order));
			} finally {
				busy = false;
			}
		},
	});

	async function run({ days, own: texts }: z.infer<typeof ORDER>): Promise<object> {
		const nowMs = market.clock.nowMs();
		const own = Object.fromEntries(Object.entries(texts).map(([rail, units]) => [rail, BigInt(units)]));
		const sinceMs = nowMs - days * 86_400_000;
		return plain(await reconcile({ ledger: market.book, rails: market.rails, nowMs, sinceMs, own }));
	}

	/** After a backup was brought back: payouts go again once every rail says what the book says, or its owner has seen what does not. */
	async function release(order: z.infer<typeof ORDER>): Promise<object> {
		const { restoring, clock, log } = market;
		if (!restoring.isHeld()) return { released: true };
		const fromMs = restoring.span?.fromMs ?? 0;
		const problems: string[] = [];
		if (!market.journal.covers(fromMs))
			problems.push(
				"The journal of payouts was not kept since the backup (--payout-journal): look at each rail's own list of what it paid since.",
			);
		const left = await takeUp(market);
		for (const { key } of await market.book.records({ table: "payouts", by: "state", of: "reserved", limit: 200 }))
			await market.payouts.advance(key);
		if (left > 0)
			problems.push(
				`Payouts that left since the backup are not covered yet by what their operators earned: ${left}. Their relays have to claim first.`,
			);
		const sinceDays = Math.ceil((clock.nowMs() - fromMs) / 86_400_000) + 1;
		const found = (await run({ ...order, days: Math.max(order.days, sinceDays) })) as {
			readonly holds: boolean;
			readonly differences: readonly { readonly explained: boolean; readonly says: string }[];
		};
		for (const { explained, says } of found.differences) if (!explained) problems.push(says);
		if (problems.length > 0 && order.anyway !== true) return { released: false, problems };
		await restoring.release();
		log.warn({ problems }, "payouts go again: the owner released a market that was brought back from a backup");
		return { released: true, problems };
	}

	async function lookAtPayout({ id, end }: z.infer<typeof PAYOUT>): Promise<object | Problem> {
		if (!end) return knownOf(market, id);
		const ended = await endByHand(market, id, { ...end, fee: BigInt(end.fee) });
		if (isProblem(ended)) return ended;
		market.log.warn({ payout: id, how: end.how, note: end.note }, "a payout was ended by hand");
		return { payout: ended };
	}
}

/** As JSON has it: amounts are decimal strings. */
function plain(found: object): object {
	return JSON.parse(toJson(found));
}
