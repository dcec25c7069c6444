/**
 * The process that the Lightning crash test kills: pays in and out without end, and writes into a journal what it asks ("?") and what was
 * answered ("!"), each before anything else happens.
 */

import { openSync, writeSync } from "node:fs";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { hubAt } from "#test/support/hub";

const [path = "", journalPath = "", from = ""] = process.argv.slice(2);
const journal = openSync(journalPath, "a");
const say = (line: string) => writeSync(journal, `${line}\n`);
say("began");
const { wallets } = await hubAt(path, systemClock);
writeSync(1, "ready\n");

/** One payer's line: an invoice, its payment, what became of it. */
async function pay(
	line: string,
	payer: "payer" | "market",
	payee: "market" | "operator",
	msat: bigint,
): Promise<never> {
	for (let n = 0; ; n++) {
		const id = `${from}-${line}-${n}`;
		const invoice = wallets[payee].invoice({ id, msat, text: id, expiresAtMs: Date.now() + 3_600_000 });
		if (isProblem(invoice)) throw new Error(invoice.detail);
		say(`? ${payer} ${payee} ${id} ${invoice.hash} ${msat}`);
		wallets[payer].send({ id, invoice: invoice.invoice, feeMsatMax: 0n });
		const paid = await wallets[payer].over(id, 10_000);
		if (paid?.state !== "done") throw new Error(paid?.says ?? "it hangs");
		say(`! ${payer} ${payee} ${id} ${invoice.hash} ${msat}`);
	}
}
await Promise.all([
	pay("a", "payer", "market", 1_000n),
	pay("b", "market", "operator", 10n),
	pay("c", "payer", "market", 700_000n),
]);
