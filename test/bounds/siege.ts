/**
 * A relay under attack: a process of its own on a real disk, a market that can be told what to do, and an honest pair of clients that writes to each
 * other all the while, paid, numbered and timed. What the pair lost is nothing, whatever the attack; how much slower it was is reported.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { fromHex } from "#contracts/bytes";
import { readU32, writeU32 } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { readListing } from "#contracts/listing";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import { FakeMarket } from "#test/support/fakemarket";
import { Place, type Program, type RunOptions } from "#test/support/process";
import { keys, RawClient, until } from "#test/support/rawclient";

/** A day: a clock that jumps an hour ends nothing. */
const TTL_S = 86_400;
const MAIL_BYTES = 1_000;
/** How often the pair writes. */
const EVERY_MS = 25;

/** What a pair came to. */
export type Served = { readonly sent: number; readonly p50Ms: number; readonly p99Ms: number };

/** A relay, its market, and whoever is at it. */
export class Siege {
	readonly market: FakeMarket;
	readonly place: Place;
	relay: Program;
	readonly publicKey: Uint8Array;
	private readonly more: readonly string[];
	private readonly clients = new Set<RawClient>();

	private constructor(
		market: FakeMarket,
		place: Place,
		relay: Program,
		publicKey: Uint8Array,
		more: readonly string[],
	) {
		this.market = market;
		this.place = place;
		this.relay = relay;
		this.publicKey = publicKey;
		this.more = more;
	}

	/** Starts a relay; everything ends with the test. */
	static async begin(t: TestContext, options: RunOptions & { more?: readonly string[] } = {}): Promise<Siege> {
		const { more = [], ...run } = options;
		const market = await FakeMarket.start();
		const place = await Place.open();
		t.after(async () => {
			await place.end();
			await market.stop();
		});
		const relay = await place.relay({ market: market.url, operator: "ab".repeat(32) }, { ...run, more });
		const bytes = await until("a listing", () => fromHex(market.listings.at(-1)));
		const listing = readListing(crypto, bytes);
		assert(!isProblem(listing));
		const siege = new Siege(market, place, relay, listing.relay, more);
		t.after(() => {
			for (const client of siege.clients) client.ws.terminate();
		});
		return siege;
	}

	/** Starts the relay again on its folder. */
	async again(options: RunOptions = {}): Promise<void> {
		const { market, more } = this;
		this.relay = await this.place.relay({ market: market.url, operator: "ab".repeat(32) }, { ...options, more });
	}

	/** A connection that has said nothing; tries again where the door is full, as a client does. */
	async connect(from?: string): Promise<RawClient> {
		const headers = from === undefined ? {} : { "x-forwarded-for": from };
		const end = performance.now() + 20_000;
		for (;;) {
			const client = new RawClient(this.relay.url, this.publicKey, undefined, headers);
			const open = await until("the socket to open or not", () =>
				client.ws.readyState === 1 ? "open" : client.closed && "closed",
			);
			if (open === "open") {
				this.clients.add(client);
				client.ws.on("close", () => this.clients.delete(client));
				return client;
			}
			assert(performance.now() < end, "an honest client was not let in");
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}

	/** A connection that may only read; made anew where it is given up before its hello arrives. */
	async reader(from?: string): Promise<RawClient> {
		return this.greeted(() => ({}), from);
	}

	/** A connection that listens on a mailbox. */
	async listener(mailbox: KeyPair, handle = 1, token?: Uint8Array): Promise<RawClient> {
		const client = await this.reader();
		client.put(client.listenFrame(handle, mailbox, token));
		await client.listening();
		return client;
	}

	/** A connection with a tab of its own. */
	async sender(from?: string, tab?: { grant: Grant; session: KeyPair }): Promise<RawClient & { grant: Grant }> {
		const session = tab?.session ?? keys();
		const grant = tab?.grant ?? this.market.grant(this.publicKey, session.publicKey);
		return Object.assign(await this.greeted(() => ({ grant, session }), from), { grant });
	}

	private async greeted(hello: () => { grant?: Grant; session?: KeyPair }, from?: string): Promise<RawClient> {
		for (let tries = 0; ; tries++) {
			const client = await this.connect(from);
			client.put(client.helloFrame(hello()));
			const answer = await until("an answer to a hello", () => client.frames[0] ?? client.closed);
			if ("type" in answer && client.problems.length === 0) return client;
			assert(tries < 10, `an honest client was refused: ${JSON.stringify(client.problems)}`);
		}
	}

	/** One number of `/metrics`; the sum of all reasons where it has them. */
	async metric(name: string): Promise<number> {
		const { port } = new URL(this.relay.url);
		const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
		const found = [...text.matchAll(new RegExp(`^farelay_relay_${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))];
		return found.reduce((sum, [, value]) => sum + Number(value), 0);
	}

	/** How often something was refused, delayed or dropped for a reason. */
	async reason(name: string, reason: string): Promise<number> {
		const { port } = new URL(this.relay.url);
		const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
		return Number(new RegExp(`^farelay_relay_${name}\\{\\w+="${reason}"\\} (\\S+)$`, "m").exec(text)?.[1] ?? 0);
	}

	/** What the relay's process has in memory, in MiB. */
	get rssMib(): number {
		const status = readFileSync(`/proc/${this.relay.pid}/status`, "utf8");
		return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
	}

	/** An honest pair: Bob listens, Alice writes. */
	async pair(): Promise<Pair> {
		const mailbox = keys();
		const bob = await this.listener(mailbox);
		bob.acks = true;
		const alice = await this.sender();
		alice.put(alice.payFrame(100_000_000, TTL_S), alice.openFrame(1, mailbox.publicKey, TTL_S));
		await until("the credit", () => alice.credits.length > 0);
		return new Pair(alice, bob);
	}
}

/** An honest pair. */
export class Pair {
	readonly alice: RawClient;
	readonly bob: RawClient;
	private seq = 0;

	constructor(alice: RawClient, bob: RawClient) {
		this.alice = alice;
		this.bob = bob;
	}

	/** Writes on until an attack is over, then waits for everything to be read and kept. Fails when anything is lost or comes twice. */
	async write(attack: Promise<unknown>, patienceMs = 20_000): Promise<Served> {
		const { alice, bob } = this;
		const sentAt = new Map<number, number>();
		const took: number[] = [];
		const first = this.seq;
		let over = false;
		const ended = attack.finally(() => {
			over = true;
		});
		let read = bob.deliveries.length;
		const look = (): void => {
			const { deliveries } = bob;
			for (; read < deliveries.length; read++) {
				const number = readU32((deliveries[read] as { payload: Uint8Array }).payload, 0);
				const at = sentAt.get(number);
				if (at !== undefined) took.push(performance.now() - at);
			}
		};
		bob.ws.on("message", look);
		while (!over || this.seq === first) {
			const payload = new Uint8Array(MAIL_BYTES);
			writeU32(payload, 0, this.seq);
			sentAt.set(this.seq, performance.now());
			alice.put(alice.sendFrame(1, this.seq, payload));
			this.seq++;
			await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
		}
		await ended;
		const sent = this.seq - first;
		await until(
			`the pair's ${sent} to be kept, ${JSON.stringify([...alice.refused].slice(0, 3))} ${JSON.stringify([alice.closed, alice.problems, bob.closed, bob.problems])}`,
			() => alice.kept.size === this.seq && took.length >= sent,
			patienceMs,
		);
		bob.ws.off("message", look);
		const numbers = bob.deliveries.map(({ payload }) => readU32(payload, 0));
		assert.deepEqual([...new Set(numbers)].length, this.seq, "something was lost");
		took.sort((a, b) => a - b);
		const at = (share: number): number => Math.round((took[Math.floor((took.length - 1) * share)] ?? 0) * 10) / 10;
		return { sent, p50Ms: at(0.5), p99Ms: at(0.99) };
	}
}

/** Runs an attack beside an honest pair; says how much slower the pair was than before it. */
export async function besiege(t: TestContext, siege: Siege, attack: () => Promise<unknown>): Promise<Pair> {
	const pair = await siege.pair();
	const calm = await pair.write(new Promise((resolve) => setTimeout(resolve, 1_500)));
	const mibBefore = siege.rssMib;
	const served = await pair.write(attack());
	t.diagnostic(
		`the pair: ${served.sent} of ${served.sent} served, p50 ${served.p50Ms} ms, p99 ${served.p99Ms} ms; without the attack p50 ${calm.p50Ms} ms, p99 ${calm.p99Ms} ms`,
	);
	t.diagnostic(`the relay: ${mibBefore.toFixed(0)} MiB before, ${siege.rssMib.toFixed(0)} MiB after`);
	return pair;
}

/** Does something so many times, so many at once. */
export async function inWaves<T>(count: number, atOnce: number, run: (i: number) => Promise<T>): Promise<T[]> {
	const results: T[] = [];
	let next = 0;
	await Promise.all(
		Array.from({ length: atOnce }, async () => {
			while (next < count) results.push(await run(next++));
		}),
	);
	return results;
}
