/** What the providers of rails post: the raw bytes, for they are what is signed, to the rail that they are for (threat 16). */

import { Router, raw } from "express";
import { problem } from "#contracts/problem";
import type { Market } from "#marketplace/market";
import { sendProblem } from "./relays.ts";

/** An event with a whole invoice in it has some 10 KiB; Stripe names no bound of its own. */
const EVENT_BYTES_MAX = 256 * 1_024;

/** The providers' door. */
export function eventRoutes(market: Market): Router {
	const routes = Router();

	routes.post("/v1/event/:rail", raw({ type: () => true, limit: EVENT_BYTES_MAX }), async (request, response) => {
		const rail = market.rails.find(({ name }) => name === request.params.rail);
		if (!rail?.receive) return sendProblem(response, problem("not-found"));
		const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
		const headers = Object.fromEntries(
			Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? undefined : value]),
		);
		const refused = await rail.receive(body, headers);
		if (refused) sendProblem(response, refused);
		else response.json({ ok: true });
	});

	return routes;
}
