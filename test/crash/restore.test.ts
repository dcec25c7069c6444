/**
 * A market with real processes that is backed up while it takes money, goes on, is killed, and comes back from the backup on another disk: what each side
 * has afterwards, and that nothing moved twice.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { isProblem } from "#contracts/problem";
import { type Client, createClient } from "#sdk/client";
import { MAIN, Place } from "#test/support/process";

const PEOPLE = 4;

/** Waits for something that another process does. */
async function eventually(what: string, holds: () => Promise<boolean>, waitMs = 60_000): Promise<void> {
	for (const endMs = Date.now() + waitMs; !(await holds().catch(() => false)); ) {
		assert.ok(Date.now() < endMs, `waited in vain for ${what}`);
		await new Promise((done) => setTimeout(done, 100));
	}
}

suite("a backup of a market that runs", () => {
	let place: Place;
	const people: Client[] = [];
	before(async () => {
		place = await Place.open();
	});
	after(async () => {
		await Promise.allSettled(people.map((who) => who.close()));
		await place.end();
	});

	async function person(market: string, dollars: bigint): Promise<Client> {
		const client = await createClient({ market });
		people.push(client);
		if (dollars > 0n)
			await client.market.api.funding.play.mutate({ id: "start", amount: String(dollars * 1_000_000_000n) });
		return client;
	}

	test("holds at every moment, and brings back a market that pays for each voucher once", async () => {
		const more = ["--payout-journal", place.path("told.jsonl")];
		const market = await place.market({ more });
		const port = new URL(market.url).port;
		const operator = await person(market.url, 0n);
		const relay = await place.relay({ market: market.url, operator: toHex(operator.identity.account.publicKey) });
		const bob = await person(market.url, 0n);
		let mail = 0;
		let card = "";
		await eventually("a card", async () => {
			card = await bob.card({ name: "Bob" });
			return true;
		});
		bob.listen({ text: () => void mail++ });
		const senders: Client[] = [];
		for (let n = 0; n < PEOPLE; n++) senders.push(await person(market.url, 50n));
		// money moves all the time: mail, redemptions five times a second, deposits
		const openTabs = async () => {
			const lists = await Promise.all(senders.map((who) => who.market.api.tab.list.query({ live: true })));
			return lists.filter(({ tabs }) => tabs.length === 1).length;
		};
		let busy = true;
		let sent = 0;
		const traffic = senders.map(async (who, n) => {
			for (let i = 0; busy; i++) {
				await who.send(card, `${n}: ${"x".repeat(2_000)}`);
				sent++;
				if (i % 5 === 0) await who.market.api.funding.play.mutate({ id: `more-${i}`, amount: "1000000" });
			}
		});
		// everybody's tab is open and redeemed from before the first backup: what is opened later is not in it
		await eventually("traffic", async () => sent > 20 && (await openTabs()) === PEOPLE);
		const backups: string[] = [];
		for (let n = 0; n < 3; n++) {
			const said = await place.done([
				"market",
				"backup",
				"--to",
				place.path("backups"),
				"--data",
				place.path("market"),
			]);
			backups.push(String(said.path));
			await place.done(["audit", "--data", String(said.path)]);
			const before = sent;
			await eventually("more traffic", async () => sent > before + 10);
		}
		busy = false;
		await Promise.all(traffic);
		const earnedBy = async () => BigInt((await operator.market.api.operator.earnings.query()).earned);
		let last = -1n;
		let same = 0;
		await eventually("the till to be empty", async () => {
			const now = await earnedBy();
			same = now === last ? same + 1 : 0;
			last = now;
			// two seconds without a change, at five redemptions a second
			return same >= 20;
		});
		const [earned, balances] = [await earnedBy(), await Promise.all(senders.map((who) => balanceOf(who)))];

		// the machine is gone, and another takes its place with the oldest backup
		await market.end("SIGKILL");
		const data = place.path("again");
		await place.done(["market", "restore", "--from", backups[0] ?? "", "--data", data]);
		const again = await place.market({ data: "again", port: Number(port), more });
		const info = (await (await fetch(`${again.url}/.well-known/farelay.json`)).json()) as {
			restored: { fromMs: number };
		};
		assert.ok(info.restored.fromMs > 0);
		const afterwards = await earnedBy();
		assert.ok(afterwards < earned, "the backup is older than the last redemption");
		// the relay hears of it at its next start or within ten minutes, and claims anew
		await relay.end();
		const other = await place.relay(
			{ market: again.url, operator: toHex(operator.identity.account.publicKey) },
			{ port: Number(new URL(relay.url).port) },
		);
		await eventually("everything to be paid again", async () => (await earnedBy()) === earned);
		let asks = 0n;
		// each payer has what they had, but for the play money of after the backup; tabs go on
		for (const [n, who] of senders.entries()) {
			assert.ok((await balanceOf(who)) <= (balances[n] ?? 0n));
			asks += (await who.send(card, "after")).cost.ask;
		}
		for (const who of senders)
			for (const { closed } of await who.settle())
				assert.ok(!isProblem(closed), isProblem(closed) ? closed.detail : "");
		// tabs were redeemed whole before they were closed: whatever was claimed again would be in it
		const since = (await earnedBy()) - earned;
		assert.ok(since >= 0n && since <= asks, `${since} for ${asks}: and nothing once more`);
		const report = await place.done(["audit", "--data", data]);
		assert.equal(report.holds, true);
		assert.ok(mail > 0);
		const held = await place.done(["market", "release", "--data", data]);
		assert.equal(held.released, true);
		// a market that is there is never written over
		const refused = await place.run(["market", "restore", "--from", backups[1] ?? "", "--data", data, "--json"]);
		assert.equal(refused.said.at(-1)?.problem, "conflict");
		await Promise.all([other.end(), again.end()]);
	});

	test("that is killed at any moment leaves a whole one or none", async () => {
		const market = await place.market({ data: "killed" });
		await person(market.url, 1n);
		let kills = 0;
		let whole = 0;
		for (let round = 0; round < 12; round++) {
			const to = place.path("half", String(round));
			const words = ["market", "backup", "--to", to, "--data", place.path("killed")];
			const child = spawn(process.execPath, [MAIN, ...words], { stdio: "ignore" });
			const ended = new Promise((done) => child.once("close", (_code, signal) => done(signal)));
			// at each of the things that it makes, one after the other, or at its end
			const parts = ["", "/ledger.db", "/cards.db", "/board.db", "/keys/online.json", "/backup.json"];
			const made = parts[round % parts.length];
			const isThere = async () => (await readdir(to)).some((name) => existsSync(join(to, `${name}${made}`)));
			while (child.exitCode === null && !(await isThere().catch(() => false))) await new Promise(setImmediate);
			child.kill("SIGKILL");
			if ((await ended) === "SIGKILL") kills++;
			const found = (await readdir(to).catch(() => [])).filter((name) => !name.endsWith(".part"));
			for (const name of found) {
				await place.done(["market", "restore", "--from", join(to, name), "--data", place.path("whole", String(round))]);
				whole++;
			}
			// what was left half made is in nobody's way
			const again = await place.done(words);
			assert.ok(existsSync(String(again.path)));
		}
		console.log(`${kills} kills, ${whole} of them left a whole backup`);
		assert.ok(kills >= 8, `${kills} kills`);
		await market.end();
	});

	async function balanceOf(who: Client): Promise<bigint> {
		return BigInt((await who.market.api.account.balance.query()).balance);
	}
});
