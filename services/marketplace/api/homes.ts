/** Drawn homes and what readers sign for: a home is shown and drawn by tRPC; a total, which is signed by itself, comes in plain HTTP so that it costs few bytes (PROTOCOL.md, section 20). */

import { json, Router } from "express";
import { z } from "zod";
import { fromHex } from "#contracts/bytes";
import { isProblem, problem } from "#contracts/problem";
import { RECEIVED_BYTES } from "#contracts/received";
import { chanceOf } from "#marketplace/home/draw";
import { drawHome, type HomeAnswer, homeOf } from "#marketplace/home/homes";
import { readerOf, takeTotal } from "#marketplace/home/totals";
import type { Market } from "#marketplace/market";
import { sendProblem } from "./relays.ts";
import { accept, router, signed } from "./trpc.ts";

/** A total in hex, and room for the JSON around it. */
const TOTAL_BYTES_MAX = 512;

/** A home as its person sees it; `again` is from when another one can be asked for. */
async function show(market: Market, account: string, why: HomeAnswer["why"]) {
	const home = await homeOf(market.book, account);
	const nowMs = market.clock.nowMs();
	const { total, known, paying } = await readerOf(market, account, home?.relay);
	const listed = home && (await market.listings.of(fromHex(home.relay) as Uint8Array, nowMs))[0];
	return {
		home: home
			? {
					relay: home.relay,
					url: listed?.url ?? null,
					drawnMs: home.drawnMs,
					againMs: home.drawnMs + market.rules.homes.redrawMs,
					spentUntilMs: home.spentUntilMs ?? null,
				}
			: null,
		/** `drawn` now; or why not: `not-yet` nothing gives a home, `has-one`, `too-soon` for another */
		why,
		/** what was signed for at this home, and what of this month's counts, in bytes */
		received: { megabytes: total, known: known.toString(), paying: paying.toString() },
	};
}

export const home = router({
	/** The home that was drawn, and what was signed for there. */
	get: signed.query(async ({ ctx }) => {
		const drawn = await homeOf(ctx.market.book, ctx.account);
		return show(ctx.market, ctx.account, drawn ? "has-one" : "not-yet");
	}),

	/** Draws a home; answers the one that there is. `again`: another one in its place. */
	draw: signed
		.input(z.strictObject({ again: z.boolean().default(false) }).prefault({}))
		.mutation(async ({ ctx, input }) => {
			const chance = chanceOf((length) => ctx.market.crypto.random(length));
			const answer = accept(await drawHome(ctx.market, ctx.account, input.again, ctx.market.rules.homes, chance));
			return show(ctx.market, ctx.account, answer.why);
		}),
});

/** The readers' door. */
export function readerRoutes(market: Market): Router {
	const routes = Router();
	routes.post("/v1/received", json({ limit: TOTAL_BYTES_MAX }), async (request, response) => {
		const bytes = fromHex((request.body as { received?: unknown } | undefined)?.received, RECEIVED_BYTES);
		const taken = bytes ? await takeTotal(market, bytes) : problem("malformed", 'The body must be {"received": hex}.');
		if (isProblem(taken)) sendProblem(response, taken);
		else response.json(taken);
	});
	return routes;
}
