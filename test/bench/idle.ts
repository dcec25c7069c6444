/** What a connection costs that is there and does nothing: memory of the server's process, beside a bare `ws` server's. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { bareForwarder } from "./bare-forward.ts";
import { CORE, compare, start } from "./measure.ts";
import { startRelayProcess } from "./relay-process.ts";
import type { Bench } from "./run.ts";

export const about = "what an idle connection costs in memory: 10,000 that listen, with churn";

const CONNECTIONS = 10_000;
/** A hundred a second go and as many come, for so many seconds, before it is weighed. */
const CHURN_PER_SECOND = 100;
const CHURN_SECONDS = 10;
/** Before the first figure: what a server grows to once, whoever comes. */
const FIRST = 500;

/** Bytes of a process that are in memory. */
function residentBytes(pid: number): number {
	const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
	if (!found) throw new Error("the system does not say what a process takes");
	return Number(found[1]) * 1_024;
}

/** Bytes that one of many idle connections adds to a server that was just started. */
async function weigh(server: { pid: number; port: number }, relay: string, quick: boolean): Promise<number> {
	const clients = start(CORE.generator, [`${import.meta.dirname}/idle-clients.ts`, String(server.port), relay]);
	const ask = async (line: string) => {
		clients.stdin?.write(`${line}\n`);
		const [said] = await Promise.race([once(clients.stdout ?? clients, "data"), once(clients, "close")]);
		if (!String(said).startsWith("done")) throw new Error("the clients ended before they were done");
	};
	try {
		await ask(`open ${FIRST}`);
		await sleep(2_000);
		const before = residentBytes(server.pid);
		const count = quick ? CONNECTIONS / 5 : CONNECTIONS;
		for (let i = 0; i < count; i += 1_000) await ask(`open ${Math.min(1_000, count - i)}`);
		for (let i = 0; i < (quick ? 2 : CHURN_SECONDS); i++) {
			await ask(`churn ${CHURN_PER_SECOND}`);
			await sleep(1_000);
		}
		return (residentBytes(server.pid) - before) / count;
	} finally {
		clients.kill();
	}
}

export const bench: Bench["bench"] = async ({ runs, quick }) =>
	compare(
		"idle",
		[
			{
				case: "connection",
				unit: "bytes",
				better: "lower",
				peerName: "ws",
				note: `${CONNECTIONS} sessions that said hello and listen, ${CHURN_PER_SECOND} a second going and coming; the peer's are bare sockets`,
				ours: async () => {
					const relay = await startRelayProcess(undefined, ["--trust-proxy", "loopback"]);
					try {
						return await weigh(relay, relay.relay, quick);
					} finally {
						await relay.stop();
					}
				},
				peer: async () => {
					const bare = await bareForwarder();
					try {
						return await weigh(bare, "", quick);
					} finally {
						bare.child.kill();
					}
				},
			},
		],
		runs,
	);
