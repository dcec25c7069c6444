/** Looks at what a market stands on, on its machine: keys, files, database, disk, clock, rates, its own address. It changes nothing. */

import { stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { isProblem, plainDetail } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { DatabaseAt } from "#marketplace/database";
import { type KeysSeen, lookAtKeys, RENEW_MS } from "#marketplace/keys/keys";
import { AHEAD_MS, agree, type Quote } from "#marketplace/rate/agree";
import { formatPrice } from "#marketplace/rate/price";
import type { RateSource } from "#marketplace/rate/source";
import { ledgerPath, openLedgerBeside } from "#marketplace/stores";
import type { Finding } from "./finding.ts";

/** What is looked at, and with what. */
export type Patient = {
	readonly dataPath: string;
	/** opens the key files, where they are sealed */
	readonly passphrase?: string | undefined;
	readonly database: DatabaseAt;
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly fetch: typeof fetch;
	/** who is asked for the rate, and by the way what time it is; none where the rate is fixed */
	readonly sources: readonly RateSource[];
	/** whether any rail needs a rate */
	readonly needsRate: boolean;
	/** where the world finds the market, and a word that only the one that runs here knows; undefined: none runs */
	readonly publicUrl: string | undefined;
	readonly word: string | undefined;
};

const DAY_MS = 86_400_000;
/** Below this a checkpoint or a backup may fail any day; below the other any transaction may. */
const FREE_WARN_BYTES = 1_000_000_000;
const FREE_BAD_BYTES = 100_000_000;
/** A clock that is off by so much is about to matter: rates are fresh for a minute, hellos are refused after one. */
const CLOCK_WARN_MS = 10_000;
/** Whoever does not answer in this time is not reached by a provider's event either. */
const REACH_MS = 10_000;

/** All that can be looked at without the market's own rails. */
export async function examine(patient: Patient): Promise<Finding[]> {
	const groups = [lookAtFolder, lookAtMarketKeys, lookAtLedger, lookAtDisk, lookAtRates, lookAtAddress];
	return (await Promise.all(groups.map((look) => look(patient)))).flat();
}

/** Whether anybody but its owner may read what must be secret. */
async function lookAtFolder({ dataPath, database }: Patient): Promise<Finding[]> {
	const secret = [
		dataPath,
		join(dataPath, "keys"),
		join(dataPath, "keys", "root.json"),
		join(dataPath, "keys", "online.json"),
		...(database.engine === "sqlite" ? [ledgerPath(database.folder)] : []),
	];
	const open: string[] = [];
	for (const path of secret) {
		const found = await stat(path).catch(() => undefined);
		if (found && (found.mode & 0o077) !== 0 && path !== dataPath) open.push(path);
		if (found && path === dataPath && (found.mode & 0o022) !== 0) open.push(path);
	}
	if (open.length === 0) return [{ what: "files", state: "ok", says: "keys and ledger are their owner's alone." }];
	const mend = `chmod go-rwx ${open.join(" ")}; if others use this machine, take the keys for known to them.`;
	return [{ what: "files", state: "bad", says: `others on this machine may read or change ${open.join(", ")}.`, mend }];
}

async function lookAtMarketKeys({ dataPath, crypto, clock, passphrase }: Patient): Promise<Finding[]> {
	const folder = join(dataPath, "keys");
	const seen = await lookAtKeys(crypto, folder, passphrase);
	if (isProblem(seen)) {
		const mend =
			seen.problem === "usage"
				? "Give it to this command as to the market."
				: "Restore the folder from a backup: a market with other keys is another market.";
		return [{ what: "keys", state: "bad", says: seen.detail, mend }];
	}
	const findings = [await lookAtRoot(seen, join(folder, "root.json"), clock), lookAtOnline(seen, clock.nowMs())];
	if (seen.plain.length > 0)
		findings.push({
			what: "seals",
			state: "warn",
			says: `${seen.plain.join(" and ")} can be read by whoever gets the file: a backup, a disk that is thrown away.`,
			mend: "Set FARELAY_KEYS_PASSPHRASE_FILE and start the market: it seals them.",
		});
	return findings;
}

async function lookAtRoot({ root, market }: KeysSeen, path: string, clock: Clock): Promise<Finding> {
	const name = `${toHex(market).slice(0, 16)}...`;
	if (!root) return { what: "root", state: "ok", says: `${name} is kept elsewhere.` };
	const days = Math.max(0, Math.floor((clock.nowMs() - (await stat(path)).mtimeMs) / DAY_MS));
	return {
		what: "root",
		state: "warn",
		says: `${name} is ${daysText(days)} old and is no offline root: whoever takes this machine has the market for good.`,
		mend: "Take it offline (farelay market keys root --from); for play money it does not matter.",
	};
}

function lookAtOnline({ newest, root }: KeysSeen, nowMs: number): Finding {
	const what = "keys";
	const next = root ? "Start the market: it makes one." : "farelay market keys request, and have the root sign it.";
	if (!newest) return { what, state: "bad", says: "there is no online key.", mend: next };
	const { fromMs, untilMs, endedAtMs } = newest;
	const online = `the online key is ${daysText(Math.floor((nowMs - fromMs) / DAY_MS))} old`;
	if (endedAtMs !== undefined && nowMs >= endedAtMs)
		return { what, state: "bad", says: `${online} and was ended by the root.`, mend: next };
	const leftMs = untilMs - nowMs;
	if (leftMs <= 0 || fromMs > nowMs)
		return { what, state: "bad", says: `${online} and is not valid now.`, mend: `Look at the clock. ${next}` };
	const says = `${online} and has ${daysText(Math.floor(leftMs / DAY_MS))} left.`;
	if (leftMs >= RENEW_MS) return { what, state: "ok", says };
	const mend = root ? "A market that runs renews it before; see that it does." : next;
	return { what, state: "warn", says, mend };
}

async function lookAtLedger({ database, clock }: Patient): Promise<Finding[]> {
	const file = await openLedgerBeside(database, clock);
	if (isProblem(file)) {
		const mend =
			file.problem === "unavailable" || file.problem === "usage"
				? "Look at the server and at --database."
				: "Restore it from a backup.";
		const away = file.problem === "unavailable" && { isAway: true as const };
		return [{ what: "database", state: "bad", says: file.detail, mend, ...away }];
	}
	try {
		const broken = await file.check();
		if (!broken) return [{ what: "database", state: "ok", says: "is whole (farelay audit proves what is in it)." }];
		const mend =
			database.engine === "postgres"
				? "Mend the server's settings."
				: "Stop the market, keep a copy of the file, and restore it from a backup.";
		return [
			{
				what: "database",
				state: "bad",
				says: database.engine === "postgres" ? broken.detail : `is damaged: ${broken.detail}`,
				mend,
			},
		];
	} finally {
		await file.close();
	}
}

async function lookAtDisk({ dataPath }: Patient): Promise<Finding[]> {
	const what = "disk";
	const found = await statfs(dataPath).catch((error: NodeJS.ErrnoException) => error.code ?? "unknown");
	if (typeof found === "string")
		return [
			{
				what,
				state: "bad",
				says: `${dataPath} cannot be looked at (${found}).`,
				mend: "Name the market's folder with --data.",
			},
		];
	const freeBytes = found.bavail * found.bsize;
	const says = `${(freeBytes / 1e9).toFixed(1)} GB are free.`;
	const state = freeBytes < FREE_BAD_BYTES ? "bad" : freeBytes < FREE_WARN_BYTES ? "warn" : "ok";
	return [
		state === "ok"
			? { what, state, says }
			: { what, state, says, mend: "Make room: a market whose disk is full takes nothing new." },
	];
}

/** The sources of the rate, what they agree on, and what time it is by them. */
async function lookAtRates({ sources, clock, needsRate }: Patient): Promise<Finding[]> {
	if (sources.length === 0)
		return [
			{
				what: "rate",
				state: "ok",
				says: "is fixed, for trying; nobody is asked, and the clock is compared with nothing.",
			},
		];
	const quotes: Quote[] = [];
	const findings: Finding[] = [];
	const answers = await Promise.all(sources.map(async (source) => ({ name: source.name, said: await source.ask() })));
	for (const { name, said } of answers) {
		if (isProblem(said))
			findings.push({
				what: `source ${name}`,
				state: "warn",
				says: said.detail.slice(name.length + 1),
				mend: "The others do without it; --rate-sources names others.",
			});
		else quotes.push({ source: name, ...said });
	}
	const nowMs = clock.nowMs();
	const offsMs = quotes.map(({ atMs }) => atMs - nowMs).sort((a, b) => a - b);
	const offMs = offsMs[Math.floor(offsMs.length / 2)];
	findings.push(offMs === undefined ? NO_TIME : clockOff(offMs));
	const agreed = agree(quotes, nowMs);
	if (typeof agreed !== "string") {
		const dropped = agreed.dropped.length > 0 ? `; far from the others: ${agreed.dropped.join(", ")}` : "";
		return [
			...findings,
			{
				what: "rate",
				state: "ok",
				says: `${formatPrice(agreed.price)} a bitcoin by ${agreed.agreed.join(", ")}${dropped}.`,
			},
		];
	}
	const state = needsRate ? "bad" : "warn";
	return [
		...findings,
		{
			what: "rate",
			state,
			says: `is not known: ${agreed}.`,
			mend: "Bitcoin payments are not quoted until three sources agree.",
			isAway: true,
		},
	];
}

const NO_TIME: Finding = {
	what: "clock",
	state: "warn",
	says: "nobody could be asked what time it is.",
	mend: "Look at the network.",
};

/** By how much a clock is off, as the middle one of those who were asked has it. */
function clockOff(offMs: number): Finding {
	const size = Math.abs(offMs);
	const says = `${Math.round(size / 1_000)} s ${offMs > 0 ? "behind" : "ahead of"} what the sources say.`;
	if (size <= CLOCK_WARN_MS) return { what: "clock", state: "ok", says };
	return {
		what: "clock",
		state: size > AHEAD_MS ? "bad" : "warn",
		says,
		mend: "Let the machine set its clock by the network (NTP).",
	};
}

/** Whether the address that providers post their events to leads to the market that runs here. */
async function lookAtAddress({ publicUrl, word, fetch, clock }: Patient): Promise<Finding[]> {
	const what = "address";
	if (word === undefined)
		return [{ what: "market", state: "bad", says: "does not run on this folder.", mend: "farelay market starts it." }];
	const runs: Finding = { what: "market", state: "ok", says: "runs." };
	if (publicUrl === undefined) {
		const says = "none is set (--public-url): no provider can post an event.";
		return [runs, { what, state: "ok", says }];
	}
	const stop = new AbortController();
	const cancel = clock.after(REACH_MS, () => stop.abort());
	const mend = "Look at its DNS, its certificate and the proxy in front: providers' events go there.";
	try {
		const response = await fetch(new URL(`/reach/${word}`, publicUrl), { redirect: "error", signal: stop.signal });
		await response.body?.cancel();
		if (response.status === 204) return [runs, { what, state: "ok", says: `${publicUrl} leads to this market.` }];
		return [
			runs,
			{ what, state: "bad", says: `${publicUrl} answers, and is not this market (${response.status}).`, mend },
		];
	} catch (error) {
		const why = stop.signal.aborted ? "does not answer in time" : `cannot be reached (${causeOf(error)})`;
		return [runs, { what, state: "bad", says: `${publicUrl} ${why}.`, mend, isAway: true }];
	} finally {
		cancel();
	}
}

function daysText(days: number): string {
	return days === 1 ? "1 day" : `${days} days`;
}

function causeOf(error: unknown): string {
	const cause = (error as { cause?: { code?: unknown } }).cause?.code;
	return typeof cause === "string" ? plainDetail(cause) : "no answer";
}
