/**
 * Who may come in: the checks of a hello and of a grant, cheapest first (PROTOCOL.md, "Hello"; threats 1, 9, 11 and 23).
 */

import { toHex } from "#contracts/bytes";
import { FRAME, frame } from "#contracts/frame";
import { admitGrant, type Grant, verifyGrant } from "#contracts/grant";
import { type Hello, readHello, signClock, signWelcome, verifyHello } from "#contracts/handshake";
import type { Crypto, KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { RelayLimits } from "#relay/limit";
import type { MarketKeys } from "#relay/market/market";
import type { Trust } from "#relay/market/trust";
import type { Tab } from "#relay/tab/tab";
import type { Tabs } from "#relay/tab/tabs";

/** Nonces seen within the clock's window both ways: three generations of one window each, so none is forgotten early. */
class Nonces {
	private generations: Set<string>[] = [new Set(), new Set(), new Set()];
	private turnedAtMs: number;
	private readonly clock: Clock;
	private readonly countMax: number;

	constructor(clock: Clock, countMax: number) {
		this.clock = clock;
		this.countMax = countMax;
		this.turnedAtMs = clock.elapsedMs();
	}

	seen(nonce: string): boolean {
		return this.generations.some((generation) => generation.has(nonce));
	}

	/** False when there is no room. */
	add(nonce: string): boolean {
		let windows = Math.floor((this.clock.elapsedMs() - this.turnedAtMs) / LIMIT.clockWindowMs);
		this.turnedAtMs += windows * LIMIT.clockWindowMs;
		for (windows = Math.min(windows, 3); windows > 0; windows--)
			this.generations = [new Set(), ...this.generations.slice(0, 2)];
		if (this.generations.reduce((sum, { size }) => sum + size, 0) >= this.countMax) return false;
		this.generations[0]?.add(nonce);
		return true;
	}
}

/** What a door needs to check who comes in. */
export type GreeterDeps = {
	readonly crypto: Crypto;
	readonly relay: KeyPair;
	readonly clock: Clock;
	readonly market: MarketKeys;
	readonly tabs: Pick<Tabs, "get">;
	readonly trust: Trust;
	readonly limits: RelayLimits;
	readonly owns: (id: Uint8Array) => boolean;
};

/** Says where a tab or a mailbox is. */
export function shardWrong(id: Uint8Array): Problem {
	const shard = toHex(id.subarray(0, 2));
	return problem(
		"shard-wrong",
		`That is at another place of this relay: connect to its address with /${shard} at the end.`,
	);
}

/** Checks hellos and grants. */
export class Greeter {
	private readonly deps: GreeterDeps;
	private readonly startedMs: number;
	/** Apart, so that a flood of fresh keys without a grant cannot keep payers out. */
	private readonly payers: Nonces;
	private readonly readers: Nonces;

	constructor(deps: GreeterDeps) {
		this.deps = deps;
		this.startedMs = deps.clock.nowMs();
		this.payers = new Nonces(deps.clock, deps.limits.noncesMax);
		this.readers = new Nonces(deps.clock, deps.limits.noncesMax);
	}

	/** A hello that may come in, or why not. `clock` and `hello-replayed` are answered with the relay's signed time too. */
	greet(body: Uint8Array): Hello | Problem {
		const { crypto, relay, clock } = this.deps;
		const hello = readHello(body);
		if (isProblem(hello)) return hello;
		if (Math.abs(clock.nowMs() - hello.atMs) > LIMIT.clockWindowMs) return problem("clock");
		// the nonces of before are forgotten, so nothing from before is taken
		if (hello.atMs < this.startedMs)
			return problem("hello-replayed", "This hello is older than the relay; make a new one.");
		const nonces = hello.grant ? this.payers : this.readers;
		const nonce = toHex(hello.nonce);
		if (nonces.seen(nonce)) return problem("hello-replayed");
		const refused = hello.grant && this.admit(hello.grant);
		if (refused) return refused;
		if (!verifyHello(crypto, hello, relay.publicKey))
			return problem("signature-bad", "The session key did not sign this hello for this relay.");
		return nonces.add(nonce) ? hello : problem("too-many");
	}

	/** The relay's signed time, for whose clock is off. */
	clock(hello: Uint8Array): Uint8Array {
		const { crypto, relay, clock } = this.deps;
		return signClock(crypto, hello, clock.nowMs(), relay);
	}

	/** The signed answer to a hello. A tab's count and voucher are told only to who holds its session key. */
	welcome(hash: Uint8Array, tab: Tab | undefined): Uint8Array {
		const { crypto, relay, clock } = this.deps;
		const welcome = {
			helloHash: hash,
			atMs: clock.nowMs(),
			tab: tab && { used: tab.meter.used, voucher: tab.voucher },
			messageBytesMax: LIMIT.messageBytesMax,
			stepBytesMax: LIMIT.stepBytesMax,
			idleMs: LIMIT.idleMs,
			ttlSMax: LIMIT.ttlSMax,
		};
		return frame(FRAME.welcome, signWelcome(crypto, welcome, relay));
	}

	/** Why a grant is not one to work on; undefined when it is. */
	admit(grant: Grant): Problem | undefined {
		const { crypto, relay, clock, market, owns, tabs, trust } = this.deps;
		// its count, its vouchers and its hellos are another worker's
		if (!owns(grant.tab)) return shardWrong(grant.tab);
		const refused = admitGrant(grant, relay.publicKey, clock.nowMs());
		if (refused) return refused;
		const unknown = verifyGrant(crypto, grant, market.keys);
		if (!unknown) return trust.admit(grant, tabs.get(toHex(grant.tab)));
		if (unknown.problem !== "grant-unknown-market" || !market.isRoot(grant.market)) return unknown;
		// asking again does not help: what was signed after the key's end is nobody's
		if (market.hasEnded(grant.keyId)) return unknown;
		// our market, but a key that we have not heard of: ask, and let the client try again
		void market.refreshSoon();
		return { ...unknown, retry: true, retryAfterMs: 2_000 };
	}
}
