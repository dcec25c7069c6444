/** Holds the ledger's accounts of the outside world against the records of deposits and payouts: money that nobody started, and records without money. */

import { formatDollars } from "#contracts/amount";
import { readDeposit, referenceKey } from "#marketplace/funding/deposit";
import type { Book } from "#marketplace/ledger/book";
import type { KeptTransfer } from "#marketplace/ledger/transfer";
import { billOfPayout, leftOf, readPayout } from "#marketplace/payout/payout";
import type { Rail } from "#marketplace/rail/rail";

type Reads = Pick<Book, "transfers" | "record">;

/** Transfers read at once. */
const PAGE = 500;
/** Sentences about one world: a ledger that is wrong everywhere is no reason to fill a screen. */
const SAID_MAX = 50;

/** What is wrong between the ledger's worlds and its records, in words. `counted`: what the records of each world come to, where all of them are known. */
export async function holdWorlds(
	ledger: Reads,
	rails: readonly Rail[],
	counted: ReadonlyMap<string, bigint> | undefined,
): Promise<string[]> {
	const wrong: string[] = [];
	for (const world of new Set(rails.map((rail) => rail.world))) {
		const said: string[] = [];
		let sum = 0n;
		for (let after = 0; ; ) {
			const page = await ledger.transfers(world, after, PAGE);
			const last = page.at(-1);
			if (!last) break;
			for (const transfer of page) {
				const moved = transfer.entries.find(({ account }) => account === world)?.nanos ?? 0n;
				if (/^(deposit|payout|taken|again|refund|refund-failed|penalty):/.test(transfer.id)) sum -= moved;
				const says = await whyMoved(ledger, transfer, moved, world);
				if (says && said.length < SAID_MAX) said.push(says);
			}
			after = last.position;
		}
		const records = counted?.get(world) ?? sum;
		if (records !== sum)
			said.push(
				`${world}: the transfers come to ${formatDollars(sum)}, and the deposits and payouts to ${formatDollars(records)}.`,
			);
		wrong.push(...said);
	}
	return wrong;
}

/** Whether a transfer is of a deposit or payout that says the same; in words what is wrong. */
async function whyMoved(
	ledger: Reads,
	{ id }: KeptTransfer,
	moved: bigint,
	world: string,
): Promise<string | undefined> {
	const size = formatDollars(moved < 0n ? -moved : moved);
	const [, payoutId] = /^payout:([^:]+):sent$/.exec(id) ?? [];
	if (payoutId !== undefined) {
		const row = await ledger.record("payouts", payoutId);
		const bill = row && billOfPayout(readPayout(row));
		if (!bill) return `${size} left by transfer ${id}, and no payout of that id was sent.`;
		const paid = leftOf(bill);
		return moved === paid
			? undefined
			: `${size} left by transfer ${id}, and its payout came to ${formatDollars(paid)}.`;
	}
	// what was made up before deposits had records
	if (id.startsWith("play:") && world === "world:play") return undefined;
	// the market's own money, put aside for payments that are taken back
	if (id.startsWith("risk:") && world === "world:card") return undefined;
	const [, kind, rail, rest] = /^(deposit|taken|again|refund|refund-failed|penalty):([^:]+):(.+)$/.exec(id) ?? [];
	if (!rail || !rest) return `${size} moved by transfer ${id}, which no deposit and no payout started.`;
	const key = (await keyOf(ledger, rail, rest)) ?? (await keyOf(ledger, rail, rest.replace(/:\d+$/, "")));
	const row = key === undefined ? undefined : await ledger.record("deposits", key);
	const came = row && readDeposit(row).came;
	if (!came) return `${size} came by transfer ${id}, and no deposit of that name was credited.`;
	// a deposit that was paid in parts has a transfer for each
	if (kind !== "deposit") return undefined;
	const whole = came.credited + came.spread;
	return -moved <= whole
		? undefined
		: `${size} came by transfer ${id}, and its deposit was credited ${formatDollars(whole)}.`;
}

async function keyOf(ledger: Reads, rail: string, reference: string): Promise<string | undefined> {
	return (await ledger.record("references", referenceKey(rail, reference)))?.value;
}
