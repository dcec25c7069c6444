/** How long a payload is under way at 5,000 a second: through our relay, metered and paid, and through a bare `ws` forwarder. */
import { text } from "node:stream/consumers";
import { bareForwarder } from "./bare-forward.ts";
import { CORE, type Contest, compare, type Job, start } from "./measure.ts";
import type { Told } from "./paced.ts";
import type { RelayJob } from "./relay-lanes.ts";
import { startRelayProcess } from "./relay-process.ts";
import type { Bench } from "./run.ts";

export const about = "how long a payload is under way at 5,000 a second, beside a bare ws forwarder";

const PER_SECOND = 5_000;
const PAIRS = 50;

const lanesOf = (name: string) => new URL(`./${name}.ts`, import.meta.url).href;

async function paced(job: Job): Promise<Told> {
	const generator = start(CORE.generator, [`${import.meta.dirname}/paced.ts`]);
	generator.stdin?.end(JSON.stringify({ ...job, perSecond: PER_SECOND }));
	const late = setTimeout(() => generator.kill("SIGKILL"), job.warmMs + job.measureMs + 20_000);
	const told = generator.stdout ? await text(generator.stdout) : "";
	clearTimeout(late);
	if (!told) throw new Error("the generator ended before it was done");
	return JSON.parse(told) as Told;
}

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	const bare = await bareForwarder();
	const relay = await startRelayProcess();
	const times = quick ? { warmMs: 300, measureMs: 700 } : { warmMs: 500, measureMs: 3_000 };
	const rounds = new Map<string, Promise<Told>[]>();
	/** One drive gives two figures: the second case that asks gets what the first one measured. */
	const figure = (who: string, which: "p50" | "p99", drive: () => Promise<Told>) => {
		let round = 0;
		return async () => {
			const all = rounds.get(who) ?? [];
			rounds.set(who, all);
			all[round] ??= drive();
			return (await (all[round++] as Promise<Told>))[which];
		};
	};
	const contests = [64, 1_024].flatMap((size) =>
		(["p50", "p99"] as const).map((which): Contest => {
			const more = (): RelayJob => ({
				relay: relay.relay,
				tabs: relay.tabs(PAIRS),
				ttlS: 0,
				recipients: 1,
				messageBytes: 0,
			});
			const ours = () =>
				paced({ lanes: lanesOf("relay-lanes"), port: relay.port, size, pairs: PAIRS, ...times, more: more() });
			const peer = () => paced({ lanes: lanesOf("bare-lanes"), port: bare.port, size, pairs: PAIRS, ...times });
			return {
				case: `${which}-${size}`,
				unit: "ms",
				better: "lower",
				peerName: "ws",
				note: `${PER_SECOND} a second from ${PAIRS} senders`,
				ours: figure(`ours ${size}`, which, ours),
				peer: figure(`ws ${size}`, which, peer),
			};
		}),
	);
	try {
		return await compare("latency", contests, runs);
	} finally {
		bare.child.kill();
		await relay.stop();
	}
};
