/** Threats 13, 16 and 19 for the box's own Lightning: the process is killed with SIGKILL at named points and at random instants, again and again, on one file. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import type { Hub } from "#box/lightning/hub";
import { makeLightningRail } from "#box/lightning/rail";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { hubAt, hubFolder } from "#test/support/hub";
import { type Death, runUntilKilled } from "./killed.ts";

/** Turns of a start before anything is paid, of a channel being opened, of payments; before and after they are on the disk. */
const FAULTS = [1, 2, 4, 8, 13, 21, 40, 75].flatMap((turn) => [`before-commit#${turn}`, `after-commit#${turn}`]);
const RANDOM_KILLS = 16;
/** A payment that was under way goes on at the next start. */
const PATIENCE_MS = 20_000;

type Asked = { payer: "payer" | "market"; payee: "market" | "operator"; id: string; hash: string; msat: bigint };

describe("the process is killed while its Lightning nodes pay each other", () => {
	let folder: Awaited<ReturnType<typeof hubFolder>>;
	let kills = 0;
	let midPayment = 0;
	/** The market's money when nothing was paid yet, and what moved since. */
	let first: bigint | undefined;
	let moved = 0n;
	/** Paid for certain, by the journals of all that were killed. */
	const done: Asked[] = [];

	before(async () => {
		folder = await hubFolder();
	});
	after(() => folder.remove());

	const asked = (lines: readonly string[], mark: string): Asked[] =>
		lines
			.filter((line) => line.startsWith(mark))
			.map((line) => {
				const [, payer, payee, id = "", hash = "", msat = ""] = line.split(" ");
				return { payer: payer as Asked["payer"], payee: payee as Asked["payee"], id, hash, msat: BigInt(msat) };
			});

	async function spendable(hub: Hub): Promise<bigint> {
		const balance = await makeLightningRail(hub).balance();
		assert(balance && !isProblem(balance));
		return balance.spendable;
	}

	/** Both ends of a payment say the same of it once it is over; whether it was paid. */
	async function agree(hub: Hub, { payer, payee, id, hash }: Asked): Promise<boolean> {
		const out = hub.wallets[payer].outgoing(id) && (await hub.wallets[payer].over(id, PATIENCE_MS));
		const came = hub.wallets[payee].incoming(hash);
		assert(came, "an invoice that was given away is known");
		assert.equal(out?.state === "done", came.state === "done", `${id}: ${out?.state} there, ${came.state} here`);
		return came.state === "done";
	}

	async function killOnce(death: Death): Promise<void> {
		const lines = await runUntilKilled("lightning-child.ts", folder.path, [`run${kills}`], death);
		kills += 1;
		const [wanted, answered] = [asked(lines, "?"), asked(lines, "!")];
		if (wanted.length > answered.length) midPayment += 1;
		const hub = await hubAt(folder.path, systemClock);
		try {
			for (const one of wanted) {
				const paid = await agree(hub, one);
				assert(paid || !answered.some(({ id }) => id === one.id), `${one.id} was told to be paid`);
				if (!paid) continue;
				moved += one.payee === "market" ? one.msat : -one.msat;
				done.push(one);
			}
			for (const one of done) assert(await agree(hub, one), `${one.id} was paid before`);
			first ??= (await spendable(hub)) - moved;
			const deadline = performance.now() + PATIENCE_MS;
			while ((await spendable(hub)) !== first + moved) {
				assert(performance.now() < deadline, `${await spendable(hub)} msat, and ${first + moved} by the journals`);
				await new Promise(setImmediate);
			}
		} finally {
			await hub.stop();
		}
		const file = new DatabaseSync(join(folder.path, "lightning.db"), { readOnly: true });
		const monitors = file.prepare("SELECT DISTINCT node, channel FROM monitor").all();
		file.close();
		assert.equal(monitors.length, 4, "no channel was closed and opened anew");
	}

	for (const fault of FAULTS) {
		it(`at ${fault}: nothing that was paid is lost or paid twice, and no channel closes`, () =>
			killOnce({ fault: `lightning:${fault}` }));
	}

	it("at random instants, on the same file: the same holds each time", async () => {
		for (let i = 0; i < RANDOM_KILLS; i++) await killOnce({ afterMs: Math.random() * 700 });
	});

	it("most kills landed in the middle of a payment, and much was paid in between", () => {
		assert.equal(kills, FAULTS.length + RANDOM_KILLS);
		assert(midPayment >= kills / 3, `only ${midPayment} kills of ${kills} hit a payment`);
		assert(done.length >= kills, `${done.length} payments`);
		console.log(`${kills} kills, ${midPayment} in the middle of a payment; ${done.length} payments, none lost`);
	});
});

describe("the process is killed while the first channels are being opened", () => {
	for (const turn of [22, 23, 24, 25, 26])
		for (const when of ["before", "after"])
			it(`${when} turn ${turn} is on the disk: the next start has its channels, also where one end had forgotten one`, async () => {
				const fresh = await hubFolder();
				await runUntilKilled("lightning-child.ts", fresh.path, ["run"], { fault: `lightning:${when}-commit#${turn}` });
				const hub = await hubAt(fresh.path, systemClock);
				assert.equal(await hub.ready(), true);
				assert.equal(hub.stakeMsat, 15_680_000_000n);
				await hub.stop();
				await fresh.remove();
			});
});
