/**
 * The relay against a forwarder that does nothing else: what the server's CPU costs for each payload (design: bench.md). Ours is
 * metered and paid, with vouchers verified and on disk, the mailbox looked up, every send deduplicated and answered.
 */
import { LIMIT } from "#contracts/limit";
import { bareForwarder } from "./bare-forward.ts";
import { type Contest, compare, type Drive, drive, type Job, median, perMillion } from "./measure.ts";
import { type Started, startPeers } from "./peer/all.ts";
import type { RelayJob } from "./relay-lanes.ts";
import { RELAY_FLAGS, type RelayProcess, startRelayProcess } from "./relay-process.ts";
import type { Bench } from "./run.ts";

export const about = "our relay, metered and paid, against a bare ws forwarder and peers of other protocols";

const BARE_LANES = new URL("./bare-lanes.ts", import.meta.url).href;
const RELAY_LANES = new URL("./relay-lanes.ts", import.meta.url).href;

/** How one case is driven. */
type Case = {
	readonly name: string;
	/** Bytes of what is sent; ours may go in slices. */
	readonly size: number;
	readonly pairs: number;
	readonly recipients: number;
	readonly ttlS: number;
	readonly messageBytes: number;
	/** Frames that one payload goes in. */
	readonly slices: number;
	readonly window?: number;
	readonly note?: string;
};

const SIZES = [64, 256, 1024, 16_384, 65_536];
const SENDERS = 16;
const LONE_SENDERS = 200;
/** A first build of all peers takes longer than a run may: `npm run bench -- peers` takes its time, and another run goes on with it. */
const BUILD_MS_MAX = 90_000;
const UNIT = "server CPU s per million payloads";

const usual = { pairs: SENDERS, recipients: 1, ttlS: 0, messageBytes: LIMIT.batchBytes, slices: 1 };
const sliced = (size: number) =>
	size > LIMIT.payloadBytesMax
		? {
				slices: size / LIMIT.sliceBytes,
				note: "ours in slices of 16 KiB, as the SDK sends it; the peer in one message",
			}
		: {};

function pipelined(size: number): Case {
	return { ...usual, name: `pipelined-${size}`, size, ...sliced(size) };
}

/** Frames for four recipients in turn, so that no two that stand together are for the same one. */
function mixed(size: number): Case {
	const large = size >= LIMIT.sliceBytes;
	const note = `${sliced(size).note ? `${sliced(size).note}; ` : ""}three recipients a message: a fourth slice does not fit`;
	return {
		...usual,
		...sliced(size),
		name: `mixed-${size}`,
		size,
		recipients: 4,
		...(large ? { messageBytes: LIMIT.messageBytesMax, note } : {}),
	};
}

/** One payload under way for each sender; the next goes when the reader has it. */
function single(size: number): Case {
	return { ...usual, name: `single-${size}`, size, pairs: LONE_SENDERS, messageBytes: 0, window: 1 };
}

/**
 * Live mail with a TTL, which its reader acknowledges. Under half of the reader's window, so that nothing goes by the disk: the
 * next sends may reach the relay before the ack of those that arrived.
 */
function acked(size: number): Case {
	const held = Math.min(LIMIT.windowFrames, Math.floor(LIMIT.windowBytes / (size + 256)));
	return {
		...usual,
		name: `acked-${size}`,
		size,
		ttlS: LIMIT.ttlSDefault,
		window: Math.floor(held * 0.45),
		note: "mail with a TTL of a week, acknowledged by its reader and answered kept",
	};
}

export const CASES: readonly Case[] = [
	...SIZES.map(pipelined),
	...SIZES.map(mixed),
	...[64, 1024].map(single),
	...[64, 1024, 16_384].map(acked),
];

/** What the generator is told for our relay. */
export function relayJob(relay: RelayProcess, { size, slices, ...what }: Case, times: Times): Job {
	const { pairs, ttlS, recipients, messageBytes, window } = what;
	const more: RelayJob = { relay: relay.relay, tabs: relay.tabs(pairs), ttlS, recipients, messageBytes };
	const job = { lanes: RELAY_LANES, port: relay.port, size: size / slices, pairs, ...times, more };
	return window ? { ...job, window } : job;
}

type Times = { readonly warmMs: number; readonly measureMs: number };
type Server = { readonly pid: number; readonly port: number };

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const stock = await bareForwarder();
	const tuned = await bareForwarder(RELAY_FLAGS);
	const relay = await startRelayProcess();
	const { started, notMeasured } = await startPeers(BUILD_MS_MAX);
	const times = quick ? { warmMs: 150, measureMs: 400 } : { warmMs: 300, measureMs: 1200 };
	// what a peer's server takes is told in nanoseconds: a shorter time keeps a run of all of them under a quarter of an hour
	const peerTimes = quick ? { warmMs: 150, measureMs: 250 } : { warmMs: 150, measureMs: 450 };
	const drives = new Map<string, Drive[]>();
	const told = (key: string, drove: Drive) => {
		drives.set(key, [...(drives.get(key) ?? []), drove]);
		return drove;
	};
	const ours = (one: Case) => async () => {
		const drove = told(`ours ${one.name}`, await drive(relay.pid, relayJob(relay, one, times)));
		return perMillion(drove) * one.slices;
	};
	const bare = (name: string, server: Server, size: number, { pairs, window }: Case) => {
		return async () => {
			const job = { lanes: BARE_LANES, port: server.port, size, pairs, ...times };
			return perMillion(told(name, await drive(server.pid, window === 1 ? { ...job, window } : job)));
		};
	};
	/** One figure a round for all contests that need it: measured by the first that asks. */
	const shared = new Map<string, () => Promise<number>>();
	const once = (key: string, measure: () => Promise<number>) => {
		const known = shared.get(key) ?? measure;
		shared.set(key, known);
		return inTurn(known, key);
	};
	const rounds = new Map<string, Promise<number>[]>();
	const inTurn = (measure: () => Promise<number>, key: string) => {
		let round = 0;
		return () => {
			const figures = rounds.get(key) ?? [];
			rounds.set(key, figures);
			figures[round] ??= measure();
			return figures[round++] as Promise<number>;
		};
	};
	const peers = [
		{ peerName: "ws", server: stock },
		{ peerName: "ws-tuned", server: tuned },
	];
	const bareKey = (peerName: string, one: Case) =>
		`${peerName} ${one.window === 1 ? "single" : "pipelined"}-${one.size}`;
	/** A payload that one of them sends in a message of its own costs the same wherever it goes: mixing them is measured where they gather. */
	const otherKey = ({ peer }: Started, one: Case) =>
		`${peer.name} ${peer.gathers ? one.name : one.name.replace("mixed", "pipelined")}`;
	const other = (each: Started, one: Case): Contest => {
		const { size, pairs, recipients, window } = one;
		const asked = { size, pairs, recipients: each.peer.gathers ? recipients : 1, lone: window === 1, ...peerTimes };
		const { pid, job, slices, note } = each.running.tell(asked);
		const key = otherKey(each, one);
		const said = slices > 1 ? one.note?.replace("; the peer in one message", "") : one.note;
		const notes = [said, note].filter(Boolean).join("; ");
		return {
			case: one.name,
			unit: UNIT,
			better: "lower",
			peerName: each.peer.name,
			...(notes ? { note: notes } : {}),
			ours: once(`ours ${one.name}`, ours(one)),
			peer: once(key, async () => perMillion(told(key, await drive(pid, job))) * slices),
		};
	};
	const contests = CASES.flatMap((one) => [
		...peers.map(({ peerName, server }): Contest => {
			const key = bareKey(peerName, one);
			return {
				case: one.name,
				unit: UNIT,
				better: "lower",
				peerName,
				...(one.note ? { note: one.note } : {}),
				ours: once(`ours ${one.name}`, ours(one)),
				peer: once(key, bare(key, server, one.size, one)),
			};
		}),
		// kept mail is a thing of ours: the others are not asked for it
		...(one.ttlS > 0 ? [] : started.map((each) => other(each, one))),
	]);
	try {
		const result = await compare("forward", contests, runs);
		for (const row of result.rows) {
			const one = CASES.find(({ name }) => name === row.case);
			const mine = drives.get(`ours ${row.case}`) ?? [];
			const each = started.find(({ peer }) => peer.name === row.peerName);
			const key = one && (each ? otherKey(each, one) : bareKey(row.peerName, one));
			const theirs = (key && drives.get(key)) || [];
			const share = (all: Drive[], what: "cpuSeconds" | "generatorCpuSeconds") =>
				median(all.map((drove) => drove[what] / drove.seconds));
			const thousands = (all: Drive[]) => median(all.map(({ payloads, seconds }) => payloads / seconds / 1e3));
			row.besides = {
				"ours: thousand payloads/s": thousands(mine) / (one?.slices ?? 1),
				"ours: server cores": share(mine, "cpuSeconds"),
				"ours: generator cores": share(mine, "generatorCpuSeconds"),
				"peer: thousand payloads/s": thousands(theirs),
				"peer: server cores": share(theirs, "cpuSeconds"),
				"peer: generator cores": share(theirs, "generatorCpuSeconds"),
			};
		}
		result.notMeasured.push(...notMeasured);
		result.versions = Object.fromEntries(started.map(({ peer, running }) => [peer.name, running.version]));
		return result;
	} finally {
		stock.child.kill();
		tuned.child.kill();
		await Promise.all([relay.stop(), ...started.map(({ running }) => running.stop())]);
	}
};
