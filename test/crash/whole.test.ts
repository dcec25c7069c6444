/**
 * Threat 13 for the whole market: the relay's process, and then the marketplace's, is killed with SIGKILL again and again while
 * people go on sending by the SDK. Everything that was answered for is there in the end, once, and the money adds up.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { toHex } from "#contracts/bytes";
import { readCredited, readRangesBody } from "#contracts/control";
import { advance, cursor, FRAME, MAIL_HEAD_BYTES, readU32, SUBPROTOCOL } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { isProblem } from "#contracts/problem";
import { each } from "#contracts/ranges";
import type { Traffic } from "#contracts/tariff";
import { openSqliteTill } from "#relay/till/sqlite";
import type { Socket } from "#sdk/device";
import { FarelayError } from "#sdk/error";
import { bytesSink, bytesSource } from "#sdk/file";
import { until } from "#test/support/sdk";
import { type Resident, Town } from "#test/support/town";

const FUNDED = 1_000_000_000n;
const FILE_BYTES = 600_000;

/** Where a relay dies: its own points, and those of the threads that write its mail and its vouchers; and whether somebody reads meanwhile. */
const RELAY_POINTS: readonly (readonly [string, boolean])[] = [
	["relay:before-till#3", true],
	["relay:after-till#3", false],
	["relay:before-keep#20", false],
	["relay:after-keep#20", false],
	["mailbox:within-group#60", false],
	["mailbox:before-commit#30", false],
	["mailbox:after-commit#5", true],
	["till:before-commit#3", true],
	["till:after-commit#4", true],
];
const LEDGER_POINTS = [
	"ledger:within-group#2",
	"ledger:before-commit#2",
	"ledger:after-commit#3",
	"ledger:answered#20",
	"ledger:before-commit#9",
];
const RANDOM_KILLS = 5;
/** A life in which a point is not reached in this time is a test that does not test. */
const LIFE_MS_MAX = 20_000;

/** Somebody who reads, and counts how often each thing came. */
class Reader {
	readonly client: Resident;
	readonly texts: string[] = [];
	readonly files: { name: string; bytes: Uint8Array }[] = [];
	/** Files under way, which outlive a pause in reading. */
	private readonly sinks = new Map<string, ReturnType<typeof bytesSink>>();

	constructor(client: Resident) {
		this.client = client;
	}

	listen(): Promise<void> {
		const { sinks } = this;
		return this.client.listen({
			text: ({ text }) => void this.texts.push(text),
			file: ({ stream, sizeBytes }) => {
				const sink = sinks.get(stream) ?? bytesSink(sizeBytes);
				sinks.set(stream, sink);
				return sink;
			},
			received: ({ stream, name }) =>
				void this.files.push({ name, bytes: sinks.get(stream)?.bytes ?? new Uint8Array() }),
		});
	}
}

/** Somebody who never stops sending: texts, a few at a time, and files, one after the other. */
class Writer {
	readonly client: Resident;
	readonly texts: string[] = [];
	readonly files: { name: string; bytes: Uint8Array }[] = [];
	readonly refused: unknown[] = [];
	sealedBytes = 0n;
	answered = 0;
	/** Sends that are not answered yet. */
	underWay = 0;
	private stopped = false;
	private readonly work: Promise<unknown>[];

	constructor(client: Resident, card: string) {
		this.client = client;
		let count = 0;
		const send = async (what: string | { name: string; bytes: Uint8Array }) => {
			this.underWay++;
			try {
				const sent = await client.send(card, typeof what === "string" ? what : bytesSource(what.name, what.bytes));
				this.sealedBytes += sent.cost.sealedBytes;
				this.answered++;
				if (typeof what === "string") this.texts.push(what);
				else this.files.push(what);
			} catch (error) {
				this.refused.push(error);
				this.stopped = true;
			}
			this.underWay--;
		};
		const talk = async () => {
			while (!this.stopped) {
				await send(`text ${count++}`);
				await pause(2);
			}
		};
		const share = async () => {
			while (!this.stopped) {
				await send({ name: `film ${count++}.mp4`, bytes: new Uint8Array(randomBytes(FILE_BYTES)) });
				await pause(10);
			}
		};
		this.work = [talk(), talk(), talk(), share()];
	}

	/** Waits for everything that is under way. */
	async stop(): Promise<void> {
		this.stopped = true;
		await Promise.all(this.work);
	}
}

/** What goes over somebody's sockets, seen from outside the SDK: the highest voucher that counts, and each payload's answer, once. */
class Watch {
	credited = 0n;
	/** Bytes of payloads that were answered as taken. */
	takenBytes = 0n;
	private readonly sizes = new Map<string, number>();

	readonly connect = (url: string): Socket => {
		const socket = new WebSocket(url, SUBPROTOCOL);
		const send = socket.send.bind(socket);
		let tag = "";
		socket.send = (data) => {
			for (const { type, body } of framesOf(data as Uint8Array<ArrayBuffer>)) {
				if (type === FRAME.hello) tag = toHex(body.subarray(2, 18));
				if (type === FRAME.send) this.sizes.set(`${tag} ${readU32(body, 4)}`, body.length - MAIL_HEAD_BYTES);
			}
			send(data);
		};
		socket.addEventListener("message", ({ data }) => {
			for (const { type, body } of framesOf(new Uint8Array(data as ArrayBuffer))) {
				const nanos = type === FRAME.credited ? readCredited(body) : undefined;
				if (nanos !== undefined && nanos > this.credited) this.credited = nanos;
				if (type === FRAME.kept || type === FRAME.passed)
					for (const seq of each(readRangesBody(body) ?? [])) this.taken(`${tag} ${seq}`);
			}
		});
		return socket as unknown as Socket;
	};

	private taken(name: string): void {
		this.takenBytes += BigInt(this.sizes.get(name) ?? 0);
		this.sizes.set(name, 0);
	}
}

function framesOf(message: Uint8Array): { type: number; body: Uint8Array }[] {
	const at = cursor();
	const frames: { type: number; body: Uint8Array }[] = [];
	while (advance(message, at)) frames.push({ type: at.type, body: message.slice(at.start, at.end) });
	return frames;
}

suite("threat 13: a relay is killed again and again while people go on sending", () => {
	let town: Town;
	let bob: Reader;
	let alice: Writer;
	const watch = new Watch();
	const lost: Traffic[] = [];
	/** How many bytes more than were taken are paid: at the last kill, all that kills may have taken. */
	let aheadBytes = 0n;
	const kills = { all: 0, midway: 0 };

	before(async () => {
		town = await Town.open();
		const client = await town.person({
			onLost: (_relay, gone) => void lost.push(gone),
			device: { connect: watch.connect },
		});
		bob = new Reader(await town.person());
		const card = await bob.client.card();
		await town.relay.end();
		alice = new Writer(client, card);
	});
	after(() => town.end());

	/** A life of the relay, to its end by SIGKILL; then what it left on its disk is looked at. The reader is there in some lives only. */
	async function live(fault: string | undefined, reads: boolean, afterMs = 0): Promise<void> {
		await town.relayAgain(fault === undefined ? {} : { FARELAY_FAULT: fault });
		if (reads) await bob.listen();
		await alice.client.hurry();
		if (fault === undefined) {
			// something is answered in each life: a relay that dies again before that is not paid ahead any more
			const before = alice.answered;
			await until(() => alice.answered > before, "something is answered", LIFE_MS_MAX);
			await pause(afterMs);
			if (alice.underWay > 0) kills.midway++;
			await town.relay.end("SIGKILL");
		}
		const tooLate = setTimeout(() => void town.relay.end("SIGTERM"), LIFE_MS_MAX);
		const { signal } = await town.relay.ended;
		clearTimeout(tooLate);
		await bob.client.close();
		assert.deepEqual(alice.refused, []);
		assert.equal(signal, "SIGKILL", `${fault} was never reached`);
		kills.all++;
		if (fault !== undefined) kills.midway++;

		const till = await openSqliteTill({ path: town.place.path("relay", "till.db") });
		assert.ok(!isProblem(till), JSON.stringify(till));
		const [row] = [...till.rows.values()];
		await till.close();
		const { nanos = 0n, bytes = 0n } = row?.voucher ?? {};
		assert.ok(nanos >= watch.credited, `a voucher of ${watch.credited} counted, and ${nanos} is in the till`);
		const ahead = bytes - watch.takenBytes;
		assert.ok(ahead - aheadBytes <= LIMIT.stepBytesMax, `one kill takes ${ahead - aheadBytes} bytes`);
		if (ahead > aheadBytes) aheadBytes = ahead;
	}

	for (const [fault, reads] of RELAY_POINTS)
		test(`at ${fault}: no voucher that counted is lost`, () => live(fault, reads));

	test("at random instants, most of them in the middle of something", async () => {
		const before = kills.midway;
		for (let i = 0; i < RANDOM_KILLS; i++) await live(undefined, i % 2 === 0, Math.random() * 400);
		assert.ok(kills.midway - before >= RANDOM_KILLS / 2, `${kills.midway - before} of ${RANDOM_KILLS} hit anything`);
	});

	test("everything that was ever sent arrives, once, byte for byte", async () => {
		await town.relayAgain();
		await Promise.all([alice.client.hurry(), bob.listen()]);
		await alice.stop();
		assert.deepEqual(alice.refused, []);
		assert.ok(
			alice.texts.length > 100 && alice.files.length > 3,
			`${alice.texts.length} texts, ${alice.files.length} files`,
		);
		const come = () => bob.texts.length >= alice.texts.length && bob.files.length >= alice.files.length;
		await until(come, "everything arrives", 20_000);
		assert.deepEqual([...bob.texts].sort(), [...alice.texts].sort());
		const hashes = (files: Writer["files"]) => files.map(({ name, bytes }) => `${name} ${toHex(bytes)}`).sort();
		assert.deepEqual(hashes(bob.files), hashes(alice.files));
	});

	test("nothing is charged twice: at most a step is lost for each kill, and the books hold", async () => {
		assert.equal(kills.all, RELAY_POINTS.length + RANDOM_KILLS);
		assert.ok(lost.length <= kills.all, `${lost.length} losses by ${kills.all} kills`);
		for (const { bytes } of lost) assert.ok(bytes <= BigInt(LIMIT.stepBytesMax), `${bytes} bytes lost at once`);
		const settled = await alice.client.settle();
		assert.equal(settled.length, 1);
		const [settlement] = settled;
		assert.ok(settlement?.agreement && !isProblem(settlement.closed), JSON.stringify(settlement?.dispute));
		const { used } = settlement.agreement.usage;
		assert.equal(watch.takenBytes, alice.sealedBytes, "every payload was answered once");
		const gone = used.bytes - alice.sealedBytes;
		assert.ok(
			gone >= 0n && gone <= aheadBytes,
			`${gone} bytes are charged twice, and kills took at most ${aheadBytes}`,
		);
		const told = lost.reduce((sum, { bytes }) => sum + bytes, 0n);
		assert.ok(told <= gone, `${told} bytes are said to be lost, and ${gone} were`);
		const [tab] = await town.tabsOf(alice.client);
		assert.equal(tab?.paid.nanos, String(used.nanos));
		assert.equal(await town.earned(), used.nanos);
		const fees = BigInt(tab?.paid.marketFee ?? 0) + BigInt(tab?.paid.solidarityFee ?? 0);
		assert.equal(FUNDED - (await alice.client.balance()), used.nanos + fees, "payer = operator + fees");
		const report = await town.audit();
		assert.ok(report.holds, report.findings.join("; "));
	});
});

suite("threat 13: the marketplace is killed again and again while people open and settle", () => {
	let town: Town;
	let alice: Resident;
	let bob: Reader;
	let card: string;
	let count = 0;
	let asking = false;
	let stopped = false;
	let asked: Promise<void>;
	const sent: string[] = [];
	const kills = { all: 0, midway: 0 };

	before(async () => {
		town = await Town.open();
		alice = await town.person();
		bob = new Reader(await town.person());
		card = await bob.client.card();
		await bob.listen();
		await town.market.end();
		asked = ask();
	});
	after(async () => {
		stopped = true;
		await town.end();
	});

	/** Opens a tab, sends, settles, from the beginning; what the market does not answer is asked again. */
	async function ask(): Promise<void> {
		while (!stopped) {
			asking = true;
			try {
				const text = `text ${count++}`;
				await alice.send(card, text);
				sent.push(text);
				await alice.settle();
			} catch (error) {
				// a market that has just started lists a relay once it has said again what it offers
				const again = error instanceof FarelayError && (error.problem.retry || error.problem.problem === "not-found");
				if (!again) throw error;
				asking = false;
				await pause(20);
			}
		}
	}

	async function live(fault: string | undefined, afterMs = 0): Promise<void> {
		await town.marketAgain(fault === undefined ? {} : { FARELAY_FAULT: fault });
		if (fault === undefined) {
			await pause(afterMs);
			if (asking) kills.midway++;
			await town.market.end("SIGKILL");
		}
		const tooLate = setTimeout(() => void town.market.end("SIGTERM"), LIFE_MS_MAX);
		const { signal } = await town.market.ended;
		clearTimeout(tooLate);
		assert.equal(signal, "SIGKILL", `${fault} was never reached`);
		kills.all++;
		if (fault !== undefined) kills.midway++;
		const report = await town.audit();
		assert.ok(report.holds, report.findings.join("; "));
		assert.equal(report.sum, 0n);
	}

	for (const fault of LEDGER_POINTS) test(`at ${fault}: the books hold`, () => live(fault));

	test("at random instants", async () => {
		const before = kills.midway;
		for (let i = 0; i < RANDOM_KILLS; i++) await live(undefined, 500 + Math.random() * 1_500);
		assert.ok(kills.midway > before, "no kill hit anything");
	});

	test("every text arrives once, the relay is paid for each once, and every cent is somewhere", async () => {
		assert.equal(kills.all, LEDGER_POINTS.length + RANDOM_KILLS);
		await town.marketAgain();
		stopped = true;
		await asked;
		await alice.settle();
		await until(() => bob.texts.length >= sent.length, "every text arrives", 20_000);
		assert.deepEqual([...new Set(bob.texts)].sort(), [...bob.texts].sort(), "each once");
		for (const text of sent) assert.ok(bob.texts.includes(text), text);
		await until(async () => (await town.metric("unredeemed_nanos")) === 0, "the relay is paid", 30_000);
		const tabs = await town.tabsOf(alice);
		assert.ok(tabs.length > 1, `${tabs.length} tabs`);
		let [paid, fees, held] = [0n, 0n, 0n];
		for (const tab of tabs) {
			const own = BigInt(tab.paid.nanos) + BigInt(tab.paid.marketFee) + BigInt(tab.paid.solidarityFee);
			paid += BigInt(tab.paid.nanos);
			fees += own - BigInt(tab.paid.nanos);
			const back = BigInt(tab.returned ?? 0);
			if (tab.state === "closed") assert.equal(BigInt(tab.reserved), own + back);
			else held += BigInt(tab.reserved) - own;
		}
		assert.equal(await town.earned(), paid);
		assert.equal(FUNDED - (await alice.balance()), paid + fees + held);
		const report = await town.audit();
		assert.ok(report.holds, report.findings.join("; "));
	});
});
