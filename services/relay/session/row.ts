/**
 * Live sends that stand in a row: number after number, without a TTL, for mailboxes that took one of this moment already. What the first of
 * them was asked holds for all, so they are charged, noted and answered together. `Sending.send` is the plain way, frame by frame.
 */

import { advance, type Cursor, FRAME, MAIL_HEAD_BYTES } from "#contracts/frame";
import { LIMIT } from "#contracts/limit";
import type { RelayParts } from "#relay/parts";
import { fingerprint } from "#relay/tag/dedupe";
import type { TurnAnswers } from "./answers.ts";
import type { Handles } from "./handles.ts";
import type { Paying } from "./paying.ts";
import type { Run } from "./run.ts";
import type { Moment } from "./sending.ts";

/** What a row is worked on with. */
export type RowDeps = {
	readonly parts: RelayParts;
	readonly paying: Paying;
	readonly handles: Handles;
	readonly run: Run;
	readonly answers: TurnAnswers;
};

/** Takes the sends behind the cursor as far as they are a row. The cursor then stands before the first that is not. */
export function takeRow(message: Uint8Array, c: Cursor, moment: Moment, deps: RowDeps): void {
	const { parts, paying, handles, run, answers } = deps;
	const { tag, tab } = paying;
	const first = tag?.nextInRow ?? -1;
	if (!tag || !tab || first < 0) return;
	const view = run.view(message);
	const { roomBytes } = tab;
	let next = first;
	let bytes = 0;
	while (advance(message, c)) {
		const from = c.start + MAIL_HEAD_BYTES;
		const size = c.end - from;
		const usual = c.type === FRAME.send && size >= 1 && size <= LIMIT.payloadBytesMax && bytes + size <= roomBytes;
		const binding = usual && view.getUint32(c.start + 4, true) === next && handles.get(view.getUint32(c.start, true));
		if (!binding || binding.liveAt !== moment || !binding.live) {
			c.next = c.at;
			break;
		}
		tag.print(next, fingerprint(view, from, c.end, binding.salt));
		message[c.at] = FRAME.deliver;
		view.setUint32(c.start, binding.live.handle, true);
		view.setUint32(c.start + 4, 0, true);
		run.lengthen(message, c, binding.live.outbox);
		bytes += size;
		next++;
	}
	if (next === first) return;
	tag.passRow(first, next - 1);
	tab.passRow(bytes);
	parts.tags.markRow(tag, first, next - 1);
	answers.passedRow(first, next - 1);
	parts.counts.passed += next - first;
	parts.counts.liveBytes += bytes;
}
