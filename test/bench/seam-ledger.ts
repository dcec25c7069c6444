/**
 * The book as its callers use it: so many calls under way, counted when they are answered, which is when they are durable. Reads a job from
 * stdin; says how many changes a second that were, how they were grouped, and how the event loop that asked did meanwhile.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { text } from "node:stream/consumers";
import { isProblem } from "#contracts/problem";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { type BookJob, contentsOf, type Measured, prepared, tidy, warmOf } from "./ledger-job.ts";
import { changesIn } from "./ledger-work.ts";

const job = JSON.parse(await text(process.stdin)) as BookJob;
const { path, calls, done } = await prepared(job);
const book = await openSqliteBook({ path });
if (isProblem(book)) throw new Error(book.detail);

const apply = book.apply;
/** Calls of each group: those whose answers came in one turn. */
const groups: number[] = [];
let [next, answered] = [0, 0];
const end = Promise.withResolvers<void>();
const measured = Promise.withResolvers<void>();
const warm = warmOf(calls);
tidy();

function ask(): void {
	const call = calls[next++];
	if (!call) return;
	void apply(call).then((outcomes) => {
		const other = outcomes.find((outcome) => outcome !== "applied");
		if (other) return end.reject(new Error(`the book answered ${JSON.stringify(other)}`));
		if (turn++ === 0) setImmediate(endTurn);
		answered++;
		if (answered === warm) measured.resolve();
		if (answered === calls.length) end.resolve();
		ask();
	}, end.reject);
}

let turn = 0;
function endTurn(): void {
	groups.push(turn);
	turn = 0;
}

for (let i = 0; i < job.underWay; i++) ask();
await Promise.race([measured.promise, end.promise]);
const loop = monitorEventLoopDelay({ resolution: 1 });
loop.enable();
const [from, began, cpu, own] = [answered, performance.now(), process.cpuUsage(), process.threadCpuUsage()];
groups.length = 0;
await end.promise;
const seconds = (performance.now() - began) / 1000;
const [used, ownUsed] = [process.cpuUsage(cpu), process.threadCpuUsage(own)];
loop.disable();
endTurn();
await book.close();
const changes = changesIn(calls.slice(from));
const micros = ({ user, system }: { user: number; system: number }) => user + system;
const told: Measured = {
	changes,
	seconds,
	groups: groups.filter((size) => size > 0),
	cpuMicros: micros(used) / changes,
	loopMicros: micros(ownUsed) / changes,
	loopP99Ms: loop.percentile(99) / 1e6,
	contents: contentsOf(job, path),
};
done();
process.stdout.write(`${JSON.stringify(told)}\n`);
