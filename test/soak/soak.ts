/** One soak: a market, a relay behind a bad network, people who write, a relay that is killed again and again, and the reckoning at the end. */

import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { amount, formatAmount } from "#contracts/amount";
import { LIMIT } from "#contracts/limit";
import { ledgerPath } from "#marketplace/stores";
import { type Client, createClient } from "#sdk/client";
import { memoryStorage } from "#sdk/storage";
import { Place, type Program } from "#test/support/process";
import { until } from "#test/support/sdk";
import { type Chance, chanceOf } from "./chance.ts";
import { Network } from "./network.ts";
import { Book, Person } from "./people.ts";
import { type Reckoning, reckon } from "./reckoning.ts";

export type SoakTerms = {
	readonly minutes: number;
	readonly seed: number;
	/** How many write and read; a quarter as many more only read, and are often away. */
	readonly writers: number;
	/** Told now and then how it goes. */
	readonly say: (line: string) => void;
};

/** What a soak came to. `lost` was kept and never shown; `rssMiB` is the relay's memory, in its first life and in its last. */
export type SoakResult = {
	readonly minutes: number;
	readonly seed: number;
	readonly people: number;
	readonly sent: number;
	readonly kept: number;
	readonly delivered: number;
	readonly duplicates: number;
	readonly lost: number;
	/** What senders were still waiting to be told of when the reckoning's time was over. */
	readonly unanswered: number;
	readonly refused: number;
	/** People whose client left the relay because it lost what was paid ahead too often: told, and at most a step each. */
	readonly left: number;
	readonly unaccountedNanos: number;
	/** What kills took of what was paid ahead, and the most that they may take. */
	readonly takenByKillsBytes: { readonly taken: number; readonly most: number };
	readonly kills: number;
	readonly faults: number;
	readonly faultsByKind: Readonly<Record<string, number>>;
	readonly rssMiB: readonly [number, number];
	readonly notes: readonly string[];
};

const FUNDED_NANOS = 1_000_000_000n;

/** One person in so many has a second device. */
const SECOND_DEVICE_EVERY = 3;

/** What a byte costs at the relays' usual ask, to the next nano-dollar, without its rent: bytes nobody can explain count as money. */
const NANOS_PER_BYTE = 1n;

/** Of each kind; a soak that fails in a thousand ways fails in the first ten. */
const NOTES_MAX = 10;

/** A life of the relay; short ones end in the middle of starting again. */
const LIFE_MS_MIN = 1_000;
const LIFE_MS_MAX = 12_000;

/** How long everything may take to arrive once the network is calm and the relay stays. */
const RECKONING_MS_MAX = 180_000;

export async function soak({ minutes, seed, writers, say }: SoakTerms): Promise<SoakResult> {
	const chance = chanceOf(seed);
	const place = await Place.open();
	const network = await Network.open(chance);
	const clients: { close(): Promise<void> }[] = [];
	const book = new Book();
	try {
		const market = await place.market();
		const operator = await createClient({ market: market.url, storage: memoryStorage() });
		clients.push(operator);
		const life = new Life(place, network, { market: market.url, operator: operator.account });
		await life.begin();
		await until(async () => (await operator.relays()).length > 0, "the relay is listed", 30_000);
		const people: Person[] = [];
		for (let i = 0; i < Math.ceil(writers * 1.25); i++) {
			const client = await createClient({ market: market.url, storage: memoryStorage() });
			clients.push(client);
			await client.market.api.funding.play.mutate({ id: "start", amount: formatAmount(amount(FUNDED_NANOS)) });
			const card = await client.card();
			const devices: [Client, ...Client[]] = [client];
			if (i % SECOND_DEVICE_EVERY === 0) {
				const { seed } = client.identity;
				const second = await createClient({ market: market.url, storage: memoryStorage(), seed });
				clients.push(second);
				devices.push(second);
			}
			people.push(new Person(`p${i}`, devices, card, book, chance));
		}
		const [first, ...others] = people;
		if (!first) throw new Error("a soak needs people");
		for (const person of people) await person.listen();
		for (const person of people.slice(0, writers)) person.write([first, ...others]);
		network.calm = false;

		const endMs = performance.now() + minutes * 60_000;
		const away = sleepers(people.slice(writers), chance, endMs);
		let saidMs = 0;
		while (performance.now() < endMs) {
			await pause(chance.whole(LIFE_MS_MIN, Math.min(LIFE_MS_MAX, minutes * 60_000)));
			await life.kill();
			await pause(chance.whole(0, 500));
			await life.begin();
			if (performance.now() - saidMs > 15_000) {
				saidMs = performance.now();
				const { sent, kept, delivered } = book;
				say(`sent ${sent}, kept ${kept}, delivered ${delivered}, ${life.kills} kills, ${network.faults} faults`);
			}
		}

		say("the network is calm; everything must arrive");
		network.calm = true;
		network.resetAll();
		await away;
		const stopping = Promise.all(people.map((person) => person.stop()));
		const done = await within(RECKONING_MS_MAX, async () => {
			for (const { devices } of people) for (const client of devices) await client.hurry();
			await stopping;
			while (!people.every((person) => person.settled)) {
				for (const person of people) await person.again();
				await pause(50);
			}
			while (book.missing.length > 0) await pause(20);
		});
		const rssMiB = [life.firstRssMiB, life.rssMiB()] as const;
		const everyone = people.map(({ client }) => client);
		let money: Reckoning | undefined;
		const reckoned = await within(RECKONING_MS_MAX, async () => {
			money = await reckon(everyone, operator, ledgerPath(place.path("market")), FUNDED_NANOS);
		});
		if (!reckoned || !money) throw new Error("the tabs could not be ended in time");
		// what was ahead on every tab at each kill is the most that can have gone
		const most = BigInt(life.kills * writers * LIMIT.stepBytesMax);
		const taken = money.paidBytes - book.sealedBytes;
		const notes = [...money.notes, ...book.refused.slice(0, NOTES_MAX)];
		if (!done) notes.push(`not all was told within ${RECKONING_MS_MAX / 1000} s`);
		notes.push(...book.missing.slice(0, NOTES_MAX).map((name) => `lost: ${name}`));
		notes.push(...book.unanswered.slice(0, NOTES_MAX).map((name) => `never answered: ${name}`));
		const doubled = taken < 0n ? -taken : taken > most ? taken - most : 0n;
		if (doubled > 0n) notes.push(`${doubled} bytes were paid for that nobody sent, or sent that nobody paid for`);
		const unaccounted = money.unaccounted + doubled * NANOS_PER_BYTE;
		return {
			minutes,
			seed,
			people: people.length,
			sent: book.sent,
			kept: book.kept,
			delivered: book.delivered,
			duplicates: book.duplicates,
			lost: book.missing.length,
			unanswered: book.unanswered.length,
			refused: book.refused.length,
			left: book.left,
			unaccountedNanos: Number(unaccounted),
			takenByKillsBytes: { taken: Number(taken), most: Number(most) },
			kills: life.kills,
			faults: network.faults,
			faultsByKind: network.counts,
			rssMiB,
			notes,
		};
	} finally {
		for (const client of clients) await client.close().catch(() => {});
		await network.close();
		await place.end();
	}
}

/** The lives of the relay, one process after the other on one folder and port. */
class Life {
	kills = 0;
	firstRssMiB = 0;
	private readonly place: Place;
	private readonly network: Network;
	private readonly at: { market: string; operator: string };
	private relay: Program | undefined;

	constructor(place: Place, network: Network, at: { market: string; operator: string }) {
		this.place = place;
		this.network = network;
		this.at = at;
	}

	async begin(): Promise<void> {
		const more = ["--public-url", `ws://127.0.0.1:${this.network.port}`];
		this.relay = await this.place.relay(this.at, { port: this.relay?.port ?? 0, more });
		this.network.target = this.relay.port;
	}

	/** Kills it wherever it is. */
	async kill(): Promise<void> {
		const { relay } = this;
		if (!relay) throw new Error("there is no relay to kill");
		this.firstRssMiB ||= this.rssMiB();
		this.kills++;
		const { signal } = await relay.end("SIGKILL");
		if (signal !== "SIGKILL") throw new Error(`the relay ended by itself:\n${relay.log().slice(-2_000)}`);
	}

	/** What it holds of the machine's memory now. */
	rssMiB(): number {
		const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.relay?.pid}/status`, "utf8"))?.[1];
		return Math.round(Number(kb) / 1024);
	}
}

/** People who read, go away for some seconds, and come back, so that their mail waits on the relay's disk. */
async function sleepers(people: readonly Person[], chance: Chance, endMs: number): Promise<void> {
	await Promise.all(
		people.map(async (person) => {
			while (performance.now() < endMs) {
				await pause(chance.whole(500, 10_000));
				const device = chance.whole(0, person.devices.length - 1);
				await person.devices[device]?.close();
				await pause(chance.whole(100, 6_000));
				await person.listenOn(device);
			}
		}),
	);
}

/** Whether `work` was done in time. */
async function within(limitMs: number, work: () => Promise<void>): Promise<boolean> {
	const late = Promise.withResolvers<boolean>();
	const timer = setTimeout(() => late.resolve(false), limitMs);
	const done = await Promise.race([work().then(() => true), late.promise]);
	clearTimeout(timer);
	return done;
}
