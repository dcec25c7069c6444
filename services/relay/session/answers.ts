/** The answers of one connection, gathered during a turn and written as ranges at its end (PROTOCOL.md, "Order"). */

import {
	RANGE_FRAME_BYTES_MAX,
	type Refused,
	writeCredited,
	writeRangeFrame,
	writeRangesFrame,
	writeRefused,
} from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { ProblemCode } from "#contracts/problem";
import type { Range } from "#contracts/ranges";
import type { Counts } from "#relay/metrics";
import type { Answers } from "#relay/tag/dedupe";
import { Numbers } from "#relay/tag/numbers";
import type { Outbox } from "./outbox.ts";

/** Ranges of one refusal that are kept together: putting a number among many costs time, and who sends chooses the numbers. */
const SCATTERED_MAX = 256;

/** Payloads passed whose answer may leave a moment later on a busy relay (`Outbox.touchSoon`): far less than the smallest step. */
const LATE_BYTES_MAX = 8_192;

/** Gathers and writes. */
export class TurnAnswers implements Answers {
	private readonly outbox: Outbox;
	private readonly counts: Counts;
	private readonly keptNow = new Numbers();
	private readonly passedNow = new Numbers();
	private refusedNow: Map<ProblemCode, Numbers> | undefined;
	/** Refusals that were scattered, in the order in which they became too many. */
	private scattered: Refused[] = [];
	private creditedNow: bigint | undefined;
	/** Of what was passed and is not answered yet. */
	private passedBytes = 0;

	constructor(outbox: Outbox, counts: Counts) {
		this.outbox = outbox;
		this.counts = counts;
	}

	kept(seq: number): void {
		this.outbox.touch();
		this.keptNow.include(seq);
	}

	/** `bytes`: of the payload, where that is known. */
	passed(seq: number, bytes = 0): void {
		this.passedBytes += bytes;
		// a sender of much waits for its answers
		if (this.passedBytes > LATE_BYTES_MAX) this.outbox.touch();
		else this.outbox.touchSoon();
		this.passedNow.include(seq);
	}

	/** `passed` for the numbers from `first` to `last`. */
	passedRow(first: number, last: number): void {
		this.outbox.touch();
		this.passedNow.includeRow(first, last);
	}

	refused(code: ProblemCode, seq: number): void {
		this.outbox.touch();
		this.counts.refuse(code);
		// made when it is needed: most connections only wait
		this.refusedNow ??= new Map();
		const numbers = this.refusedNow.get(code);
		if (!numbers) this.refusedNow.set(code, new Numbers([[seq, seq]]));
		else {
			numbers.include(seq);
			if (numbers.count >= SCATTERED_MAX) this.scattered.push({ code, ranges: numbers.take() });
		}
	}

	credited(nanos: bigint): void {
		this.outbox.touch();
		this.creditedNow = nanos;
	}

	/** Writes what was gathered. */
	write(): void {
		if (this.creditedNow !== undefined) this.outbox.frame(writeCredited(this.creditedNow));
		this.creditedNow = undefined;
		this.passedBytes = 0;
		this.writeSet(FRAME.kept, this.keptNow);
		this.writeSet(FRAME.passed, this.passedNow);
		if (!this.refusedNow) return;
		for (const refused of this.scattered) this.outbox.frame(writeRefused(refused));
		if (this.scattered.length > 0) this.scattered = [];
		for (const [code, { count, ranges }] of this.refusedNow)
			if (count > 0) this.outbox.frame(writeRefused({ code, ranges }));
		this.refusedNow = undefined;
	}

	/** One range, which it nearly always is, is written where it leaves from: these are half of what a relay of single messages says. */
	private writeSet(type: number, numbers: Numbers): void {
		if (numbers.count === 1) {
			const [first, last] = numbers.takeOne();
			const { message, at } = this.outbox.claim(RANGE_FRAME_BYTES_MAX);
			this.outbox.written(writeRangeFrame(message, at, type, first, last) - at);
		} else if (numbers.count > 1)
			for (const part of parts(numbers.take())) this.outbox.frame(writeRangesFrame(type, part));
	}
}

/** A set in parts that fit a frame. */
function* parts(ranges: readonly Range[]): Generator<readonly Range[]> {
	for (let at = 0; at < ranges.length; at += LIMIT.rangesMax) yield ranges.slice(at, at + LIMIT.rangesMax);
}
