/**
 * Sends at a rate and says how long payloads were under way, from before their bytes were handed to the system until their reader's
 * socket gave them back. A process of its own; the lanes are those of the other benchmarks, whose payloads arrive in their order.
 */
import { text } from "node:stream/consumers";
import type { Lane, OpenLanes } from "./generator.ts";
import type { Job } from "./measure.ts";

/** `Job.more` beside what the lanes need. */
export type Pace = { readonly perSecond: number };

/** What is told at the end, in milliseconds. */
export type Told = { readonly payloads: number; readonly p50: number; readonly p99: number };

const job = JSON.parse(await text(process.stdin)) as Job & Pace;
const { openLanes } = (await import(job.lanes)) as { openLanes: OpenLanes };
const sentAt: number[][] = Array.from({ length: job.pairs }, () => []);
const took: number[] = [];
let measuring = false;
const lanes: Lane[] = await openLanes(job, (lane, payloads) => {
	const now = performance.now();
	for (let i = 0; i < payloads; i++) {
		const at = sentAt[lane]?.shift();
		if (at !== undefined && measuring) took.push(now - at);
	}
});
const began = performance.now();
let sent = 0;
let turn = 0;
function tick(): void {
	const now = performance.now();
	const elapsedMs = now - began;
	if (!measuring && elapsedMs > job.warmMs) measuring = true;
	if (elapsedMs > job.warmMs + job.measureMs) {
		took.sort((a, b) => a - b);
		const at = (part: number) => took[Math.floor(took.length * part)] ?? Number.NaN;
		process.stdout.write(`${JSON.stringify({ payloads: took.length, p50: at(0.5), p99: at(0.99) })}\n`, () =>
			process.exit(0),
		);
		return;
	}
	// what is late after a pause is sent, and counts from when it is
	for (const due = (elapsedMs * job.perSecond) / 1_000; sent < due; sent++) {
		const i = turn++ % job.pairs;
		const before = performance.now();
		if (lanes[i]?.send(1) === 1) sentAt[i]?.push(before);
	}
	setImmediate(tick);
}
process.on("uncaughtException", (error) => {
	console.error(`generator: ${error.message}`);
	process.exit(1);
});
tick();
