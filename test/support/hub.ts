/** An embedded Lightning network for tests: in a folder that goes with it, on a clock that the test may move. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hub, openHub } from "#box/lightning/hub";
import { type Clock, systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import type { Rail } from "#marketplace/rail/rail";
import type { RailBench } from "#test/acceptance/rail";
import { fine } from "./market.ts";

/** Opens the hub of a folder. */
export async function hubAt(data: string, clock: Clock): Promise<Hub> {
	return fine(await openHub({ data, clock, log: openSilentLog(), random: crypto.random, network: "regtest" }));
}

/** A folder for a hub's file. */
export async function hubFolder(): Promise<{ path: string; remove(): Promise<void> }> {
	const path = await mkdtemp(join(tmpdir(), "farelay-hub-"));
	return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Examples of BOLT 11: one of Bitcoin itself, one of its test network. */
export const FOREIGN = [
	"lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh",
	"lntb20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfpp3x9et2e20v6pu37c5d9vax37wxq72un989qrsgqdj545axuxtnfemtpwkc45hx9d2ft7x04mt8q7y6t0k2dge9e7h8kpy9p34ytyslj3yu569aalz2xdk8xkd7ltxqld94u8h2esmsmacgpghe9k8",
];

/** How long an invoice of the bench's is good for. */
const HOUR_MS = 3_600_000;

/** The bench of a rail whose node is a hub's market: the payer's wallet pays in, and the operator's is paid. */
export async function hubBench(
	open: (hub: Hub) => Promise<{ readonly rail: Rail; close(): Promise<void> }>,
): Promise<RailBench> {
	const folder = await hubFolder();
	const hub = await hubAt(folder.path, systemClock);
	const { rail, close } = await open(hub);
	const { payer, operator } = hub.wallets;
	const hashes = new Map<string, string>();
	return {
		rail,
		amounts: { in: 40_000n, out: 2_500n },
		feeMax: 1_000n,
		nowMs: () => Date.now(),
		async payIn({ pay }) {
			assert(pay.kind === "invoice");
			payer.send({ id: pay.invoice.slice(-64), invoice: pay.invoice, feeMsatMax: 0n });
		},
		async destination(amount) {
			const order = { id: randomUUID(), msat: amount, text: "a payout", expiresAtMs: Date.now() + HOUR_MS };
			const { invoice, hash } = fine(operator.invoice(order));
			hashes.set(invoice, hash);
			return invoice;
		},
		async arrived(to) {
			const payment = operator.incoming(hashes.get(to) ?? "");
			return payment?.state === "done" ? payment.msat : 0n;
		},
		nowhere: FOREIGN,
		strange: "ab".repeat(32),
		async close() {
			await close();
			await hub.stop();
			await folder.remove();
		},
	};
}
