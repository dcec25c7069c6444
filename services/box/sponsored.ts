/**
 * The second delivery of the main job: free for its sender, who has no money at all. A sponsor makes a pool, fills it and hands out a code; the sender brings the
 * code, and the pool pays the relay's whole ask and the market's fee. The bill is held against the pool's own page.
 */

import {
	type Amount,
	add,
	amount,
	formatAmount,
	formatDollars,
	NOTHING,
	parseAmount,
	parseDollars,
} from "#contracts/amount";
import { same } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { REASONS, type Reason } from "#contracts/reason";
import type { Client } from "#sdk/client";
import type { RelayOffer } from "#sdk/market";
import type { PoolJson, PoolRulesJson } from "#sdk/pools";
import type { Box } from "./box.ts";
import { fundByLightning, fundByPlay } from "./deposit.ts";

/** What it came to: what the sender paid, and of what the pool paid what the operator got, waiting or not, and what the market. */
export type Sponsored = {
	readonly payer: Amount;
	readonly pool: Amount;
	readonly operator: Amount;
	readonly marketFee: Amount;
	readonly reason: Reason;
};

/** What the pool is filled up to: twenty times what one person may use in a month at the usual price, so that no share of it is too small for a tab. */
const POOL = parseDollars("1") as Amount;
const TEXT = "This message cost its sender nothing: a sponsor's pool paid for it.";
/** How long the reader may wait for it. */
const ARRIVE_MS = 20_000;

const RULES: PoolRulesJson = {
	...{ countries: [], enrollers: [], monthBytes: "100000000", dayBytes: "10000000" },
	...{ dayLimit: formatAmount(POOL), fromMs: 0 },
};

/** Does it once, at a relay; a problem says what failed. */
export async function deliverSponsored(box: Box, relay: RelayOffer, say: (text: string) => void) {
	const [sponsor, guest, reader] = await Promise.all([
		box.person("sponsor"),
		box.person("guest"),
		box.person("reader"),
	]);
	try {
		return await deliver(box, { sponsor, guest, reader, relay }, say);
	} finally {
		await Promise.all([sponsor.close(), guest.close(), reader.close()]);
	}
}

type Cast = {
	readonly sponsor: Client;
	readonly guest: Client;
	readonly reader: Client;
	readonly relay: RelayOffer;
};

async function deliver(
	box: Box,
	{ sponsor, guest, reader, relay }: Cast,
	say: (text: string) => void,
): Promise<Sponsored | Problem> {
	const paid = box.lightning
		? await fundByLightning(box.lightning, sponsor, say, "sponsor")
		: await fundByPlay(sponsor);
	if (isProblem(paid)) return paid;
	const pool = await filledPool(sponsor);
	say(
		`A sponsor has a pool of ${formatDollars(parseAmount(pool.left) ?? NOTHING)} and gives a code to somebody who has nothing.`,
	);
	const { passes } = await guest.passes.show();
	if (!passes.some((pass) => pass.pool === pool.pool)) {
		const { codes } = await sponsor.passes.makeCodes({ pool: pool.pool, count: 1 });
		await guest.passes.redeem(codes[0]?.code ?? "");
	}
	const card = await reader.card({ relay, name: "reader" });
	const cost = await guest.estimate(card, TEXT);
	const reason = cost.reasons.find(({ code }) => code === "pool-pays");
	if (cost.payer > 0n || !reason) return problem("conflict", "The pool does not pay for all of it.", { spent: "no" });
	say(
		`It would cost ${formatAmount(cost.total)} nano-dollars; the sender pays none of it. ${REASONS[reason.code].says}`,
	);
	const arrived = Promise.withResolvers<void>();
	const sent = await guest.send(card, TEXT);
	await reader.listen({ text: ({ id }) => void (same(id, sent.id) && arrived.resolve()) });
	if (!(await within(arrived.promise, ARRIVE_MS)))
		return problem("unavailable", "The sponsored message did not arrive.");
	const settled = await guest.settle();
	const bills = settled.map(({ closed }) => (isProblem(closed) ? undefined : closed.bill?.bill));
	const sum = (of: "payer" | "pools" | "ask" | "marketFee" | "solidarityFee") =>
		add(...bills.map((bill) => bill?.[of] ?? NOTHING));
	const [operator, marketFee] = [sum("ask"), sum("marketFee")];
	const now = await sponsor.pools.show(pool.pool);
	const spent = spentOf(now) - spentOf(pool);
	const isWhole =
		bills.every((bill) => bill !== undefined) &&
		sum("payer") === NOTHING &&
		sum("solidarityFee") === NOTHING &&
		sum("pools") === spent &&
		spent === operator + marketFee &&
		operator > 0n;
	if (!isWhole) return problem("conflict", "The bill is not what the pool says it spent.", { spent: "yes" });
	return { payer: NOTHING, pool: amount(spent), operator, marketFee, reason };
}

/** The sponsor's pool, made where there is none and filled up. */
async function filledPool(sponsor: Client): Promise<PoolJson> {
	const [mine] = (await sponsor.pools.mine()).filter(({ state }) => state === "open");
	const pool = mine ? await sponsor.pools.show(mine.pool) : await sponsor.pools.create(RULES);
	const lacks = POOL - BigInt(pool.left);
	return lacks > 0n ? await sponsor.pools.fund(pool.pool, amount(lacks)) : pool;
}

function spentOf({ toOperators, marketFee }: PoolJson): bigint {
	return BigInt(toOperators) + BigInt(marketFee);
}

async function within(promise: Promise<void>, ms: number): Promise<boolean> {
	const { promise: over, resolve } = Promise.withResolvers<boolean>();
	const timer = setTimeout(() => resolve(false), ms);
	const done = await Promise.race([promise.then(() => true), over]);
	clearTimeout(timer);
	return done;
}
