/** What an audit owes its neighbours; what it finds is told with a real file in `sqlite.test.ts`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { audit } from "#marketplace/ledger/audit";
import { payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { digestOf, type KeptTransfer } from "#marketplace/ledger/transfer";

const account = (n: number) => payerAccount(n.toString(16).padStart(64, "0"));

function kept(n: number): KeptTransfer {
	const entries = [
		{ account: WORLD_PLAY, nanos: -1n },
		{ account: account(n), nanos: 1n },
	];
	const transfer = { id: `d${n}`, cause: "play money", atMs: 1, entries };
	return { ...transfer, position: n + 1, digest: digestOf(transfer) };
}

test("an audit of a large book gives way to others every thousand transfers and accounts, and not at each", async () => {
	let turns = 0;
	let auditing = true;
	const turn = () => {
		turns += 1;
		if (auditing) setImmediate(turn);
	};
	setImmediate(turn);
	/** How many turns others had had when so many were looked at. */
	const seen: { transfers: number[]; accounts: number[] } = { transfers: [], accounts: [] };
	const report = await audit({
		*transfers() {
			for (let n = 0; n < 2_500; n++) {
				seen.transfers.push(turns);
				yield kept(n);
			}
		},
		*accounts() {
			turns = 0;
			yield { account: WORLD_PLAY, balance: -2_500n };
			for (let n = 0; n < 2_500; n++) {
				seen.accounts.push(turns);
				yield { account: account(n), balance: 1n };
			}
		},
		tabs: () => [],
		records: () => [],
		prunings: () => [],
		carried: () => [],
		oddities: () => [],
	});
	auditing = false;
	assert.deepEqual([report.findings, report.transfers, report.accounts], [[], 2_500, 2_501]);
	for (const had of [seen.transfers, seen.accounts])
		assert.deepEqual([had[998], had[1_001], had[1_998], had[2_001], had[2_499]], [0, 1, 1, 2, 2]);
});
