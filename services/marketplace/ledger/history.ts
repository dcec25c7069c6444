/** Holds what pruning kept against itself, and against the archive where that is given: the part of an audit that is about the past. */

import { ArchiveFault, readArchive } from "./archive.ts";
import type { Source } from "./audit.ts";
import { type Carried, carriedDigest, chained, isKeptWhole, NO_CHAIN, type Pruning } from "./pruning.ts";
import type { KeptTransfer } from "./transfer.ts";

/** The past of a ledger while it is audited. */
export type Past = {
	/** the last position that was pruned; 0 where nothing was */
	readonly upTo: number;
	/** what an account's entries that are gone came to */
	readonly gone: ReadonlyMap<string, bigint>;
	/** Takes the next transfer of the past, with what entries it has; true when they are gone, so that its digest cannot be made again. */
	take(transfer: KeptTransfer): Promise<boolean>;
	/** Says what all of it together does not come to. */
	end(): Promise<void>;
};

/** Reads what pruning kept. `archive` is the folder of the archive. */
export async function openPast(
	source: Pick<Source, "prunings" | "carried">,
	archive: string | undefined,
	find: (says: string) => void,
): Promise<Past> {
	const prunings: Pruning[] = [];
	for await (const pruning of source.prunings()) {
		if (pruning.since !== (prunings.at(-1)?.upTo ?? 0))
			find(`What was pruned up to ${pruning.upTo} does not follow what was pruned before.`);
		prunings.push(pruning);
	}
	const carried = new Map<string, Carried>();
	const digest = carriedDigest();
	for await (const one of source.carried()) {
		carried.set(one.account, one);
		digest.take(one);
	}
	if (carried.size > 0 || prunings.length > 0) {
		if (prunings.at(-1)?.carried !== digest.digest())
			find("What accounts carry on from before is not what was written when it was pruned.");
	}
	const kept = new Sums();
	const archived = { balance: new Sums(), gone: new Sums() };
	let lines = archive === undefined ? undefined : archivedOf(archive, prunings);
	let at = 0;
	let chain = NO_CHAIN;

	/** The next transfer of the archive; the first thing that is wrong with it ends it. */
	async function nextLine(): Promise<KeptTransfer | undefined> {
		try {
			return (await lines?.next())?.value ?? undefined;
		} catch (error) {
			if (!(error instanceof ArchiveFault)) throw error;
			find(`The archive does not hold: ${error.message}.`);
			lines = undefined;
			return undefined;
		}
	}

	return {
		upTo: prunings.at(-1)?.upTo ?? 0,
		gone: new Map(Array.from(carried.values(), ({ account, gone }) => [account, gone])),
		take: async (transfer) => {
			const { position, id, entries } = transfer;
			const isGone = entries.length === 0;
			if (!isGone && !isKeptWhole(entries)) find(`Transfer ${id} was pruned, and has entries.`);
			for (const { account, nanos } of entries) kept.add(account, nanos);
			chain = chained(chain, transfer);
			const pruning = prunings[at];
			if (position === pruning?.upTo) {
				if (chain !== pruning.chain)
					find(`What is kept of the transfers up to ${position} is not what it was when they were pruned.`);
				chain = pruning.chain;
				at += 1;
			}
			const line = await nextLine();
			if (line && line.digest !== transfer.digest) find(`Transfer ${id} is another one in the archive.`);
			for (const { account, nanos } of line?.entries ?? []) {
				archived.balance.add(account, nanos);
				archived.gone.add(account, isGone ? nanos : 0n);
			}
			return isGone;
		},
		end: async () => {
			if (at < prunings.length) find(`Transfers are missing of those that were pruned up to ${prunings.at(-1)?.upTo}.`);
			// the last file's end comes after its last transfer
			await nextLine();
			for (const account of new Set([...carried.keys(), ...kept.keys(), ...archived.balance.keys()])) {
				const { balance, gone } = carried.get(account) ?? { balance: 0n, gone: 0n };
				if (balance !== gone + kept.of(account))
					find(`Account ${account} carries on ${balance} nano-dollars, and ${gone + kept.of(account)} are told of.`);
				if (!lines) continue;
				if (balance !== archived.balance.of(account) || gone !== archived.gone.of(account))
					find(`Account ${account} carries on ${balance}, and the archive comes to ${archived.balance.of(account)}.`);
			}
		},
	};
}

/** The transfers of all files, one file after the other. */
async function* archivedOf(folder: string, prunings: readonly Pruning[]): AsyncGenerator<KeptTransfer, undefined> {
	let chain = NO_CHAIN;
	for (const pruning of prunings) {
		yield* readArchive(folder, { since: pruning.since, chain }, pruning);
		chain = pruning.chain;
	}
	return undefined;
}

class Sums extends Map<string, bigint> {
	add(account: string, nanos: bigint): void {
		this.set(account, this.of(account) + nanos);
	}

	of(account: string): bigint {
		return this.get(account) ?? 0n;
	}
}
