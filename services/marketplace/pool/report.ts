/** A pool's report, signed: for everybody as of the last day, for its sponsor as of now. */

import { fromHex, toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import { mondayOf, type Report, signReport } from "#contracts/report";
import { writeReport } from "#contracts/reportfile";
import { ATTEMPTS_MAX, type Market } from "#marketplace/market";
import { type Figures, figuresOf, shownOf } from "./day.ts";
import { NO_FLOWS, type Pool } from "./pool.ts";
import { poolOf } from "./pools.ts";
import { walkPool } from "./walk.ts";
import { weeksOf } from "./weeks.ts";

/** Tabs that are read for one answer; a pool with more in its newest weeks is reported as of the last day. */
const TABS_MAX = 2_000;

/** What reports need of a market. */
export type ReportMarket = Pick<Market, "book" | "clock" | "crypto" | "log" | "keys">;

/** A report with its one text. */
export type Reported = { readonly pool: Pool; readonly report: Report; readonly text: string };

/** The report of a pool. `isSponsor`: as of now. */
export async function reportOf(
	market: ReportMarket,
	id: string,
	isSponsor: (pool: Pool) => boolean,
): Promise<Reported | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const pool = await poolOf(market, id);
		if (!pool) return problem("not-found", "There is no such pool here.");
		const figures = (isSponsor(pool) && (await nowOf(market, pool))) || (await shownOf(market, id)) || none(pool);
		const stretches = await weeksOf(market, pool);
		// a day went by meanwhile: figures and weeks are of one moment or of none
		if ((await poolOf(market, id))?.version !== pool.version) continue;
		return signed(market, pool, { ...figures, stretches });
	}
	return problem("too-many", "The pool changes all the time; ask again.");
}

async function nowOf(market: ReportMarket, pool: Pool): Promise<Figures | undefined> {
	// one that has ended says what everybody is told
	if (pool.state === "ended") return undefined;
	const walked = await walkPool(market, pool, mondayOf(market.clock.nowMs()), TABS_MAX);
	return walked && (await figuresOf(market, pool, walked));
}

/** Before its first day nothing is said of a pool. */
function none({ createdMs }: Pool): Figures {
	const { toOperators, marketFee, ...money } = {
		...{ ...NO_FLOWS, reserved: NO_FLOWS.came, left: NO_FLOWS.came },
		...{ toOperators: NO_FLOWS.came, marketFee: NO_FLOWS.came },
	};
	return { atMs: createdMs, money, recent: { toOperators, marketFee } };
}

function signed(
	{ crypto, keys, clock }: ReportMarket,
	pool: Pool,
	said: Figures & Pick<Report, "stretches">,
): Reported {
	const nowMs = clock.nowMs();
	const online = keys.online(nowMs);
	const key = keys.certificates().find((known) => toHex(known.key) === toHex(online.publicKey));
	const id = fromHex(pool.pool);
	if (!key || !id) throw new Error("the key that signs has no certificate, or a pool no id");
	const report: Report = { ...said, market: keys.market, pool: id, signedMs: nowMs };
	return { pool, report, text: writeReport(report, key.bytes, signReport(crypto, report, online)) };
}
