/** The addresses of a host, asked of the machine's resolver and kept for an hour: they say whose relays are in one place. */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "#host/clock";
import { isPrivateUrl } from "#marketplace/listing/address";

/** An address that moves is seen so much later. */
const KEPT_MS = 3_600_000;
/** One that could not be asked for is asked for again after this. */
const AGAIN_MS = 60_000;
/** A resolver that says nothing must not hold up who opens a tab. */
const ANSWER_MS = 2_000;
/** As many hosts as a market lists relays. */
const HOSTS_MAX = 10_000;

/** Asks for addresses. */
export function makeResolve(
	clock: Pick<Clock, "elapsedMs">,
	ask = askMachine,
): (host: string) => Promise<readonly string[]> {
	const known = new Map<string, { readonly untilMs: number; readonly addresses: readonly string[] }>();
	return async (host) => {
		const name = host.replace(/^\[|\]$/g, "");
		if (isIP(name) !== 0) return [name];
		// a name that is known only inside a network says nothing, and nobody is asked for it
		if (isPrivateUrl(`wss://${name}`)) return [];
		const nowMs = clock.elapsedMs();
		const before = known.get(name);
		if (before && before.untilMs > nowMs) return before.addresses;
		const found = await ask(name).catch(() => undefined);
		if (known.size >= HOSTS_MAX) known.clear();
		// what it was before holds while nobody knows better
		const kept = { untilMs: nowMs + (found ? KEPT_MS : AGAIN_MS), addresses: found ?? before?.addresses ?? [] };
		known.set(name, kept);
		return kept.addresses;
	};
}

async function askMachine(host: string): Promise<readonly string[]> {
	const late = Promise.withResolvers<readonly string[]>();
	const timer = setTimeout(() => late.reject(new Error("the resolver says nothing")), ANSWER_MS);
	try {
		const asked = lookup(host, { all: true }).then((all) => all.map(({ address }) => address));
		return await Promise.race([asked, late.promise]);
	} finally {
		clearTimeout(timer);
	}
}
