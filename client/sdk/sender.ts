/**
 * Sends to one relay on one tab: numbers payloads, pays before each, keeps what is unanswered and sends it again with the same
 * number after a break (PROTOCOL.md, "Sending"). Never sends what its voucher does not cover, nor more than a step ahead of answers.
 */

import { writeVoucherFrame } from "#contracts/control";
import type { Welcome } from "#contracts/handshake";
import { TAG_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, type ProblemCode, problem } from "#contracts/problem";
import type { Range } from "#contracts/ranges";
import { NO_TRAFFIC, plus, type Traffic } from "#contracts/tariff";
import type { Relay } from "./card.ts";
import { Connection } from "./connection.ts";
import type { Device } from "./device.ts";
import { Flight } from "./flight.ts";
import { Idle } from "./idle.ts";
import { type Answer, type Entry, Handles, isEnded, isFatal, type Parcel, type SenderEvents } from "./parcel.ts";
import { CREDIT_MS, FLYING_MAX, Patience } from "./patience.ts";
import type { Purse } from "./purse.ts";
import { readReply } from "./reply.ts";
import type { Clocks, Session } from "./session.ts";

export class Sender {
	private readonly device: Device;
	private readonly events: SenderEvents;
	private readonly connection: Connection;
	readonly idle: Idle;
	private purse: Purse;
	/** Whether the relay's count of this tab is known: then sends may stand right behind a hello. */
	private known: boolean;
	private tag: Uint8Array;
	private seq = 0;
	private readonly flight = new Flight();
	private readonly handles = new Handles();
	private stalled = false;
	/** Goes over to the next tab once nothing is under way: this one is used up, or the relay has ended it. */
	private rolling: boolean | "ended" = false;
	private changing = false;
	private readonly patience = new Patience();
	private over: Problem | undefined;
	private awaitingCredit: (() => void) | undefined;

	/** `known` is false for a tab that an earlier process has used: then the welcome is awaited before anything is sent. */
	constructor(device: Device, relay: Relay, clocks: Clocks, purse: Purse, known: boolean, events: SenderEvents) {
		this.device = device;
		this.events = events;
		this.purse = purse;
		this.known = known;
		this.tag = device.crypto.random(TAG_BYTES);
		this.connection = new Connection(device, relay, clocks, {
			who: () => ({ tag: this.tag, ...this.purse.who }),
			started: (session) => this.started(session),
			welcome: (session, welcome) => this.welcome(session, welcome),
			frame: (session, type, body) => this.frame(session, type, body),
			problem: (refusal) => events.problem(refusal),
			ended: (why) => this.ended(why),
		});
		this.idle = new Idle(device, this.connection);
	}

	/** Sends a payload; resolves when it is kept, passed, or refused for good. Order is kept. */
	post(parcel: Parcel): Promise<Answer> {
		return this.postAll([parcel])[0] as Promise<Answer>;
	}

	/** Sends several, an answer for each. Those that stand together and have one payload are uploaded once (a fan). */
	postAll(parcels: readonly Parcel[]): Promise<Answer>[] {
		const { over } = this;
		if (over) return parcels.map(() => Promise.resolve(over));
		const answers = parcels.map((parcel) => {
			if (parcel.payload.length > LIMIT.payloadBytesMax) throw new RangeError("a payload is over the limit");
			return this.flight.add(parcel, ++this.seq);
		});
		this.idle.end();
		if (!this.changing) this.connection.open();
		this.pump();
		return answers;
	}

	/** Nobody waits for this payload any more; what may have gone out stays counted. For a relay that is not there. */
	recall(payload: Uint8Array): void {
		this.flight.recall(payload);
		this.goOn();
	}

	/** Resolves when everything posted is answered, or when the relay has answered nothing for so long. */
	drain(silentMs: number): Promise<void> {
		return this.flight.drain(this.device, silentMs);
	}

	/** Tries again at once, as when a network came back. */
	hurry(): void {
		this.connection.hurry();
	}

	/** Gives up: what is unanswered is answered with `why` and stays in the outbox. */
	close(why: Problem = problem("unavailable", "This client was closed.", { spent: "unknown" })): void {
		if (this.over) return;
		this.over = why;
		this.idle.end();
		this.awaitingCredit?.();
		this.connection.close();
		this.giveUp(why);
	}

	private giveUp(why: Problem): void {
		this.flight.takeBack();
		this.patience.spent();
		for (const entry of this.flight.queue.splice(0)) entry.settle(why);
		this.flight.landed();
	}

	private started(session: Session): void {
		this.handles.clear();
		this.flight.takeBack();
		this.awaitingCredit?.();
		this.awaitingCredit = undefined;
		this.stalled = false;
		if (this.purse.voucher) session.write(writeVoucherFrame(this.purse.voucher));
		this.pump();
	}

	private welcome(session: Session, welcome: Welcome): void {
		if (!welcome.tab) session.garbage("The relay's welcome says nothing of the tab.");
		else this.lose(this.purse.adopt(welcome.tab, !this.known));
		if (!welcome.tab || this.over) return;
		this.known = true;
		this.purse.limitStep(welcome.stepBytesMax);
		this.events.changed(this.purse);
		this.pump();
	}

	/** Whether the relay lost any of what was paid; one that claims more than was signed is left. */
	private lose(lost: Traffic | Problem): boolean {
		if (isProblem(lost)) {
			this.events.dishonest(this.purse, lost);
			this.close(lost);
		} else if (lost.bytes > 0n || lost.byteSeconds > 0n) {
			this.patience.lost();
			this.events.lost(this.purse, lost);
		} else return false;
		return true;
	}

	private pump(): void {
		const session = this.connection.current;
		if (!session || !this.known || this.stalled || this.changing) return;
		const { queue, flying } = this.flight;
		let sent = 0;
		while (sent < queue.length && flying.size + sent < FLYING_MAX) {
			const alike = this.flight.fanAt(sent);
			const fan = alike[0]?.counted ? alike : this.pay(session, alike);
			if (fan.length === 0) break;
			this.handles.send(session, fan);
			sent += fan.length;
		}
		this.flight.sent(sent);
		if (flying.size > 0) return;
		// What stands in front may wait for what went out behind it before the line was cut: the relay refused that as well.
		if (this.flight.anew(this.purse) > 0 && !this.rolling) this.pump();
		if (flying.size > 0) return;
		if (this.patience.ended) this.giveUp(problem("unpaid", "The relay lost again what was paid ahead."));
		if (this.rolling) void this.roll(this.rolling === "ended");
	}

	/** Pays for as many of a fan's copies as may go now: what a step covers, at a tab's end what it has left, or none yet. */
	private pay(session: Session, fan: readonly Entry[]): readonly Entry[] {
		const { copy } = fan[0] as Entry;
		if (this.rolling || this.patience.ended) return [];
		for (let part = fan.slice(0, this.purse.width(copy)); part.length > 0; part = part.slice(0, part.length >> 1)) {
			const cover = this.purse.cover(part.reduce((sum, entry) => plus(sum, entry.copy), NO_TRAFFIC));
			if (cover === "wait") return [];
			if (cover === "full") continue;
			if (cover.voucher) {
				session.write(writeVoucherFrame(cover.voucher));
				this.events.changed(this.purse);
			}
			for (const entry of part) {
				this.purse.count(entry.copy);
				entry.counted = true;
			}
			return part;
		}
		this.rolling = true;
		return [];
	}

	private frame(session: Session, type: number, body: Uint8Array): void {
		const reply = readReply(type, body);
		if (reply?.says === "garbage") session.garbage(reply.why);
		else if (reply?.says === "refused") this.refused(reply.ranges, reply.code);
		else if (reply?.says === "credited") this.credited(reply.nanos);
		else if (reply) this.answered(reply.ranges, reply.says);
	}

	private credited(nanos: bigint): void {
		if (this.awaitingCredit && nanos >= (this.purse.voucher?.nanos ?? 0n)) this.paidAgain();
	}

	private answered(ranges: readonly Range[], answer: "kept" | "passed"): void {
		this.patience.answered();
		for (const entry of this.flight.named(ranges)) {
			this.flight.flying.delete(entry.seq);
			this.purse.serve(entry.copy);
			entry.settle(answer);
		}
		this.goOn();
	}

	private refused(ranges: readonly Range[], code: ProblemCode): void {
		const again: Entry[] = [];
		for (const entry of this.flight.named(ranges)) {
			this.flight.flying.delete(entry.seq);
			this.purse.uncount(entry.copy);
			entry.counted = false;
			if (code === "unpaid" || code === "handle-unknown" || code === "seq-gaps" || isEnded(code)) again.push(entry);
			else entry.settle(problem(code));
		}
		if (again.length > 0) {
			this.flight.back(again);
			// Nothing new until all that is under way is answered: what follows a refused frame is refused too, and order is kept.
			this.stalled = true;
			if (isEnded(code)) this.rolling = "ended";
			if (code === "seq-gaps") this.tag = this.device.crypto.random(TAG_BYTES);
			if (code === "seq-gaps" || code === "handle-unknown") this.connection.restart();
		}
		this.goOn();
	}

	private goOn(): void {
		if (this.stalled && this.flight.flying.size === 0) {
			this.stalled = false;
			if (!this.rolling && this.flight.queue.length > 0) this.payAgain();
		}
		this.pump();
		if (!this.flight.idle) return;
		this.flight.landed();
		this.events.changed(this.purse);
		this.idle.begin();
	}

	/** The relay said `unpaid` to what this side has paid for: says the voucher again, then asks for its count, then gives up. */
	private payAgain(): void {
		// What came again after a crash and was not taken is no part of the relay's count: that part of it is lost.
		if (this.lose(this.purse.missed())) return;
		const next = this.patience.unpaid();
		if (next === "give up") this.giveUp(problem("unpaid"));
		else if (next === "ask anew") this.connection.restart();
		else if (this.purse.voucher) {
			// Whatever went before it would only be refused again, so it waits for the credit, or a moment if none is said.
			this.stalled = true;
			this.connection.current?.write(writeVoucherFrame(this.purse.voucher));
			this.awaitingCredit = this.device.after(CREDIT_MS, () => this.paidAgain());
		}
	}

	private paidAgain(): void {
		this.awaitingCredit?.();
		this.awaitingCredit = undefined;
		this.stalled = false;
		this.pump();
	}

	private async roll(ended: boolean): Promise<void> {
		if (this.changing) return;
		this.changing = true;
		this.connection.close();
		const next = await this.events.next(this.purse, ended);
		this.changing = false;
		this.rolling = false;
		if (this.over) return;
		if (isProblem(next)) return this.giveUp(next);
		this.purse = next;
		this.known = true;
		if (this.flight.queue.length > 0) this.connection.open();
	}

	/** Goes over to the next tab once everything under way is answered. */
	renew(): void {
		this.rolling = true;
		this.pump();
	}

	private ended(why: Problem | undefined): boolean {
		if (why) this.events.problem(why);
		if (this.over || this.changing) return false;
		if (why && isFatal(why)) this.close(why);
		else if (why && isEnded(why.problem)) {
			// Whatever was under way was not taken: the tab had ended before.
			this.flight.anew(this.purse);
			void this.roll(true);
		} else return !this.flight.idle;
		return false;
	}
}
