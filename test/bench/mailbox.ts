/**
 * Kept mail: what a relay takes to disk in a second beside a bare `node:sqlite` that writes the same rows, through the wire and behind the
 * store's seam alone; how long its event loop is held meanwhile; and what others wait while much is read back, or dropped.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as after } from "node:timers/promises";
import { LIMIT } from "#contracts/limit";
import type { BareJob } from "./bare-store.ts";
import type { LoopDelay } from "./loop-probe.ts";
import type { Scene, SceneJob } from "./mail-scenes.ts";
import { CORE, type Contest, compare, type Drive, drive, median, start } from "./measure.ts";
import type { RelayJob } from "./relay-lanes.ts";
import { RELAY_FLAGS, type RelayProcess, startRelayProcess } from "./relay-process.ts";
import type { Bench } from "./run.ts";
import type { SeamJob } from "./seam-store.ts";

export const about = "mail kept on disk, against a bare node:sqlite of the same rows; resume and expiry";

const RELAY_LANES = new URL("./relay-lanes.ts", import.meta.url).href;
/** Enough that some go on while others wait for their voucher's commit. */
const PAIRS = 8;

/** What is stored: `store-65536` with the largest payload that a frame can have. */
const SIZES = [
	{ name: 1024, size: 1024, note: "" },
	{ name: 65_536, size: LIMIT.payloadBytesMax, note: "rows of 61,440 B, the largest payload there is; " },
];
const RESUMED = 10_000;
const RESUMES = 3;
const EXPIRED = 50_000;
const EXPIRED_BOXES = 2;

/** Under way with senders that are paid a step of 1 MiB ahead. */
const WINDOW_BYTES = PAIRS * LIMIT.stepBytesMax;

/** Rows of one of the peer's commits: half of what is under way, as one half gathers while the other is written. */
const groupOf = (size: number) => Math.floor(WINDOW_BYTES / 2 / size);

type Times = { readonly warmMs: number; readonly measureMs: number };
type Told = { readonly payloads: number; readonly seconds: number };

/** Runs a script of this folder on a core, with a job, and gives what it tells; `line` hears whatever else it says. */
async function told<T>(core: number, script: string, job: unknown, line?: (said: string) => void): Promise<T> {
	const child = start(core, [`${import.meta.dirname}/${script}.ts`]);
	child.stdin?.end(JSON.stringify(job));
	const late = setTimeout(() => child.kill("SIGKILL"), 120_000);
	let said = "";
	child.stdout?.setEncoding("utf8").on("data", (heard: string) => {
		said += heard;
		line?.(heard);
	});
	const code = await new Promise((resolve) => child.once("close", resolve));
	clearTimeout(late);
	const found = /^\{.*\}$/m.exec(said);
	if (code !== 0 || !found) throw new Error(`${script} ended with ${code ?? "a signal"}`);
	return JSON.parse(found[0]) as T;
}

/** A relay whose event loop is watched; `loop` gives what was seen since it was last asked. */
async function watchedRelay(): Promise<RelayProcess & { loop(): Promise<LoopDelay> }> {
	const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
	const path = join(folder, "loop");
	const probe = `${new URL("./loop-probe.ts", import.meta.url).href}?${encodeURIComponent(path)}`;
	const relay = await startRelayProcess([...RELAY_FLAGS, "--import", probe]);
	return {
		...relay,
		loop: async () => JSON.parse(await text(connect(path))) as LoopDelay,
		stop: async () => {
			await relay.stop();
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

type Watched = Awaited<ReturnType<typeof watchedRelay>>;
type Wire = { readonly drove: Drive; readonly idle: LoopDelay; readonly storing: LoopDelay };

/** Paid senders over real sockets to mailboxes that nobody reads, each run at a relay of its own with an empty disk. */
async function throughWire(size: number, times: Times): Promise<Wire> {
	return withRelay(async (relay) => {
		await relay.loop();
		await after(times.measureMs / 2);
		const idle = await relay.loop();
		const more: RelayJob = {
			relay: relay.relay,
			tabs: relay.tabs(PAIRS),
			ttlS: LIMIT.ttlSDefault,
			recipients: 1,
			messageBytes: LIMIT.batchBytes,
			nobodyReads: true,
		};
		const job = { lanes: RELAY_LANES, port: relay.port, size, pairs: PAIRS, ...times, more };
		const drove = await drive(relay.pid, job, () => void relay.loop().catch(() => {}));
		return { drove, idle, storing: await relay.loop() };
	});
}

async function withRelay<T>(use: (relay: Watched) => Promise<T>): Promise<T> {
	const relay = await watchedRelay();
	try {
		return await use(relay);
	} finally {
		await relay.stop();
	}
}

type Played = { readonly scene: Scene; readonly calm: LoopDelay; readonly during: LoopDelay };

/** Plays a scene at a relay of its own whose event loop is watched. */
export async function played(what: Pick<SceneJob, "scene" | "mails" | "mailboxes" | "calmMs">): Promise<Played> {
	return withRelay(async (relay) => {
		let calm: Promise<LoopDelay> | undefined;
		const job: SceneJob = { ...what, port: relay.port, relay: relay.relay, tabs: relay.tabs(PAIRS + what.mailboxes) };
		const scene = await told<Scene>(CORE.generator, "mail-scenes", job, (said) => {
			if (said.includes("FILLED\n")) void relay.loop().catch(() => {});
			if (said.includes("CALM\n")) calm = relay.loop();
		});
		if (!calm) throw new Error("the scene did not say when it began");
		return { scene, calm: await calm, during: await relay.loop() };
	});
}

/** One measurement a round for all who want a figure of it. */
function shared<T>(measure: () => Promise<T>) {
	const rounds: Promise<T>[] = [];
	return (figure: (measured: T) => number) => {
		let round = 0;
		return async () => {
			rounds[round] ??= measure();
			return figure((await rounds[round++]) as T);
		};
	};
}

const rate = ({ payloads, seconds }: Told) => payloads / seconds;

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const times: Times = quick ? { warmMs: 200, measureMs: 600 } : { warmMs: 1500, measureMs: 2000 };
	const calmMs = quick ? 800 : 2000;
	const drives = new Map<number, Wire[]>(SIZES.map(({ size }) => [size, []]));
	const bares = new Map<number, number[]>(SIZES.map(({ size }) => [size, []]));
	const scenes = new Map<string, Played[]>();

	const stores = SIZES.flatMap(({ name, size, note }): Contest[] => {
		const window = Math.floor(WINDOW_BYTES / size);
		const batch = Math.max(1, Math.floor(LIMIT.batchBytes / size));
		const bareJob: BareJob = { size, group: groupOf(size), pairs: PAIRS, ...times };
		const seamJob: SeamJob = { size, batch, window, pairs: PAIRS, ...times };
		const wire = shared(async () => {
			const one = await throughWire(size, times);
			drives.get(size)?.push(one);
			return one;
		});
		const bare = shared(async () => {
			const one = await told<Told & { cpuSeconds: number }>(CORE.server, "bare-store", bareJob);
			bares.get(size)?.push((one.cpuSeconds / one.payloads) * 1e6);
			return one;
		});
		const seam = shared(() => told<Told>(CORE.server, "seam-store", seamJob));
		const usual = { unit: "mails a second on disk", better: "higher", peerName: "node:sqlite" } as const;
		const peerIs = `${note}the peer on one core too, in its main thread, ${groupOf(size)} rows a commit, WAL, synchronous=FULL, the same pages`;
		return [
			{
				...usual,
				case: `store-${name}`,
				note: `through the wire, metered and paid; ${peerIs}`,
				ours: wire(({ drove }) => rate(drove)),
				peer: bare(rate),
			},
			{
				...usual,
				case: `seam-${name}`,
				note: `the store alone behind its seam; ${peerIs}`,
				ours: seam(rate),
				peer: bare(rate),
			},
			{
				case: `loop-${name}`,
				unit: "ms, event loop delay, p99",
				better: "lower",
				peerName: "the same relay, idle",
				note: "while it stores at full rate; at most 10 ms above idle is the aim",
				ours: wire(({ storing }) => storing.p99),
				peer: wire(({ idle }) => idle.p99),
			},
		];
	});

	const scene = (name: string, what: Parameters<typeof played>[0]) =>
		shared(async () => {
			const one = await played(what);
			scenes.set(name, [...(scenes.get(name) ?? []), one]);
			return one;
		});
	const resume = scene("resume", { scene: "resume", mails: RESUMED, mailboxes: RESUMES, calmMs });
	const expire = scene("expire", {
		scene: "expire",
		mails: EXPIRED / EXPIRED_BOXES,
		mailboxes: EXPIRED_BOXES,
		calmMs,
	});
	const lower = { better: "lower" } as const;
	const others: Contest[] = [
		{
			...lower,
			case: `resume-${RESUMED}`,
			unit: "ms, live mail to its reader, p99",
			peerName: "the same relay, no resume",
			note: `while ${RESUMED} mails of 1 KiB are read and acknowledged, ${RESUMES} times`,
			ours: resume(({ scene: { during } }) => during.p99),
			peer: resume(({ scene: { calm } }) => calm.p99),
		},
		{
			...lower,
			case: `expire-${EXPIRED}`,
			unit: "ms, longest delay of the event loop",
			peerName: "the same relay, nothing to expire",
			note: `while ${EXPIRED} mails of 1 KiB are dropped; none over 20 ms is the aim`,
			ours: expire(({ during }) => during.max),
			peer: expire(({ calm }) => calm.max),
		},
		{
			...lower,
			case: `expire-${EXPIRED}-kept`,
			unit: "ms, longest wait for kept",
			peerName: "the same relay, nothing to expire",
			note: "of senders of one mail every 2 ms: how long the writer is held, with its syncs",
			ours: expire(({ scene: { during } }) => during.max),
			peer: expire(({ scene: { calm } }) => calm.max),
		},
	];

	const result = await compare("mailbox", [...stores, ...others], runs);
	for (const row of result.rows) {
		const size = SIZES.find(({ name }) => row.case.endsWith(`-${name}`))?.size;
		const mine = (size && drives.get(size)) || [];
		const part = row.case.split("-")[0] ?? "";
		const acts = scenes.get(part) ?? [];
		if (part === "store")
			row.besides = {
				"ours: server cores": median(mine.map(({ drove }) => drove.cpuSeconds / drove.seconds)),
				"ours: generator cores": median(mine.map(({ drove }) => drove.generatorCpuSeconds / drove.seconds)),
				"peer: CPU s per million": median((size && bares.get(size)) || [0]),
				"ours: server CPU s per million": median(mine.map(({ drove }) => (drove.cpuSeconds / drove.payloads) * 1e6)),
			};
		if (part === "loop")
			row.besides = {
				"p99 above idle, ms": median(mine.map(({ idle, storing }) => storing.p99 - idle.p99)),
				"longest, ms": median(mine.map(({ storing }) => storing.max)),
				"longest of its own CPU, ms": median(mine.map(({ storing }) => storing.busyMax)),
			};
		if (acts.length > 0)
			row.besides = {
				"seconds it took": median(acts.map(({ scene: { seconds } }) => seconds)),
				"ours: loop p99, ms": median(acts.map(({ during }) => during.p99)),
				"ours: loop longest, ms": median(acts.map(({ during }) => during.max)),
				"ours: loop longest of its own CPU, ms": median(acts.map(({ during }) => during.busyMax)),
				"ours: others p99, ms": median(acts.map(({ scene: { during } }) => during.p99)),
				"peer: others p99, ms": median(acts.map(({ scene: { calm } }) => calm.p99)),
			};
	}
	return result;
};
