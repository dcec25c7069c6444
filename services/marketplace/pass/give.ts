/** What whoever gives codes does: brings a batch of hashes, looks at what became of it, takes one or all back. */

import { toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import type { Change } from "#marketplace/ledger/book";
import { type Market, problemOfRefusal } from "#marketplace/market";
import {
	BATCH_CODES_MAX,
	type Batch,
	batchKey,
	batchOf,
	CODE_MS_MAX,
	type Code,
	codeOf,
	PASS_DAYS_MAX,
	ROOM,
	readBatchRow,
	USES_MAX,
	writeBatchRow,
	writeCodeRow,
} from "./code.ts";
import { termsOf } from "./pools.ts";

/** What a sponsor brings. */
export type BatchOrder = {
	/** 16 bytes in hex, of the sponsor's choice: the same batch again changes nothing */
	readonly batch: string;
	readonly pool: string;
	readonly hashes: readonly Uint8Array[];
	/** for how many people each code is good */
	readonly uses: number;
	/** until when it can be used */
	readonly untilMs: number;
	/** how long a pass lasts that it brings */
	readonly days: number;
	/** quota of a month that it brings; the pool's own bound holds too */
	readonly monthBytes: bigint;
};

type Rooms = Pick<Market, "book" | "clock">;

/** Takes a batch of codes into a pool. Only who fills the pool may. */
export async function giveCodes(market: Rooms, account: string, order: BatchOrder): Promise<Batch | Problem> {
	const { book, clock } = market;
	const nowMs = clock.nowMs();
	const refused = (await refusePool(market, account, order.pool)) ?? refuseOrder(order, nowMs);
	if (refused) return refused;
	const { batch: id, pool, uses, untilMs, days, monthBytes } = order;
	const count = order.hashes.length;
	const before = await batchOf(market, id);
	const fresh: Batch = {
		id,
		version: 0,
		giver: account,
		state: "batch",
		untilMs,
		pool,
		count,
		uses,
		monthBytes,
		days,
		madeAtMs: nowMs,
	};
	if (before && !isSame(before, fresh))
		return problem("conflict", "This batch's id was used for other codes; choose another.");
	const codes = order.hashes.map((hash): Code => {
		const base = { hash: toHex(hash), version: 0, giver: account, state: "open", untilMs, pool } as const;
		return { ...base, batch: id, uses, used: 0, monthBytes, days, signed: undefined };
	});
	const changes: Change[] = codes.map((code) => ({ rows: [writeCodeRow(code)] }));
	// the batch is first: without room for it there is none for its codes
	if (!before) {
		const [outcome] = await book.apply([{ rows: [{ ...writeBatchRow(fresh), most: ROOM }] }]);
		if (typeof outcome === "object") {
			if (outcome.refused === "full")
				return problem("too-many", `A sponsor has ${ROOM.ofAccount} batches at most; take old ones back.`);
			if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
			return giveCodes(market, account, order);
		}
	}
	const outcomes = await book.apply(changes);
	for (const [i, outcome] of outcomes.entries()) {
		if (typeof outcome !== "object") continue;
		if (outcome.refused !== "stale") return problemOfRefusal(outcome.refused, outcome.detail);
		// brought before, by this batch or by somebody's chance
		const there = await codeOf(market, codes[i]?.hash ?? "");
		if (there?.batch !== id || there.giver !== account)
			return problem("conflict", `Code ${i + 1} of the batch is there already; make it anew, in a batch of its own.`);
	}
	return before ?? { ...fresh, version: 1 };
}

function isSame(a: Batch, b: Batch): boolean {
	return (
		a.giver === b.giver &&
		a.pool === b.pool &&
		a.count === b.count &&
		a.uses === b.uses &&
		a.untilMs === b.untilMs &&
		a.days === b.days &&
		a.monthBytes === b.monthBytes
	);
}

async function refusePool(market: Rooms, account: string, pool: string): Promise<Problem | undefined> {
	const terms = await termsOf(market, pool);
	// whose it is is told to nobody else: there might be none
	if (terms?.sponsor !== account) return problem("not-found", "You have no such pool.");
	return terms.isOpen ? undefined : problem("conflict", "This pool has ended, or is about to: nobody can join it.");
}

function refuseOrder({ hashes, uses, untilMs, days, monthBytes }: BatchOrder, nowMs: number): Problem | undefined {
	const isWithin = (n: number, most: number): boolean => Number.isSafeInteger(n) && n >= 1 && n <= most;
	if (!isWithin(hashes.length, BATCH_CODES_MAX))
		return problem("malformed", `A batch has 1 to ${BATCH_CODES_MAX} codes; make another for more.`);
	if (new Set(hashes.map(toHex)).size !== hashes.length) return problem("malformed", "A code is in the batch twice.");
	if (!isWithin(uses, USES_MAX)) return problem("malformed", `A code is good for 1 to ${USES_MAX} people.`);
	if (!isWithin(days, PASS_DAYS_MAX)) return problem("malformed", `A pass lasts 1 to ${PASS_DAYS_MAX} days.`);
	if (!Number.isSafeInteger(untilMs) || untilMs <= nowMs || untilMs > nowMs + CODE_MS_MAX)
		return problem("malformed", "A code can be used until a day in the next 400.");
	return monthBytes > 0n ? undefined : problem("malformed", "A pass brings more than nothing.");
}

/** A sponsor's batches, by id. */
export async function batchesOf(market: Rooms, account: string): Promise<Batch[]> {
	const rows = await market.book.records({
		table: "codes",
		by: "account",
		of: account,
		after: batchKey(""),
		limit: ROOM.ofAccount,
	});
	return rows.filter(({ key }) => key.startsWith(batchKey(""))).map(readBatchRow);
}

/** Takes a batch back, all of it: codes that wait are good for nothing, and passes that were had by them end. */
export async function takeBatchBack(market: Rooms, account: string, id: string): Promise<Batch | Problem> {
	const batch = await batchOf(market, id);
	if (!batch || batch.giver !== account) return problem("not-found", "You gave no such batch.");
	if (batch.state === "batch-revoked") return batch;
	const next: Batch = { ...batch, state: "batch-revoked" };
	const [outcome] = await market.book.apply([{ rows: [writeBatchRow(next)] }]);
	if (outcome === "applied") return { ...next, version: batch.version + 1 };
	if (typeof outcome === "object" && outcome.refused === "stale") return takeBatchBack(market, account, id);
	return problemOfRefusal(typeof outcome === "object" ? outcome.refused : "unknown", "");
}

/** Takes one code back, a sponsor's or an enroller's, by its hash: it is good for nothing, and passes that were had by it end. */
export async function takeCodeBack(market: Rooms, account: string, hash: Uint8Array): Promise<Code | Problem> {
	const code = await codeOf(market, hash);
	if (!code || code.giver !== account) return problem("not-found", "You gave no such code.");
	if (code.state === "revoked") return code;
	const next: Code = { ...code, state: "revoked" };
	const [outcome] = await market.book.apply([{ rows: [writeCodeRow(next)] }]);
	if (outcome === "applied") return { ...next, version: code.version + 1 };
	if (typeof outcome === "object" && outcome.refused === "stale") return takeCodeBack(market, account, hash);
	return problemOfRefusal(typeof outcome === "object" ? outcome.refused : "unknown", "");
}
