/** Threat 25: whatever several devices of a mailbox do at once, each has all of its mail, in order, and none that it acknowledged. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FRAME, MAIL_HEAD_BYTES, readU32, writeHead, writeU32 } from "#contracts/frame";
import type { Range } from "#contracts/ranges";
import { openSilentLog } from "#host/log";
import { RELAY_LIMITS } from "#relay/limit";
import { Desk } from "#relay/mailbox/desk";
import { Mailbox } from "#relay/mailbox/mailbox";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import type { MailStore } from "#relay/mailbox/store";
import { Copy } from "#relay/session/copy";
import type { Outbox } from "#relay/session/outbox";
import { Reader } from "#relay/session/reader";
import type { Tags } from "#relay/tag/tags";
import { box, device, tag } from "#test/acceptance/mailstore";
import { heldClock } from "#test/support/clock";

/** How many copies a narrow reader takes at once. */
const NARROW = 3;

/** One device's life in the test: what it was given, over all its connections. */
type Device = {
	readonly id: string;
	/** Sends before it was registered: it may not have them. */
	readonly since: number;
	readonly got: Set<number>;
	/** What it acknowledged while it was registered. */
	readonly acked: Set<number>;
	/** What of that the store knows: the rest may come again, for mail that is still on its way to the disk has no row to note an ack at. */
	readonly noted: Set<number>;
	line: Line | undefined;
};

/** A connection: numbers under way, and what each is. */
class Line {
	readonly reader: Reader;
	readonly held = new Map<number, number>();
	last = -1;

	constructor(owner: Device, narrow: boolean) {
		const arrived = (number: number, which: number): void => {
			assert(which > this.last, `${which} came to ${owner.id} after ${this.last}`);
			assert(!owner.noted.has(which), `${which} came again to ${owner.id}, which had acknowledged it`);
			this.last = which;
			this.held.set(number, which);
			owner.got.add(which);
		};
		const page = new Uint8Array(64);
		const outbox = {
			moved: () => {},
			congested: false,
			claim: () => ({ message: page, at: 0 }),
			// type, length, handle, number, payload
			written: () => arrived(readU32(page, 6), readU32(page, 10)),
			deliver: (_handle: number, number: number, bytes: Uint8Array, start: number) =>
				arrived(number, readU32(bytes, start)),
		};
		this.reader = new Reader(outbox as unknown as Outbox);
		if (narrow) this.reader.narrow({ frames: NARROW, bytes: 1_000_000 });
	}

	/** The one device's copy, which its sender's session writes. */
	take(owner: Device, number: number, which: number): void {
		assert(which > this.last && !owner.noted.has(which));
		this.last = which;
		this.held.set(number, which);
		owner.got.add(which);
	}
}

const who = fc.integer({ min: 0, max: 2 });
const command = fc.oneof(
	{ weight: 8, arbitrary: fc.record({ is: fc.constant("send" as const), count: fc.integer({ min: 1, max: 6 }) }) },
	{ weight: 4, arbitrary: fc.record({ is: fc.constant("connect" as const), who, narrow: fc.boolean() }) },
	{ weight: 2, arbitrary: fc.record({ is: fc.constant("leave" as const), who }) },
	{
		weight: 8,
		arbitrary: fc.record({ is: fc.constant("ack" as const), who, which: fc.array(fc.boolean(), { maxLength: 10 }) }),
	},
	{ weight: 2, arbitrary: fc.record({ is: fc.constant("spill" as const), who }) },
	{ weight: 3, arbitrary: fc.record({ is: fc.constant("turn" as const) }) },
	{ weight: 1, arbitrary: fc.record({ is: fc.constant("forget" as const), who }) },
);

type Command = typeof command extends fc.Arbitrary<infer One> ? One : never;

/** Live mail that one of two devices acknowledged, and the other did not. */
const ONCE_FAILED: Command[] = [
	{ is: "send", count: 1 },
	{ is: "connect", who: 0, narrow: false },
	{ is: "connect", who: 1, narrow: false },
	{ is: "turn" },
	{ is: "send", count: 1 },
	{ is: "ack", who: 0, which: [false, true] },
];

describe("threat 25: several devices of a mailbox at once", () => {
	it("each has all of its mail, once it acknowledged it never again, and in order; kept is said when it is true, once", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(command, { maxLength: 60 }),
				fc.integer({ min: 0, max: 3 }),
				async (commands, turns) => {
					const store: MailStore = openMemoryMailStore();
					const clock = heldClock();
					const onDisk = new Set<number>();
					// in the order asked and some turns later, as a writer's thread does
					let queue: Promise<unknown> = Promise.resolve();
					const later = <Answer>(run: () => Promise<Answer>): Promise<Answer> => {
						const mine = queue.then(async () => {
							for (let i = 0; i < turns; i++) await new Promise(setImmediate);
							return run();
						});
						queue = mine;
						return mine;
					};
					const spied: MailStore = {
						...store,
						read: (...asked) => later(() => store.read(...asked)),
						acknowledge: (...asked) => later(() => store.acknowledge(...asked)),
						keep: (mails) =>
							later(async () => {
								for (const { seq } of mails) onDisk.add(seq);
								return store.keep(mails);
							}),
					};
					const tags = {} as Tags;
					const failures: unknown[] = [];
					const log = Object.assign(openSilentLog(), { error: (why: unknown) => void failures.push(why) });
					const desk = new Desk({ store: spied, tags, clock, limits: RELAY_LIMITS, log, onDisk: () => {} });
					await store.visit(box(1), device(0), undefined, clock.nowMs());
					const mailbox = new Mailbox(box(1), desk);
					const devices = new Map<number, Device>();
					const settled = new Set<number>();
					let sent = 0;
					const register = (n: number): Device => {
						const made = {
							id: device(n),
							since: sent,
							got: new Set<number>(),
							acked: new Set<number>(),
							noted: new Set<number>(),
							line: undefined,
						};
						devices.set(n, made);
						return made;
					};
					register(0);
					const origin = {
						tagId: tag(1),
						byCard: true,
						settle: (seq: number) => {
							assert(!settled.has(seq), "kept is said once");
							settled.add(seq);
							const all = [...devices.values()].filter(({ since }) => since <= seq);
							assert(
								onDisk.has(seq) || all.every(({ acked }) => acked.has(seq)),
								`${seq} was said to be kept and is not`,
							);
						},
						refuse: () => assert.fail("nothing is refused here"),
						mark: () => {},
					};
					const settle = async (): Promise<void> => {
						for (let i = 0; i < 20; i++) {
							await Promise.all([desk.settled(), queue]);
							await new Promise(setImmediate);
						}
						// live mail that others have not acknowledged yet has no row either: it may come again when it goes to the disk
						for (const { acked, noted } of devices.values())
							for (const seq of acked) if (onDisk.has(seq)) noted.add(seq);
					};
					const connect = async (n: number, narrow: boolean): Promise<Device> => {
						const visit = await store.visit(box(1), device(n), undefined, clock.nowMs(), mailbox.present);
						mailbox.recount();
						assert(typeof visit === "object");
						const owner = devices.get(n) ?? register(n);
						owner.line = new Line(owner, narrow);
						mailbox.attach(owner.line.reader, 1, owner.id);
						mailbox.pump();
						return owner;
					};
					const send = (): void => {
						const seq = sent++;
						const message = new Uint8Array(MAIL_HEAD_BYTES + 10);
						writeU32(message, MAIL_HEAD_BYTES, seq);
						const copy = new Copy(mailbox, origin, seq, seq, 1e15, 4, message, 0);
						const listener = mailbox.readerFor(4);
						const owner = listener && [...devices.values()].find(({ id }) => id === listener.device);
						if (!listener || !owner?.line) mailbox.keep(copy);
						else owner.line.take(owner, mailbox.deliver(copy, listener, clock.elapsedMs()), seq);
					};
					const ack = (owner: Device, numbers: readonly number[]): void => {
						const ranges: Range[] = numbers.map((number) => [number, number]);
						for (const number of numbers) {
							owner.acked.add(owner.line?.held.get(number) as number);
							owner.line?.held.delete(number);
						}
						owner.line?.reader.ack(ranges);
					};
					for (const one of commands) {
						if (one.is === "turn") await settle();
						if (one.is === "send") for (let i = 0; i < one.count; i++) send();
						if (one.is === "connect") await connect(one.who, one.narrow);
						const owner = "who" in one ? devices.get(one.who) : undefined;
						if (!owner) continue;
						const { line } = owner;
						if (one.is === "leave" && line) mailbox.detach(line.reader);
						if (one.is === "leave") owner.line = undefined;
						if (one.is === "spill" && line) mailbox.spill(line.reader, Number.POSITIVE_INFINITY);
						if (one.is === "ack" && line)
							ack(
								owner,
								[...line.held.keys()].filter((_, i) => one.which[i]),
							);
						if (one.is === "forget" && devices.size > 1) {
							await settle();
							await store.forget(box(1), owner.id);
							mailbox.forgotten(owner.id);
							devices.delete(one.who);
						}
					}
					await settle();
					for (const n of devices.keys()) {
						const owner = await connect(n, false);
						await settle();
						if (owner.line) ack(owner, [...owner.line.held.keys()]);
						await settle();
						for (let seq = owner.since; seq < sent; seq++)
							assert(owner.got.has(seq), `${seq} never came to ${owner.id}`);
					}
					assert.deepEqual(failures, []);
					assert.equal(settled.size, sent, "each send was answered");
					await store.expire(clock.nowMs(), 1_000);
					assert.equal(store.state(box(1))?.messages, 0, "and nothing is kept for nobody");
				},
			),
			{ numRuns: 60, examples: [[ONCE_FAILED, 0]] },
		);
	});
});

// the test reads its payloads where a reader writes them
assert.equal(writeHead(new Uint8Array(8), 0, FRAME.deliver, MAIL_HEAD_BYTES + 4), 2);
