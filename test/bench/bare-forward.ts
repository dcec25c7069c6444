/** Two bare forwarders against each other: what the generator and the noise of the machine do to a ratio that should be 1. */
import { once } from "node:events";
import { CORE, compare, drive, perMillion, start } from "./measure.ts";
import type { Bench } from "./run.ts";

export const about = "the bare ws forwarder against itself: the noise of this machine";

/** Starts a bare forwarder and tells its port. */
export async function bareForwarder(flags: string[] = []) {
	const child = start(CORE.server, [...flags, `${import.meta.dirname}/bare.ts`]);
	const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
	return { child, pid: child.pid ?? 0, port: Number(line.toString()) };
}

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const servers = [await bareForwarder(), await bareForwarder()];
	const lanes = new URL("./bare-lanes.ts", import.meta.url).href;
	const cost = async (which: number, size: number) => {
		const server = servers[which];
		if (!server) throw new Error("no server");
		const { pid, port } = server;
		const times = quick ? { warmMs: 100, measureMs: 200 } : { warmMs: 300, measureMs: 1500 };
		return perMillion(await drive(pid, { lanes, port, size, pairs: 4, ...times }));
	};
	try {
		const contests = [64, 1024, 16_384].map((size) => ({
			case: `${size} B`,
			unit: "server CPU s per million",
			better: "lower" as const,
			peerName: "bare ws",
			ours: () => cost(0, size),
			peer: () => cost(1, size),
		}));
		return await compare("bare-forward", contests, runs);
	} finally {
		for (const { child } of servers) child.kill();
	}
};
