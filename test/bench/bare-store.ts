/**
 * What the mail store is held against: the same rows into the same tables and indices, with the same durability and pages, and nothing else. One
 * process, on its main thread (a thread of its own would only cost it), no sockets, no dedupe, no queue: rows are made as they are
 * written, so many to a commit. Reads a job from stdin and says how many rows were durable in how many seconds.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { isProblem } from "#contracts/problem";
import { openDatabase } from "#host/database";
import { MAIL_KIND, MAIL_MIGRATIONS } from "#relay/mailbox/schema";

/** What to do. */
export type BareJob = {
	readonly size: number;
	/** Rows of one commit. */
	readonly group: number;
	/** Mailboxes and senders, in turn. */
	readonly pairs: number;
	readonly warmMs: number;
	readonly measureMs: number;
};

const job = JSON.parse(await text(process.stdin)) as BareJob;
const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
const path = join(folder, "mail.db");
const database = openDatabase({ path, kind: MAIL_KIND, migrations: MAIL_MIGRATIONS, largeRows: true });
if (isProblem(database)) throw new Error(database.detail);
const box = database.prepare("INSERT INTO mailboxes (mailbox, seenMs) VALUES (?, 0)");
const tag = database.prepare("INSERT INTO tags (tag, ranges, untilMs) VALUES (?, ?, 0)");
for (let i = 0; i < job.pairs; i++) {
	box.run(String(i).padStart(64, "0"));
	tag.run(String(i).padStart(32, "0"), new Uint8Array(8));
}
const put = database.prepare(
	"INSERT INTO mail (position, box, expiresAtMs, byCard, bytes, tag, seq, print, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
);
const remember = database.prepare("UPDATE tags SET ranges = ? WHERE id = ?");
const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
const payload = new Uint8Array(job.size).fill(0x5a);
let rows = 0;

function until(endMs: number): void {
	while (performance.now() < endMs) {
		const nowMs = Date.now();
		begin.run();
		for (let i = 0; i < job.group; i++) {
			rows++;
			const pair = 1 + (rows % job.pairs);
			put.run(2 ** 32 + rows, pair, nowMs + 604_800_000, 1, job.size, pair, rows, rows * 4_000_037, payload);
		}
		for (let pair = 1; pair <= job.pairs; pair++) remember.run(new Uint8Array(8).fill(rows & 255), pair);
		commit.run();
	}
}

until(performance.now() + job.warmMs);
const [from, began, cpu] = [rows, performance.now(), process.cpuUsage()];
until(began + job.measureMs);
const used = process.cpuUsage(cpu);
const told = {
	payloads: rows - from,
	seconds: (performance.now() - began) / 1000,
	cpuSeconds: (used.user + used.system) / 1e6,
};
database.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(told)}\n`);
