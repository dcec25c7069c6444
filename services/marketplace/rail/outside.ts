/**
 * Asking a server that a stranger names, without being led into a network of our own (threat 15): only `https`, only public addresses, and the
 * address that is checked is the one that is connected to, after DNS and again after every redirect.
 */

import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { Agent } from "undici";
import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { isPrivateAddress, isPrivateUrl } from "#marketplace/listing/address";
import { ask } from "./ask.ts";

/** What may be reached and how names become addresses: an argument, for a test is on loopback itself. */
export type Reach = {
	readonly mayAsk: (url: URL) => boolean;
	readonly mayConnect: (address: string) => boolean;
	readonly resolve: (host: string) => Promise<readonly string[]>;
};

/** The public network. */
export const PUBLIC: Reach = {
	mayAsk: (url) => url.protocol === "https:" && url.username === "" && url.password === "" && !isPrivateUrl(url.href),
	mayConnect: (address) => !isPrivateAddress(address),
	resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
};

/** A way to ask strangers' servers. */
export interface Outside {
	/** The JSON that an address gives; undefined when it gives something else. */
	get(url: string): Promise<{ readonly json: unknown } | Problem>;
	close(): Promise<void>;
}

/** Somebody waits for it; a server that takes longer is not one to be paid through. */
const ANSWER_MS_MAX = 10_000;

/** The documents that are asked for may hold a small picture. */
const ANSWER_BYTES_MAX = 300_000;

/** From a bare name to `www` and to its new home: nobody needs more. */
const REDIRECTS_MAX = 3;

/** One for the document and one for what it leads to, for each of a few people at once. */
const CONNECTIONS_MAX = 16;

/** The code of a connection that would have led inside. */
const PRIVATE = "EPRIVATE";

/** Opens the way. */
export function openOutside(clock: Clock, reach: Reach = PUBLIC): Outside {
	const guarded: LookupFunction = (host, { all }, done) => {
		const refuse = (code: string) => done(Object.assign(new Error(code), { code }), "", 4);
		reach.resolve(host).then(
			(addresses) => {
				const [first] = addresses;
				// one private address among public ones is a trap for whoever looks only once
				if (first === undefined || !addresses.every(reach.mayConnect)) return refuse(PRIVATE);
				const found = addresses.map((address) => ({ address, family: isIP(address) }));
				return all ? done(null, found) : done(null, first, isIP(first));
			},
			() => refuse("ENOTFOUND"),
		);
	};
	const dispatcher = new Agent({
		connections: CONNECTIONS_MAX,
		connect: { lookup: guarded, timeout: ANSWER_MS_MAX },
	});
	const line = { clock, dispatcher };
	return {
		get: async (start) => {
			let url = URL.parse(start);
			for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
				// a host that is written as an address is never looked up: its looks are all that there is to check
				if (!url || !reach.mayAsk(url)) return inside();
				const said = await ask(line, {
					url: url.href,
					headers: { accept: "application/json" },
					msMax: ANSWER_MS_MAX,
					bytesMax: ANSWER_BYTES_MAX,
				});
				if ("lost" in said)
					return said.lost.includes(PRIVATE)
						? inside()
						: problem("unavailable", `${url.host} could not be asked: ${said.lost}.`, { spent: "no" });
				if (said.status < 300 || said.status > 399) return { json: said.json };
				url = URL.parse(said.location ?? "", url);
			}
			return problem("unavailable", "That address leads from one place to the next without end.", { spent: "no" });
		},
		close: () => dispatcher.destroy(),
	};
}

function inside(): Problem {
	return problem("malformed", "That address does not lead to a public server over https.");
}
