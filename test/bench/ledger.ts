/**
 * The ledger: what it writes durably in a second beside the bare statements, redemptions as relays' batches make them and single transfers; and what
 * they cost in a ledger with a long past beside a young one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { grow } from "./ledger-grown.ts";
import type { BookJob, Measured } from "./ledger-job.ts";
import { onPostgres } from "./ledger-postgres.ts";
import { BATCH } from "./ledger-work.ts";
import { BOTH_CORES, type Contest, compare, median, start } from "./measure.ts";
import type { Bench } from "./run.ts";

export const about =
	"the ledger on disk, against the bare statements on node:sqlite; one of 10^7 entries against a young one; batches on Postgres";

/** Relays that redeem at once, each a batch at a time. */
const RELAYS = 8;
/** Callers of single transfers at once. */
const CALLERS = 512;
/** Tabs from which relays redeem: two batches of each, or one where they are compared across ledgers. */
const TABS = 2 * RELAYS * BATCH;
const LIVE = RELAYS * BATCH;

const SIDE_MS_MAX = 300_000;

/** Runs one side in a process of its own. It may use both cores: the book has a thread, the bare statements have none. */
export async function side(script: "seam-ledger" | "bare-ledger", job: BookJob): Promise<Measured> {
	const child = start(BOTH_CORES, [`${import.meta.dirname}/${script}.ts`]);
	child.stdin?.end(JSON.stringify(job));
	const late = setTimeout(() => child.kill("SIGKILL"), SIDE_MS_MAX);
	let said = "";
	child.stdout?.setEncoding("utf8").on("data", (heard: string) => {
		said += heard;
	});
	const code = await new Promise((resolve) => child.once("close", resolve));
	clearTimeout(late);
	if (code !== 0) throw new Error(`${script} ended with ${code ?? "a signal"}`);
	return JSON.parse(said) as Measured;
}

const rate = ({ changes, seconds }: Measured) => changes / seconds;

/** Ours and the bare statements on the same work, held to have left the same in their files. */
function against(job: Omit<BookJob, "groups">) {
	const all = { ours: [] as Measured[], bare: [] as Measured[] };
	// what ours made of it the last time: before the first, half of what is under way
	let groups: readonly number[] = [Math.max(1, job.underWay / 2)];
	let contents: string | undefined;
	const held = (measured: Measured): number => {
		contents ??= measured.contents;
		if (measured.contents !== contents) throw new Error("the two did not write the same");
		return rate(measured);
	};
	return {
		all,
		ours: async () => {
			const measured = await side("seam-ledger", { ...job, groups });
			groups = measured.groups;
			all.ours.push(measured);
			return held(measured);
		},
		peer: async () => {
			const measured = await side("bare-ledger", { ...job, groups });
			all.bare.push(measured);
			return held(measured);
		},
	};
}

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
	try {
		const calls = quick ? 40 : 200;
		const grownCalls = quick ? 24 : 60;
		const [tabs, entries] = quick ? [9_600, 200_000] : [96_000, 10_000_000];
		const redeem = against({ work: "redemptions", town: { tabs: TABS, relays: RELAYS }, calls, underWay: RELAYS });
		const single = against({
			work: "deposits",
			town: { tabs: TABS, relays: RELAYS },
			calls: quick ? 6_000 : 40_000,
			underWay: CALLERS,
		});
		const usual = { unit: "a second, durable", better: "higher" } as const;
		const bare = { ...usual, peerName: "node:sqlite" } as const;
		const contests: Contest[] = [
			{
				...bare,
				case: "redeem-300",
				note: `redemptions in batches of ${BATCH}, ${RELAYS} batches under way; the peer plays the same statements in commits of the same size, in its main thread`,
				ours: redeem.ours,
				peer: redeem.peer,
			},
			{
				...bare,
				case: "transfer-1",
				note: `single transfers, ${CALLERS} callers at once; the peer as above`,
				ours: single.ours,
				peer: single.peer,
			},
		];

		const file = join(folder, "grown.db");
		const found = await grow(file, { tabs, relays: RELAYS }, entries);
		/** The same work in a young ledger (a new one each time) and in the old one, which goes on. */
		const grown = [
			{
				name: "growth",
				some: { first: tabs - LIVE, count: LIVE },
				says: "redemptions on the tabs that were opened last, as tabs live a week",
			},
			{
				name: "growth-spread",
				some: { first: 0, count: tabs - LIVE },
				says: "each redemption on another tab, anywhere in the past: no page is met twice",
			},
		].map((which) => ({ ...which, ours: [] as Measured[], small: [] as Measured[] }));
		for (const { name, some, says, ours, small } of grown) {
			const common = { work: "redemptions", calls: grownCalls, underWay: RELAYS, groups: [] } as const;
			contests.push({
				...usual,
				case: name,
				peerName: "small",
				note: `${says}; ${found.toLocaleString("en")} entries at the start against ${(LIVE * 4).toLocaleString("en")}`,
				ours: async () => {
					const town = { tabs, relays: RELAYS, some };
					const measured = await side("seam-ledger", { ...common, town, file, skip: ours.length * grownCalls });
					ours.push(measured);
					return rate(measured);
				},
				peer: async () => {
					const measured = await side("seam-ledger", { ...common, town: { tabs: LIVE, relays: RELAYS } });
					small.push(measured);
					return rate(measured);
				},
			});
		}

		const result = await compare("ledger", contests, runs);
		const middle = (all: readonly Measured[], figure: (measured: Measured) => number) =>
			median(all.slice(1).map(figure));
		for (const row of result.rows) {
			const pair = { "redeem-300": redeem, "transfer-1": single }[row.case]?.all;
			const past = grown.find(({ name }) => name === row.case);
			const [ours, peer] = [pair?.ours ?? past?.ours ?? [], pair?.bare ?? past?.small ?? []];
			row.besides = {
				"ours: CPU us each": middle(ours, ({ cpuMicros }) => cpuMicros),
				"peer: CPU us each": middle(peer, ({ cpuMicros }) => cpuMicros),
				"ours: of that the event loop's": middle(ours, ({ loopMicros }) => loopMicros),
				"ours: share of the event loop": middle(ours, (one) => (one.loopMicros * rate(one)) / 1e6),
				"ours: event loop delay p99, ms": middle(ours, ({ loopP99Ms }) => loopP99Ms),
				"ours: changes in a commit": middle(ours, ({ changes, groups }) => changes / groups.length),
			};
		}
		const postgres = await onPostgres(runs, quick);
		result.rows.push(...postgres.rows);
		result.notMeasured.push(...postgres.notMeasured);
		return result;
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
};
