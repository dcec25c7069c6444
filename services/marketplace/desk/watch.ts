/**
 * The market's own look at enrollers and new operators: whose people look alike is asked about it (alike.ts), by a case that says what was found and can be answered. An
 * enroller is paused meanwhile, an operator's first subsidised earnings wait on. Only what the market has anyway is looked at.
 */

import type { Market } from "#marketplace/market";
import { decided, enrollerOf, writeEnroller } from "#marketplace/pass/enroller";
import { type Pass, quotaOf, readPassRow } from "#marketplace/pass/pass";
import { ownOf } from "#marketplace/tab/fresh";
import { billed, readTab, type Tab } from "#marketplace/tab/tab";
import { type Alike, alikeOf, type LikenessCode, type Trace } from "./alike.ts";
import { findOnce } from "./found.ts";

/** How often enrollers are looked at. */
export const WATCH_MS = 6 * 3_600_000;

/** What is looked at of somebody: the newest month. */
const SPAN_MS = 30 * 86_400_000;
/** People of one enroller or operator that are looked at: more say nothing else. */
const PEOPLE_MAX = 200;
const PAGE = 500;

type Parts = Pick<Market, "book" | "clock" | "crypto" | "rules" | "log">;

/** Looks at all enrollers; how many were asked about their people. */
export async function watchEnrollers(parts: Parts): Promise<number> {
	if (!parts.rules.defences.watching) return 0;
	const nowMs = parts.clock.nowMs();
	const people = new Map<string, { count: number; readonly looked: Pass[] }>();
	for await (const pass of passes(parts)) {
		if (pass.enroller === undefined || pass.validUntilMs <= nowMs) continue;
		const own = people.get(pass.enroller) ?? { count: 0, looked: [] };
		people.set(pass.enroller, own);
		own.count += 1;
		// each of them is looked at as likely as any other, and nobody knows which
		const at = own.count <= PEOPLE_MAX ? own.count - 1 : drawn(parts, own.count);
		if (at < PEOPLE_MAX) own.looked[at] = pass;
	}
	const traces = new Map<string, Trace[]>();
	for (const [enroller, { looked: own }] of people)
		traces.set(
			enroller,
			await Promise.all(own.map((pass) => traceOf(parts, pass.account, quotaOf(pass, nowMs), nowMs))),
		);
	let asked = 0;
	for (const [enroller, own] of traces) {
		// held against everybody else's people: whoever has many of its own must not be what is usual
		const others = [...traces].flatMap(([other, theirs]) => (other === enroller ? [] : theirs));
		const found = alikeOf(own, sharesOf(others));
		if (found.isAlike && (await pauseFor(parts, enroller, found))) asked += 1;
	}
	return asked;
}

/** Looks at who paid an operator by funds; a finding where they look alike. Called before first earnings are let go of. */
export async function judgeOperator(parts: Parts, operator: string, eligible: number): Promise<void> {
	if (!parts.rules.defences.watching) return;
	const nowMs = parts.clock.nowMs();
	const accounts = new Set<string>();
	const rows = await parts.book.records({ table: "late", by: "account", of: operator, limit: PAGE });
	for (const { key } of rows) {
		const row = key.startsWith("first:") ? await parts.book.tab(key.slice("first:".length)) : undefined;
		if (row && accounts.size < PEOPLE_MAX) accounts.add(row.account);
	}
	const quota = parts.rules.quotaBytes;
	const traces = await Promise.all([...accounts].map((account) => traceOf(parts, account, quota, nowMs)));
	// what one of as many has of all money, if it were spread evenly
	const even = Math.floor(1_000_000 / Math.max(1, eligible));
	const groups = new Set(traces.flatMap(({ spent }) => [...spent.keys()]));
	const found = alikeOf(traces, new Map([...groups].map((group) => [group, even])));
	if (found.isAlike)
		await findOnce(parts, { kind: "payers-alike", account: operator, about: operator }, reasonsOf(found));
}

async function pauseFor(parts: Parts, account: string, found: Alike): Promise<boolean> {
	const enroller = await enrollerOf(parts, account);
	if (enroller?.state !== "approved") return false;
	const paused = decided(enroller, "paused", { why: `Its people look alike: ${reasonsOf(found).join(" ")}` });
	if ("problem" in paused) throw new Error(`an enroller cannot be paused: ${paused.detail}`);
	return await findOnce(parts, { kind: "people-alike", account, about: account }, reasonsOf(found), [
		writeEnroller(paused),
	]);
}

const WORDS: Readonly<Record<LikenessCode, string>> = {
	"one-operator": "of what funds paid for them is with one operator",
	"same-amounts": "of them used nearly the same amount",
	"same-times": "of their tabs were opened within seconds of somebody else's of them",
	"all-of-it": "of them used up all they were given",
};

function reasonsOf({ people, likenesses }: Alike): string[] {
	const percent = (ppm: number) => `${Math.floor(ppm / 10_000)} %`;
	return likenesses.map(
		({ code, ppm, fromPpm }) =>
			`Of ${people} people: ${percent(ppm)} ${WORDS[code]} (asked about from ${percent(fromPpm)} on).`,
	);
}

/** What each operator's group has of what these people spent, in parts per million. */
function sharesOf(traces: readonly Trace[]): ReadonlyMap<string, number> {
	const sums = new Map<string, bigint>();
	let all = 0n;
	for (const { spent } of traces)
		for (const [group, nanos] of spent) {
			sums.set(group, (sums.get(group) ?? 0n) + nanos);
			all += nanos;
		}
	const ppmOf = (part: bigint): number => {
		const ppm = (part * 1_000_000n) / all;
		return Number(ppm);
	};
	return new Map([...sums].map(([group, nanos]) => [group, ppmOf(nanos)]));
}

/** What the market has of one person in the newest month, of what funds paid. */
async function traceOf({ book }: Parts, account: string, quotaBytes: bigint, nowMs: number): Promise<Trace> {
	const spent = new Map<string, bigint>();
	const openedMs: number[] = [];
	let used = 0n;
	for await (const tab of tabsOf(book, account)) {
		if (!tab.counted || tab.grant.issuedAtMs < nowMs - SPAN_MS) continue;
		const bill = billed(tab);
		const { group, uses } = tab.counted;
		spent.set(group, (spent.get(group) ?? 0n) + (bill.ask - ownOf(bill)));
		openedMs.push(tab.grant.issuedAtMs);
		for (const { quota } of uses) used += quota;
	}
	const usedPpm = quotaBytes === 0n ? 0n : (used * 1_000_000n) / quotaBytes;
	return { spent, openedMs, usedPpm: Number(usedPpm > 1_000_000n ? 1_000_000n : usedPpm) };
}

async function* tabsOf(book: Market["book"], of: string): AsyncIterable<Tab> {
	let after: string | undefined;
	for (;;) {
		const page = await book.tabs({ by: "account", of, limit: PAGE, ...(after && { after }) });
		for (const row of page) yield readTab(row);
		after = page.length < PAGE ? undefined : page.at(-1)?.tab;
		if (!after) return;
	}
}

async function* passes({ book }: Parts): AsyncIterable<Pass> {
	let after: string | undefined;
	for (;;) {
		const page = await book.records({ table: "passes", by: "state", of: "held", limit: PAGE, ...(after && { after }) });
		for (const row of page) yield readPassRow(row);
		after = page.length < PAGE ? undefined : page.at(-1)?.key;
		if (!after) return;
	}
}

/** Any number below so many. */
function drawn({ crypto }: Parts, below: number): number {
	const [a = 0, b = 0, c = 0, d = 0] = crypto.random(4);
	return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) % below;
}
