/**
 * Reads one's mailbox at one relay: on a connection of its own with a fresh key each time, so that the relay does not see a tab
 * and a mailbox on one socket. Acknowledges only what has been dealt with and made to last (PROTOCOL.md, "Reading").
 */

import {
	type Listening,
	readListening,
	readRangesBody,
	type Window,
	writeRangesFrame,
	writeWindow,
} from "#contracts/control";
import { type KnownDevice, readDevices } from "#contracts/device";
import { FRAME, MAIL_HEAD_BYTES, readU32 } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { rangesOf } from "#contracts/ranges";
import type { Relay } from "./card.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import type { Paces } from "./pace.ts";
import type { Clocks, Session } from "./session.ts";
import { forgetUntold, withUntold } from "./untold.ts";
import { forgetFrame, HANDLE, listenFrame, stranger } from "./visit.ts";

/** What the mailbox held and lost when it was last opened. A loss is told once: an encrypted session with an unexplained gap is a broken session. */
export type MailboxReport = {
	readonly relay: Relay;
	readonly waiting: number;
	readonly waitingBytes: number;
	readonly droppedTtl: number;
	readonly droppedQuota: number;
	/** The relay did not know this device: a new account's first, or one that others had read before, whose mail is not there any more. */
	readonly fresh: boolean;
};

export type InboxEvents = {
	/** Deals with one payload. A problem means that it could not be taken now: it stays in the mailbox and comes again. */
	take(payload: Uint8Array, mailbox: Uint8Array): Promise<Problem | undefined>;
	/** Makes what was taken last; only then is it acknowledged. */
	settle(): Promise<Problem | undefined>;
	report(report: MailboxReport): void;
	problem(problem: Problem): void;
};

/** What a relay may pour in unasked before it is cut off: twice the window that it has to keep. */
const QUEUE_FRAMES_MAX = 2 * LIMIT.windowFrames;
const QUEUE_BYTES_MAX = 2 * LIMIT.windowBytes + LIMIT.messageBytesMax;
/** The pause before mail that could not be taken is asked for again: a disk that is full is still full a moment later. */
const TAKE_AGAIN_MS = 2_000;
/** How long the app may take over what came before nothing more is asked for. What is under way is within the relay's window. */
const SLOW_MS = 1_000;
/** Live-only mail is in no window: beyond this much that the app has not taken it is not asked for either. */
const HELD_BYTES_MAX = LIMIT.windowBytes;
/** No frames: nothing comes. And all that the relay allows, again. */
const PAUSED: Window = { frames: 0, bytes: 0 };
const OPEN: Window = { frames: LIMIT.windowFrames, bytes: LIMIT.windowBytes };
/** How long a relay may take to answer which devices there are. */
const ANSWER_MS = 10_000;

export class Inbox {
	readonly relay: Relay;
	private readonly identity: Identity;
	private readonly events: InboxEvents;
	private readonly connection: Connection;
	private queue: { number: number; payload: Uint8Array }[] = [];
	private queuedBytes = 0;
	private working: Promise<void> | undefined;
	private closing = false;
	/** The mailbox's devices as this session's relay last said, and who waits to hear of them. */
	private known: readonly KnownDevice[] | undefined;
	private asking: ((answer: readonly KnownDevice[] | Problem) => void)[] = [];
	private readonly device: Device;
	/** The session that was told to bring nothing more. */
	private paused: Session | undefined;

	constructor(device: Device, identity: Identity, relay: Relay, clocks: Clocks, events: InboxEvents, paces: Paces) {
		this.device = device;
		this.identity = identity;
		this.relay = relay;
		this.events = events;
		const reading: ConnectionEvents = {
			who: () => stranger(device, identity, relay),
			started: (session) => session.write(listenFrame(device, identity, session)),
			welcome: () => {},
			frame: (session, type, body) => this.frame(session, type, body),
			problem: (refusal) => {
				events.problem(refusal);
				// Another connection listens as this device, or it was given up: to listen again by itself would be a quarrel.
				if (refusal.problem === "conflict") queueMicrotask(() => this.connection.close());
			},
			ended: (why) => {
				if (why) events.problem(why);
				// Numbers belong to the session: what was not acknowledged comes again.
				this.queue = [];
				this.queuedBytes = 0;
				this.known = undefined;
				this.answer(problem("unavailable", "The relay ended the connection.", { spent: "no" }));
				return true;
			},
		};
		this.connection = new Connection(device, relay, clocks, reading, paces);
	}

	open(): this {
		this.connection.open();
		return this;
	}

	hurry(): void {
		this.connection.hurry();
	}

	background(on: boolean): void {
		this.connection.background(on);
	}

	/** The mailbox's devices; undefined when this does not listen now. */
	devices(): Promise<readonly KnownDevice[] | Problem> | undefined {
		if (this.known) return Promise.resolve(this.known);
		return this.connection.current ? this.ask() : undefined;
	}

	/** Gives a device up; answers those that are left. */
	async forget(device: Uint8Array): Promise<readonly KnownDevice[] | Problem> {
		const listening = await this.devices();
		const { current } = this.connection;
		if (listening === undefined || isProblem(listening) || !current)
			return problem("unavailable", "This device does not listen now.", { spent: "no" });
		const answer = this.ask();
		current.write(forgetFrame(this.device, this.identity, current, device));
		return answer;
	}

	private ask(): Promise<readonly KnownDevice[] | Problem> {
		const { promise, resolve } = Promise.withResolvers<readonly KnownDevice[] | Problem>();
		this.asking.push(resolve);
		const late = problem("unavailable", "The relay does not say which devices there are.", { spent: "no" });
		return promise.finally(this.device.after(ANSWER_MS, () => resolve(late)));
	}

	private answer(devices: readonly KnownDevice[] | Problem): void {
		for (const resolve of this.asking.splice(0)) resolve(devices);
	}

	/** Stops reading; resolves when what was being dealt with is done and acknowledged, so that it is kept for no device in vain. */
	async close(): Promise<void> {
		this.closing = true;
		await this.working;
		this.connection.close();
	}

	private frame(session: Session, type: number, body: Uint8Array): void {
		if (type === FRAME.listening) {
			const listening = readListening(body);
			if (!listening) session.garbage("The relay's report is none.");
			else void this.report(listening);
		} else if (type === FRAME.devices) {
			this.known = readDevices(body)?.devices;
			if (this.known) this.answer(this.known);
			else session.garbage("The relay's devices are none.");
		} else if (type === FRAME.deliver) {
			if (this.closing) return;
			if (body.length < MAIL_HEAD_BYTES || readU32(body, 0) !== HANDLE) {
				session.garbage("The relay delivered to a handle that was never opened.");
				return;
			}
			const payload = body.slice(MAIL_HEAD_BYTES);
			this.queue.push({ number: readU32(body, 4), payload });
			this.queuedBytes += payload.length;
			if (this.queue.length > QUEUE_FRAMES_MAX || this.queuedBytes > QUEUE_BYTES_MAX)
				session.close(problem("malformed", "The relay does not keep to its window."));
			else
				this.working ??= this.work(session).finally(() => {
					this.working = undefined;
				});
			if (this.queuedBytes > HELD_BYTES_MAX || this.queue.length > LIMIT.windowFrames) this.pause();
		} else if (type === FRAME.refused && readRangesBody(body.subarray(1)) === undefined) {
			session.garbage("The relay's refusal is none.");
		}
	}

	/** Tells what this listen and visits before it heard. A storage that fails tells it another time. */
	private async report(listening: Listening): Promise<void> {
		const { storage } = this.device;
		try {
			const news = await withUntold(storage, this.relay, listening);
			this.events.report({ relay: this.relay, ...listening, ...news });
			await forgetUntold(storage, this.relay);
		} catch {
			this.events.problem(problem("disk", "What a mailbox lost could not be looked up.", { spent: "no" }));
		}
	}

	private async work(first: Session): Promise<void> {
		let session: Session | undefined = first;
		const mailbox = this.identity.mailbox(this.relay.key).publicKey;
		while (this.queue.length > 0 && session && !this.closing) {
			const batch = this.queue;
			this.queue = [];
			this.queuedBytes = 0;
			const cancel = this.device.after(SLOW_MS, () => this.pause());
			const refusal = await this.batch(batch, mailbox).finally(cancel);
			if (refusal) {
				// Full disk, missing file: leaves the rest in the mailbox and comes back after a pause.
				this.events.problem(refusal);
				session.close({ retryAfterMs: TAKE_AGAIN_MS, ...refusal });
				return;
			}
			// A new session numbers anew: the old acks mean nothing there.
			if (this.connection.current === session)
				session.write(writeRangesFrame(FRAME.ack, rangesOf(batch.map(({ number }) => number))));
			session = this.connection.current;
		}
		if (this.paused && this.paused === session) session.write(writeWindow(OPEN));
		this.paused = undefined;
	}

	/** The app does not keep up: nothing more is to come until it has taken what is here. */
	private pause(): void {
		const { current } = this.connection;
		if (!current || this.paused === current) return;
		this.paused = current;
		current.write(writeWindow(PAUSED));
	}

	private async batch(batch: readonly { payload: Uint8Array }[], mailbox: Uint8Array): Promise<Problem | undefined> {
		try {
			for (const { payload } of batch) {
				const refusal = await this.events.take(payload, mailbox);
				if (refusal) return refusal;
			}
			return await this.events.settle();
		} catch (fault) {
			if (isProblem(fault)) return fault;
			const said = fault instanceof Error ? fault.message : "unknown";
			// a machine's disk says what troubles it by a code; then the mail waits at the relay until there is room
			const disk = fault instanceof Error && "code" in fault && /^E[A-Z]+$/.test(String(fault.code));
			return problem(disk ? "disk" : "internal", `What came could not be dealt with: ${said}`, { spent: "no" });
		}
	}
}
