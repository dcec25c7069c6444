/**
 * Threat 13 for a relay of several workers: they are killed with SIGKILL again and again while mail crosses between them. Nothing that was
 * answered is lost, nothing is charged twice, and while the mailbox's worker lives nothing is stored twice.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { suite, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fromHex, toHex } from "#contracts/bytes";
import { readRangesBody } from "#contracts/control";
import { FRAME, readU32 } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { isProblem } from "#contracts/problem";
import { each } from "#contracts/ranges";
import { readUsage } from "#contracts/redemption";
import { shardUrl } from "#contracts/shard";
import { crypto } from "#host/crypto";
import { keysAt, startTestCrew, type TestCrew } from "#test/support/crew";
import { FakeMarket } from "#test/support/fakemarket";
import { Place, type Program } from "#test/support/process";
import { type Frame, keys, payload, RawClient, until } from "#test/support/rawclient";

const TTL_S = 3_600;
const KILLS = 4;
/** Sends under way at once. */
const WINDOW = 40;
const WAIT_MS = 20_000;
/** Ends who still sends or reads when a test has failed. */
let running = false;

/** A mail that says which it is. */
function mailOf(sender: number, seq: number): Uint8Array {
	const bytes = payload(200 + ((seq * 37) % 1_500), seq);
	new DataView(bytes.buffer).setUint32(0, sender);
	new DataView(bytes.buffer).setUint32(4, seq);
	return bytes;
}

/** A connection that opens, sooner or later. */
async function reach(crew: TestCrew, id: Uint8Array): Promise<RawClient> {
	for (;;) {
		assert(running, "the test is over");
		const client = new RawClient(shardUrl(crew.url, id), crew.publicKey);
		await until("the socket to open or not", () => client.ws.readyState === client.ws.OPEN || client.closed, WAIT_MS);
		if (!client.closed) return client;
		await pause(30);
	}
}

/** Somebody who sends until each mail was answered, over however many connections, always under the same tag and numbers. */
class Sender {
	readonly answered = new Set<number>();
	answeredBytes = 0;
	/** What the relay's crashes took of what was paid ahead. */
	ahead = 0;
	private count = 0;
	private stopped = false;
	private readonly number: number;
	private readonly tag = crypto.random(16);
	private readonly crew: TestCrew;
	private readonly mailbox: Uint8Array;
	private readonly grant: Grant;
	private readonly session: KeyPair;
	readonly work: Promise<void>;

	constructor(crew: TestCrew, number: number, worker: number, mailbox: Uint8Array) {
		this.crew = crew;
		this.number = number;
		this.mailbox = mailbox;
		this.session = keys();
		this.grant = crew.grantAt(worker, this.session);
		this.work = this.run();
		this.work.catch(() => {});
	}

	get sent(): number {
		return this.count;
	}

	/** Sends nothing new, and ends when everything is answered. */
	stop(): Promise<void> {
		this.stopped = true;
		return this.work;
	}

	/** What the relay has counted. */
	async used(): Promise<number> {
		const client = await this.connect();
		client.askUsage();
		await until("the usage", () => client.of(FRAME.usage)[0], WAIT_MS);
		const usage = readUsage(crypto, client.of(FRAME.usage)[0]?.body ?? new Uint8Array(), this.grant);
		assert(!isProblem(usage));
		client.ws.terminate();
		return Number(usage.used.bytes);
	}

	private keep(seq: number, flying: Set<number>): void {
		flying.delete(seq);
		if (this.answered.has(seq)) return;
		this.answered.add(seq);
		this.answeredBytes += mailOf(this.number, seq).length;
	}

	private async connect(): Promise<RawClient> {
		for (;;) {
			const client = await reach(this.crew, this.grant.tab);
			client.tag = this.tag;
			client.put(client.helloFrame({ grant: this.grant, session: this.session }));
			await until("welcome", () => client.of(FRAME.welcome)[0] ?? client.closed, WAIT_MS);
			if (!client.closed) return client;
			await pause(20);
		}
	}

	private async run(): Promise<void> {
		while (!this.stopped || this.answered.size < this.count) {
			const client = await this.connect();
			const { tab } = await client.welcome();
			let paid = Number(tab?.used.bytes ?? 0n);
			this.ahead = Math.max(this.ahead, paid - this.answeredBytes);
			client.put(client.openFrame(1, this.mailbox, TTL_S));
			const flying = new Set<number>();
			let seen = 0;
			let waitMs = 0;
			while (running && !client.closed && (!this.stopped || this.answered.size < this.count)) {
				for (; seen < client.frames.length; seen++) {
					const { type, body } = client.frames[seen] as Frame;
					if (type === FRAME.kept) for (const seq of numbersIn(body)) this.keep(seq, flying);
					if (type !== FRAME.refused) continue;
					for (const seq of numbersIn(body.subarray(1))) flying.delete(seq);
					// a worker that is away is asked again now and then
					waitMs = 50;
				}
				const frames: Uint8Array[] = [];
				for (let seq = 0; flying.size < WINDOW && (seq < this.count || !this.stopped); seq++) {
					if (waitMs > 0) break;
					if (this.answered.has(seq) || flying.has(seq)) continue;
					this.count = Math.max(this.count, seq + 1);
					const mail = mailOf(this.number, seq);
					paid += mail.length;
					flying.add(seq);
					frames.push(client.sendFrame(1, seq, mail));
				}
				if (frames.length > 0) client.put(client.payFrame(paid, TTL_S), ...frames);
				await pause(5 + waitMs);
				waitMs = 0;
			}
			client.ws.terminate();
		}
	}
}

function numbersIn(ranges: Uint8Array): number[] {
	return [...each(readRangesBody(ranges) ?? [])];
}

/** Somebody who reads whatever comes, acknowledges it a little later, and counts. */
class Reader {
	readonly came = new Map<string, number>();
	/** Why it reads no more, if that is not because it was told. */
	failed: unknown;
	private stopped = false;
	readonly work: Promise<void>;

	constructor(crew: TestCrew, mailbox: KeyPair) {
		this.work = this.run(crew, mailbox);
		this.work.catch((error: unknown) => {
			this.failed = error;
		});
	}

	get repeats(): number {
		return [...this.came.values()].reduce((sum, times) => sum + times - 1, 0);
	}

	stop(): Promise<void> {
		this.stopped = true;
		return this.work;
	}

	private async run(crew: TestCrew, mailbox: KeyPair): Promise<void> {
		while (!this.stopped) {
			const client = await reach(crew, mailbox.publicKey);
			client.put(client.helloFrame(), client.listenFrame(1, mailbox));
			let read = 0;
			while (running && !client.closed && !this.stopped) {
				const numbers: number[] = [];
				for (; read < client.frames.length; read++) {
					const { type, body } = client.frames[read] as Frame;
					if (type !== FRAME.deliver) continue;
					const view = new DataView(body.buffer, body.byteOffset);
					const name = `${view.getUint32(8)}/${view.getUint32(12)}`;
					this.came.set(name, (this.came.get(name) ?? 0) + 1);
					numbers.push(readU32(body, 4));
				}
				// late, so that there always is something that was delivered and that no disk has
				await pause(40);
				const [first, last] = [numbers[0], numbers.at(-1)];
				if (first !== undefined && last !== undefined && !client.closed) client.ack([first, last]);
			}
			client.ws.terminate();
		}
	}
}

/** Four senders whose tabs one worker has, and two mailboxes of another; the given workers are killed by turns. */
async function survive(t: TestContext, victims: readonly number[]) {
	running = true;
	t.after(() => {
		running = false;
	});
	const crew = await startTestCrew(t, 2);
	const mailboxes = [keysAt(1, 2), keysAt(1, 2)] as const;
	for (const mailbox of mailboxes) await (await crew.reader(mailbox)).end();
	const readers = mailboxes.map((mailbox) => new Reader(crew, mailbox));
	const senders = [0, 1, 2, 3].map((n) => new Sender(crew, n, 0, (mailboxes[n % 2] as KeyPair).publicKey));
	let kills = 0;
	let midway = 0;
	for (; kills < KILLS; kills++) {
		const before = senders.reduce((sum, { answered }) => sum + answered.size, 0);
		await until(
			"mail to be answered",
			() => senders.reduce((sum, one) => sum + one.answered.size, 0) > before + 50,
			WAIT_MS,
		);
		await pause(Math.random() * 150);
		if (senders.some((sender) => sender.answered.size < sender.sent)) midway++;
		await crew.kill(victims[kills % victims.length] as number);
		await until("all workers", () => crew.pids.every((pid) => pid !== undefined), WAIT_MS);
	}
	assert.equal(kills, KILLS);
	assert(midway >= KILLS / 2, `${midway} of ${KILLS} kills hit anything`);
	await Promise.all(senders.map((sender) => sender.stop()));
	const sent = senders.reduce((sum, { answered }) => sum + answered.size, 0);
	const came = () => readers.reduce((sum, reader) => sum + reader.came.size, 0);
	const failed = () => readers.some((reader) => reader.failed !== undefined);
	await until("all mail", () => came() >= sent || failed(), WAIT_MS).catch(() => {});
	for (const reader of readers) assert.ifError(reader.failed);
	for (const [n, sender] of senders.entries())
		for (const seq of sender.answered)
			assert(readers[n % 2]?.came.has(`${n}/${seq}`), `${n}/${seq} was answered and is lost`);
	assert.equal(came(), sent);
	// what is still on its way, and must not be
	await pause(300);
	const repeats = readers.reduce((sum, reader) => sum + reader.repeats, 0);
	const used = await Promise.all(senders.map((sender) => sender.used()));
	await Promise.all(readers.map((reader) => reader.stop()));
	const over = senders.map((sender, n) => (used[n] as number) - sender.answeredBytes);
	t.diagnostic(
		`${sent} mails, ${kills} kills (${midway} midway), ${repeats} repeats, charged beyond: ${over.join(" ")} of at most ${senders.map(({ ahead }) => ahead).join(" ")}`,
	);
	return { senders, over, repeats };
}

/** Process ids of a process's children. */
function childrenOf(pid: number): number[] {
	return readdirSync(`/proc/${pid}/task`)
		.flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" "))
		.filter((child) => child !== "")
		.map(Number);
}

function lives(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}

suite("threat 13: a relay of workers whose parent is killed", { skip: process.platform !== "linux" }, () => {
	test("leaves no worker behind, keeps nothing locked, and goes on with the mail that it had", async (t) => {
		const place = await Place.open();
		const market = await FakeMarket.start();
		t.after(async () => {
			await place.end();
			await market.stop();
		});
		const at = { market: market.url, operator: toHex(keys().publicKey) };
		const mailbox = keys();
		const relay = (program: Program) => new RawClient(shardUrl(program.url, mailbox.publicKey), key);
		const first = await place.relay(at, { more: ["--workers", "2"] });
		await until("the listing", () => market.listings[0], WAIT_MS);
		const key = (fromHex(market.listings[0]) as Uint8Array).slice(33, 65);
		const owner = relay(first);
		await owner.opened();
		owner.put(owner.helloFrame(), owner.listenFrame(1, mailbox));
		await owner.listening();
		await owner.end();
		const session = keys();
		const grant = market.grant(key, session.publicKey);
		const alice = new RawClient(shardUrl(first.url, grant.tab), key);
		await alice.opened();
		alice.put(
			alice.helloFrame({ grant, session }),
			alice.openFrame(1, mailbox.publicKey, TTL_S),
			alice.payFrame(9_000, TTL_S),
		);
		alice.put(...[0, 1, 2].map((seq) => alice.sendFrame(1, seq, payload(1_000, seq))));
		await alice.keptAll(3);
		const workers = childrenOf(first.pid);
		assert.equal(workers.length, 2);
		await first.end("SIGKILL");
		await alice.gone();
		const second = await place.relay(at, { more: ["--workers", "2"] });
		await until("the workers' end", () => workers.every((pid) => !lives(pid)), WAIT_MS);
		const bob = relay(second);
		await bob.opened();
		bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
		await until("the mail", () => bob.deliveries.length === 3 || undefined, WAIT_MS);
		bob.ws.terminate();
		assert.deepEqual(await second.end(), { code: 0, signal: null }, "and stops in order");
	});
});

suite("threat 13: workers that are killed while mail crosses between them", () => {
	test("the mailboxes' worker: what is answered is there, and each mail is charged exactly once", async (t) => {
		const { over } = await survive(t, [1]);
		assert.deepEqual(over, [0, 0, 0, 0]);
	});

	test("the tabs' worker: no mail is stored twice, and no retry is charged beyond what a crash takes of what was paid ahead", async (t) => {
		const { senders, over, repeats } = await survive(t, [0]);
		assert.equal(repeats, 0);
		for (const [n, more] of over.entries()) assert(more >= 0 && more <= (senders[n]?.ahead ?? 0), `${more} bytes`);
	});

	test("both by turns", async (t) => {
		const { senders, over } = await survive(t, [0, 1]);
		for (const [n, more] of over.entries()) assert(more >= 0 && more <= (senders[n]?.ahead ?? 0), `${more} bytes`);
	});
});
