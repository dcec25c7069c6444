/**
 * Where copies of another worker's senders come in. They are paid for; what a mailbox decides (whether it is there, has room, has a reader) is
 * decided here, and the answer goes back. When the other worker is gone, all that it brought goes to the disk before it may come again.
 */

import type { Socket } from "node:net";
import { advance, type Cursor, cursor, MAIL_HEAD_BYTES, readU32 } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { Desk } from "#relay/mailbox/desk";
import type { RelayParts } from "#relay/parts";
import { Copy } from "#relay/session/copy";
import { Run } from "#relay/session/run";
import type { Moment } from "#relay/session/sending";
import { fingerprint } from "#relay/tag/dedupe";
import { FarRoute, type Teller } from "./farroute.ts";
import { FarTag } from "./fartag.ts";
import {
	HOP,
	readHopFilled,
	readHopNumber,
	readHopRoute,
	writeHopGaps,
	writeHopKnown,
	writeHopNumber,
	writeHopWord,
} from "./hop.ts";
import { Pipe } from "./pipe.ts";

/** Above this a copy holds the bytes that were read with it; a smaller one its own, so that it does not pin others'. */
const HOLD_BYTES_MIN = LIMIT.sliceBytes / 2;

/** One other worker's door. */
export class Gate implements Teller {
	/** Resolves when it is over and everything it brought is on disk. */
	readonly over: Promise<void>;
	private readonly parts: RelayParts;
	private readonly desk: Desk;
	private readonly pipe: Pipe;
	private readonly routes = new Map<number, FarRoute>();
	private readonly tags = new Map<string, FarTag>();
	private readonly run = new Run();
	private readonly c: Cursor = cursor();
	private telling: FarRoute[] = [];
	private takenBytes = 0;
	private ended = false;

	/** Over a socket whose hello was read. `before` is over when the other worker's former door is. */
	constructor(socket: Socket, parts: RelayParts, desk: Desk, before: Promise<void>) {
		this.parts = parts;
		this.desk = desk;
		const over = Promise.withResolvers<void>();
		this.over = over.promise;
		this.pipe = new Pipe(socket, {
			take: (bytes) => this.take(bytes),
			turn: () => this.tell(),
			closed: (error) => {
				if (error) parts.log.warn({ err: error }, "a link to another worker broke");
				void Promise.all([before, this.end()]).then(() => over.resolve());
			},
		});
		void before.then(() => {
			if (!this.ended) this.pipe.frame(writeHopWord(HOP.ready));
		});
	}

	/** Ends the link. */
	destroy(): void {
		this.pipe.destroy();
	}

	/** Hands what was taken live to the store, now and then. */
	flush(): void {
		for (const tag of this.tags.values()) tag.flush();
	}

	touch(route: FarRoute): void {
		this.telling.push(route);
		this.pipe.touch();
	}

	private take(bytes: Uint8Array): number {
		const { c, run } = this;
		const moment = this.now();
		c.next = 0;
		while (advance(bytes, c)) {
			if (c.type === HOP.copy) {
				this.come(bytes, c, moment);
				continue;
			}
			run.end();
			this.frame(c.type, bytes.subarray(c.start, c.end));
		}
		run.end();
		const wait = this.parts.router.congestion;
		if (wait) {
			this.pipe.pause();
			void wait.then(() => this.pipe.resume());
		}
		return c.next;
	}

	private frame(type: number, body: Uint8Array): void {
		if (type === HOP.route) this.open(body);
		else if (type === HOP.leave) this.leave(readHopNumber(body));
		else if (type === HOP.spill) this.parts.router.spillAll();
		else if (type === HOP.filled) {
			const { tag, ranges } = readHopFilled(body);
			this.tags.get(tag)?.filled(ranges);
		} else throw new Error(`a link's frame of type ${type}`);
	}

	private open(body: Uint8Array): void {
		const told = readHopRoute(body);
		const known = this.tags.get(told.tag);
		const tag = known ?? new FarTag(told.tag, this.parts.store, this.parts.clock, (error) => this.desk.failed(error));
		this.tags.set(told.tag, tag);
		tag.uses++;
		const route = new FarRoute(told, tag, this);
		this.routes.set(told.route, route);
		tag.loaded.then(
			() => this.begin(route),
			(error) => this.broke(error),
		);
	}

	/** The tag was read: what is asked of it is answered, and what came meanwhile is worked on in its order. */
	private begin(route: FarRoute): void {
		if (this.ended || this.routes.get(route.told.route) !== route) return;
		if (route.told.resolve)
			for (const frame of writeHopKnown(route.told.route, route.tag.ranges)) this.pipe.frame(frame);
		const waiting = route.waiting ?? [];
		route.waiting = undefined;
		const moment = this.now();
		const c = cursor();
		for (const frame of waiting) {
			c.next = 0;
			if (advance(frame, c)) this.come(frame, c, moment);
			this.run.end();
		}
	}

	/** A disk that cannot be read: nothing may be taken that might be here already. The link is tried anew. */
	private broke(error: unknown): void {
		if (this.ended) return;
		this.desk.failed(error);
		this.destroy();
	}

	/** Works on the copy at the cursor. */
	private come(message: Uint8Array, c: Cursor, moment: Moment): undefined {
		const route = this.routes.get(readU32(message, c.start));
		if (!route) throw new Error("a copy came on no route");
		if (route.waiting) {
			route.waiting.push(message.slice(c.at, c.end));
			return;
		}
		this.takenBytes += c.end - c.at;
		this.pipe.touch();
		const from = c.start + MAIL_HEAD_BYTES;
		const size = c.end - from;
		const seq = readU32(message, c.start + 4);
		const { tag } = route;
		const { ttlS } = route.told;
		const print = fingerprint(this.run.view(message), from, c.end, route.salt);
		const before = tag.check(seq, print);
		if (before !== "new") return route.say(before, seq);
		const mailbox = route.mailbox ?? this.bind(route);
		const state = mailbox?.state;
		if (!mailbox || !state) return route.say("mailbox-unknown", seq);
		const { counts, gate } = this.parts;
		// the disk is this worker's: the one that was paid cannot know
		if (gate.keeps && ttlS > 0) return route.say(gate.keeps, seq);
		const origin = route.origin(state);
		if (ttlS === 0) {
			if (!origin.byCard) return route.say("token-needed", seq);
			const reader = mailbox.readerNow();
			if (!reader) return route.say("gone", seq);
			if (mailbox.manyListen) mailbox.passToOthers(reader, this.run.owned(message), from, c.end);
			this.run.deliver(message, c, reader.outbox, reader.handle, 0);
			tag.answered(seq);
			tag.mark(seq);
			route.say("passed", seq);
			counts.passed++;
			counts.liveBytes += size;
			return;
		}
		const full = mailbox.admits(size, origin.byCard, state);
		if (full) return route.say(full, seq);
		const expiresAtMs = moment.nowMs + ttlS * 1_000;
		const own = size < HOLD_BYTES_MIN;
		const held = own ? message.slice(c.start, c.end) : message;
		const copy = new Copy(mailbox, origin, seq, print, expiresAtMs, size, held, own ? 0 : c.start);
		const reader = mailbox.readerFor(size);
		if (reader) {
			const number = mailbox.deliver(copy, reader, moment.elapsedMs);
			this.run.deliver(message, c, reader.outbox, reader.handle, number);
			counts.live++;
			counts.liveBytes += size;
		} else {
			// it may go to devices that something of these bytes goes to already
			this.run.pass();
			mailbox.keep(copy);
			counts.toDisk++;
			counts.diskBytes += size;
		}
	}

	private bind(route: FarRoute) {
		route.mailbox = this.parts.router.find(route.told.mailbox);
		if (route.mailbox) route.mailbox.bound++;
		return route.mailbox;
	}

	private leave(number: number): void {
		const route = this.routes.get(number);
		if (!route) return;
		this.routes.delete(number);
		if (route.mailbox) route.mailbox.bound--;
		const { tag } = route;
		tag.uses--;
		if (tag.uses > 0) return;
		tag.flush();
		this.tags.delete(tag.id);
	}

	/** At the turn's end: answers, and how much was taken. */
	private tell(): void {
		const { telling } = this;
		this.telling = [];
		for (const route of telling) {
			for (const frame of route.take()) this.pipe.frame(frame);
			if (route.tag.gaping) this.pipe.frame(writeHopGaps(route.tag.id));
		}
		if (this.takenBytes > 0) this.pipe.frame(writeHopNumber(HOP.taken, this.takenBytes));
		this.takenBytes = 0;
	}

	/** The other worker is gone: what its senders brought and no reader has acknowledged goes to the disk now, with its numbers. */
	private async end(): Promise<void> {
		this.ended = true;
		for (const number of [...this.routes.keys()]) this.leave(number);
		this.parts.router.spillAll();
		await this.desk.written();
	}

	private now(): Moment {
		const { clock } = this.parts;
		return { nowMs: clock.nowMs(), elapsedMs: clock.elapsedMs() };
	}
}
