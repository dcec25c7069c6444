/** What payments cost a relay: its CPU with vouchers for each step beside the same traffic under one voucher for all of it. */
import { LIMIT } from "#contracts/limit";
import { type Contest, compare, drive, type Job, perGib } from "./measure.ts";
import type { RelayJob } from "./relay-lanes.ts";
import { startRelayProcess } from "./relay-process.ts";
import type { Bench } from "./run.ts";

export const about = "what payments cost: the relay's CPU with vouchers, beside the same traffic paid once";

const LANES = new URL("./relay-lanes.ts", import.meta.url).href;
/** Half of the highest cap: one voucher for the whole run. */
const ONCE = 2 ** 49;
const PAYERS = 32;
/** Under way with each: what is not answered cannot be paid ahead. */
const WINDOW_BYTES = 256 * 1024;

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const relay = await startRelayProcess();
	const times = quick ? { warmMs: 300, measureMs: 600 } : { warmMs: 500, measureMs: 2_000 };
	const cost = async (size: number, pairs: number, stepBytes: number) => {
		const tabs = relay.tabs(pairs);
		const more: RelayJob = {
			relay: relay.relay,
			tabs,
			ttlS: 0,
			recipients: 1,
			messageBytes: LIMIT.batchBytes,
			stepBytes,
		};
		const window = Math.floor(Math.min(WINDOW_BYTES, stepBytes / 2) / size);
		const job: Job = { lanes: LANES, port: relay.port, size, pairs, ...times, window, more };
		return perGib(await drive(relay.pid, job), size);
	};
	const contest = (name: string, size: number, pairs: number, stepBytes: number, note?: string): Contest => ({
		case: name,
		unit: "server CPU s per GiB",
		better: "lower",
		peerName: "paid once",
		...(note ? { note } : {}),
		ours: () => cost(size, pairs, stepBytes),
		// the same bytes under way, so that only the vouchers differ
		peer: () => cost(size, pairs, ONCE),
	});
	const full = LIMIT.stepBytesMax;
	try {
		return await compare(
			"payments",
			[
				contest("share", 16_384, PAYERS, full, `${PAYERS} payers, payloads of 16 KiB, steps of 1 MiB`),
				contest("share-1024", 1_024, PAYERS, full, `${PAYERS} payers, payloads of 1 KiB, steps of 1 MiB`),
				contest("share-four-payers", 16_384, 4, full, "four payers: a commit is for four at most"),
				contest("share-small-steps", 16_384, PAYERS, 4 * LIMIT.stepBytesFirst, "steps of 256 KiB: a voucher each"),
			],
			runs,
		);
	} finally {
		await relay.stop();
	}
};
