/**
 * What a market's people decide about others: each decision is signed by the key of whoever made it, and chained to the one before, so that none can be
 * rewritten, left out or made up unseen (PROTOCOL.md, "Decisions").
 */

import { type Amount, isAmount, NOTHING } from "./amount.ts";
import { join, Reader, textOf, Writer } from "./bytes.ts";
import {
	type Crypto,
	HASH_BYTES,
	hashFor,
	KEY_BYTES,
	type KeyPair,
	SIGNATURE_BYTES,
	signFor,
	verifyFor,
} from "./identity.ts";
import { type Problem, problem } from "./problem.ts";

/** What can be decided, in the order of their codes: about an account, a case, an enroller, the market's reserve, an operator. */
export const DEEDS = [
	"freeze",
	"unfreeze",
	"find",
	"answer",
	"uphold",
	"lift",
	"approve",
	"pause",
	"risk",
	"apart",
] as const;
export type Deed = (typeof DEEDS)[number];

/** A decision. */
export type Decision = {
	readonly market: Uint8Array;
	/** who decides */
	readonly by: Uint8Array;
	/** 16 bytes, chosen by who decides: the same one again does nothing */
	readonly id: Uint8Array;
	readonly deed: Deed;
	/** what about: a key of 32 bytes or a case of 16; none for the reserve */
	readonly subject: Uint8Array;
	/** why, in words that stay */
	readonly why: string;
	/** for the reserve; nothing otherwise */
	readonly nanos: Amount;
	readonly atMs: number;
};

/** A decision with its signature, as bytes. */
export type Signed = Decision & { readonly bytes: Uint8Array };

export const DECISION_ID_BYTES = 16;
/** Some sentences; in bytes. */
export const WHY_BYTES_MAX = 600;

/** Whether a text is one that people say to each other here: something, not too long, without characters that steer a terminal. */
export function isSaying(text: string): boolean {
	const bytes = new TextEncoder().encode(text).length;
	const plain = text.replaceAll("\n", "");
	return text.trim() !== "" && bytes <= WHY_BYTES_MAX && !/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(plain);
}

/** Signs a decision. The words must be a saying and the subject no longer than a key: whoever asks checks first. */
export function signDecision(crypto: Crypto, decision: Decision, secretKey: KeyPair["secretKey"]): Signed {
	const why = new TextEncoder().encode(decision.why);
	const body = new Writer()
		.u8(1)
		.put(decision.market, KEY_BYTES)
		.put(decision.by, KEY_BYTES)
		.put(decision.id, DECISION_ID_BYTES)
		.u8(DEEDS.indexOf(decision.deed))
		.u8(decision.subject.length)
		.put(decision.subject)
		.u16(why.length)
		.put(why)
		.u64(decision.nanos)
		.u64(decision.atMs)
		.finish();
	return { ...decision, bytes: join(body, signFor(crypto, "decision", body, secretKey)) };
}

/** Reads a decision and checks its form and its signature; whether its maker may decide here is the market's. */
export function readDecision(crypto: Crypto, bytes: Uint8Array): Signed | Problem {
	const reader = new Reader(bytes);
	const version = reader.u8();
	if (reader.sound && version !== 1) return problem("version-unknown", "The decision is of another version.");
	const market = reader.take(KEY_BYTES);
	const by = reader.take(KEY_BYTES);
	const id = reader.take(DECISION_ID_BYTES);
	const deed = DEEDS[reader.u8()];
	const subject = reader.take(reader.u8());
	const why = textOf(reader.take(reader.u16())) ?? "";
	const nanos = reader.u64();
	const atMs = reader.count();
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || deed === undefined || !isAmount(nanos) || !isSaying(why) || !isSubject(deed, subject, nanos))
		return problem("malformed", "The bytes are not a decision.");
	if (!verifyFor(crypto, "decision", bytes.subarray(0, bytes.length - SIGNATURE_BYTES), signature, by))
		return problem("signature-bad", "Who is named did not sign this decision.");
	return { market, by, id, deed, subject, why, nanos, atMs, bytes: bytes.slice() };
}

const CASE_BYTES = 16;

function isSubject(deed: Deed, subject: Uint8Array, nanos: bigint): boolean {
	if (deed === "risk") return subject.length === 0 && nanos > NOTHING;
	const isAboutCase = deed === "answer" || deed === "uphold" || deed === "lift";
	return subject.length === (isAboutCase ? CASE_BYTES : KEY_BYTES) && nanos === NOTHING;
}

/** The hash of a decision in its chain; the first follows 32 zeros. */
export function chainDecision(crypto: Crypto, previous: Uint8Array, { bytes }: Pick<Signed, "bytes">): Uint8Array {
	return hashFor(crypto, "decision-chain", join(previous, bytes));
}

/** What the first decision follows. */
export const NO_DECISION: Uint8Array = new Uint8Array(HASH_BYTES);
