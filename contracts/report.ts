/**
 * A pool's report: where a sponsor's money went, to the nano-dollar, fees included, as one text that anybody checks offline with nothing but public keys (PROTOCOL.md,
 * "A pool's report"). Lines are summed so that none is about fewer than twenty people; the hashes of those that are left out are in the signed root too.
 */

import { type Amount, formatDollars } from "./amount.ts";
import { toHex, Writer } from "./bytes.ts";
import { type Crypto, HASH_BYTES, hashFor, KEY_BYTES, type KeyPair, signFor } from "./identity.ts";
import { type Problem, problem } from "./problem.ts";
import { POOL_BYTES } from "./tranche.ts";

/** What a line is about at least: with fewer, a sum would say what somebody did. */
export const LINE_PEOPLE_MIN = 20;
/** Random bytes in a line, so that nobody who sees its hash can try figures. */
export const LINE_SALT_BYTES = 16;
/** Of a person whose country nobody said. */
export const NO_COUNTRY = "--";

/** Who was reached, and what it cost. A person counts once in each line and once in a stretch. */
export type Reached = {
	/** 0 in a stretch of fewer than {@link LINE_PEOPLE_MIN} */
	readonly people: number;
	/** as charged, of what the pool paid for */
	readonly bytes: bigint;
	readonly toOperators: Amount;
	readonly marketFee: Amount;
};

/** What was paid at a relay for people of a country. */
export type Line = Reached & {
	readonly relay: Uint8Array;
	/** two capital letters, or {@link NO_COUNTRY} */
	readonly country: string;
	readonly salt: Uint8Array;
};

/** One or several weeks, Monday to Monday UTC, with the lines that are shown and the hashes of those that are not. */
export type Stretch = Reached & {
	readonly fromMs: number;
	readonly toMs: number;
	readonly lines: readonly Line[];
	readonly hidden: readonly Uint8Array[];
};

/** A pool's money: `came = back + on + lost + spent + reserved + left`, where what was spent is what all stretches and `recent` say. */
export type PoolMoney = {
	/** what came on the pool */
	readonly came: Amount;
	/** what rails and the exchange kept of what was given, beside that */
	readonly railFee: Amount;
	readonly exchangeFee: Amount;
	/** what went back to the sponsor, and on to the commons */
	readonly back: Amount;
	readonly on: Amount;
	/** what banks took back of cards' gifts */
	readonly lost: Amount;
	readonly reserved: Amount;
	readonly left: Amount;
};

/** A report, before it is signed. Stretches follow each other. */
export type Report = {
	readonly market: Uint8Array;
	readonly pool: Uint8Array;
	/** of when its figures are, and when they were signed */
	readonly atMs: number;
	readonly signedMs: number;
	readonly money: PoolMoney;
	/** what was spent and stands in no stretch yet */
	readonly recent: { readonly toOperators: Amount; readonly marketFee: Amount };
	readonly stretches: readonly Stretch[];
};

/** Seven years of weeks. */
export const STRETCHES_MAX = 364;
/** The parts of a pool's money, in the order in which they are signed. */
export const MONEY = ["came", "railFee", "exchangeFee", "back", "on", "lost", "reserved", "left"] as const;
const VERSION = 1;
const WEEK_MS = 7 * 86_400_000;
/** 1970-01-05 was a Monday. */
const MONDAY_MS = 4 * 86_400_000;

/** The Monday, 0:00 UTC, of the week of a time. */
export function mondayOf(ms: number): number {
	return Math.floor((ms - MONDAY_MS) / WEEK_MS) * WEEK_MS + MONDAY_MS;
}

/** What a line's place in the root is. */
export function lineHash(crypto: Crypto, pool: Uint8Array, fromMs: number, line: Line): Uint8Array {
	const body = new Writer(160)
		.put(pool, POOL_BYTES)
		.u64(fromMs)
		.put(line.relay, KEY_BYTES)
		.put(new TextEncoder().encode(line.country), 2);
	return hashFor(crypto, "pool-line", reached(body, line).put(line.salt, LINE_SALT_BYTES).finish());
}

function reached(writer: Writer, { people, bytes, toOperators, marketFee }: Reached): Writer {
	return writer.u32(people).u64(bytes).u64(toOperators).u64(marketFee);
}

/** What commits to all lines of a stretch, in the order of their hashes, which says nothing of them. */
export function linesRoot(crypto: Crypto, pool: Uint8Array, { fromMs, toMs, lines, hidden }: Stretch): Uint8Array {
	const hashes = [...lines.map((line) => lineHash(crypto, pool, fromMs, line)), ...hidden].sort(compare);
	const writer = new Writer(64 + hashes.length * HASH_BYTES).put(pool, POOL_BYTES).u64(fromMs).u64(toMs);
	for (const hash of hashes) writer.put(hash, HASH_BYTES);
	return hashFor(crypto, "pool-lines", writer.finish());
}

function compare(a: Uint8Array, b: Uint8Array): number {
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
	return 0;
}

/** What is signed. */
export function bodyOf(crypto: Crypto, { market, pool, atMs, signedMs, money, recent, stretches }: Report): Uint8Array {
	const writer = new Writer(512).u8(VERSION).put(market, KEY_BYTES).put(pool, POOL_BYTES).u64(atMs).u64(signedMs);
	for (const name of MONEY) writer.u64(money[name]);
	writer.u64(recent.toOperators).u64(recent.marketFee).u16(stretches.length);
	for (const stretch of stretches)
		reached(writer.u64(stretch.fromMs).u64(stretch.toMs), stretch).put(linesRoot(crypto, pool, stretch), HASH_BYTES);
	return writer.finish();
}

/** Signs a report with an online key of the market. @throws RangeError for one whose figures do not come out: the maker's bug, and nothing that may be signed. */
export function signReport(crypto: Crypto, report: Report, online: KeyPair): Uint8Array {
	const fault = faultOf(report);
	if (fault) throw new RangeError(fault.detail);
	return signFor(crypto, "pool-report", bodyOf(crypto, report), online.secretKey);
}

/** What of a pool was spent: on operators, and on the market's fee. */
export function spentOf({ recent, stretches }: Pick<Report, "recent" | "stretches">): {
	toOperators: bigint;
	marketFee: bigint;
} {
	let { toOperators, marketFee }: { toOperators: bigint; marketFee: bigint } = recent;
	for (const stretch of stretches) {
		toOperators += stretch.toOperators;
		marketFee += stretch.marketFee;
	}
	return { toOperators, marketFee };
}

/** What of a stretch stands in no line that is shown. */
export function restOf(stretch: Stretch): { bytes: bigint; toOperators: bigint; marketFee: bigint } {
	let { bytes, toOperators, marketFee }: { bytes: bigint; toOperators: bigint; marketFee: bigint } = stretch;
	for (const line of stretch.lines) {
		bytes -= line.bytes;
		toOperators -= line.toOperators;
		marketFee -= line.marketFee;
	}
	return { bytes, toOperators, marketFee };
}

type Checked = "form" | "key" | "market" | "signature" | "sum" | "lines";
/** Why a report says nothing, or what is false in it, and which check says so. */
export type ReportProblem = Problem & { readonly check: Checked };

/** A check that fails. */
export function failed(check: Checked, why: Problem): ReportProblem {
	return { ...why, check };
}

/** What does not come out; undefined when all does. */
export function faultOf(report: Report): ReportProblem | undefined {
	const { money, stretches, pool } = report;
	if (pool.length !== POOL_BYTES || stretches.length > STRETCHES_MAX)
		return failed("form", problem("malformed", "The report is of no pool, or of more weeks than it holds."));
	const spent = spentOf(report);
	const went = money.back + money.on + money.lost + money.reserved + money.left + spent.toOperators + spent.marketFee;
	if (went !== money.came) {
		const says = `${formatDollars(money.came)} came to the pool, and ${formatDollars(went)} are accounted for.`;
		return failed("sum", problem("conflict", says));
	}
	let endMs = 0;
	for (const stretch of stretches) {
		const { fromMs, toMs } = stretch;
		if (mondayOf(fromMs) !== fromMs || mondayOf(toMs) !== toMs || fromMs < endMs || toMs <= fromMs)
			return failed("form", problem("malformed", "The weeks of the report are none, or not in their order."));
		endMs = toMs;
		const wrong = faultOfLines(stretch);
		if (wrong)
			return failed("lines", problem("conflict", `${wrong} (week of ${new Date(fromMs).toISOString().slice(0, 10)})`));
	}
	return undefined;
}

function faultOfLines(stretch: Stretch): string | undefined {
	const { lines, hidden, people } = stretch;
	const rest = restOf(stretch);
	if (rest.bytes < 0n || rest.toOperators < 0n || rest.marketFee < 0n)
		return "Lines say more than the weeks that they are of";
	const isAll = rest.bytes === 0n && rest.toOperators === 0n && rest.marketFee === 0n;
	if (hidden.length === 0 && !isAll) return "Lines say less than the weeks that they are of, and none is left out";
	// of so few people the weeks themselves say as much
	if (hidden.length === 1 && people >= LINE_PEOPLE_MIN) return "A line that is left out alone is known by the sums";
	const few = people > 0 && people < LINE_PEOPLE_MIN;
	if (few || lines.some((line) => line.people < LINE_PEOPLE_MIN || line.people > people))
		return `A line or a sum is about fewer than ${LINE_PEOPLE_MIN} people, or about more than there were`;
	const names = new Set(lines.map(({ relay, country }) => `${toHex(relay)} ${country}`));
	return names.size === lines.length ? undefined : "A line stands twice";
}
