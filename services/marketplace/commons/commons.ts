/**
 * The commons of a market: looks once a day, whichever process is first, at what came in and went out, and decides the fee that comes into force a quarter of an hour later, for all
 * processes at once. What anybody sees of it is of the day's beginning: whoever could watch it move would learn for which tabs the commons pay.
 */

import { amount } from "#contracts/amount";
import type { FeeRates } from "#contracts/tab";
import { COMMONS } from "#marketplace/ledger/chart";
import type { Market } from "#marketplace/market";
import { quotaPpm, THIN_DAYS } from "#marketplace/pool/decide";
import type { FundKnown } from "#marketplace/sponsor/sources";
import { billed, readTab, reservedOf } from "#marketplace/tab/tab";
import { DAYS_KEPT, type Day, feeAt, type Kept, meanOf, newKept, readKept, writeKept } from "./figures.ts";
import { BUDGET_DAYS, dayBudget, daysOfCover, FEE_RULE, type FeeRule, nextFeePpm } from "./rule.ts";

/** How often a process looks whether another has decided, or it is time. */
export const COMMONS_ROUND_MS = 60_000;

/** A fee that was decided comes into force so much later: by then every process knows it. */
const FORCE_MS = 15 * 60_000;
const DAY_MS = 86_400_000;
const PAGE = 1_000;
/** Tabs on the commons' money end within a day, and their last vouchers come in another. */
const OPEN_DAYS = 3;
const PPM = 1_000_000n;

type CommonsMarket = Pick<Market, "book" | "clock">;

/** The commons, as a process knows them. */
export type Commons = {
	/** the solidarity fee that new tabs pay now */
	feePpm(): number;
	/** Reads what is decided, and decides where a day has begun; whether it did. */
	run(): Promise<boolean>;
	/** What a plan is told of the commons. */
	facts(nowMs: number): Promise<FundKnown>;
	/** What anybody may see; undefined before the first day. */
	kept(): Kept | undefined;
};

/** Opens the commons; `startPpm` is the fee of a market that has decided none yet. */
export async function openCommons({ book, clock }: CommonsMarket, startPpm: number): Promise<Commons> {
	const rule: FeeRule = { ...FEE_RULE, startPpm, maxPpm: Math.max(FEE_RULE.maxPpm, startPpm) };
	let kept = await readKept(book);

	async function run(): Promise<boolean> {
		kept = await readKept(book);
		const nowMs = clock.nowMs();
		const day = Math.floor(nowMs / DAY_MS);
		if (kept && kept.day >= day) return false;
		const next = kept
			? await nextOf(book, kept, day, nowMs, rule)
			: newKept(startPpm, day, await book.balance(COMMONS));
		const [outcome] = await book.apply([{ rows: [writeKept(next)] }]);
		if (typeof outcome === "object" && outcome.refused !== "stale")
			throw new Error(`the commons' day was not written down: ${outcome.detail}`);
		kept = await readKept(book);
		return outcome === "applied";
	}

	return {
		feePpm: () => (kept ? feeAt(kept, clock.nowMs()) : startPpm),
		run,
		kept: () => kept,
		facts: async (nowMs) => {
			const free = await book.balance(COMMONS);
			const { inADay, outADay } = meanOf(kept?.days ?? []);
			const dayLimit = dayBudget(kept && kept.days.length > 0 ? kept.free : free, inADay);
			const now = new Date(nowMs);
			return {
				...{ fund: COMMONS, state: "open" as const, free, dayLimit, budget30: dayLimit * BUDGET_DAYS },
				quotaPpm: quotaPpm(free, outADay - inADay, THIN_DAYS),
				refillsAtMs: Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1),
			};
		},
	};
}

/** What is kept from the beginning of this day on. */
async function nextOf(book: Market["book"], kept: Kept, day: number, nowMs: number, rule: FeeRule): Promise<Kept> {
	const found = new Map<number, Day>();
	const startMs = day * DAY_MS;
	const fee = feeAt(kept, startMs);
	const old = kept.days.find((one) => one.day <= day - OPEN_DAYS);
	let position = kept.position;
	let reserved = 0n;
	// what was looked at before is read again for the tabs that are still open
	for (let after = old ? old.after : 0, isOver = false; !isOver; ) {
		const page = await book.transfers(COMMONS, after, PAGE);
		for (const { id, atMs, entries, position: at } of page) {
			isOver = atMs >= startMs;
			if (isOver) break;
			after = at;
			if (id.startsWith("open:")) reserved += await reservedOn(book, id.slice("open:".length));
			if (at <= kept.position) continue;
			const nanos = entries.find(({ account }) => account === COMMONS)?.nanos ?? 0n;
			const of = Math.floor(atMs / DAY_MS);
			found.set(of, counted(found.get(of) ?? dayOf(of, kept, position), id, nanos, fee));
			position = at;
		}
		isOver ||= page.length < PAGE;
	}
	for (let of = kept.day; of < day; of++) if (!found.has(of)) found.set(of, dayOf(of, kept, position));
	const days = [...found.values()].sort((a, b) => b.day - a.day);
	const all = [...days, ...kept.days.filter((one) => !found.has(one.day))].slice(0, DAYS_KEPT);
	const free = amount(await book.balance(COMMONS));
	const { wantedADay, paidADay } = meanOf(all);
	const feePpm = nextFeePpm(fee, { free, wantedADay, paidADay }, rule);
	return {
		...{ version: kept.version, feePpm: fee, day, free, reserved: amount(reserved), position, days: all },
		...(feePpm !== fee && { next: { feePpm, fromMs: nowMs + FORCE_MS } }),
	};
}

function dayOf(day: number, { free, days }: Kept, after: number): Day {
	const { inADay, outADay } = meanOf(days);
	return { day, fees: 0n, given: 0n, out: 0n, paid: 0n, quotaPpm: quotaPpm(free, outADay - inADay, THIN_DAYS), after };
}

/** A day with one more transfer: fees come as tabs are redeemed, what people get leaves as they open tabs and comes back as these end. */
function counted(day: Day, id: string, nanos: bigint, feePpm: number): Day {
	if (id.startsWith("open:") || id.startsWith("return:")) return { ...day, out: day.out - nanos };
	if (!id.startsWith("redeem:")) return { ...day, given: day.given + nanos };
	const paid = feePpm > 0 ? (nanos * PPM) / BigInt(feePpm) : 0n;
	return { ...day, fees: day.fees + nanos, paid: day.paid + paid };
}

async function reservedOn(book: Market["book"], id: string): Promise<bigint> {
	const row = await book.tab(id);
	const tab = row && readTab(row);
	return tab && tab.state !== "closed" ? reservedOf(tab).commons - billed(tab).commons : 0n;
}

/** The commons' page: what came in, went out, is reserved, and how long it lasts at this pace. Amounts are decimal strings of nano-dollars. */
export function commonsPage(kept: Kept | undefined, fees: FeeRates) {
	const days = kept?.days ?? [];
	const { inADay, outADay, wantedADay } = meanOf(days);
	const free = kept?.free ?? amount(0n);
	return {
		/** of when it is: the beginning of the day */
		atMs: kept ? kept.day * DAY_MS : null,
		left: free.toString(),
		reserved: (kept?.reserved ?? 0n).toString(),
		fee: {
			nowPpm: fees.solidarityPpm,
			next: kept?.next ?? null,
			maxPpm: FEE_RULE.maxPpm,
			stepPpm: FEE_RULE.stepPpm,
			coverDays: FEE_RULE.coverDays,
		},
		inADay: inADay.toString(),
		outADay: outADay.toString(),
		wantedADay: wantedADay.toString(),
		dayLimit: dayBudget(free, inADay).toString(),
		forecast: {
			/** whole days; null: for as long as this goes on */
			daysOfCover: daysOfCover(free, outADay, inADay)?.toString() ?? null,
			says: "What was left as the day began, divided by what went out less what fees brought in a day, as the mean of the last seven days.",
		},
		days: days.map(({ day, fees: brought, given, out }) => ({
			atMs: day * DAY_MS,
			fees: brought.toString(),
			given: given.toString(),
			out: out.toString(),
		})),
	};
}
