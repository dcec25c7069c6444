/**
 * The archive of a ledger: a file for each stretch that was pruned, one line a transfer in order of position. A line has one way to be written, so that any other byte
 * in it is seen, and the last line says what the chain over all transfers comes to.
 */

import { createReadStream, existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { passFaultPoint } from "#host/fault";
import { PART, syncFolder } from "#host/replace";
import { chained, type Slice } from "./pruning.ts";
import { digestOf, type KeptTransfer } from "./transfer.ts";

/** Far more than a transfer of the most entries with the longest names takes. */
const LINE_CHARS_MAX = 16_384;
/** Lines written at once. */
const CHUNK_CHARS = 65_536;
/** Names are in order of positions as long as no ledger has more transfers than this many digits count. */
const DIGITS = 15;

/** What is wrong with an archive, in plain words. */
export class ArchiveFault extends Error {}

/** Where a stretch begins: after which position, and what the chain is there. */
export type Start = Pick<Slice, "since" | "chain">;

let count = 0;

/** The file of a stretch. */
export function archivePath(folder: string, { since, upTo }: Pick<Slice, "since" | "upTo">): string {
	const [from, to] = [since + 1, upTo].map((position) => position.toString().padStart(DIGITS, "0"));
	return join(folder, `ledger-${from}-${to}.jsonl`);
}

function headOf({ since, chain }: Start): string {
	return JSON.stringify({ archive: "farelay/ledger/v1", since, chain });
}

function endOf({ upTo, chain }: Pick<Slice, "upTo" | "chain">): string {
	return JSON.stringify({ upTo, chain });
}

function lineOf({ position, id, cause, atMs, entries }: KeptTransfer): string {
	const sorted = entries.toSorted((a, b) => (a.account < b.account ? -1 : 1));
	return JSON.stringify([position, id, cause, atMs, sorted.map(({ account, nanos }) => [account, `${nanos}`])]);
}

/** Reads a line; undefined for one that no archive has. */
function readLine(line: string): KeptTransfer | undefined {
	try {
		const [position, id, cause, atMs, sides] = JSON.parse(line);
		const entries = sides.map(([account, nanos]: [string, string]) => ({ account, nanos: BigInt(nanos) }));
		const transfer = { position, id, cause, atMs, entries };
		const read = { ...transfer, digest: digestOf(transfer) };
		return lineOf(read) === line ? read : undefined;
	} catch {
		return undefined;
	}
}

/** Takes away what was killed while it was written: nobody reads it, and it would stay for ever. Whoever writes it still has {@link isSwept}. */
export async function sweepArchive(folder: string): Promise<void> {
	const names = existsSync(folder) ? await readdir(folder) : [];
	for (const name of names)
		if (/^ledger-\d/.test(name) && name.endsWith(PART)) await rm(join(folder, name), { force: true });
}

/** Whether somebody else swept away what was being written. */
export function isSwept(error: unknown): boolean {
	const { code, syscall } = error as NodeJS.ErrnoException;
	return code === "ENOENT" && syscall === "rename";
}

/**
 * Writes the transfers after a start, in their order, to a file that has its name only when it is whole and on the disk. One that has the name already stays, as it may be
 * another ledger's: who reads it back knows. Undefined when there was nothing to write.
 * @throws ArchiveFault for a transfer that is not what it was when it was made
 */
export async function writeArchive(
	folder: string,
	start: Start,
	transfers: AsyncIterable<KeptTransfer>,
): Promise<Slice | undefined> {
	await mkdir(folder, { recursive: true, mode: 0o700 });
	// a name of its own for each: two at once must not write into each other's
	const part = join(folder, `ledger-${start.since + 1}-${process.pid}-${count++}${PART}`);
	const file = await open(part, "w", 0o600);
	let slice: Slice = { ...start, upTo: start.since, atMs: 0 };
	try {
		let chunk = `${headOf(start)}\n`;
		for await (const transfer of transfers) {
			const { position, atMs } = transfer;
			if (position !== slice.upTo + 1 || digestOf(transfer) !== transfer.digest)
				throw new ArchiveFault(`Transfer ${transfer.id} is not what it was when it was made`);
			slice = { ...slice, upTo: position, atMs, chain: chained(slice.chain, transfer) };
			chunk += `${lineOf(transfer)}\n`;
			if (chunk.length < CHUNK_CHARS) continue;
			await file.writeFile(chunk);
			chunk = "";
		}
		if (slice.upTo === start.since) return undefined;
		await file.writeFile(`${chunk}${endOf(slice)}\n`);
		await file.sync();
		passFaultPoint("archive:written");
		const path = archivePath(folder, slice);
		if (!existsSync(path)) await rename(part, path);
		await syncFolder(folder);
		passFaultPoint("archive:named");
		return slice;
	} finally {
		await file.close();
		await rm(part, { force: true });
	}
}

/** The transfers of a stretch, from its file. @throws ArchiveFault for whatever is not as it was written; it may come after the last transfer. */
export async function* readArchive(
	folder: string,
	start: Start,
	{ upTo, chain }: Pick<Slice, "upTo" | "chain">,
): AsyncGenerator<KeptTransfer> {
	const path = archivePath(folder, { since: start.since, upTo });
	const lines = linesOf(path);
	const next = async (): Promise<string> => (await lines.next()).value ?? "";
	try {
		if ((await next()) !== headOf(start)) throw new ArchiveFault(`${path} does not begin where the one before it ends`);
		let reached = start.chain;
		for (let position = start.since + 1; position <= upTo; position++) {
			const transfer = readLine(await next());
			if (transfer?.position !== position) throw new ArchiveFault(`${path}: the line of transfer ${position} is none`);
			reached = chained(reached, transfer);
			yield transfer;
		}
		if (reached !== chain) throw new ArchiveFault(`${path}: its transfers are not those that were pruned`);
		if ((await next()) !== endOf({ upTo, chain }) || !(await lines.next()).done)
			throw new ArchiveFault(`${path} does not end as it was written`);
	} finally {
		await lines.return(undefined);
	}
}

/** The lines of a file, each of which ends. */
async function* linesOf(path: string): AsyncGenerator<string, undefined> {
	const stream = createReadStream(path, { encoding: "utf8" });
	let rest = "";
	try {
		for await (const chunk of stream as AsyncIterable<string>) {
			const lines = (rest + chunk).split("\n");
			rest = lines.pop() ?? "";
			if (rest.length > LINE_CHARS_MAX) break;
			yield* lines;
		}
	} catch (error) {
		throw new ArchiveFault(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
	} finally {
		stream.destroy();
	}
	if (rest !== "") throw new ArchiveFault(`${path} ends within a line`);
	return undefined;
}
