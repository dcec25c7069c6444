/**
 * Watches the event loop of a process that it is loaded into (`node --import "file:///.../loop-probe.ts?FILE"`): at each SIGUSR2 it writes
 * what was seen since the last into FILE, and begins anew. How late a timer of 1 ms comes is what everyone on the loop waits.
 */
import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** What was seen, in milliseconds. */
export type LoopDelay = { readonly p50: number; readonly p99: number; readonly max: number };

const path = decodeURIComponent(new URL(import.meta.url).search.slice(1));
if (path !== "") {
	const seen = monitorEventLoopDelay({ resolution: 1 });
	seen.enable();
	process.on("SIGUSR2", () => {
		const ms = (nanos: number) => nanos / 1e6;
		const told: LoopDelay = { p50: ms(seen.percentile(50)), p99: ms(seen.percentile(99)), max: ms(seen.max) };
		writeFileSync(`${path}.new`, JSON.stringify(told));
		renameSync(`${path}.new`, path);
		seen.reset();
	});
}
