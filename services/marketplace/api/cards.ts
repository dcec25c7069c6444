/**
 * The door for published cards: plain HTTP without a login, because whose a card is and who reads it is nobody's business. A place is
 * named in a request's body and never in its address, which others write down (PROTOCOL.md, "The marketplace's HTTP").
 */

import { json, type RequestHandler, Router } from "express";
import { rateLimit } from "express-rate-limit";
import { fromHex, toHex } from "#contracts/bytes";
import { KEY_BYTES } from "#contracts/identity";
import { isProblem, problem } from "#contracts/problem";
import { isFromHere } from "#host/loopback";
import type { MarketplaceConfig } from "#marketplace/config";
import type { Market } from "#marketplace/market";
import { sendProblem } from "./relays.ts";

/** A published card has under 1.2 KiB; twice that in hex, and room for the JSON around it. */
const CARD_BYTES_MAX = 4_096;

/** For somebody who opens a card's link in a browser. */
const PAGE = `This link is somebody's contact card. Open it in an app that speaks Farelay, or: npx farelay send LINK "hello"

What follows the # in the link stayed with you: this market does not know whose card it is.
`;

/** The same for links with codes. */
const CODE_PAGES: Readonly<Record<string, string>> = {
	"/pass": `This link brings a pass: somebody pays for your messages. Open it in an app that speaks Farelay, or: npx farelay pass LINK

What follows the # in the link stayed with you: whoever has it can use it, so keep it to yourself until you did.
`,
	"/gift": `This link is a gift of money for messages. Open it in an app that speaks Farelay, or: npx farelay gift claim LINK

What follows the # in the link stayed with you: whoever has it can claim it, so keep it to yourself until you did.
`,
};

const HOUR_MS = 3_600_000;

/** Publishing, reading, and the pages that links lead to. */
export function cardRoutes(market: Market, config: MarketplaceConfig): Router {
	const routes = Router();
	const body = json({ limit: CARD_BYTES_MAX });

	routes.get("/card", (_request, response) => {
		response.type("text/plain").send(PAGE);
	});

	for (const [path, page] of Object.entries(CODE_PAGES))
		routes.get(path, (_request, response) => {
			response.type("text/plain").send(page);
		});

	routes.post("/v1/card", limitPublishing(config), body, async (request, response) => {
		const bytes = fromHex((request.body as { card?: unknown } | undefined)?.card);
		const refused = bytes
			? await market.cards.publish(bytes, market.clock.nowMs())
			: problem("malformed", 'The body must be {"card": hex}.');
		if (refused) sendProblem(response, refused);
		else response.json({ ok: true });
	});

	routes.post("/v1/card/read", body, async (request, response) => {
		const place = fromHex((request.body as { place?: unknown } | undefined)?.place, KEY_BYTES);
		const found = place
			? await market.cards.find(place, market.clock.nowMs())
			: problem("malformed", 'The body must be {"place": hex}.');
		response.setHeader("Cache-Control", "no-store");
		if (isProblem(found)) sendProblem(response, found);
		else response.json({ card: toHex(found) });
	});

	return routes;
}

/** What one address may publish in an hour, so that filling the market takes many addresses and a long time. This machine is not counted. */
function limitPublishing(config: MarketplaceConfig): RequestHandler {
	return rateLimit({
		windowMs: HOUR_MS,
		limit: config.cardsPerHourMax,
		standardHeaders: false,
		legacyHeaders: false,
		skip: isFromHere,
		handler: (_request, response) =>
			sendProblem(response, problem("too-many", "Too many cards came from there.", { retryAfterMs: HOUR_MS })),
	});
}
