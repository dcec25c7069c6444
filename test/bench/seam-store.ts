/**
 * The mail store alone, behind its seam and without a wire: batches as a relay's turn makes them, so many mails under way, counted when
 * they are answered `kept`. Reads a job from stdin and says how many mails were durable in how many seconds.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { isProblem } from "#contracts/problem";
import { openSqliteMailStore } from "#relay/mailbox/sqlite";

/** What to do. */
export type SeamJob = {
	readonly size: number;
	/** Mails of one call: what one message of a sender holds. */
	readonly batch: number;
	/** Mails under way. */
	readonly window: number;
	readonly pairs: number;
	readonly warmMs: number;
	readonly measureMs: number;
};

const { size, batch, window, pairs, warmMs, measureMs } = JSON.parse(await text(process.stdin)) as SeamJob;
const folder = mkdtempSync(join(tmpdir(), "farelay-bench-"));
const opened = await openSqliteMailStore({ path: join(folder, "mail.db") });
if (isProblem(opened)) throw new Error(opened.detail);
const store = opened;
const boxes = Array.from({ length: pairs }, (_, i) => i.toString(16).padStart(64, "0"));
const tags = boxes.map((box) => box.slice(32));
for (const box of boxes) await store.visit(box, "0".repeat(32), undefined, 0);
const payload = new Uint8Array(size).fill(0x5a);
const seqs = new Uint32Array(pairs);
let [asked, kept] = [0, 0];
let stopped = false;

/** As many batches as fit the window, each of one sender, for as long as it goes. */
function fill(): void {
	while (!stopped && asked - kept + batch <= window) {
		const pair = (asked / batch) % pairs;
		const expiresAtMs = Date.now() + 604_800_000;
		const first = seqs[pair] as number;
		seqs[pair] = first + batch;
		const mails = Array.from({ length: batch }, (_, i) => {
			asked++;
			return {
				mailbox: boxes[pair] as string,
				position: store.epoch * 2 ** 32 + asked,
				expiresAtMs,
				payload,
				tag: tags[pair] as string,
				seq: first + i,
				print: asked * 4_000_037,
				byCard: true,
			};
		});
		void store.keep(mails).then((results) => {
			if (results.some((result) => result !== "kept")) throw new Error(`the store answered ${results[0]}`);
			kept += batch;
			refill();
		});
	}
}

let filling = false;
/** Once a turn, as a relay reads its sockets. */
function refill(): void {
	if (filling) return;
	filling = true;
	setImmediate(() => {
		filling = false;
		fill();
	});
}

fill();
await new Promise((resolve) => setTimeout(resolve, warmMs));
const [from, began] = [kept, performance.now()];
await new Promise((resolve) => setTimeout(resolve, measureMs));
const told = { payloads: kept - from, seconds: (performance.now() - began) / 1000 };
stopped = true;
await store.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(told)}\n`);
