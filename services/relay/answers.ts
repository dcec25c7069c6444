/** The answers of one connection, gathered during a turn and written as ranges at its end (PROTOCOL.md, "Answers"). */

import { writeCredited, writeRangesFrame, writeRefused } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { ProblemCode } from "#contracts/problem";
import { include, type Range } from "#contracts/ranges";
import type { Answers } from "./dedupe.ts";
import type { Counts } from "./metrics.ts";
import type { Outbox } from "./outbox.ts";

/** Gathers and writes. */
export class TurnAnswers implements Answers {
	private readonly outbox: Outbox;
	private readonly counts: Counts;
	private keptNow: Range[] = [];
	private passedNow: Range[] = [];
	private readonly refusedNow = new Map<ProblemCode, Range[]>();
	private creditedNow: bigint | undefined;

	constructor(outbox: Outbox, counts: Counts) {
		this.outbox = outbox;
		this.counts = counts;
	}

	kept(seq: number): void {
		this.outbox.touch();
		include(this.keptNow, seq);
	}

	passed(seq: number): void {
		this.outbox.touch();
		include(this.passedNow, seq);
	}

	refused(code: ProblemCode, seq: number): void {
		this.outbox.touch();
		this.counts.refuse(code);
		const ranges = this.refusedNow.get(code);
		if (ranges) include(ranges, seq);
		else this.refusedNow.set(code, [[seq, seq]]);
	}

	credited(nanos: bigint): void {
		this.outbox.touch();
		this.creditedNow = nanos;
	}

	/** Writes what was gathered. */
	write(): void {
		if (this.creditedNow !== undefined) this.outbox.frame(writeCredited(this.creditedNow));
		this.creditedNow = undefined;
		for (const part of parts(this.keptNow)) this.outbox.frame(writeRangesFrame(FRAME.kept, part));
		for (const part of parts(this.passedNow)) this.outbox.frame(writeRangesFrame(FRAME.passed, part));
		for (const [code, ranges] of this.refusedNow)
			for (const part of parts(ranges)) this.outbox.frame(writeRefused({ code, ranges: part }));
		if (this.keptNow.length > 0) this.keptNow = [];
		if (this.passedNow.length > 0) this.passedNow = [];
		if (this.refusedNow.size > 0) this.refusedNow.clear();
	}
}

/** A set in parts that fit a frame. */
function* parts(ranges: readonly Range[]): Generator<readonly Range[]> {
	for (let at = 0; at < ranges.length; at += LIMIT.rangesMax) yield ranges.slice(at, at + LIMIT.rangesMax);
}
