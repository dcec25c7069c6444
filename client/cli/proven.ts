/** What a proof file or a fork file proves, in words and as JSON: for whoever makes one and whoever is handed one. */

import { type Amount, formatDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { dayText, forkLines } from "#contracts/chain";
import { OWN, owedBy, type RailSays, WORLDS } from "#contracts/commitment";
import { type ForkVerdict, kindText, type ProofVerdict } from "#contracts/proof";
import { isOfAccount, KINDS, type Kind } from "#contracts/sumtree";

const OWN_TEXT = {
	commons: "the commons",
	risk: "the reserve for payments that come back",
	lent: "what of it stands in for accounts that owe",
	fees: "the market's fees",
	rate: "the market's gain by rates",
} satisfies Record<(typeof OWN)[number], string>;

const KINDS_TEXT = {
	payer: "payers",
	fresh: "payers, by card and not cleared yet",
	hold: "tabs",
	earned: "operators, earned",
	waiting: "operators, waiting",
	leaving: "operators, being paid out",
	pool: "pools, reserved for nobody",
	gift: "pools, by card and not cleared yet",
} satisfies Record<Kind, string>;

const WORLD_TEXT = { play: "as play money", lightning: "by Lightning", card: "by card" };

const MSAT_PER_SAT = 1_000n;

/** What a rail said that it holds. */
function railText({ name, unit, state, spendable, pending }: RailSays, msatPerDollar: bigint): string {
	if (state === "silent") return `  ${name} was asked and did not answer`;
	if (state === "unasked") return `  ${name} cannot be asked`;
	const shown = (units: bigint): string => {
		if (unit !== "msat") return formatDollars(unit === "cent" ? units * 10_000_000n : units);
		const dollars =
			msatPerDollar > 0n ? ` (about ${formatDollars(((units * 100n) / msatPerDollar) * 10_000_000n)})` : "";
		return `${units / MSAT_PER_SAT} sat${dollars}`;
	};
	return `  ${name} says it holds ${shown(spendable)}${pending === 0n ? "" : `, and ${shown(pending)} is pending`}`;
}

function line(nanos: bigint, what: string): string {
	return `  ${formatDollars(nanos).padStart(18)}  ${what}`;
}

/** A proof file's verdict, line by line; the first says what is proven. */
export function proofLines(verdict: ProofVerdict): string[] {
	const { newest, days, purses, account, remembered, newerDay, pinned } = verdict;
	const { key, commitment } = newest;
	const day = dayText(commitment.day);
	const proven = purses.filter(({ nanos }) => nanos > 0n);
	const total = proven.reduce((sum, { nanos }) => sum + nanos, 0n);
	const lines = account
		? [
				total > 0n
					? `Proven: the market's commitment of ${day} holds ${formatDollars(total)} of account ${toHex(account)}.`
					: `By its own books account ${toHex(account)} had nothing when the commitment of ${day} was made.`,
				...proven.map(({ kind, id, nanos }) =>
					line(nanos, `${kindText(kind)}${isOfAccount(kind) ? "" : ` ${toHex(id)}`}`),
				),
			]
		: [`The market's commitments from ${dayText(days.from)} to ${day} are one chain.`];
	lines.push(
		`At ${new Date(commitment.takenMs).toISOString()}, after transfer ${commitment.position}, the market owed ${formatDollars(owedBy(commitment))} in all:`,
		...KINDS.map((kind) => line(commitment.trees[kind].sum, KINDS_TEXT[kind])),
		...OWN.map((name) => line(commitment.own[name], OWN_TEXT[name])),
		"Against it came in, and did not go out again:",
		...WORLDS.map((world) => line(commitment.worlds[world], WORLD_TEXT[world])),
		line(commitment.owed, "owed by accounts after payments that were taken back"),
		line(commitment.overrun, "owed by the market's owner for what rails took"),
		"Its rails, as it heard them:",
		...commitment.rails.map((rail) => railText(rail, commitment.msatPerDollar)),
		...(commitment.rails.length === 0 ? ["  none"] : []),
		days.links === 1
			? "The file has this commitment alone, and nothing of the days before it."
			: `It stands in a chain of ${days.links} commitments since ${dayText(days.from)}, each naming the one before.`,
		remembered > 0
			? `Commitments seen earlier on this machine that stand in that chain: ${remembered}.`
			: "No commitment of that chain was seen earlier on this machine: that its past is the same for everybody is not shown.",
	);
	if (newerDay !== undefined)
		lines.push(
			`This is not the newest: a commitment of ${dayText(newerDay)} was seen. What is owed today is another proof's.`,
		);
	lines.push(`market ${toHex(key.market)}`, `online key ${toHex(key.key)}`, `commitment ${toHex(commitment.hash)}`);
	if (!pinned)
		lines.push(
			"The market's key came with the file: it proves that the file is consistent, not that the market is yours.",
		);
	return lines;
}

/** The same as JSON. */
export function proofJson({ newest, days, purses, account, remembered, newerDay, pinned }: ProofVerdict): object {
	const { key, commitment } = newest;
	return {
		proven: purses.reduce((sum, { nanos }) => sum + nanos, 0n) as Amount,
		account: account ? toHex(account) : null,
		purses: purses.map(({ kind, id, nanos }) => ({ kind, id: toHex(id), nanos })),
		day: dayText(commitment.day),
		takenMs: commitment.takenMs,
		position: commitment.position,
		owes: owedBy(commitment) as Amount,
		kinds: Object.fromEntries(KINDS.map((kind) => [kind, commitment.trees[kind].sum])),
		own: commitment.own,
		cameIn: commitment.worlds,
		owedToIt: commitment.owed,
		overrun: commitment.overrun,
		rails: commitment.rails,
		chain: { from: dayText(days.from), to: dayText(days.to), links: days.links, seenEarlier: remembered },
		newerSeen: newerDay === undefined ? null : dayText(newerDay),
		market: toHex(key.market),
		marketPinned: pinned,
		onlineKey: toHex(key.key),
		commitment: toHex(commitment.hash),
	};
}

/** A fork file's verdict, line by line. */
export function forkVerdictLines({ pinned, kind, seen, other }: ForkVerdict): string[] {
	const lines = [
		forkLines(seen.commitment, kind),
		`seen      ${dayText(seen.commitment.day)}  ${toHex(seen.commitment.hash)}, owing ${formatDollars(owedBy(seen.commitment))}`,
		`its chain ${dayText(other.commitment.day)}  ${toHex(other.commitment.hash)}, owing ${formatDollars(owedBy(other.commitment))}`,
		"Both are signed by keys that the market's root certified. An honest market signs one for each day.",
		`market ${toHex(seen.key.market)}`,
		`online key ${toHex(seen.key.key)}`,
	];
	return pinned ? lines : [...lines, "The market's key came with the file: --market KEY says which market you mean."];
}

/** The same as JSON. */
export function forkJson({ pinned, kind, seen, other }: ForkVerdict): object {
	return {
		fork: kind,
		day: dayText(seen.commitment.day),
		seen: toHex(seen.commitment.hash),
		other: toHex(other.commitment.hash),
		market: toHex(seen.key.market),
		marketPinned: pinned,
	};
}
