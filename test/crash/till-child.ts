/**
 * The process that the till's crash test kills: puts rising vouchers and confirmations without end and writes into a journal what it asks
 * ("?") and what was kept ("!"), each before anything else happens.
 */

import { openSync, writeSync } from "node:fs";
import { isProblem } from "#contracts/problem";
import { openSqliteTill } from "#relay/till/sqlite";
import type { Till } from "#relay/till/till";
import { row, tab, totals, voucher } from "#test/acceptance/till";

const [path = "", journalPath = "", from = "0"] = process.argv.slice(2);
const opened = await openSqliteTill({ path });
if (isProblem(opened)) throw new Error(opened.detail);
const till: Till = opened;
const journal = openSync(journalPath, "a");
const say = (line: string) => writeSync(journal, `${line}\n`);
say(`used ${[...till.rows.values()].filter(({ used }) => used).length}`);
writeSync(1, "ready\n");

/** One tab's session: a voucher for `n`, then the market's confirmation of it. */
async function pay(at: number): Promise<never> {
	for (let n = Number(from); ; n++) {
		say(`? voucher ${at} ${n}`);
		const kept = await till.put({ ...(till.rows.get(tab(at)) ?? row(at)), voucher: voucher(n, n, n) });
		if (kept !== "kept") throw new Error(kept);
		say(`! voucher ${at} ${n}`);
		say(`? redeemed ${at} ${n}`);
		if ((await till.redeemed(tab(at), totals(n, n, n), new Uint8Array(232).fill(n & 255))) !== "kept")
			throw new Error("disk");
		say(`! redeemed ${at} ${n}`);
	}
}
await Promise.all([1, 2, 3, 4].map(pay));
