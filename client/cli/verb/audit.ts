/** `farelay audit`: proves a ledger from its entries, also while a market writes to it. */

import { resolve } from "node:path";
import { settingsOf } from "#cli/owner";
import { sayCount } from "#cli/screen";
import { textOf, type Verb } from "#cli/verb";
import { formatDollars } from "#contracts/amount";
import { isProblem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";

export const verb: Verb = {
	summary: "proves the ledger: sums, balances, caps",
	usage: [
		"farelay audit [--data PATH | --database URL] [--archive FOLDER] [--json]",
		"",
		"  --data PATH      the data folder of a box or a market (FARELAY_DATA, or ./.farelay)",
		"  --database URL   sqlite:FOLDER or postgres://USER@HOST:PORT/DATABASE (FARELAY_DATABASE), with FARELAY_DATABASE_PASSWORD_FILE",
		"  --archive FOLDER what farelay market prune took out of it: proves that too, from the first transfer on",
		"",
		"Reads only, and may run beside a market that is up. Ends with 0 when everything holds, with 1 when anything does not.",
	],
	options: () => ({ data: { type: "string" }, database: { type: "string" }, archive: { type: "string" } }),
	async run(call) {
		const { auditAt } = await import("#marketplace/stores");
		const { checkTabs } = await import("#marketplace/tab/check");
		const { checkDecisions } = await import("#marketplace/desk/chain");
		const { checkPayouts } = await import("#marketplace/payout/check");
		const config = await settingsOf(call);
		if (isProblem(config)) return config;
		const archive = textOf(call, "archive");
		const folder = archive === undefined ? undefined : resolve(call.folder, archive);
		const report = await auditAt(config.at, [checkTabs, checkPayouts, checkDecisions(crypto)], systemClock, folder);
		if (isProblem(report)) return report;
		const { holds, transfers, prunedTo, entries, accounts, tabs, sum, findings, findingsTotal } = report;
		const said = { holds, transfers, prunedTo, entries, accounts, tabs, sum, findings, findingsTotal };
		const lines = [
			`${sayCount(transfers, "transfer")} with ${sayCount(entries, "entry", "entries")} on ${sayCount(accounts, "account")} and ${sayCount(tabs, "tab")}.`,
			`All entries sum to ${formatDollars(sum)}${sum === 0n ? ", as they must." : "."}`,
			...(prunedTo > 0
				? [
						folder === undefined
							? `It is pruned up to transfer ${prunedTo}; --archive FOLDER proves what came before as well.`
							: `It is pruned up to transfer ${prunedTo}, and was held against the archive in ${folder}.`,
					]
				: []),
			...findings.map((says) => call.screen.tone("bad", says)),
			...(findingsTotal > findings.length ? [`... and ${findingsTotal - findings.length} more.`] : []),
			...(holds
				? [call.screen.tone("good", "Every balance is what its entries say, and no tab paid more than its cap.")]
				: []),
		];
		if (holds) {
			call.screen.answer(said, lines);
			return undefined;
		}
		for (const line of lines) call.screen.line(line);
		return { ...said, ...problem("data-corrupt", `The ledger is not as it must be; findings: ${findingsTotal}.`) };
	},
};
