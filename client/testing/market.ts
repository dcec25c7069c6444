/**
 * A market for an app's own tests: `@farelay/client/testing`. A real marketplace and real relays in this process, on loopback and on free ports,
 * in a temporary folder, with play money. It needs the package `farelay` beside `@farelay/client`.
 */

import type { Amount } from "#contracts/amount";
import { amount, formatAmount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import { type Client, type ClientOptions, createClient } from "#sdk/client";
import { FarelayError } from "#sdk/error";
import { memoryStorage, type Storage } from "#sdk/storage";

/** A relay of the market, which a test may send away. */
export type TestRelay = {
	readonly key: Uint8Array;
	readonly url: string;
	/** As when its machine is switched off: mail that it keeps is there again after {@link start}. */
	stop(): Promise<void>;
	/** Comes back under the same key and address; resolves when it is listed. */
	start(): Promise<void>;
};

export type TestMarket = {
	/** What an app's `createClient({ market })` takes. */
	readonly url: string;
	/** The preferred first: the cheapest one listed. */
	readonly relays: readonly TestRelay[];
	/**
	 * Somebody by name: the same client each time, with an account of their own and ten dollars of play money (`dollars` says otherwise). With options it is
	 * a client made anew on the same storage, as when their app is started again; close the one before.
	 */
	person(name: string, options?: PersonOptions): Promise<Client>;
	/** Closes everybody, stops everything, removes what is on disk. */
	close(): Promise<void>;
};

/** What a person's client is made with; the market is this one. */
export type PersonOptions = Partial<Omit<ClientOptions, "market">> & {
	/** What they begin with, in nano-dollars. */
	readonly dollars?: Amount;
};

export type TestMarketOptions = {
	/** How many relays; one unless said otherwise. */
	readonly relays?: number;
};

/** What a person begins with unless said otherwise: far more than a test sends. */
const BEGIN_WITH = amount(10_000_000_000n);

/** Starts a market; within about a second. */
export async function startTestMarket({ relays = 1 }: TestMarketOptions = {}): Promise<TestMarket> {
	const { openTestMarket } = await load();
	const opened = await openTestMarket(relays);
	if (isProblem(opened)) throw new FarelayError(opened);
	const { url } = opened;
	const clients = new Map<string, Promise<Client>>();
	const storages = new Map<string, Storage>();
	const all: Client[] = [];

	async function make(name: string, { dollars = BEGIN_WITH, ...options }: PersonOptions): Promise<Client> {
		const storage = options.storage ?? storages.get(name) ?? memoryStorage();
		storages.set(name, storage);
		const client = await createClient({ ...options, storage, market: url });
		all.push(client);
		// the id is the same each time: nobody is given more for being started again
		if (dollars > 0n) await client.market.api.funding.play.mutate({ id: "begin", amount: formatAmount(dollars) });
		return client;
	}

	return {
		url,
		relays: opened.relays,
		person(name, options) {
			const known = options === undefined ? clients.get(name) : undefined;
			const client = known ?? make(name, options ?? {});
			clients.set(name, client);
			return client;
		},
		async close() {
			for (const client of all.splice(0)) await client.close();
			await opened.close();
		},
	};
}

/** The market's own code, which is another package: an app that is shipped has no use for it. */
async function load() {
	try {
		return await import("#box/testmarket");
	} catch (fault) {
		const missing = fault instanceof Error && "code" in fault && fault.code === "ERR_MODULE_NOT_FOUND";
		if (!missing || !/farelay/.test(fault.message)) throw fault;
		throw new Error("@farelay/client/testing needs the market itself: npm install --save-dev farelay", {
			cause: fault,
		});
	}
}
