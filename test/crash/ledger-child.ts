/**
 * The process that the ledger's crash test kills: moves money without end and says on its standard output what it asks ("?") and what
 * was answered ("!"), each line written before anything else happens.
 */

import { writeSync } from "node:fs";
import { amount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { earnedAccount, holdAccount, payerAccount } from "#marketplace/ledger/chart";
import { post, reserve } from "#marketplace/ledger/post";
import { openSqliteBook } from "#marketplace/ledger/sqlite";

const [path = "", run = "0"] = process.argv.slice(2);
const book = await openSqliteBook({ path });
if (isProblem(book)) throw new Error(book.detail);

const payer = payerAccount("a1".repeat(32));
const operator = earnedAccount("b2".repeat(32));
for (let batch = 0; ; batch++) {
	const name = `${run}-${batch}`;
	const tab = run.padStart(16, "0") + String(batch).padStart(16, "0");
	const hold = holdAccount(tab);
	const label = (id: string) => ({ id, cause: "a crash test", atMs: batch });
	const deposit = {
		...label(`deposit-${name}`),
		entries: [
			{ account: "world:play", nanos: -100n },
			{ account: payer, nanos: 100n },
		],
	};
	const row = { tab, account: "a1".repeat(32), relay: "c3".repeat(32), state: "open", deadlineMs: batch };
	writeSync(1, `? ${name}\n`);
	// two calls in one turn: they share a commit
	const calls = [
		book.apply([
			{ transfer: deposit },
			{
				transfer: reserve(label(`open-${name}`), [{ account: payer, nanos: amount(100n) }], hold),
				rows: [{ table: "tabs", expect: 0, row: { ...row, value: '{"paid":"0"}' } }],
			},
		]),
		book.apply([
			{
				transfer: post(label(`redeem-${name}`), hold, [{ account: operator, nanos: amount(40n) }]),
				rows: [{ table: "tabs", expect: 1, row: { ...row, value: '{"paid":"40"}' } }],
			},
		]),
	];
	const outcomes = (await Promise.all(calls)).flat();
	if (outcomes.some((outcome) => outcome !== "applied")) throw new Error(JSON.stringify(outcomes));
	writeSync(1, `! ${name}\n`);
}
