/** What relays post, in plain HTTP and JSON: their listing, their till in batches, grants that they doubt (PROTOCOL.md, sections 8, 10 and 15). */

import { json, type Response, Router } from "express";
import { fromHex, same, toHex } from "#contracts/bytes";
import { GRANT_BYTES, GRANTS_ASKED_MAX, readGrant, verifyGrant } from "#contracts/grant";
import { isProblem, PROBLEMS, type Problem, problem } from "#contracts/problem";
import { readBatch } from "#contracts/redemption";
import type { Market } from "#marketplace/market";
import { redeemBatch } from "#marketplace/tab/batch";
import { tabOf } from "#marketplace/tab/tabs";

/** A listing is under 1 KiB; twice that in hex, and room for the JSON around it. */
const LISTING_BYTES_MAX = 4_096;

/** 300 claims of 240 hex digits, and room for what surrounds them. */
const BATCH_BYTES_MAX = 96 * 1_024;

/** 64 grants of 474 hex digits, and room for what surrounds them. */
const GRANTS_BYTES_MAX = 32 * 1_024;

/** Sends a problem with its status. */
export function sendProblem(response: Response, refused: Problem): void {
	if (refused.retryAfterMs !== undefined)
		response.setHeader("Retry-After", Math.max(1, Math.ceil(refused.retryAfterMs / 1_000)));
	response.status(PROBLEMS[refused.problem].http).json(refused);
}

/** The relays' three doors. */
export function relayRoutes(market: Market): Router {
	const routes = Router();

	routes.post("/v1/listing", json({ limit: LISTING_BYTES_MAX }), async (request, response) => {
		const bytes = fromHex((request.body as { listing?: unknown } | undefined)?.listing);
		const taken = bytes
			? await market.listings.take(bytes, market.clock.nowMs(), request.ip)
			: problem("malformed", 'The body must be {"listing": hex}.');
		if (isProblem(taken)) sendProblem(response, taken);
		else response.json({ ok: true });
	});

	routes.post("/v1/redeem", json({ limit: BATCH_BYTES_MAX }), async (request, response) => {
		const batch = readBatch(market.crypto, request.body, market.keys.market, market.clock.nowMs());
		if (isProblem(batch)) sendProblem(response, batch);
		else response.json(await redeemBatch(market, batch));
	});

	routes.post("/v1/granted", json({ limit: GRANTS_BYTES_MAX }), async (request, response) => {
		const { grants } = (request.body ?? {}) as { grants?: unknown };
		const sound = Array.isArray(grants) && grants.length <= GRANTS_ASKED_MAX;
		if (!sound) return sendProblem(response, problem("malformed", 'The body must be {"grants": [hex, ...]}.'));
		response.json({ granted: await Promise.all(grants.map((hex) => isGranted(market, hex))) });
	});

	return routes;
}

/** Whether a grant, to the byte, is one that the market made. Its signature is looked at first: who was granted nothing costs no look into the book. */
async function isGranted(market: Market, hex: unknown): Promise<boolean> {
	const grant = readGrant(fromHex(hex, GRANT_BYTES) ?? new Uint8Array(0));
	if (isProblem(grant) || verifyGrant(market.crypto, grant, market.keys.certificates())) return false;
	const tab = await tabOf(market, toHex(grant.tab));
	return tab !== undefined && same(tab.grant.bytes, grant.bytes);
}
