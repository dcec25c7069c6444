/**
 * What one market process does in a second over HTTP: tabs opened, redemptions in batches of 300, listings; on either engine, with more relays
 * and with more tabs. CPU is told beside it: of the market's process, and of the database's.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { isProblem } from "#contracts/problem";
import { signVoucher } from "#contracts/voucher";
import { systemClock } from "#host/clock";
import { crypto, fine, Person } from "#test/support/market";
import { runPostgres } from "#test/support/postgres";
import { BATCH } from "./ledger-work.ts";
import { type Engine, PART, startTown, type TownMarket } from "./market-town.ts";
import { type Contest, compare, cpuSeconds, median } from "./measure.ts";
import type { Bench } from "./run.ts";

export const about = "a market's process over HTTP: opens, redemptions, listings; by engine, relays and tabs";

/** Requests under way of people, and of relays that list. */
const UNDER_WAY = 16;
/** Tabs that one person opens: they may have 64. */
const TABS_EACH = 25;

/** What one side came to. */
type Side = { readonly rate: number; readonly marketMicros: number; readonly databaseMicros: number };

/** A market and where its tabs stand. */
type Place = { readonly town: TownMarket; readonly databasePid: number | undefined; turn: number };

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const most = quick ? 3 : 100;
	const sizes = quick ? [1_000, 5_000] : [1_000, 100_000, 1_000_000];
	const server = await runPostgres({
		durable: true,
		settings: ["shared_buffers=256MB", "max_connections=100", "max_wal_size=8GB"],
	});
	const stops: (() => Promise<void>)[] = [];
	const beganMs = performance.now();
	const say = (what: string) =>
		process.stderr.write(`${((performance.now() - beganMs) / 1_000).toFixed(0)} s: ${what}\n`);
	try {
		const pid = await server.pid();
		const places = new Map<string, Place>();
		for (const engine of ["sqlite", "postgres"] as const)
			for (const tabs of sizes) {
				// the middle one has all the relays
				const relays = tabs === sizes[1] ? most : 3;
				const town = await startTown(engine, server, { relays, tabs });
				stops.push(town.stop);
				say(`${engine} with ${tabs.toLocaleString("en")} tabs and ${relays} relays is up`);
				await listAll(town);
				places.set(`${engine} ${tabs}`, { town, databasePid: engine === "postgres" ? pid : undefined, turn: 0 });
			}
		const at = (engine: Engine, tabs = sizes[1]) => places.get(`${engine} ${tabs}`) ?? assert.fail();
		const sides = new Map<string, { ours: Side[]; peer: Side[] }>();
		const contests: Contest[] = [];
		const contest = (
			name: string,
			peerName: string,
			note: string,
			ours: () => Promise<Side>,
			peer: () => Promise<Side>,
		) => {
			const kept = { ours: [] as Side[], peer: [] as Side[] };
			sides.set(name, kept);
			const rateOf = (which: keyof typeof kept, work: () => Promise<Side>) => async () => {
				const side = await work();
				kept[which].push(side);
				if (which === "ours") say(`${name}: ${Math.round(side.rate).toLocaleString("en")} a second`);
				return side.rate;
			};
			contests.push({
				...{ case: name, unit: "a second", better: "higher", peerName, note },
				...{ ours: rateOf("ours", ours), peer: rateOf("peer", peer) },
			});
		};
		const opens = quick ? 25 : 150;
		const works: Record<string, (place: Place) => Promise<Side>> = {
			open: (place) => openTabs(place, opens),
			redeem: (place) => redeem(place, quick ? 1 : 3, BATCH),
			list: (place) => list(place, 3, opens),
		};
		const many = (n: number) => n.toLocaleString("en");
		const usual = `${many(sizes[1] ?? 0)} tabs`;
		for (const [name, work] of Object.entries(works))
			contest(
				`${name}-sqlite`,
				"on Postgres",
				usual,
				() => work(at("sqlite")),
				() => work(at("postgres")),
			);
		for (const engine of ["sqlite", "postgres"] as const) {
			for (const relays of quick ? [most] : [10, most]) {
				const claims = relays > 10 ? PART : BATCH;
				contest(
					`redeem-${engine}-relays-${relays}`,
					"1 relay",
					`${usual}; each relay with one batch of ${claims} under way`,
					() => redeem(at(engine), relays, claims),
					() => redeem(at(engine), 1, claims, quick ? 1 : 3),
				);
			}
			if (!quick)
				contest(
					`list-${engine}-relays-${most}`,
					"1 relay",
					usual,
					() => list(at(engine), most, opens),
					() => list(at(engine), 1, opens),
				);
			for (const tabs of sizes.slice(1))
				for (const name of quick ? ["open"] : ["open", "redeem"])
					contest(
						`${name}-${engine}-tabs-${tabs}`,
						`${many(sizes[0] ?? 0)} tabs`,
						`${many(tabs)} tabs in the ledger`,
						() => works[name]?.(at(engine, tabs)) ?? assert.fail(),
						() => works[name]?.(at(engine, sizes[0])) ?? assert.fail(),
					);
		}
		const result = await compare("market", contests, runs);
		for (const row of result.rows) {
			const { ours = [], peer = [] } = sides.get(row.case) ?? {};
			const middle = (of: readonly Side[], figure: (side: Side) => number) => median(of.slice(1).map(figure));
			row.besides = {
				"ours: CPU us each of the market": middle(ours, ({ marketMicros }) => marketMicros),
				"peer: CPU us each of the market": middle(peer, ({ marketMicros }) => marketMicros),
				"ours: CPU us each of the database": middle(ours, ({ databaseMicros }) => databaseMicros),
				"peer: CPU us each of the database": middle(peer, ({ databaseMicros }) => databaseMicros),
			};
		}
		return result;
	} finally {
		for (const stop of stops) await stop();
		await server.stop();
	}
};

/** CPU seconds of a database's processes, each by itself: one that has ended since takes nothing back. */
function cpuOf(pid: number | undefined): Map<string, number> {
	if (pid === undefined) return new Map();
	const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
	const seconds = (child: string): number => {
		try {
			return cpuSeconds(Number(child));
		} catch {
			return 0;
		}
	};
	return new Map(children.map((child) => [child, seconds(child)]));
}

/** Counts what so many operations take. */
async function measured({ town, databasePid }: Place, count: number, work: () => Promise<void>): Promise<Side> {
	const [market, database, beganMs] = [cpuSeconds(town.pid), cpuOf(databasePid), performance.now()];
	await work();
	const seconds = (performance.now() - beganMs) / 1_000;
	const each = (cpu: number) => (cpu * 1e6) / count;
	const used = cpuOf(databasePid)
		.entries()
		.reduce((sum, [child, cpu]) => sum + Math.max(0, cpu - (database.get(child) ?? 0)), 0);
	return {
		rate: count / seconds,
		marketMicros: each(cpuSeconds(town.pid) - market),
		databaseMicros: each(used),
	};
}

/** Does all of it, so many at once. */
async function atOnce(width: number, all: readonly (() => Promise<unknown>)[]): Promise<void> {
	let next = 0;
	const lane = async () => {
		for (let work = all[next++]; work; work = all[next++]) await work();
	};
	await Promise.all(Array.from({ length: width }, lane));
}

/** People who open tabs, each request signed twice: its token and its order. */
async function openTabs(place: Place, count: number): Promise<Side> {
	const { town } = place;
	const where = { url: town.url, market: town.market, clock: systemClock };
	const people = Array.from({ length: Math.ceil(count / TABS_EACH) }, () => new Person(where));
	await Promise.all(people.map((person) => person.fund(1_000_000_000n)));
	const relay = town.relays[0]?.relay.key.publicKey ?? assert.fail();
	const opens = Array.from({ length: count }, (_, i) => {
		const person = people[i % people.length] ?? assert.fail();
		return () => person.open({ relay });
	});
	return measured(place, count, () => atOnce(UNDER_WAY, opens));
}

/** The first relays hand in so many batches each of so many claims, one after the other, all relays at once. */
async function redeem(place: Place, relays: number, claims: number, batches = 1): Promise<Side> {
	const first = place.turn + 1;
	place.turn += batches;
	const posts = place.town.relays.slice(0, relays).map(({ relay, tabs }) =>
		Array.from({ length: batches }, (_, turn) =>
			tabs.slice(0, claims).map(({ grant, session }) => {
				const used = { bytes: BigInt(first + turn) * 1_000_000n, byteSeconds: 0n };
				return { tab: grant.tab, used, voucher: fine(signVoucher(crypto, grant, used, session.secretKey)) };
			}),
		).map((batch) => async () => {
			const refused = (await relay.redeem(...batch)).find((result) => isProblem(result) || result.moved === "0");
			assert.equal(refused, undefined, "a redemption of the benchmark is refused");
		}),
	);
	return measured(place, relays * batches * claims, async () => {
		await Promise.all(posts.map((all) => atOnce(1, all)));
	});
}

/** The first relays say their listings again, at a later time each. */
async function list(place: Place, relays: number, count: number): Promise<Side> {
	const some = place.town.relays.slice(0, relays);

	const said = Array.from({ length: count }, (_, i) => async () => {
		const { relay } = some[i % some.length] ?? assert.fail();
		assert.equal((await relay.list()).status, 200);
	});
	return measured(place, count, () => atOnce(UNDER_WAY, said));
}

async function listAll({ relays }: TownMarket): Promise<void> {
	for (const { relay } of relays) assert.equal((await relay.list()).status, 200);
}
