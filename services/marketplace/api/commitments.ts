/** The market's commitments, for anyone and any cache: plain HTTP, oldest first, a page at a time (PROTOCOL.md, "Commitments"). */

import { Router } from "express";
import { linkJson } from "#contracts/chain";
import { problem } from "#contracts/problem";
import type { Market } from "#marketplace/market";
import { sendProblem } from "./relays.ts";

/** Commitments on a page: about 100 KB. */
const PAGE = 50;

/** How long an answer may be kept: the last page gets a line a day, and a page that is full never changes. */
const LAST_PAGE_S = 60;
const FULL_PAGE_S = 86_400;

/** The chain's door. */
export function commitmentRoutes(market: Market): Router {
	const routes = Router();
	routes.get("/v1/commitments", async (request, response) => {
		const { after = "-1" } = request.query;
		if (typeof after !== "string" || !/^(-1|0|[1-9][0-9]{0,9})$/.test(after))
			return sendProblem(response, problem("malformed", "`after` is the day of the last commitment that was seen."));
		const links = await market.proofs.after(Number(after), PAGE);
		response.setHeader("Cache-Control", `public, max-age=${links.length < PAGE ? LAST_PAGE_S : FULL_PAGE_S}`);
		response.json({ commitments: links.map(linkJson) });
	});
	return routes;
}
