/**
 * The load generator, a process of its own so that it can have a core of its own. It reads a job from stdin, opens the
 * lanes that the job names, keeps each filled up to a window, says START after warming up, and then how many whole
 * payloads arrived **at the readers**. What a lane sends and how it knows arrivals is the business of the lanes' module.
 */
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { Job } from "./measure.ts";

/** One sender and its reader. */
export type Lane = {
	/** Where it writes: the generator waits for its `drain` before it asks for more. */
	readonly socket: Socket;
	/** Where the payloads arrive. If either ends before the run does, there is no figure. */
	readonly reader: Socket;
	/** Writes ready-made bytes for at most `payloadsMax` payloads; how many it wrote, 0 when it cannot now. */
	send(payloadsMax: number): number;
	/** Whether the server may drop what is under way: what has not come for a while is then given up, and more is sent. */
	readonly lossy?: boolean;
};

/** What a lanes' module exports: opens every lane, and calls `arrived(lane, payloads)` for what its reader got. */
export type OpenLanes = (job: Job, arrived: (lane: number, payloads: number) => void) => Promise<Lane[]>;

/** Bytes in flight on each lane: enough that nobody waits, and little enough that it stays in the caches. */
const WINDOW_BYTES = 256 * 1024;
const WINDOW_PAYLOADS_MIN = 4;

/** Bytes that may wait in a sender's socket: past them the kernel is full, and more would only fill our own memory. */
const WAITING_BYTES_MAX = 512 * 1024;

/** A lane of which nothing came for so long has lost all that was under way. */
const LOST_MS = 100;

async function main() {
	const job = JSON.parse(await text(process.stdin)) as Job;
	const { openLanes } = (await import(job.lanes)) as { openLanes: OpenLanes };
	const window = job.window ?? Math.max(WINDOW_PAYLOADS_MIN, Math.floor(WINDOW_BYTES / job.size));
	const flying: number[] = [];
	let total = 0;
	let lanes: Lane[] = [];
	const fill = (i: number) => {
		const lane = lanes[i];
		// Refilled when half is out, in one write: a write for each payload would cost more than what is measured.
		while (lane && (flying[i] ?? 0) <= window / 2 && lane.socket.writableLength < WAITING_BYTES_MAX) {
			const sent = lane.send(window - (flying[i] ?? 0));
			if (sent === 0) return;
			flying[i] = (flying[i] ?? 0) + sent;
		}
	};
	const quiet = new Set<number>();
	lanes = await openLanes(job, (i, payloads) => {
		total += payloads;
		quiet.delete(i);
		flying[i] = Math.max(0, (flying[i] ?? 0) - payloads);
		fill(i);
	});
	if (lanes.some(({ lossy }) => lossy))
		setInterval(() => {
			for (const i of quiet) {
				flying[i] = 0;
				fill(i);
			}
			for (const [i, { lossy }] of lanes.entries()) if (lossy) quiet.add(i);
		}, LOST_MS);
	for (const [i, lane] of lanes.entries()) {
		lane.socket.on("drain", () => fill(i));
		for (const socket of [lane.socket, lane.reader])
			socket.on("close", () => {
				throw new Error("the server closed a connection");
			});
		fill(i);
	}
	setTimeout(() => {
		process.stdout.write("START\n");
		const [from, began, cpu] = [total, performance.now(), process.cpuUsage()];
		setTimeout(() => {
			const used = process.cpuUsage(cpu);
			const told = {
				payloads: total - from,
				seconds: (performance.now() - began) / 1000,
				generatorCpuSeconds: (used.user + used.system) / 1e6,
			};
			process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
		}, job.measureMs);
	}, job.warmMs);
}

// Nothing that arrived wrong, and no connection that broke, may turn into a figure.
process.on("uncaughtException", (error) => {
	console.error(`generator: ${error.message}`);
	process.exit(1);
});
await main();
