/**
 * The sending half of a session: handles, sends and their way to a reader or the disk (PROTOCOL.md, "Sending"; threats 6, 7,
 * 12 and 24). Vouchers are in `paying.ts`.
 */

import { same } from "#contracts/bytes";
import type { Open } from "#contracts/control";
import { fanCopies, fanHandle, fanPayload, fanSeq } from "#contracts/fan";
import { type Cursor, FRAME, MAIL_HEAD_BYTES, readU32, writeU32 } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { ProblemCode } from "#contracts/problem";
import type { Mailbox } from "#relay/mailbox/mailbox";
import type { MailboxState } from "#relay/mailbox/store";
import type { RelayParts } from "#relay/parts";
import type { Tab } from "#relay/tab/tab";
import { fingerprint, type Tag } from "#relay/tag/dedupe";
import type { TurnAnswers } from "./answers.ts";
import { Copy } from "./copy.ts";
import type { Link } from "./far.ts";
import { type Binding, Handles } from "./handles.ts";
import type { Outbox } from "./outbox.ts";
import type { Paying } from "./paying.ts";
import { type RowDeps, takeRow } from "./row.ts";
import { Run } from "./run.ts";
import { Sender } from "./sender.ts";

/** The moment at which a message is worked on. */
export type Moment = { readonly nowMs: number; readonly elapsedMs: number };

/** What became of a send: done with (answered now or later), to be tried again after a commit, or the connection's end. */
export type Sent = "done" | "malformed" | Promise<unknown>;

/** Sends of one connection. */
export class Sending {
	private readonly parts: RelayParts;
	private readonly paying: Paying;
	private readonly answers: TurnAnswers;
	private readonly handles: Handles;
	private ended = false;
	private readonly run = new Run();
	private readonly row: RowDeps;
	/** The copy of a fan that had to wait: those before it are done with. */
	private fanNext = 0;

	constructor(parts: RelayParts, paying: Paying, answers: TurnAnswers) {
		this.parts = parts;
		this.paying = paying;
		this.answers = answers;
		this.handles = new Handles(parts);
		this.row = { parts, paying, handles: this.handles, run: this.run, answers };
	}

	/** Binds a handle. False when a bound was reached. */
	open(open: Open): boolean {
		return this.handles.open(open);
	}

	/** Works on the `send` at the cursor. */
	send(message: Uint8Array, c: Cursor, moment: Moment): Sent {
		const from = c.start + MAIL_HEAD_BYTES;
		const size = c.end - from;
		// an empty payload would cost nothing and still take a row
		if (size < 1 || size > LIMIT.payloadBytesMax) return "malformed";
		const sent = this.copy(message, c, from, readU32(message, c.start), readU32(message, c.start + 4), moment);
		if (sent === "done" && !this.parts.plain) takeRow(message, c, moment, this.row);
		return sent;
	}

	/** Works on the `fan` at the cursor as on its sends, from the copy that had to wait. */
	fan(message: Uint8Array, c: Cursor, moment: Moment): Sent {
		const copies = fanCopies(message, c);
		if (copies === 0) return "malformed";
		// what stands before it in the message goes before it to its reader too
		this.run.pass();
		const from = fanPayload(c.start, copies);
		const seq = fanSeq(message, c.start);
		for (let i = this.fanNext; i < copies && !this.ended; i++) {
			const sent = this.copy(message, c, from, fanHandle(message, c.start, i), seq + i, moment);
			this.fanNext = i;
			if (sent !== "done") return sent;
		}
		this.fanNext = 0;
		return "done";
	}

	/** One copy of the payload that begins at `from` and ends with the frame at the cursor. */
	private copy(message: Uint8Array, c: Cursor, from: number, handle: number, seq: number, moment: Moment): Sent {
		const size = c.end - from;
		const binding = this.handles.get(handle);
		const { tag, tab } = this.paying;
		const { gate } = this.parts;
		if (!tag || !tab) return this.refuse("grant-needed", seq);
		if (!binding) return this.refuse("handle-unknown", seq);
		if (binding.ttlS > LIMIT.ttlSMax) return this.refuse("ttl-too-long", seq);
		const print = fingerprint(this.run.view(message), from, c.end, binding.salt);
		const known = tag.check(seq, print);
		if (known !== "new") return this.again(known, seq, binding.ttlS);
		if (tag.backTo !== undefined && seq > tag.backTo) return this.unpaid(tag, seq, size);
		if (tab.finished) return this.refuse("tab-finished", seq);
		if (moment.nowMs >= this.paying.untilMs) return this.refuse("grant-expired", seq);
		if (gate.sends) return this.refuse(gate.sends, seq);
		if (binding.link) return this.cross(message, c, from, seq, print, binding, binding.link, tag, tab);
		const mailbox = this.handles.mailbox(binding);
		if (binding.stateAt !== moment) {
			binding.state = mailbox?.state;
			binding.stateAt = moment;
		}
		const { state } = binding;
		if (!mailbox || !state) return this.refuse("mailbox-unknown", seq);
		if (gate.keeps && binding.ttlS > 0) return this.refuse(gate.keeps, seq);
		const origin = this.originOf(binding, state);
		return binding.ttlS === 0
			? this.pass(message, c, from, seq, print, binding, mailbox, origin, moment)
			: this.keep(message, c, from, seq, print, mailbox, state, origin, moment);
	}

	/** Passes on the frames gathered for one reader, and lets go of the message. */
	endRun(): void {
		this.run.end();
	}

	/** The tab changed: who pays is looked at anew. */
	forgetOrigins(): void {
		this.handles.forgetOrigins();
	}

	/** The connection ended. */
	end(): void {
		this.ended = true;
		this.run.end();
		this.handles.end();
	}

	/** Live only: for holders of the card's token, while somebody listens. Charged when the reader's socket has it. */
	private pass(
		message: Uint8Array,
		c: Cursor,
		from: number,
		seq: number,
		print: number,
		binding: Binding,
		mailbox: Mailbox,
		origin: Sender,
		moment: Moment,
	): Sent {
		const size = c.end - from;
		if (!origin.byCard) return this.refuse("token-needed", seq);
		const reader = mailbox.readerNow();
		if (!reader) return this.refuse("gone", seq);
		if (!origin.tab.charge(size, 0)) return this.cover(message, c, seq, size, 0, origin.tag);
		this.accepted(origin.tag, seq, print);
		binding.live = mailbox.manyListen ? undefined : reader;
		binding.liveAt = moment;
		if (mailbox.manyListen) mailbox.passToOthers(reader, this.run.owned(message), from, c.end);
		this.hand(message, c, from, reader.outbox, reader.handle, 0);
		origin.tab.settle(size, 0);
		origin.tag.settle(seq);
		this.parts.tags.mark(origin.tag, seq);
		this.answers.passed(seq, size);
		this.parts.counts.passed++;
		this.parts.counts.liveBytes += size;
		return "done";
	}

	/** To a listening reader, or to the mailbox's disk. */
	private keep(
		message: Uint8Array,
		c: Cursor,
		from: number,
		seq: number,
		print: number,
		mailbox: Mailbox,
		state: MailboxState,
		origin: Sender,
		moment: Moment,
	): Sent {
		const size = c.end - from;
		const full = mailbox.admits(size, origin.byCard, state);
		if (full) return this.refuse(full, seq);
		if (!origin.tab.charge(size, origin.ttlS)) return this.cover(message, c, seq, size, origin.ttlS, origin.tag);
		this.accepted(origin.tag, seq, print);
		const expiresAtMs = moment.nowMs + origin.ttlS * 1_000;
		const start = from - MAIL_HEAD_BYTES;
		const copy = new Copy(mailbox, origin, seq, print, expiresAtMs, size, this.run.owned(message), start);
		const reader = mailbox.readerFor(size);
		if (reader) {
			const number = mailbox.deliver(copy, reader, moment.elapsedMs);
			this.hand(message, c, from, reader.outbox, reader.handle, number);
			this.parts.counts.live++;
			this.parts.counts.liveBytes += size;
		} else {
			// it may go to devices that something of this message goes to already
			this.run.pass();
			this.parts.counts.delays[mailbox.readerNow() ? "behind" : "away"]++;
			mailbox.keep(copy);
			this.parts.counts.toDisk++;
			this.parts.counts.diskBytes += size;
		}
		return "done";
	}

	/** Hands a copy to its reader: a send as the frame that it came in, one of a fan's behind a head of its own. */
	private hand(message: Uint8Array, c: Cursor, from: number, to: Outbox, handle: number, number: number): void {
		if (c.type === FRAME.send) this.run.deliver(message, c, to, handle, number);
		else to.deliver(handle, number, this.run.owned(message), from, c.end);
	}

	/** To the worker that has the mailbox, which decides what a mailbox decides. Paid for here, answered by the route. */
	private cross(
		message: Uint8Array,
		c: Cursor,
		from: number,
		seq: number,
		print: number,
		binding: Binding,
		link: Link,
		tag: Tag,
		tab: Tab,
	): Sent {
		const { id: mailbox, ttlS, token: tokenHash } = binding;
		const size = c.end - from;
		// what is for a worker that is away waits at the client, which is asked to send it again
		if (!link.up) return this.refuse("disk", seq);
		const wait = link.congestion;
		if (wait) return wait;
		if (!tab.charge(size, ttlS)) return this.cover(message, c, seq, size, ttlS, tag);
		this.accepted(tag, seq, print);
		binding.route ??= link.open({ tab, tag, mailbox, ttlS, tokenHash });
		binding.route.hand(seq, size);
		const { number } = binding.route;
		if (c.type === FRAME.send) {
			writeU32(message, c.start, number);
			this.run.lengthen(message, c, link);
		} else link.copy(number, seq, message, from, c.end);
		this.parts.counts.crossed++;
		return "done";
	}

	private accepted(tag: Tag, seq: number, print: number): void {
		tag.accept(seq, print);
		if (tag.backTo === seq) tag.backTo = undefined;
	}

	/** A retry: answered as it was, neither charged nor stored again. */
	private again(known: "pending" | "settled" | "seq-reused" | "seq-gaps", seq: number, ttlS: number): Sent {
		if (known === "settled") {
			this.parts.counts.retries++;
			if (ttlS === 0) this.answers.passed(seq);
			else this.answers.kept(seq);
		} else if (known !== "pending") return this.refuse(known, seq);
		return "done";
	}

	/** Not covered by what counts: by what is on its way to the till, or by a voucher further on in this message? */
	private cover(message: Uint8Array, c: Cursor, seq: number, size: number, ttlS: number, tag: Tag): Sent {
		return this.paying.coverSoon(message, c, size, ttlS) ?? this.unpaid(tag, seq, size);
	}

	/** Everything behind an unpaid number is unpaid until it comes again, so that order is kept. */
	private unpaid(tag: Tag, seq: number, size: number): Sent {
		tag.backTo ??= seq;
		this.paying.unpaid(size);
		return this.refuse("unpaid", seq);
	}

	private refuse(code: ProblemCode, seq: number): Sent {
		this.answers.refused(code, seq);
		return "done";
	}

	private originOf(binding: Binding, state: MailboxState): Sender {
		const { tag, tab } = this.paying;
		if (!tag || !tab) throw new Error("a send without a tab was let in");
		if (binding.origin && binding.checked === state.tokenHash) return binding.origin;
		const byCard = !!binding.token && !!state.tokenHash && same(binding.token, state.tokenHash);
		binding.checked = state.tokenHash;
		binding.origin = new Sender(tab, tag, this.parts.tags, binding.ttlS, byCard);
		return binding.origin;
	}
}
