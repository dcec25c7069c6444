/**
 * The run's money on the market's own ledger, with the engine in memory. Tabs of one relay and day share a hold and its two transfers, two dozen payers at a time:
 * 36 million tabs a year, each with transfers of its own, are more than a ledger in memory takes. Once a month old entries are pruned, as a market does it.
 */

import { amount } from "#contracts/amount";
import type { Book, Change } from "#marketplace/ledger/book";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { move, type Part, post, reserve } from "#marketplace/ledger/post";
import { chained, NO_CHAIN } from "#marketplace/ledger/pruning";
import { ENTRIES_MAX, type Transfer } from "#marketplace/ledger/transfer";

/** Payers of one transfer: with the hold, four pools, the commons, the operator and the market's fee as many as a transfer's entries. */
export const PAYERS_MAX = ENTRIES_MAX - 8;
/** Changes of one call, as the book takes them. */
const CHANGES = 1_000;
/** Accounts of one deposit, fewer than a transfer's entries. */
const DEPOSITS = 30;

/** Money that comes from an account, or goes back there. */
export type Source = { readonly account: string; readonly nanos: bigint };

/** What tabs of one relay, opened together, come to at the end. */
export type Settled = {
	readonly operator: string;
	readonly ask: bigint;
	readonly marketFee: bigint;
	readonly solidarityFee: bigint;
	/** what was not used, to where it came from */
	readonly back: readonly Source[];
};

/** The book of a run. Whatever it refuses is a bug of the run's, and thrown. */
export class Cashbook {
	readonly #book: Book = openMemoryBook();
	readonly #waiting: Change[] = [];
	readonly #deposits: Source[] = [];
	#number = 0;
	#chain = NO_CHAIN;
	#prunedTo = 0;
	#atMs = 0;

	/** The time of what is written from now on. */
	at(nowMs: number): void {
		this.#atMs = nowMs;
	}

	/** Somebody pays in. */
	deposit(account: string, nanos: bigint): void {
		this.#deposits.push({ account, nanos });
		if (this.#deposits.length === DEPOSITS) this.#depositAll();
	}

	#depositAll(): void {
		const to = parts(this.#deposits.splice(0));
		const from: Part[] = [{ account: WORLD_PLAY, nanos: amount(to.reduce((sum, { nanos }) => sum + nanos, 0n)) }];
		this.#write(move(this.#label("deposit", "Paid in"), from, to));
	}

	/** A sponsor takes back what nobody reserved. */
	takeBack(account: string, nanos: bigint): void {
		// what was paid in before is there before it is taken out
		if (this.#deposits.length > 0) this.#depositAll();
		const part = parts([{ account, nanos }]);
		this.#write(move(this.#label("back", "Taken back"), part, [{ account: WORLD_PLAY, nanos: amount(nanos) }]));
	}

	/** Reserves what tabs may cost at a relay (public key in hex). Each account once. */
	open(relay: string, sources: readonly Source[]): void {
		if (this.#deposits.length > 0) this.#depositAll();
		this.#write(reserve(this.#label("open", "Reserved for tabs"), parts(sources), holdOf(relay)));
	}

	/** Pays from what was reserved, and gives back the rest. */
	settle(relay: string, { operator, ask, marketFee, solidarityFee, back }: Settled): void {
		const to = parts([
			{ account: earnedAccount(operator), nanos: ask },
			{ account: MARKET_FEES, nanos: marketFee },
			{ account: COMMONS, nanos: solidarityFee },
			...back,
		]);
		this.#write(post(this.#label("carried", "Carried, and returned"), holdOf(relay), to));
	}

	#label(word: string, cause: string) {
		this.#number += 1;
		return { id: `${word}:${this.#number}`, cause, atMs: this.#atMs };
	}

	#write(transfer: Transfer | undefined): void {
		if (transfer) this.#waiting.push({ transfer });
	}

	/** Applies what waits. @throws Error when the book refuses any of it. */
	async flush(): Promise<void> {
		if (this.#deposits.length > 0) this.#depositAll();
		while (this.#waiting.length > 0) {
			const changes = this.#waiting.splice(0, CHANGES);
			for (const [i, outcome] of (await this.#book.apply(changes)).entries())
				if (outcome !== "applied")
					throw new Error(`the ledger refused ${changes[i]?.transfer?.id}: ${JSON.stringify(outcome)}`);
		}
	}

	/** Lets go of the entries of all that is past. */
	async prune(): Promise<void> {
		const upTo = await this.#book.count();
		if (upTo === this.#prunedTo) return;
		for (let after = this.#prunedTo; after < upTo; ) {
			const page = await this.#book.history(after, CHANGES);
			for (const transfer of page) this.#chain = chained(this.#chain, transfer);
			after += page.length;
		}
		await this.#book.prune({ since: this.#prunedTo, upTo, atMs: this.#atMs, chain: this.#chain });
		this.#prunedTo = upTo;
	}

	/** What stands on an account. */
	balance(account: string): Promise<bigint> {
		return this.#book.balance(account);
	}

	/** What an operator (public key in hex) was paid. */
	earned(operator: string): Promise<bigint> {
		return this.#book.balance(earnedAccount(operator));
	}

	/** What the audit finds wrong, and what holds that should be empty still have. */
	async faults(relays: readonly string[]): Promise<string[]> {
		const report = await this.#book.audit();
		const faults = [...report.findings];
		for (const relay of relays)
			if ((await this.#book.balance(holdOf(relay))) !== 0n) faults.push(`the hold at relay ${relay} is not empty`);
		return faults;
	}

	/** How many transfers were made. */
	transfers(): Promise<number> {
		return this.#book.count();
	}
}

/** One hold a relay, empty each night: the first half of its key. */
function holdOf(relay: string): string {
	return holdAccount(relay.slice(0, 32));
}

function parts(sources: readonly Source[]): Part[] {
	const used = sources.filter(({ nanos }) => nanos !== 0n);
	return used.map(({ account, nanos }) => ({ account, nanos: amount(nanos) }));
}

/** Somebody's purse. */
export const purseOf = payerAccount;

/** What tabs that share two transfers come to. */
export class Page {
	readonly #reserved = new Map<string, bigint>();
	readonly #back = new Map<string, bigint>();
	/** how many people pay something of their own */
	payers = 0;
	readonly sums = { ask: 0n, marketFee: 0n, solidarityFee: 0n };

	/** What is due of one tab. */
	add({ ask, marketFee, solidarityFee }: { ask: bigint; marketFee: bigint; solidarityFee: bigint }): void {
		this.sums.ask += ask;
		this.sums.marketFee += marketFee;
		this.sums.solidarityFee += solidarityFee;
	}

	/** Reserved from an account, and what goes back there. */
	take(account: string, reserved: bigint, back: bigint): void {
		this.#reserved.set(account, (this.#reserved.get(account) ?? 0n) + reserved);
		this.#back.set(account, (this.#back.get(account) ?? 0n) + back);
	}

	reserved(): Source[] {
		return [...this.#reserved].map(([account, nanos]) => ({ account, nanos }));
	}

	back(): Source[] {
		return [...this.#back].map(([account, nanos]) => ({ account, nanos }));
	}
}
