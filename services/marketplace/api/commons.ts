/** The commons' page, for anyone: by tRPC, and as plain HTTP for whoever draws it (PROTOCOL.md, "The commons"). */

import { Router } from "express";
import { commonsPage } from "#marketplace/commons/commons";
import type { Market } from "#marketplace/market";
import { open, router } from "./trpc.ts";

/** It changes once a day, and a fee that was decided a quarter of an hour later. */
const KEEP_S = 300;

const pageOf = ({ commons, fees }: Market) => commonsPage(commons.kept(), fees);

export const commons = router({
	/** What came in, went out, is reserved, how long it lasts, and the fee that follows from it. */
	show: open.query(({ ctx: { market } }) => pageOf(market)),
});

/** The same by `GET /v1/commons`. */
export function commonsRoutes(market: Market): Router {
	const routes = Router();
	routes.get("/v1/commons", (_request, response) => {
		response.setHeader("Cache-Control", `public, max-age=${KEEP_S}`);
		response.json(pageOf(market));
	});
	return routes;
}
