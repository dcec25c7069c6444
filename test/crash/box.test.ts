/**
 * Threats 13, 16 and 19 for `npm start`: the box, which is a marketplace, three Lightning nodes, two relays and everybody who uses them in one process, is
 * killed with SIGKILL in its deposit, its delivery and its payout, again and again on one folder. Started again it does its job; the ledger proves itself,
 * and the nodes and the ledger say the same to the millisatoshi.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Place } from "#test/support/process";
import { until } from "#test/support/rawclient";

/** What the box says as it begins with each part of its job, and how long each takes at most. */
const PARTS = {
	deposit: [/The sender wants/, 150],
	delivery: [/The sender asks what it costs/, 400],
	payout: [/and brings an invoice/, 120],
} as const;
type Part = keyof typeof PARTS;

/** Points within: the disks of the nodes, the ledger, the mail, the till. */
const FAULTS = [
	"lightning:before-commit#25",
	"lightning:after-commit#35",
	"ledger:before-commit#2",
	"ledger:after-commit#5",
	"mailbox:before-commit#1",
	"till:after-commit#1",
];
const KILLS_A_PART = 3;
/** How long what was under way may take to be seen by everybody after a start: whoever told a rail has a minute for it, and a round comes once a minute. */
const SETTLE_MS_MAX = 180_000;

const LAUNCHER = fileURLToPath(new URL("farelay.mjs", import.meta.resolve("#cli/main")));

suite("the box is killed in the middle of its job", () => {
	let place: Place;
	let folder = "";
	const data = () => ["--data", place.path(folder)];
	const kills: Record<string, number> = {};
	let lives = 0;

	before(async () => {
		place = await Place.open();
	});
	after(() => place.end());

	/** Starts it again: it does its job, its rails and its ledger come to say the same, and nothing is missing. */
	async function recovers(what: string): Promise<void> {
		const box = await place.start(["box", "--port", "0", ...data()]);
		try {
			const held = await settled(what);
			await box.end("SIGTERM");
			const proof = await place.done(["audit", ...data()]);
			assert.deepEqual([proof.holds, proof.sum], [true, "0"], what);
			agreeWithWallets(held, what);
		} finally {
			await box.end("SIGKILL");
		}
		lives += 1;
	}

	type Held = {
		rails: { rail: string; beyond: string; cameIn: string; wentOut: string }[];
		differences: { says: string }[];
	};
	type Sums = Held["rails"][number];

	/** Until nothing is in flight any more, and the rail holds exactly what our movements leave there. */
	async function settled(what: string): Promise<Sums> {
		let found: Held | undefined;
		let sums: Sums | undefined;
		await until(
			`the rails and the ledger to agree after ${what}`,
			async () => {
				found = (await place.done(["market", "reconcile", ...data()])) as unknown as Held;
				sums = found.rails.find(({ rail }) => rail === "lightning-regtest");
				return sums?.beyond === "0" && !found.differences.some(({ says }) => says.includes("In flight"));
			},
			SETTLE_MS_MAX,
		);
		return sums ?? assert.fail(JSON.stringify(found));
	}

	/** What the ledger says came and went is what the wallets at the other ends paid and got. */
	function agreeWithWallets({ cameIn, wentOut }: Sums, what: string): void {
		const file = new DatabaseSync(place.path(folder, "lightning", "lightning.db"), {
			readOnly: true,
			readBigInts: true,
		});
		try {
			const sum = (node: string, way: string) =>
				String(
					file
						.prepare("SELECT coalesce(sum(msat), 0) AS msat FROM payment WHERE node = ? AND way = ? AND state = 'done'")
						.get(node, way)?.msat,
				);
			assert.deepEqual([cameIn, wentOut], [sum("payer", "out"), sum("operator", "in")], what);
		} finally {
			file.close();
		}
	}

	test("it does its job once, unharmed", () => {
		folder = "box";
		return recovers("a first start");
	});

	for (const part of Object.keys(PARTS) as Part[])
		test(`in the ${part}, at random instants: nothing is lost or paid twice`, async () => {
			const [said, withinMs] = PARTS[part];
			for (let i = 0; i < KILLS_A_PART; i++) {
				// a payout that the nodes never heard of is unknown for minutes, and no other begins meanwhile
				folder = part === "payout" ? `payout-${i}` : "box";
				const afterMs = (i / KILLS_A_PART) * withinMs + Math.random() * (withinMs / KILLS_A_PART);
				const ran = await place.killed(["box", "--port", "0", ...data()], said, afterMs);
				assert.equal(ran.signal, "SIGKILL", ran.out);
				kills[part] = (kills[part] ?? 0) + (ran.out.includes("The market is open") ? 0 : 1);
				await recovers(`a kill ${Math.round(afterMs)} ms into the ${part}`);
			}
		});

	for (const fault of FAULTS)
		test(`at ${fault}: nothing is lost or paid twice`, async () => {
			folder = fault.replace(/\W/g, "-");
			const ran = await place.killed(["box", "--once", ...data()], /never said/, 0, { env: { FARELAY_FAULT: fault } });
			assert.equal(ran.signal, "SIGKILL", `${fault} was never reached: ${ran.out}`);
			kills.points = (kills.points ?? 0) + 1;
			await recovers(fault);
		});

	test("a launcher that is killed takes the box with it, in order; killed with it, the box is there again too", async () => {
		folder = "box";
		for (const both of [false, true]) {
			const launcher = spawn(process.execPath, [LAUNCHER, "box", "--port", "0", ...data()], { stdio: "pipe" });
			let out = "";
			launcher.stdout.on("data", (text) => {
				out += text;
			});
			await until("the box to be in its job", () => PARTS.delivery[0].test(out), SETTLE_MS_MAX);
			const [pid] = readFileSync(`/proc/${launcher.pid}/task/${launcher.pid}/children`, "utf8").split(" ").map(Number);
			assert(pid, "the box is a process of the launcher's");
			launcher.kill("SIGKILL");
			if (both) process.kill(pid, "SIGKILL");
			await until("the box to be gone", () => !isAlive(pid), SETTLE_MS_MAX);
			kills.launcher = (kills.launcher ?? 0) + 1;
			await recovers(both ? "a kill of both" : "a kill of the launcher");
		}
	});

	test("the kills hit what they were meant for", () => {
		for (const part of Object.keys(PARTS)) assert.ok((kills[part] ?? 0) >= KILLS_A_PART / 2, `${part}: ${kills[part]}`);
		const all = 3 * KILLS_A_PART + FAULTS.length + 2;
		assert.equal(lives, all + 1);
		console.log(
			`${all} kills (${JSON.stringify(kills)} before the job was done), and each time the box did its job again`,
		);
	});
});

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}
