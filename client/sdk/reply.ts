/** What a relay says of sends and vouchers, decoded at the door (PROTOCOL.md, "Sending"). */

import { readCredited, readRangesBody, readRefused } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import type { ProblemCode } from "#contracts/problem";
import type { Range } from "#contracts/ranges";

export type Reply =
	| { readonly says: "kept" | "passed"; readonly ranges: readonly Range[] }
	| { readonly says: "refused"; readonly ranges: readonly Range[]; readonly code: ProblemCode }
	| { readonly says: "credited"; readonly nanos: bigint }
	| { readonly says: "garbage"; readonly why: string };

/** Reads a reply; undefined for a frame that is none. */
export function readReply(type: number, body: Uint8Array): Reply | undefined {
	if (type === FRAME.kept || type === FRAME.passed) {
		const ranges = readRangesBody(body);
		const says = type === FRAME.kept ? "kept" : "passed";
		return ranges ? { says, ranges } : { says: "garbage", why: "The relay's answer is none." };
	}
	if (type === FRAME.refused) {
		const refused = readRefused(body);
		return refused ? { says: "refused", ...refused } : { says: "garbage", why: "The relay's refusal is none." };
	}
	const nanos = type === FRAME.credited ? readCredited(body) : undefined;
	return nanos === undefined ? undefined : { says: "credited", nanos };
}
