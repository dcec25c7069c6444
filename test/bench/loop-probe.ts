/**
 * Watches the event loop of a process that it is loaded into (`node --import "file:///.../loop-probe.ts?SOCKET"`): who connects to the socket
 * is told what was seen since somebody last asked, and it begins anew. How late a timer of 1 ms comes is what everyone on the loop waits. It
 * touches no disk when it is asked: on a busy one that would be the longest wait of all.
 */
import { createServer } from "node:net";
import { createHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/**
 * What was seen, in milliseconds. `busyMax` is the most CPU that the loop's thread took between two turns of that timer: on a machine that others use
 * too, the part of the longest delay that is its own.
 */
export type LoopDelay = {
	readonly p50: number;
	readonly p99: number;
	readonly max: number;
	readonly busyMax: number;
};

const path = decodeURIComponent(new URL(import.meta.url).search.slice(1));
if (path !== "") {
	const seen = monitorEventLoopDelay({ resolution: 1 });
	seen.enable();
	const busy = createHistogram();
	let before = process.threadCpuUsage();
	setInterval(() => {
		const now = process.threadCpuUsage();
		busy.record(Math.max(1, now.user + now.system - before.user - before.system));
		before = now;
	}, 1).unref();
	const server = createServer((socket) => {
		const ms = (nanos: number) => nanos / 1e6;
		const told: LoopDelay = {
			p50: ms(seen.percentile(50)),
			p99: ms(seen.percentile(99)),
			max: ms(seen.max),
			busyMax: busy.max / 1e3,
		};
		seen.reset();
		busy.reset();
		socket.on("error", () => socket.destroy()).end(JSON.stringify(told));
	});
	server.listen(path).unref();
}
