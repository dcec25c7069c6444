/** Threat 13 for mail: the process is killed with SIGKILL at named points and at random instants, again and again, on one file. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { has } from "#contracts/ranges";
import { checkDatabase } from "#host/database";
import { openSqliteMailStore } from "#relay/mailbox/sqlite";
import { box, device, readAll, tag } from "#test/acceptance/mailstore";
import { type Death, runUntilKilled } from "./killed.ts";

/** Where the writer can be told to die. The first groups make the mailboxes. */
const FAULTS = [
	"within-group#5",
	"within-group#30",
	"before-commit#5",
	"before-commit#9",
	"after-commit#5",
	"after-commit#9",
	"answered#7",
];
const RANDOM_KILLS = 12;

describe("threat 13: the relay's process is killed while mail goes to the disk", () => {
	let path: string;
	let folder: string;
	let run = 0;
	let lastEpoch = 0;
	let midWrite = 0;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-crash-"));
		path = join(folder, "mail.db");
	});
	after(() => rm(folder, { recursive: true, force: true }));

	/** Kills one child and looks at what it left; answers how many of its unanswered mails are there and are not. */
	async function killOnce(death: Death): Promise<{ there: number; gone: number }> {
		run += 1;
		const lines = await runUntilKilled("mailstore-child.ts", path, [String(run)], death);
		const said = (mark: string) =>
			lines.filter((line) => line.startsWith(`${mark} `)).flatMap((line) => line.slice(2).split(" ").map(Number));
		const [asked, kept, deleting, deleted] = [said("?"), new Set(said("!")), new Set(said("-")), new Set(said("x"))];
		const epoch = Number(lines.find((line) => line.startsWith("epoch "))?.slice(6));
		if (asked.length > kept.size || deleting.size > deleted.size) midWrite += 1;

		const store = await openSqliteMailStore({ path });
		assert(!isProblem(store), JSON.stringify(store));
		try {
			assert(epoch > lastEpoch && store.epoch > epoch, "positions never come again");
			lastEpoch = store.epoch;
			const present = new Map<number, Uint8Array>();
			for (const n of [1, 2, 3]) {
				const mails = await readAll(store, box(n), 0, device(n === 3 ? 2 : 1));
				assert.equal(store.state(box(n))?.messages ?? 0, mails.length, "the index is what is there");
				assert.equal(
					store.state(box(n))?.bytes ?? 0,
					mails.reduce((sum, mail) => sum + mail.payload.length, 0),
				);
				for (const { position, payload } of mails)
					if (Math.floor(position / 2 ** 32) === epoch) present.set(position % 2 ** 32, payload);
			}
			// the first device of the third mailbox acknowledges before the second, which deletes: what it lacks the second has too
			const first = (await readAll(store, box(3))).map(({ position }) => position);
			const lacking = new Set(first.filter((at) => Math.floor(at / 2 ** 32) === epoch).map((at) => at % 2 ** 32));
			for (const n of lacking) assert(present.has(n), `${n} waits for the first device and not for the second`);
			const [acking, noted] = [new Set(said("a")), new Set(said("A"))];
			for (const n of noted) assert(!lacking.has(n), `${n} was acknowledged by the first device and comes to it again`);
			for (const n of kept)
				if (n % 3 === 2 && !acking.has(n)) assert(lacking.has(n), `${n} was kept and the first device never has it`);
			const { ranges } = await store.marks(tag(run));
			const counts = { there: 0, gone: 0 };
			for (const n of asked) {
				const payload = present.get(n);
				if (payload) assert.deepEqual(payload, new Uint8Array((n * 131) % 3_000).fill(n & 255), "a mail is whole");
				if (kept.has(n)) {
					assert(has(ranges, n), `${n} was kept and is not in the dedupe record`);
					if (!deleting.has(n)) assert(payload, `${n} was answered kept and is lost`);
					if (deleted.has(n)) assert(!payload, `${n} was deleted and is there again`);
				} else {
					assert.equal(has(ranges, n), payload !== undefined, `mail ${n} and its dedupe record came together`);
					if (payload) counts.there += 1;
					else counts.gone += 1;
				}
			}
			assert(
				[...present.keys()].every((n) => asked.includes(n)),
				"there is nothing that was never asked",
			);
			return counts;
		} finally {
			await store.close();
		}
	}

	for (const point of FAULTS) {
		it(`at ${point}: nothing kept is lost, nothing is half there, and every kept mail has its dedupe record`, async () => {
			const before = midWrite;
			const { there, gone } = await killOnce({ fault: `mailbox:${point}` });
			if (point.startsWith("answered")) return;
			assert.equal(midWrite, before + 1, "the kill landed in the middle of a write");
			if (point.startsWith("after")) assert(there > 0 || gone === 0, "what was committed is there, answered or not");
			else assert(gone > 0 || there === 0, "what was not committed is not there");
		});
	}

	it("at random instants, on the same file: the same holds each time, and most kills land in the middle of a write", async () => {
		const before = midWrite;
		for (let i = 0; i < RANDOM_KILLS; i++) await killOnce({ afterMs: Math.random() * 120 });
		assert(midWrite - before >= RANDOM_KILLS / 3, `only ${midWrite - before} kills of ${RANDOM_KILLS} hit a write`);
	});

	it("leaves a file that SQLite finds whole", () => {
		const database = new DatabaseSync(path, { readOnly: true });
		assert.equal(checkDatabase(database), undefined);
		assert.deepEqual(database.prepare("PRAGMA foreign_key_check").all(), []);
		database.close();
	});
});
