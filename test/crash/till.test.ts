/** Threat 13 for vouchers: the process is killed with SIGKILL at named points and at random instants, again and again, on one file. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { openSqliteTill } from "#relay/till/sqlite";
import type { TillRow } from "#relay/till/till";
import { tab } from "#test/acceptance/till";
import { type Death, runUntilKilled } from "./killed.ts";

const FAULTS = [
	"within-group#2",
	"within-group#30",
	"before-commit",
	"before-commit#9",
	"after-commit",
	"after-commit#9",
	"answered#7",
];
const RANDOM_KILLS = 12;

describe("threat 13: the relay's process is killed while vouchers go to the disk", () => {
	let path: string;
	let folder: string;
	let midWrite = 0;
	/** Where the next child begins: above all that was ever asked. */
	let from = 1;
	let usedLeft = 0;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-crash-"));
		path = join(folder, "till.db");
	});
	after(() => rm(folder, { recursive: true, force: true }));

	async function killOnce(death: Death): Promise<void> {
		const lines = await runUntilKilled("till-child.ts", path, [String(from)], death);
		assert.equal(lines[0], `used ${usedLeft}`, "what was used is known after an orderly stop");
		const highest = (mark: string, at: number) =>
			Math.max(
				0,
				...lines.filter((line) => line.startsWith(`${mark} ${at} `)).map((line) => Number(line.split(" ")[3])),
			);
		const till = await openSqliteTill({ path });
		assert(!isProblem(till), JSON.stringify(till));
		try {
			let unanswered = 0;
			for (const at of [1, 2, 3, 4]) {
				const found: TillRow | undefined = till.rows.get(tab(at));
				const voucher: number = Number(found?.voucher?.bytes ?? 0n);
				const redeemed: number = Number(found?.redeemed.bytes ?? 0n);
				assert(
					voucher >= highest("! voucher", at),
					`the voucher ${highest("! voucher", at)} counted and ${voucher} is there`,
				);
				assert(
					redeemed >= highest("! redeemed", at),
					`${highest("! redeemed", at)} was confirmed and ${redeemed} is there`,
				);
				assert(redeemed <= voucher && voucher <= Math.max(from - 1, highest("? voucher", at)));
				assert.equal(found?.voucher?.signature[0] ?? 0, voucher & 255, "a voucher has its own signature");
				if (redeemed > 0) assert.deepEqual(found?.receipt, new Uint8Array(232).fill(redeemed & 255));
				assert.equal(found?.used, undefined, "a count that was consumed does not rise again after a crash");
				unanswered += lines.filter((line) => line.startsWith("?") && line.split(" ")[2] === String(at)).length;
				unanswered -= lines.filter((line) => line.startsWith("!") && line.split(" ")[2] === String(at)).length;
				from = Math.max(from, highest("? voucher", at) + 1);
			}
			if (unanswered > 0) midWrite += 1;
			usedLeft = 0;
			// an orderly stop of this process: the next child finds what was used, once
			for (const found of till.rows.values()) {
				assert.equal(await till.put({ ...found, used: { bytes: 1n, byteSeconds: 1n } }), "kept");
				usedLeft += 1;
			}
		} finally {
			await till.close();
		}
	}

	for (const point of FAULTS) {
		it(`at ${point}: no voucher that counted is lost, and nothing used comes back`, async () => {
			const before = midWrite;
			await killOnce({ fault: `till:${point}` });
			if (!point.startsWith("answered")) assert.equal(midWrite, before + 1, "the kill landed in the middle of a write");
		});
	}

	it("at random instants, on the same file: the same holds each time, and most kills land in the middle of a write", async () => {
		const before = midWrite;
		for (let i = 0; i < RANDOM_KILLS; i++) await killOnce({ afterMs: Math.random() * 120 });
		assert(midWrite - before >= RANDOM_KILLS / 3, `only ${midWrite - before} kills of ${RANDOM_KILLS} hit a write`);
	});
});
