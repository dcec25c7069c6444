/**
 * Threat 13 for the marketplace: its process is killed with SIGKILL at named points and at random instants while people open tabs and a
 * relay redeems. What was acknowledged is there afterwards, nothing is charged or paid twice, and asking again gives the same.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { TRPCClientError } from "@trpc/client";
import { amount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import type { Grant } from "#contracts/grant";
import { isProblem } from "#contracts/problem";
import { bill, type OpenOrder } from "#contracts/tab";
import { systemClock } from "#host/clock";
import { auditFile } from "#marketplace/ledger/sqlite";
import { ledgerPath } from "#marketplace/stores";
import { checkTabs } from "#marketplace/tab/check";
import { carried, FEES, fine, grantOf, movedBy, Person, TestRelay, toHex } from "#test/support/market";

const FUNDED = 100_000_000_000n;
const CAP = amount(100_000n);

const POINTS = [
	"ledger:within-group#3",
	"ledger:within-group#20",
	"ledger:before-commit#2",
	"ledger:before-commit#7",
	"ledger:before-commit#19",
	"ledger:after-commit#3",
	"ledger:after-commit#11",
	"ledger:answered#5",
	"ledger:answered#16",
	"ledger:answered#30",
];
const RANDOM_KILLS = 8;

/** One tab: what was asked and what was answered. Totals are thousands of bytes, $0.0000005 each. */
type Line = { readonly order: OpenOrder; grant?: Grant; asked: number; paid: number; moved: bigint };

describe("threat 13: the marketplace's process is killed", () => {
	let folder: string;
	let child: ChildProcess | undefined;
	const where = { url: "", market: new Uint8Array(32), clock: systemClock };
	const alice = new Person(where);
	const relay = new TestRelay(where);
	const lines: Line[] = [];
	let midway = 0;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-crash-market-"));
	});
	after(async () => {
		child?.kill("SIGKILL");
		await rm(folder, { recursive: true, force: true });
	});

	async function start(fault?: string): Promise<void> {
		child = spawn(process.execPath, [join(import.meta.dirname, "../../services/marketplace/main.ts")], {
			stdio: ["ignore", "pipe", "inherit"],
			env: {
				...process.env,
				FARELAY_DATA: folder,
				FARELAY_PORT: "0",
				FARELAY_PLAY: "yes",
				FARELAY_REQUESTS_PER_MINUTE: "1000000",
				...(fault && { FARELAY_FAULT: fault }),
			},
		});
		assert(child.stdout);
		const logged = createInterface({ input: child.stdout });
		for await (const line of logged) {
			const { msg, port } = JSON.parse(line) as { msg: string; port?: number };
			if (msg !== "the market is up") continue;
			where.url = `http://127.0.0.1:${port}`;
			break;
		}
		child.stdout.resume();
		const info = (await (await fetch(`${where.url}/.well-known/farelay.json`)).json()) as { market: string };
		const market = fromHex(info.market, 32);
		assert(market);
		where.market.set(market);
	}

	/** Whether a call failed because nobody is there any more: nothing is known of what it did. */
	function isGone(error: unknown): boolean {
		if (error instanceof TRPCClientError) return error.data === undefined || error.data === null;
		return error instanceof TypeError || error instanceof SyntaxError;
	}

	/** Opens a tab and redeems rising totals on it, for ever: until the market is gone. */
	async function work(): Promise<void> {
		for (;;) {
			const line: Line = { order: alice.order({ relay: relay.key.publicKey, cap: CAP }), asked: 0, paid: 0, moved: 0n };
			lines.push(line);
			await open(line);
			for (let total = 1; total <= 3; total++) await redeem(line, total);
			const { grant } = line;
			assert(grant);
			// ended at once, so that an account never has too many open
			if (lines.length % 2) {
				const used = carried(line.paid * 1_000);
				await alice.close(grant, { usage: relay.final(grant, used), voucher: alice.voucher(grant, used) });
			} else await alice.close(grant, { usage: relay.final(grant, carried(0)) });
		}
	}

	async function open(line: Line): Promise<void> {
		const { grant } = await alice.openOrder(line.order);
		const opened = grantOf(grant);
		if (line.grant) assert.deepEqual(opened.bytes, line.grant.bytes, "the same order, the same grant");
		line.grant = opened;
	}

	async function redeem(line: Line, total: number): Promise<void> {
		const { grant } = line;
		assert(grant);
		line.asked = Math.max(line.asked, total);
		const used = carried(total * 1_000);
		const [result] = await relay.redeem({ tab: grant.tab, voucher: alice.voucher(grant, used), used });
		line.moved += movedBy(result);
		line.paid = Math.max(line.paid, total);
	}

	async function runUntilKilled(death: { fault: string } | { afterMs: number }): Promise<void> {
		const asked = lines.length;
		// it may die of what it reads as it starts
		const started = start("fault" in death ? death.fault : undefined);
		const died = once(child as ChildProcess, "exit");
		const late = setTimeout(() => child?.kill("SIGTERM"), 15_000);
		const work4 = (async () => {
			await started;
			if ("afterMs" in death) setTimeout(() => child?.kill("SIGKILL"), death.afterMs);
			await relay.list();
			await alice.fund(FUNDED, "once");
			await prove();
			await Promise.all([work(), work(), work(), work()]);
		})();
		const [ended] = await Promise.allSettled([work4]);
		if (ended.status === "rejected" && !isGone(ended.reason)) throw ended.reason;
		const [, signal] = (await died) as [number, string];
		clearTimeout(late);
		assert.equal(signal, "SIGKILL", `${JSON.stringify(death)}: it ended in another way`);
		if (lines.slice(asked).some((line) => !line.grant || line.asked > line.paid)) midway += 1;
		// the other three may still be noticing
		const report = fine(await auditFile(ledgerPath(folder), [checkTabs]));
		assert.deepEqual(report.findings, []);
	}

	/** Asks again for everything that was ever asked: what was acknowledged is the same, what was not is done now, once. */
	async function prove(): Promise<void> {
		const listed = new Map<string, { nanos: string; state: string; grant: string }>();
		for (let after: string | undefined; ; ) {
			const page = await alice.client.tab.list.query({ limit: 200, ...(after && { after }) });
			for (const { tab, paid, state, grant } of page.tabs) listed.set(tab, { nanos: paid.nanos, state, grant });
			if (!page.next) break;
			after = page.next;
		}
		let spent = 0n;
		let held = 0n;
		for (const line of lines) {
			const tab = listed.get(toHex(line.order.tab));
			if (line.grant) assert.equal(tab?.grant, toHex(line.grant.bytes), "an acknowledged tab is there");
			if (!tab) continue;
			const paid = BigInt(tab.nanos);
			assert(paid >= BigInt(line.paid) * 500n, "an acknowledged redemption is there");
			assert(paid <= BigInt(line.asked) * 500n, "nothing was paid that nobody asked for");
			spent += bill(amount(paid), FEES).total;
			if (tab.state !== "closed") held += bill(CAP, FEES).total - bill(amount(paid), FEES).total;
		}
		assert.equal(await alice.balance(), FUNDED - spent - held, "nothing was charged twice");
		for (const line of lines.slice(-12)) {
			if (!listed.has(toHex(line.order.tab))) await open(line);
			else line.grant ??= grantOf(listed.get(toHex(line.order.tab))?.grant ?? "");
			const { grant, asked } = line;
			assert(grant);
			if (listed.get(toHex(grant.tab))?.state === "closed" || asked === 0) continue;
			const used = carried(asked * 1_000);
			const claim = { tab: grant.tab, voucher: alice.voucher(grant, used), used };
			const [first, again] = await relay.redeem(claim, claim);
			assert(first && again && !isProblem(first) && !isProblem(again));
			assert.equal(again.moved, "0");
			assert.equal(again.receipt, first.receipt);
			line.paid = asked;
		}
		for (const { tab, state } of (await alice.client.tab.list.query({ live: true })).tabs) {
			const line = lines.find(({ order }) => toHex(order.tab) === tab);
			if (state === "closed" || !line?.grant) continue;
			const used = carried(line.paid * 1_000);
			await alice.close(line.grant, { usage: relay.final(line.grant, used), voucher: alice.voucher(line.grant, used) });
		}
	}

	it("again and again, and keeps what it acknowledged, once", async (t) => {
		for (const fault of POINTS) await runUntilKilled({ fault });
		for (let i = 0; i < RANDOM_KILLS; i++) await runUntilKilled({ afterMs: 100 + Math.floor(Math.random() * 500) });
		t.diagnostic(`${midway} of ${POINTS.length + RANDOM_KILLS} kills landed in the middle of something`);
		assert(midway >= 5, `only ${midway} of ${POINTS.length + RANDOM_KILLS} kills landed in the middle of something`);
		assert(lines.filter(({ grant }) => grant).length > 20);
		await start();
		await relay.list();
		await prove();
		const earned = BigInt((await relay.operator.client.operator.earnings.query()).earned);
		const page = await alice.client.account.balance.query();
		assert(earned > 0n && BigInt(page.balance) < FUNDED);
		const died = once(child as ChildProcess, "exit");
		child?.kill("SIGTERM");
		assert.deepEqual((await died)[0], 0, "and stops in order when it is asked to");
	});
});
