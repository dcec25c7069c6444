/** What canaries measured of each relay, kept with what is found by it (score.ts): an operator whose relay does not deliver, or serves the sponsored worse, is asked about it. */

import type { Problem } from "#contracts/problem";
import type { Book, RecordRow } from "#marketplace/ledger/book";
import type { Market } from "#marketplace/market";
import { CASE_KINDS } from "./case.ts";
import { type Decided, settle } from "./cases.ts";
import { findOnce } from "./found.ts";
import { type Fault, MEASURES_MAX, type Measure, type Score, type Served, scoreOf } from "./score.ts";

type Parts = Pick<Market, "book" | "clock" | "crypto" | "log" | "rules">;

/** A relay with its measurements and what they come to. */
export type Scored = {
	readonly relay: string;
	readonly operator: string;
	readonly score: Score;
	readonly measures: readonly Measure[];
};

const keyOf = (relay: string) => `score:${relay}`;

/** Older ones say nothing of how a relay serves today. */
const SPAN_MS = 30 * 86_400_000;

/** Takes measurements of a relay in; what they come to now. A measurement that is there already is not counted twice. */
export async function takeMeasures(
	parts: Parts,
	{ relay, operator }: Pick<Scored, "relay" | "operator">,
	measures: readonly Measure[],
): Promise<Scored | Problem> {
	const nowMs = parts.clock.nowMs();
	const taken = await settle(parts, async (): Promise<Decided<Scored>> => {
		const row = await parts.book.record("findings", keyOf(relay));
		const before = row ? readMeasures(row) : [];
		const news = measures.filter(({ atMs }) => !before.some((one) => one.atMs === atMs));
		const all = [...before, ...news]
			.filter(({ atMs }) => nowMs - atMs < SPAN_MS)
			.sort((a, b) => a.atMs - b.atMs)
			.slice(-MEASURES_MAX);
		const scored = { relay, operator, measures: all, score: scoreOf(all) };
		if (news.length === 0) return { answer: scored, rows: [] };
		const written = { key: keyOf(relay), account: operator, state: "score", dueMs: nowMs, value: JSON.stringify(all) };
		return { answer: scored, rows: [{ table: "findings", expect: row?.version ?? 0, row: written }] };
	});
	if ("problem" in taken) return taken;
	if (parts.rules.defences.watching)
		for (const fault of taken.score.faults)
			await findOnce(parts, { kind: fault.code, account: operator, about: relay }, reasonsOf(fault));
	return taken;
}

/** Relays that were measured, a page of them by key. */
export async function scoresOf(
	book: Pick<Book, "records">,
	after: string | undefined,
	limit: number,
): Promise<Scored[]> {
	const query = { table: "findings", by: "state", of: "score", limit } as const;
	const rows = await book.records({ ...query, ...(after !== undefined && { after: keyOf(after) }) });
	return rows.map((row) => {
		const measures = readMeasures(row);
		return { relay: row.key.slice("score:".length), operator: row.account, measures, score: scoreOf(measures) };
	});
}

function readMeasures({ value }: RecordRow): Measure[] {
	return JSON.parse(value) as Measure[];
}

function reasonsOf({ code, funded, own }: Fault): string[] {
	const line = (who: string, { tries, deliveredPpm, medianMs, refused, lost }: Served) =>
		`Of ${tries} ${who}, ${Math.floor(deliveredPpm / 10_000)} % arrived (${refused} were not taken, ${lost} got lost), half of them within ${medianMs} ms.`;
	return [CASE_KINDS[code], line("that a fund paid for", funded), line("that their sender paid for", own)];
}
