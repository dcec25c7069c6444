/**
 * The market's HTTP door: who may ask how much, what is logged of it (no address at the info level; threat 26), and every failure as a
 * problem in JSON, never a stack trace.
 */

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createExpressMiddleware } from "@trpc/server/adapters/express";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import { rateLimit } from "express-rate-limit";
import helmet from "helmet";
import { toHex } from "#contracts/bytes";
import { linkJson } from "#contracts/chain";
import { LIMIT } from "#contracts/limit";
import type { MarketInfo } from "#contracts/market";
import { PROBLEMS, type Problem, problem } from "#contracts/problem";
import { isFromHere } from "#host/loopback";
import { makeCallers } from "./api/caller.ts";
import { cardRoutes } from "./api/cards.ts";
import { commitmentRoutes } from "./api/commitments.ts";
import { commonsRoutes } from "./api/commons.ts";
import { eventRoutes } from "./api/events.ts";
import { readerRoutes } from "./api/homes.ts";
import { relayRoutes, sendProblem } from "./api/relays.ts";
import { appRouter } from "./api/router.ts";
import { problemOf } from "./api/trpc.ts";
import type { MarketplaceConfig } from "./config.ts";
import type { Reach } from "./inspect/reach.ts";
import { BookFailure } from "./ledger/book.ts";
import type { Market } from "./market.ts";

/** The largest tRPC request: an open is 1 KiB, and a client may ask a few things at once. */
const TRPC_BYTES_MAX = 32 * 1_024;

/** Procedures in one request. */
const TRPC_BATCH_MAX = 10;

/** For somebody who opens the market's address in a browser. */
const GREETING = `This is a Farelay market: people send sealed messages through relays and pay for what is carried.

It is up. It has no pages yet: use it with \`npx farelay --help\`, or from an app with the SDK.
What it is and charges: /.well-known/farelay.json
`;

type Door = { readonly market: Market; readonly config: MarketplaceConfig; readonly reach: Reach };

/** The market's routes and what stands in front of them. */
export function makeServer({ market, config, reach }: Door): Express {
	const app = express();
	app.set("trust proxy", config.proxies);
	app.set("query parser", "simple");
	app.disable("etag");
	app.use(tell(market), helmet(), limitRate(config));
	app.get("/", (_request, response) => {
		response.type("text/plain").send(GREETING);
	});
	app.get("/health", (_request, response) => {
		const health = market.health.now();
		response.status(health.ok ? 200 : 503).json(health);
	});
	// whoever runs the market tries by this whether its address leads here
	app.get("/reach/:word", (request, response) => {
		response.status(reach.knows(request.params.word) ? 204 : 404).end();
	});
	app.get("/metrics", async (request, response) => {
		if (!mayReadMetrics(request, config)) return sendProblem(response, problem("unauthorized"));
		response.type(market.metrics.registry.contentType).send(await market.metrics.registry.metrics());
	});
	app.use(
		["/.well-known/farelay.json", "/trpc", "/v1/card", "/v1/received", "/v1/commitments", "/v1/commons"],
		allowOrigins,
	);
	app.get("/.well-known/farelay.json", (_request, response) => {
		response.json(describe(market));
	});
	app.use(relayRoutes(market));
	app.use(cardRoutes(market, config));
	app.use(readerRoutes(market));
	app.use(commitmentRoutes(market));
	app.use(commonsRoutes(market));
	app.use(eventRoutes(market));
	app.use("/trpc", limitBeginnings(config), limitGuesses(config), trpc(market));
	app.use((_request, response) => sendProblem(response, problem("not-found")));
	app.use(fail(market));
	return app;
}

/** What the market says of itself. */
export function describe(market: Market): MarketInfo {
	const newest = market.proofs.newest();
	return {
		protocol: "farelay/1",
		market: toHex(market.keys.market),
		keys: market.keys.certificates().map(({ bytes }) => toHex(bytes)),
		ended: market.keys.ends().map(({ bytes }) => toHex(bytes)),
		fees: market.fees,
		limits: {
			grantMsMax: LIMIT.grantMsMax,
			redeemGraceMs: LIMIT.redeemGraceMs,
			batchVouchersMax: LIMIT.batchVouchersMax,
		},
		rails: market.rails.map((rail) => rail.name),
		restored: market.restoring.span ?? null,
		head: newest ? linkJson(newest) : null,
		nowMs: market.clock.nowMs(),
	};
}

/** Gives the request its id, and says and counts how it ended. The path without its query, and never who asked. */
function tell(market: Market): RequestHandler {
	return (request, response, next) => {
		const id = randomUUID();
		response.locals.requestId = id;
		response.setHeader("X-Request-Id", id);
		const route = routeOf(request.path);
		const startMs = market.clock.elapsedMs();
		response.on("close", () => {
			const tookMs = Math.round(market.clock.elapsedMs() - startMs);
			const status = response.writableFinished ? response.statusCode : 499;
			market.metrics.requests.inc({ route, status: String(status) });
			market.metrics.seconds.observe({ route }, tookMs / 1_000);
			market.log.info({ requestId: id, method: request.method, route, status, tookMs }, "answered");
		});
		// who reads whose card is written down nowhere, however much is logged
		const address = route.startsWith("/v1/card") ? undefined : request.ip;
		market.log.trace({ requestId: id, address, path: request.path }, "asked");
		next();
	};
}

const ROUTES = [
	"/health",
	"/metrics",
	"/.well-known/farelay.json",
	"/v1/listing",
	"/v1/redeem",
	"/v1/granted",
	"/card",
	"/v1/card",
	"/v1/card/read",
	"/v1/received",
	"/v1/commitments",
	"/v1/commons",
];

/** A fixed few names: whatever a stranger asks for must become neither a label nor a line. */
function routeOf(path: string): string {
	if (ROUTES.includes(path)) return path;
	const names = path.startsWith("/trpc/") ? proceduresOf(path.slice("/trpc".length)) : [];
	if (path.startsWith("/v1/event/")) return "/v1/event";
	const known = Object.hasOwn(appRouter._def.procedures, names[0] ?? "");
	return known ? `/trpc/${names.length === 1 ? names[0] : "several"}` : "other";
}

function limitRate(config: MarketplaceConfig): RequestHandler {
	return rateLimit({
		windowMs: 60_000,
		limit: config.requestsPerMinuteMax,
		standardHeaders: "draft-8",
		legacyHeaders: false,
		skip: (request) => request.path === "/health",
		handler: (request, response) => {
			const resetAt = (request as { rateLimit?: { resetTime?: Date } }).rateLimit?.resetTime?.getTime();
			const retryAfterMs = resetAt === undefined ? 60_000 : Math.max(1_000, resetAt - Date.now());
			const refused = problem("too-many", undefined, { retryAfterMs });
			if (request.path.startsWith("/trpc")) sendTrpc(response, refused);
			else sendProblem(response, refused);
		},
	});
}

/** The procedures that a path below `/trpc` names, as tRPC reads it: what stands behind the last slash, decoded. */
function proceduresOf(path: string): string[] {
	const names = path.slice(path.lastIndexOf("/") + 1);
	try {
		return decodeURIComponent(names).split(",");
	} catch {
		return [];
	}
}

const HOUR_MS = 3_600_000;

/** What is written down for good, and asked of a provider, by whoever comes: an account costs nothing. */
const BEGINNINGS = ["funding.start", "operator.signUp", "operator.payout.now", "ask.desk", "ask.report"];

/**
 * What one address may begin in an hour: a deposit that nobody pays takes a place among all that wait, somebody who signs up opens an account at a provider in the
 * market's name, a payout that cannot go is a record all the same, and what is asked of the desk is somebody's time. Whoever asks from this machine is not counted.
 */
function limitBeginnings(config: MarketplaceConfig): RequestHandler {
	const begun = (request: IncomingMessage & { path: string }): number =>
		proceduresOf(request.path).filter((name) => BEGINNINGS.includes(name)).length;
	const limit = rateLimit({
		windowMs: HOUR_MS,
		limit: config.depositsPerHourMax,
		standardHeaders: false,
		legacyHeaders: false,
		skip: (request) => begun(request) === 0 || isFromHere(request),
		handler: (_request, response) =>
			sendTrpc(response, problem("too-many", "Too much was begun from there.", { retryAfterMs: HOUR_MS })),
	});
	return (request, response, next) =>
		begun(request) > 1
			? sendTrpc(response, problem("malformed", "One request begins one thing."))
			: limit(request, response, next);
}

/** What somebody could try with things that they made up: codes, gifts' links, tokens. */
const GUESSES = ["pass.redeem", "gift.claim", "tokens.spend"];

/** Wrong ones that one address may bring in an hour: right ones are not counted, for a school is one address. This machine is not counted. */
function limitGuesses(config: MarketplaceConfig): RequestHandler {
	const guessed = (request: IncomingMessage & { path: string }): number =>
		proceduresOf(request.path).filter((name) => GUESSES.includes(name)).length;
	const limit = rateLimit({
		windowMs: HOUR_MS,
		limit: config.wrongCodesPerHourMax,
		standardHeaders: false,
		legacyHeaders: false,
		skipSuccessfulRequests: true,
		skip: (request) => guessed(request) === 0 || isFromHere(request),
		handler: (_request, response) =>
			sendTrpc(response, problem("too-many", "Too many wrong codes came from there.", { retryAfterMs: HOUR_MS })),
	});
	return (request, response, next) =>
		guessed(request) > 1
			? sendTrpc(response, problem("malformed", "One request brings one code."))
			: limit(request, response, next);
}

/** Web clients on any origin may ask: what they show is a signed token, never a cookie. */
const allowOrigins: RequestHandler = (request, response, next) => {
	response.setHeader("Access-Control-Allow-Origin", "*");
	response.setHeader("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
	response.setHeader("Cross-Origin-Resource-Policy", "cross-origin");
	if (request.method !== "OPTIONS") return next();
	response.setHeader("Access-Control-Allow-Methods", "GET, POST");
	response.setHeader("Access-Control-Allow-Headers", "authorization, content-type");
	response.setHeader("Access-Control-Max-Age", "600");
	response.status(204).end();
};

/** From this machine and not through a proxy, or with the token. */
function mayReadMetrics(request: IncomingMessage, config: MarketplaceConfig): boolean {
	if (config.metricsToken !== undefined) return request.headers.authorization === `Bearer ${config.metricsToken}`;
	return isFromHere(request) && config.proxies === 0;
}

function trpc(market: Market): RequestHandler {
	const callers = makeCallers(market.keys.market, market.clock, market.board);
	return createExpressMiddleware({
		router: appRouter,
		maxBodySize: TRPC_BYTES_MAX,
		maxBatchSize: TRPC_BATCH_MAX,
		createContext: async ({ req, res, info }) => ({
			market,
			caller: await callers.caller(req.headers.authorization, info.type === "mutation"),
			requestId: String(res.locals.requestId),
		}),
		responseMeta: ({ errors }) => {
			const [first] = errors;
			return first && errors.length === 1 ? { status: PROBLEMS[problemOf(first).problem].http } : {};
		},
		onError: ({ error, path, ctx }) => {
			if (problemOf(error).problem === "internal")
				market.log.error({ err: error.cause ?? error, path, requestId: ctx?.requestId }, "a procedure broke");
		},
	});
}

/** A problem in the shape that tRPC's clients read. */
function sendTrpc(response: express.Response, refused: Problem): void {
	const httpStatus = PROBLEMS[refused.problem].http;
	response.status(httpStatus).json({
		error: { message: refused.detail, code: -32_000, data: { code: "REFUSED", httpStatus, problem: refused } },
	});
}

/** The last resort: what the body parser refuses, what the disk does not take, and bugs, which are logged and not told. */
function fail(market: Market): ErrorRequestHandler {
	return (error, _request, response, _next) => {
		const refused = problemOfFailure(error);
		if (refused.problem === "internal")
			market.log.error({ err: error, requestId: response.locals.requestId }, "a request broke");
		if (response.headersSent) response.destroy();
		else sendProblem(response, refused);
	};
}

function problemOfFailure(error: unknown): Problem {
	if (error instanceof BookFailure) return error.problem;
	const status = (error as { status?: unknown } | null)?.status;
	if (typeof status === "number" && status >= 400 && status < 500)
		return problem("malformed", status === 413 ? "The request is too large." : "The request is not one.");
	return problem("internal");
}
