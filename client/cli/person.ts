/** The person on whose behalf a verb acts: their client, on the home folder, with an account that is made at first use. */

import { resolve } from "node:path";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readSmall } from "#host/diskfile";
import { type Client, type ClientOptions, createClient } from "#sdk/client";
import { device } from "#sdk/device";
import { attempt } from "#sdk/door";
import { FarelayError } from "#sdk/error";
import { restoreIdentity } from "#sdk/identity";
import { getJson, putJson, type Storage } from "#sdk/storage";
import { homeOf, marketOf, storageOf } from "./home.ts";
import type { Call } from "./verb.ts";

/** Where the client keeps its account's seed. */
const SEED_KEY = "seed";
/** An account's line has 76 characters; what is far longer is something else and is not read. */
const LINE_BYTES_MAX = 4_096;

export type Person = {
	readonly client: Client;
	readonly storage: Storage;
	/** Whether the account was made just now. */
	readonly fresh: boolean;
	readonly marketUrl: string;
};

/** Opens the person's client; a first call makes an account. */
export async function openPerson(call: Call, options: Partial<ClientOptions> = {}): Promise<Person | Problem> {
	const storage = storageOf(call);
	const marketUrl = marketOf(call);
	if (!/^https?:\/\/[^/]/.test(marketUrl) || !URL.canParse(marketUrl))
		return problem("usage", "--market takes an http:// or https:// address.");
	try {
		const found = await storage.get(SEED_KEY);
		// a seed that cannot be read must never be written over: it may be all that somebody has
		if (found && !/^[0-9a-f]{64}$/.test((await getJson<string>(storage, SEED_KEY)) ?? ""))
			return problem(
				"data-corrupt",
				`The account in ${homeOf(call)} is damaged; restore it with farelay account --restore.`,
			);
		const client = await createClient({ ...options, market: marketUrl, storage });
		return { client, storage, fresh: found === undefined, marketUrl };
	} catch (error) {
		return problemOfDisk(error, call);
	}
}

/** Does what was asked with the person's client, or says why it was not understood; what the SDK rejects with is the answer. */
export async function asPerson(
	call: Call,
	asked: ((client: Client) => Promise<unknown>) | Problem,
): Promise<Problem | undefined> {
	if (isProblem(asked)) return asked;
	const person = await openPerson(call);
	if (isProblem(person)) return person;
	try {
		const said = await asked(person.client);
		return isProblem(said) ? said : undefined;
	} catch (error) {
		if (error instanceof FarelayError) return error.problem;
		throw error;
	}
}

/** Takes an account's line from a file into the home folder; refuses to put it over another account. */
export async function restorePerson(call: Call, path: string): Promise<Problem | undefined> {
	const storage = storageOf(call);
	const line = await readSmall(resolve(call.folder, path), LINE_BYTES_MAX);
	if (isProblem(line)) return line;
	const identity = restoreIdentity(await device({ storage }), new TextDecoder().decode(line));
	if (isProblem(identity)) return identity;
	const seed = toHex(identity.seed);
	try {
		const there = await getJson<string>(storage, SEED_KEY);
		if (there !== undefined && there !== seed)
			return problem("conflict", `${homeOf(call)} holds another account; restore into another folder with --home.`);
		await putJson(storage, SEED_KEY, seed);
		return undefined;
	} catch (error) {
		return problemOfDisk(error, call);
	}
}

/** Asks the market what has no name in the client; that it is there, and the one it was, is looked at first: then nothing can have moved. */
export async function askMarket<Answer>(
	{ client }: Person,
	question: (api: Client["market"]["api"]) => Promise<Answer>,
): Promise<Answer | Problem> {
	const terms = await client.market.terms();
	return isProblem(terms) ? terms : attempt(() => question(client.market.api));
}

function problemOfDisk(error: unknown, call: Call): Problem {
	const code = (error as NodeJS.ErrnoException).code;
	if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
	return problem("disk", `${homeOf(call)} cannot be used (${code}); name another folder with --home.`);
}
