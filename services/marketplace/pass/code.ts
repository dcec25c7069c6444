/**
 * Codes as the book keeps them: by their hash, so that whoever reads the records can use none. Whoever gives codes out makes them at home and brings the hashes;
 * a batch of them has a record of its own, by which all are taken back at once.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { HASH_BYTES } from "#contracts/identity";
import type { Book, Most, RecordRow, RowChange } from "#marketplace/ledger/book";

/**
 * - `open`: it can be used, as often as it is good for
 * - `used`: it was, as often as it was good for
 * - `revoked`: whoever gave it took it back; passes that were had by it end
 */
export type CodeState = "open" | "used" | "revoked";

/** A code that brings a pass. */
export type Code = {
	/** its hash in hex */
	readonly hash: string;
	readonly version: number;
	/** who gave it: a sponsor or an enroller */
	readonly giver: string;
	readonly state: CodeState;
	readonly untilMs: number;
	/** id in hex */
	readonly pool: string;
	readonly batch: string | undefined;
	/** for how many people it is good, and how many it brought a pass */
	readonly uses: number;
	readonly used: number;
	/** what each gets: quota of a month, and for how many days after they use it, at most */
	readonly monthBytes: bigint;
	readonly days: number;
	/** the enroller's signed word, in hex, where it is one's */
	readonly signed: string | undefined;
};

/** Codes of one batch: what fits a request, and a sheet of paper. More people take more batches. */
export const BATCH_CODES_MAX = 200;
/** For how many people one code may be good: a poster in a school. More is a secret that everybody knows. */
export const USES_MAX = 1_000;
/** The longest that a code waits to be used: a paper that is older is lost. */
export const CODE_MS_MAX = 400 * 86_400_000;
/** The longest life of a pass that a code brings, in days. */
export const PASS_DAYS_MAX = 400;

/** Batches that one sponsor may have at once: the book counts, and twenty thousand codes are enough to begin with. */
export const ROOM: Most = { states: ["batch"], ofAccount: 100 };

type Json = Pick<Code, "pool" | "batch" | "uses" | "used" | "days" | "signed"> & { readonly monthBytes: string };

/** The code with a hash; undefined when there is none, or it is a gift's. */
export async function codeOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	hash: Uint8Array | string,
): Promise<Code | undefined> {
	const row = await book.record("codes", typeof hash === "string" ? hash : toHex(hash));
	return row && isCodeState(row.state) ? readCodeRow(row) : undefined;
}

function isCodeState(state: string): state is CodeState {
	return state === "open" || state === "used" || state === "revoked";
}

function readCodeRow({ key, version, account, state, dueMs, value }: RecordRow): Code {
	const { monthBytes, ...rest } = JSON.parse(value) as Json;
	const base = { hash: key, version, giver: account, state: state as CodeState, untilMs: dueMs };
	return { ...rest, batch: rest.batch, signed: rest.signed, ...base, monthBytes: BigInt(monthBytes) };
}

/** Writes a code over the version that it was read at. */
export function writeCodeRow({ hash, version, giver, state, untilMs, ...rest }: Code): RowChange {
	const value = JSON.stringify({ ...rest, monthBytes: rest.monthBytes.toString() });
	return { table: "codes", expect: version, row: { key: hash, account: giver, state, dueMs: untilMs, value } };
}

/** A batch of codes: what they are for, and whether they were taken back. */
export type Batch = {
	/** 16 bytes in hex, chosen by whoever gives the codes */
	readonly id: string;
	readonly version: number;
	readonly giver: string;
	readonly state: "batch" | "batch-revoked";
	readonly untilMs: number;
	readonly pool: string;
	readonly count: number;
	readonly uses: number;
	/** quota of a month that each brings */
	readonly monthBytes: bigint;
	readonly days: number;
	readonly madeAtMs: number;
};

/** The key of a batch among the codes: no hash looks like it. */
export function batchKey(id: string): string {
	return `batch:${id}`;
}

/** A batch. */
export async function batchOf(
	{ book }: { readonly book: Pick<Book, "record"> },
	id: string,
): Promise<Batch | undefined> {
	const row = await book.record("codes", batchKey(id));
	return row && readBatchRow(row);
}

/** Reads a batch. */
export function readBatchRow({ key, version, account, state, dueMs, value }: RecordRow): Batch {
	const { monthBytes, ...rest } = JSON.parse(value) as Omit<Batch, "monthBytes"> & { readonly monthBytes: string };
	return {
		...rest,
		monthBytes: BigInt(monthBytes),
		id: key.slice(batchKey("").length),
		version,
		giver: account,
		state: state as Batch["state"],
		untilMs: dueMs,
	};
}

/** Writes a batch over the version that it was read at. */
export function writeBatchRow({ id, version, giver, state, untilMs, ...rest }: Batch): RowChange {
	const value = JSON.stringify({ ...rest, monthBytes: rest.monthBytes.toString() });
	return { table: "codes", expect: version, row: { key: batchKey(id), account: giver, state, dueMs: untilMs, value } };
}

/** Whether a code was taken back, by itself or with its batch: passes that were had by it are over then. */
export async function isTakenBack(
	market: { readonly book: Pick<Book, "record"> },
	code: Code | undefined,
): Promise<boolean> {
	if (!code) return false;
	if (code.state === "revoked") return true;
	return code.batch !== undefined && (await batchOf(market, code.batch))?.state === "batch-revoked";
}

/** Whether a text is a hash's hex. */
export function isHash(hex: string): boolean {
	return fromHex(hex, HASH_BYTES) !== undefined;
}
