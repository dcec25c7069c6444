/** What relays post, in plain HTTP and JSON: their listing, and their till in batches (PROTOCOL.md, "Listing" and "Redemption"). */

import { json, type Response, Router } from "express";
import { fromHex } from "#contracts/bytes";
import { isProblem, PROBLEMS, type Problem, problem } from "#contracts/problem";
import { readBatch } from "#contracts/redemption";
import type { Market } from "#marketplace/market";
import { redeemBatch } from "#marketplace/tab/batch";

/** A listing is under 1 KiB; twice that in hex, and room for the JSON around it. */
const LISTING_BYTES_MAX = 4_096;

/** 300 claims of 240 hex digits, and room for what surrounds them. */
const BATCH_BYTES_MAX = 96 * 1_024;

/** Sends a problem with its status. */
export function sendProblem(response: Response, refused: Problem): void {
	if (refused.retryAfterMs !== undefined)
		response.setHeader("Retry-After", Math.max(1, Math.ceil(refused.retryAfterMs / 1_000)));
	response.status(PROBLEMS[refused.problem].http).json(refused);
}

/** The relays' two doors. */
export function relayRoutes(market: Market): Router {
	const routes = Router();

	routes.post("/v1/listing", json({ limit: LISTING_BYTES_MAX }), (request, response) => {
		const bytes = fromHex((request.body as { listing?: unknown } | undefined)?.listing);
		const taken = bytes
			? market.listings.take(bytes, market.clock.nowMs(), request.ip)
			: problem("malformed", 'The body must be {"listing": hex}.');
		if (isProblem(taken)) sendProblem(response, taken);
		else response.json({ ok: true });
	});

	routes.post("/v1/redeem", json({ limit: BATCH_BYTES_MAX }), async (request, response) => {
		const batch = readBatch(market.crypto, request.body, market.keys.market, market.clock.nowMs());
		if (isProblem(batch)) sendProblem(response, batch);
		else response.json(await redeemBatch(market, batch));
	});

	return routes;
}
