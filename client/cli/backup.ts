/** `farelay market backup`, `restore` and `release`: a market's folder copied while it runs, brought back, and let pay out again. */

import { join, resolve } from "node:path";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { askOwned } from "./door.ts";
import { OWN_FILE, readOwn, settingsOf } from "./owner.ts";
import { sayCount } from "./screen.ts";
import { type Call, type Options, textOf } from "./verb.ts";

/** Options beside those of the market's settings. */
export const BACKUP_OPTIONS: Options = {
	to: { type: "string" },
	from: { type: "string" },
	anyway: { type: "boolean" },
};

/** Every movement since the backup is asked about. */
const RELEASE_MS_MAX = 15 * 60_000;

/** One of the three. */
export async function keepMarket(call: Call, asked: "backup" | "restore" | "release"): Promise<Problem | undefined> {
	if (call.words.length > 1)
		return problem("usage", `"${call.words[1]}" says nothing here. farelay market --help says how.`);
	const config = await settingsOf(call);
	if (isProblem(config)) return config;
	if (asked !== "release" && (config.at.engine !== "sqlite" || config.at.folder !== config.dataPath))
		return problem(
			"usage",
			"This is for a market that keeps its database in its folder; docs/guides/backup.md says what is for others.",
		);
	if (asked === "backup") return backup(call, config.dataPath);
	return asked === "restore" ? restore(call, config.dataPath) : release(call, config.dataPath);
}

async function checks() {
	const { checkTabs } = await import("#marketplace/tab/check");
	const { checkDecisions } = await import("#marketplace/desk/chain");
	const { checkPayouts } = await import("#marketplace/payout/check");
	return [checkTabs, checkPayouts, checkDecisions(crypto)];
}

async function backup(call: Call, dataPath: string): Promise<Problem | undefined> {
	const to = textOf(call, "to");
	if (to === undefined) return problem("usage", "Name the folder for backups with --to FOLDER, on another disk.");
	const { makeBackup } = await import("#marketplace/backup/backup");
	const nowMs = systemClock.nowMs();
	const made = await makeBackup({ crypto, dataPath, to: resolve(call.folder, to), nowMs, checks: await checks() });
	if (isProblem(made)) return made;
	const { path, list } = made;
	call.screen.answer({ path, ...list }, [
		`${path}: ${sayCount(Object.keys(list.files).length, "file")}, ${sayCount(list.transfers, "transfer")}, and the ledger in it holds.`,
		"The market's keys are in it: keep it as you keep those.",
	]);
	return undefined;
}

async function restore(call: Call, dataPath: string): Promise<Problem | undefined> {
	const from = textOf(call, "from");
	if (from === undefined) return problem("usage", "Name the backup with --from BACKUP.");
	const { restoreBackup } = await import("#marketplace/backup/restore");
	const nowMs = systemClock.nowMs();
	const done = await restoreBackup({
		crypto,
		from: resolve(call.folder, from),
		dataPath,
		nowMs,
		checks: await checks(),
	});
	if (isProblem(done)) return done;
	call.screen.answer({ path: dataPath, ...done }, [
		`${dataPath} is as it was at ${new Date(done.fromMs).toISOString()}. Start the market: it takes money and redeems, and pays nothing out.`,
		"When its rails have been looked at (farelay market reconcile), farelay market release lets payouts go.",
	]);
	return undefined;
}

async function release(call: Call, dataPath: string): Promise<Problem | undefined> {
	const own = await readOwn(join(dataPath, OWN_FILE));
	if (isProblem(own)) return own;
	const order = { days: 0, own, anyway: call.options.anyway === true };
	const told = await askOwned<{ released: boolean; problems: string[] }>(
		dataPath,
		"/release",
		"market",
		order,
		RELEASE_MS_MAX,
	);
	if (isProblem(told)) return told;
	for (const says of told.problems ?? []) call.screen.line(`  ${call.screen.tone("bad", "look")}  ${says}`);
	if (!told.released)
		return {
			...told,
			...problem(
				"conflict",
				"Payouts stay held. --anyway lets them go all the same: what left unseen is then paid again.",
			),
		};
	call.screen.answer(told, ["Payouts go again."]);
	return undefined;
}
