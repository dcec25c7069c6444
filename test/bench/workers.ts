/**
 * What a second worker adds: a relay of two against a relay of one process, on the same two cores, which the generator shares with both. So the
 * second core is never free, and what is gained is told beside what the generator takes of it.
 */
import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { crypto } from "#host/crypto";
import { workerOfId } from "#relay/workers/share";
import { BOTH_CORES, type Contest, compare, type Drive, drive, type Job, median, perMillion } from "./measure.ts";
import type { RelayJob } from "./relay-lanes.ts";
import { RELAY_FLAGS, type RelayProcess, startRelayProcess } from "./relay-process.ts";
import type { Bench } from "./run.ts";

export const about =
	"a relay of two workers against one of one process, with mail that crosses between them and without";

const RELAY_LANES = new URL("./relay-lanes.ts", import.meta.url).href;
const WORKERS = 2;
const SENDERS = 4;
const SIZES = [64, 1024, 16_384];

/** `own`: each sender's tab and recipient are at the same worker; `cross`: never. */
type Case = { readonly name: string; readonly size: number; readonly crosses: boolean };

export const CASES: readonly Case[] = SIZES.flatMap((size) => [
	{ name: `own-${size}`, size, crosses: false },
	{ name: `cross-${size}`, size, crosses: true },
]);

type Times = { readonly warmMs: number; readonly measureMs: number };

/** What the generator is told: the i-th recipient is at the i-th worker in turn. */
export function workersJob({ relay, port, tabs }: RelayProcess, { size, crosses }: Case, times: Times): Job {
	const mailboxes = Array.from({ length: SENDERS }, (_, i) => {
		for (;;) {
			const seed = crypto.random(32);
			if (workerOfId(crypto.keyPair(seed).publicKey, WORKERS) === i % WORKERS) return toHex(seed);
		}
	});
	const fits = (id: Uint8Array, i: number) => workerOfId(id, WORKERS) === (crosses ? i + 1 : i) % WORKERS;
	const more: RelayJob = {
		relay,
		tabs: tabs(SENDERS, fits),
		mailboxes,
		ttlS: 0,
		recipients: 1,
		messageBytes: LIMIT.batchBytes,
	};
	return { lanes: RELAY_LANES, port, size, pairs: SENDERS, ...times, cores: BOTH_CORES, more };
}

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const one = await startRelayProcess(RELAY_FLAGS, [], BOTH_CORES);
	const two = await startRelayProcess(RELAY_FLAGS, ["--workers", String(WORKERS)], BOTH_CORES);
	const times = quick ? { warmMs: 200, measureMs: 500 } : { warmMs: 400, measureMs: 1_500 };
	const drives = new Map<string, Drive[]>();
	const thousands = (relay: RelayProcess, side: string, what: Case) => async () => {
		const drove = await drive(relay.pid, workersJob(relay, what, times));
		const key = `${side} ${what.name}`;
		drives.set(key, [...(drives.get(key) ?? []), drove]);
		return drove.payloads / drove.seconds / 1e3;
	};
	const contests = CASES.map(
		(what): Contest => ({
			case: what.name,
			unit: "thousand payloads/s",
			better: "higher",
			peerName: "one process",
			note: `${what.crosses ? "every payload crosses to the other worker" : "no payload crosses"}; the generator shares the two cores`,
			ours: thousands(two, "ours", what),
			peer: thousands(one, "peer", what),
		}),
	);
	try {
		const result = await compare("workers", contests, runs);
		for (const row of result.rows)
			row.besides = Object.fromEntries(
				["ours", "peer"].flatMap((side) => {
					const all = drives.get(`${side} ${row.case}`) ?? [];
					const cores = (what: "cpuSeconds" | "generatorCpuSeconds") =>
						median(all.map((drove) => drove[what] / drove.seconds));
					return [
						[`${side}: server cores`, cores("cpuSeconds")],
						[`${side}: generator cores`, cores("generatorCpuSeconds")],
						[`${side}: server CPU s per million payloads`, median(all.map(perMillion))],
					];
				}),
			);
		return result;
	} finally {
		await Promise.all([one.stop(), two.stop()]);
	}
};
