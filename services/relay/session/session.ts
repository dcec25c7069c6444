/**
 * One connection's conversation: hello first, then frames in their order, one message after the other (PROTOCOL.md,
 * "Sessions and flow"). Where a frame has to wait for a disk, the rest of its message and of the socket waits with it.
 */

import { toHex } from "#contracts/bytes";
import { readOpen, readPing, writePong, writeProblem } from "#contracts/control";
import { advance, type Cursor, cursor, FRAME } from "#contracts/frame";
import { helloHash } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { RelayParts } from "#relay/parts";
import type { Tag } from "#relay/tag/dedupe";
import { TurnAnswers } from "./answers.ts";
import type { Line } from "./line.ts";
import { type Greeted, Listening } from "./listening.ts";
import { Paying } from "./paying.ts";
import { type Moment, Sending } from "./sending.ts";

/** A connection is over when it was silent for this many of the rounds it spoke of: one may be lost on the way. */
const IDLE_ROUNDS = 2.2;

/** A connection's conversation. */
export class Session {
	/** When a whole message was last heard, on the clock that never jumps. */
	heardAtMs: number;
	/** How long it may be silent, as its last ping agreed on; undefined before the first. */
	idleMs: number | undefined;
	private readonly parts: RelayParts;
	private readonly line: Line;
	private readonly answers: TurnAnswers;
	private readonly paying: Paying;
	private readonly sending: Sending;
	private readonly listening: Listening;
	private readonly c: Cursor = cursor();
	private greeted: Greeted | undefined;
	private orders = 0;
	private ended = false;
	/** Messages that came while one waits. `ws` may still hand out what it had read when it was paused. */
	private waiting: Uint8Array[] = [];
	private waitingBytes = 0;
	private stalled = false;

	constructor(parts: RelayParts, line: Line) {
		this.parts = parts;
		this.line = line;
		this.heardAtMs = parts.clock.elapsedMs();
		const { outbox } = line;
		this.answers = new TurnAnswers(outbox, parts.counts);
		this.paying = new Paying(parts, {
			outbox,
			answers: this.answers,
			bye: (why) => this.bye(why),
			renewed: () => this.sending.forgetOrigins(),
			closed: () => this.ended,
			mayBring: () => parts.newTabs.take(line.address),
		});
		this.sending = new Sending(parts, this.paying, this.answers);
		this.listening = new Listening(parts, outbox, line.address);
		outbox.onTurn = () => {
			this.answers.write();
			this.paying.write();
		};
	}

	/** Whether it said hello. */
	get introduced(): boolean {
		return this.greeted !== undefined;
	}

	/** Takes a message. Any bytes: they are frames, or the end of the connection. */
	feed(message: Uint8Array): void {
		if (this.ended) return;
		this.heardAtMs = this.parts.clock.elapsedMs();
		// nobody who reads its answers leaves so many unread
		if (this.line.outbox.overflown) this.bye(problem("reader-slow"));
		if (message.length === 0) this.malformed();
		if (!this.stalled) {
			this.c.next = 0;
			this.go(message);
			return;
		}
		// its memory is the wire's again after this turn
		this.waiting.push(new Uint8Array(message));
		this.waitingBytes += message.length;
		if (this.waitingBytes > this.parts.limits.waitingBytesMax) this.bye(problem("too-many"));
	}

	/** The socket has taken what waited. */
	drained(): void {
		this.listening.drained();
	}

	/** Says why and closes. What came before it in a message was taken, and goes before it to its reader. */
	bye(why: Problem): void {
		if (this.ended) return;
		this.sending.endRun();
		this.line.outbox.frame(writeProblem(FRAME.bye, why));
		this.end();
		this.line.close(why.problem);
	}

	/** The connection is over: what its reader did not acknowledge goes to the disk, the tab and tag are free. */
	end(): void {
		if (this.ended) return;
		this.ended = true;
		this.waiting = [];
		const { tag } = this.paying;
		if (tag?.answers === this.answers) tag.answers = undefined;
		if (tag) tag.seenMs = this.parts.clock.elapsedMs();
		this.listening.end();
		this.sending.end();
		this.paying.end();
	}

	/** Works on a message from where the cursor stands, then on those that waited. */
	private go(first: Uint8Array): void {
		let message: Uint8Array | undefined = first;
		try {
			while (message && !this.ended) {
				// who sends waits for a slow disk; who reads makes room there, and does not
				const wait: Promise<unknown> | undefined =
					this.walk(message) ?? (this.paying.tab && this.parts.router.congestion);
				if (wait) {
					this.stall(wait, message);
					return;
				}
				const next = this.waiting.shift();
				this.waitingBytes -= next?.length ?? 0;
				this.c.next = 0;
				message = next;
			}
		} catch (error) {
			this.broke(error);
		}
	}

	private stall(wait: Promise<unknown>, message: Uint8Array): void {
		this.stalled = true;
		this.line.pause();
		// the memory it came in is the wire's again after this turn
		const rest = new Uint8Array(message.subarray(this.c.next));
		wait.then(
			() => {
				if (this.ended) return;
				this.stalled = false;
				this.c.next = 0;
				this.go(rest);
				if (!this.stalled && !this.ended) this.line.resume();
			},
			(error: unknown) => this.broke(error),
		);
	}

	/** A bug of ours ends this connection and no other. */
	private broke(error: unknown): void {
		this.parts.log.error({ err: error }, "a session broke");
		this.bye(problem("internal"));
	}

	/** Frame by frame. A promise when the rest has to wait for it. */
	private walk(message: Uint8Array): Promise<unknown> | undefined {
		const { c, sending } = this;
		const { clock } = this.parts;
		let moment: Moment = { nowMs: clock.nowMs(), elapsedMs: clock.elapsedMs() };
		while (advance(message, c)) {
			if ((c.type === FRAME.send || c.type === FRAME.fan) && this.greeted) {
				const sent = c.type === FRAME.send ? sending.send(message, c, moment) : sending.fan(message, c, moment);
				if (this.ended) return undefined;
				if (sent === "done") continue;
				sending.endRun();
				if (sent === "malformed") return this.malformed();
				this.parts.counts.delays.till++;
				// the send itself is tried again
				c.next = c.at;
				return sent;
			}
			sending.endRun();
			const wait = this.take(c.type, message.subarray(c.start, c.end));
			if (this.ended || wait) return wait;
			// what held before it may not hold behind it
			moment = { ...moment };
		}
		sending.endRun();
		if (c.next !== message.length) return this.malformed();
		this.paying.settle();
		return undefined;
	}

	private take(type: number, body: Uint8Array): Promise<unknown> | undefined {
		if (!this.greeted) return type === FRAME.hello ? this.greet(body) : this.malformed();
		switch (type) {
			case FRAME.voucher:
				return this.paying.voucher(body) ? undefined : this.malformed();
			case FRAME.ack:
				return this.listening.ack(body) ? undefined : this.malformed();
			case FRAME.window:
				return this.listening.narrow(body) ? undefined : this.malformed();
			case FRAME.open:
				return this.open(body);
			case FRAME.listen: {
				const listening = this.order() && this.listening.listen(body, this.greeted);
				if (listening === "malformed") return this.malformed();
				return listening || undefined;
			}
			case FRAME.forget: {
				const forgetting = this.order() && this.listening.forget(body, this.greeted);
				if (forgetting === "malformed") return this.malformed();
				return forgetting || undefined;
			}
			case FRAME.renew:
				return this.order() ? this.paying.renew(body, this.greeted.helloHash) : undefined;
			case FRAME.ping:
				return this.ping(body);
			case FRAME.finish:
			case FRAME.usageRequest:
				if (body.length > 0) return this.malformed();
				if (type === FRAME.usageRequest) this.paying.usage();
				else if (this.order()) this.paying.finish();
				return undefined;
			case FRAME.hello:
				this.bye(problem("hello-again"));
				return undefined;
			default:
				return this.malformed();
		}
	}

	private greet(body: Uint8Array): Promise<unknown> | undefined {
		const { crypto, greeter, tabs, newTabs } = this.parts;
		const hello = greeter.greet(body);
		if (isProblem(hello)) {
			if (hello.problem === "clock" || hello.problem === "hello-replayed") this.line.outbox.frame(greeter.clock(body));
			this.bye(hello);
			return undefined;
		}
		const tab = hello.grant && tabs.join(hello.grant, () => newTabs.take(this.line.address));
		if (isProblem(tab)) {
			this.bye(tab);
			return undefined;
		}
		const hash = new Uint8Array(helloHash(crypto, hello.bytes));
		this.greeted = { session: new Uint8Array(hello.session), helloHash: hash };
		this.line.outbox.frame(greeter.welcome(hash, tab));
		if (!tab) return undefined;
		this.paying.tab = tab;
		return this.tag(toHex(hello.tag));
	}

	/** Takes the tag up: from memory, or from the disk, for which the rest of the message waits. */
	private tag(id: string): Promise<unknown> | undefined {
		const take = (tag: Tag | Problem): void => {
			if (isProblem(tag)) this.bye(tag);
			if (isProblem(tag) || this.ended || !this.paying.tab) return;
			// a new connection begins with what was not answered: nothing is behind an unpaid number any more
			tag.backTo = undefined;
			tag.answers = this.answers;
			tag.seenMs = this.parts.clock.elapsedMs();
			this.paying.join(this.paying.tab, tag);
		};
		const known = this.parts.tags.known(id);
		if (!known) return this.parts.tags.load(id).then(take);
		take(known);
		return undefined;
	}

	private open(body: Uint8Array): undefined {
		const open = readOpen(body);
		if (!open) return this.malformed();
		// handles are bounded over all connections: who pays nothing must not take them from those who do
		if (!this.paying.tab) {
			this.parts.counts.refuse("grant-needed");
			this.line.outbox.frame(writeProblem(FRAME.problem, problem("grant-needed")));
			return;
		}
		if (this.sending.open(open)) return;
		this.parts.counts.refuse("too-many");
		this.line.outbox.frame(writeProblem(FRAME.problem, problem("too-many", "No more handles may be opened.")));
	}

	private ping(body: Uint8Array): undefined {
		const ping = readPing(body);
		if (!ping) return this.malformed();
		this.idleMs = Math.min(Math.max(ping.nextMs * IDLE_ROUNDS, LIMIT.idleMsMin), LIMIT.idleMsMax);
		this.line.outbox.frame(writePong(ping.mark));
	}

	/** Counts what costs a verification or a commit; false when there were too many. */
	private order(): boolean {
		this.orders++;
		if (this.orders <= this.parts.limits.ordersMax) return true;
		this.bye(problem("too-many"));
		return false;
	}

	private malformed(): undefined {
		this.bye(problem("malformed"));
	}
}
