/**
 * The mailbox's side of the writer thread (`host/writer.ts`). It holds nothing of its own between requests, so a group that is rolled back
 * leaves nothing to correct; SQLite's page cache is the cache.
 */

import type { DatabaseSync } from "node:sqlite";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import { type Range, rangesOf } from "#contracts/ranges";
import { openDatabase, problemOfDatabase, shrink } from "#host/database";
import type { Opened } from "#host/writer";
import { type Gone, goneOf } from "./gone.ts";
import { PRINTS_MAX, packRanges, rememberUntilMs, union, unpackRanges } from "./marks.ts";
import type { NoteSheet } from "./notes.ts";
import { AT, FIELDS, type Parcel } from "./parcel.ts";
import { MAIL_KIND, MAIL_MIGRATIONS } from "./schema.ts";
import { type DeviceTable, type DroppedDevice, deviceTable } from "./sqlite-devices.ts";
import { type VisitCalls, visitsOf } from "./sqlite-visits.ts";
import type { KeptMail, MailboxState } from "./store.ts";

/** What the thread is started with. */
export type MailThreadOptions = { readonly path: string; readonly pagesMax?: number; readonly idleMs: number };

/** Told at the start: the raised epoch and the index. */
export type MailReady = { readonly epoch: number; readonly mailboxes: readonly MailboxState[] };

/** What a slice of expiry dropped. */
export type Expired = {
	readonly mail: readonly Gone[];
	readonly devices: readonly DroppedDevice[];
	/** Mail that was kept only for devices that were given up. */
	readonly trimmed: readonly Gone[];
	readonly tags: number;
	readonly mailboxes: readonly string[];
};

type Page = {
	readonly mailbox: string;
	readonly device: string;
	readonly after: number;
	readonly nowMs: number;
	readonly countMax: number;
	readonly bytesMax: number;
};

/** What may be asked of the thread. */
export type MailCalls = VisitCalls & {
	keep(parcel: Parcel): { unknown: number[] };
	note(sheet: NoteSheet): "noted";
	expire(slice: { nowMs: number; countMax: number }): Expired;
	read(page: Page): KeptMail[];
	marks(tag: string): { ranges: Range[]; prints: Map<number, number> };
};

/** SQLite's page cache: the upper pages of the indices of ten million mails. */
const CACHE_KIB = 16 * 1024;

/** Payload bytes that one slice of expiry drops: a large mail is several pages to free, and others wait for the writer meanwhile. */
const EXPIRED_BYTES_MAX = 1024 * 1024;

/** Pages given back to the disk in a slice that found nothing to drop: some milliseconds, and still a gigabyte an hour. */
const SHRUNK_PAGES_MAX = 64;

/** Opens the mailbox's file in the thread, raises the epoch on disk and reads the index. */
export function open(options: MailThreadOptions): Opened | Problem {
	const { path, pagesMax } = options;
	const size = pagesMax === undefined ? {} : { pagesMax };
	const database = openDatabase({ path, kind: MAIL_KIND, migrations: MAIL_MIGRATIONS, largeRows: true, ...size });
	if (isProblem(database)) return database;
	try {
		database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
		const epoch = Number(database.prepare("UPDATE epoch SET n = n + 1 RETURNING n").get()?.n);
		const ready: MailReady = { epoch, mailboxes: indexOf(database) };
		const devices = deviceTable(database);
		const writes = writesOf(database, devices, options.idleMs);
		return { database, writes, reads: readsOf(database, devices), ready };
	} catch (error) {
		const known = problemOfDatabase(error, path);
		database.close();
		if (known) return known;
		throw error;
	}
}

function indexOf(database: DatabaseSync): MailboxState[] {
	const rows = database.prepare(
		`SELECT mailbox, tokenHash, seenMs, ifnull(messages, 0) AS messages, ifnull(bytes, 0) AS bytes,
			ifnull(strangerMessages, 0) AS strangerMessages, ifnull(strangerBytes, 0) AS strangerBytes
		FROM mailboxes LEFT JOIN (
			SELECT box, count(*) AS messages, sum(bytes) AS bytes, sum(1 - byCard) AS strangerMessages, sum(bytes * (1 - byCard)) AS strangerBytes
			FROM mail GROUP BY box
		) ON box = id`,
	);
	const known = database.prepare(
		"SELECT mailbox, device FROM devices JOIN mailboxes ON mailboxes.id = box ORDER BY devices.id",
	);
	const devices = Map.groupBy(known.all(), (row) => String(row.mailbox));
	return rows.all().map((row) => ({
		...(row as unknown as MailboxState),
		tokenHash: asBytes(row.tokenHash),
		devices: (devices.get(String(row.mailbox)) ?? []).map(({ device }) => String(device)),
	}));
}

function asBytes(value: unknown): Uint8Array | undefined {
	return value instanceof Uint8Array ? value : undefined;
}

function writesOf(database: DatabaseSync, devices: DeviceTable, idleMs: number) {
	const boxOf = database.prepare("SELECT id FROM mailboxes WHERE mailbox = ?");
	const tagOf = database.prepare("SELECT id, ranges, untilMs FROM tags WHERE tag = ?");
	const newTag = database.prepare("INSERT INTO tags (tag, ranges, untilMs) VALUES (?, ?, ?)");
	// two statements, because one that names `untilMs` also rewrites its index
	const setRanges = database.prepare("UPDATE tags SET ranges = ? WHERE id = ?");
	const setUntil = database.prepare("UPDATE tags SET untilMs = ? WHERE id = ?");
	const putMail = database.prepare(
		"INSERT INTO mail (position, box, expiresAtMs, byCard, bytes, tag, seq, print, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	);
	const addQuota = database.prepare("UPDATE mailboxes SET droppedQuota = droppedQuota + ? WHERE mailbox = ?");
	const addTtl = database.prepare("UPDATE mailboxes SET droppedTtl = droppedTtl + ? WHERE id = ?");
	const nameOf = database.prepare("SELECT mailbox FROM mailboxes WHERE id = ?");
	const seeBox = database.prepare("UPDATE mailboxes SET seenMs = max(seenMs, ?) WHERE id = ?");
	const overMail = database.prepare(
		"SELECT position, box, byCard, bytes FROM mail WHERE expiresAtMs <= ? ORDER BY expiresAtMs, position LIMIT ?",
	);
	const dropMail = database.prepare("DELETE FROM mail WHERE position = ?");
	const expireTags = database.prepare(
		"DELETE FROM tags WHERE id IN (SELECT id FROM tags WHERE untilMs <= ? ORDER BY untilMs, tag LIMIT ?)",
	);
	const expireBoxes = database.prepare(
		`DELETE FROM mailboxes WHERE id IN (SELECT id FROM mailboxes AS old WHERE seenMs <= ?
			AND NOT EXISTS (SELECT 1 FROM mail WHERE box = old.id) ORDER BY seenMs, mailbox LIMIT ?) RETURNING mailbox`,
	);

	function rowOf(mailbox: string): number | undefined {
		return boxOf.get(mailbox)?.id as number | undefined;
	}

	/** Adds numbers to a tag's record; answers the tag's row. */
	function remember(tag: string, ranges: readonly Range[], untilMs: number): number {
		const known = tagOf.get(tag);
		if (!known) return Number(newTag.run(tag, packRanges(ranges), untilMs).lastInsertRowid);
		const id = Number(known.id);
		setRanges.run(packRanges(union(unpackRanges(asBytes(known.ranges) ?? new Uint8Array()), ranges)), id);
		if (Number(known.untilMs) < untilMs) setUntil.run(untilMs, id);
		return id;
	}

	return {
		keep: (parcel) => {
			const { numbers, mailboxes, tags } = parcel;
			const boxes = mailboxes.map((mailbox) => boxOf.get(mailbox)?.id as number | undefined);
			const at = (mail: number, field: number) => numbers[mail * FIELDS + field] as number;
			const unknown: number[] = [];
			const records = tags.map(() => ({ seqs: [] as number[], expiresAtMs: 0 }));
			const count = numbers.length / FIELDS;
			for (let i = 0; i < count; i++) {
				if (boxes[at(i, AT.mailbox)] === undefined) {
					unknown.push(i);
					continue;
				}
				const record = records[at(i, AT.tag)] as { seqs: number[]; expiresAtMs: number };
				record.seqs.push(at(i, AT.seq));
				record.expiresAtMs = Math.max(record.expiresAtMs, at(i, AT.expiresAtMs));
			}
			const rows = records.map(({ seqs, expiresAtMs }, tag) =>
				seqs.length === 0 ? 0 : remember(tags[tag] as string, rangesOf(seqs), rememberUntilMs(expiresAtMs)),
			);
			let { start } = parcel;
			for (let i = 0; i < count; i++) {
				const bytes = at(i, AT.bytes);
				const payload = new Uint8Array(parcel.memory, start, bytes);
				start += bytes;
				const box = boxes[at(i, AT.mailbox)];
				if (box === undefined) continue;
				const row = rows[at(i, AT.tag)] as number;
				const [position, expiresAtMs, byCard] = [at(i, AT.position), at(i, AT.expiresAtMs), at(i, AT.byCard)];
				putMail.run(position, box, expiresAtMs, byCard, bytes, row, at(i, AT.seq), at(i, AT.print), payload);
			}
			return { unknown };
		},
		...visitsOf(database, devices),
		note: ({ marks, drops, seen }) => {
			for (const { tag, ranges, untilMs } of marks) remember(tag, ranges, untilMs);
			for (const { mailbox, quota } of drops) {
				const box = rowOf(mailbox);
				if (box !== undefined && !devices.refused(box, quota)) addQuota.run(quota, mailbox);
			}
			for (const { mailbox, device, nowMs } of seen) {
				const box = rowOf(mailbox);
				if (box === undefined) continue;
				devices.see(box, device, nowMs);
				seeBox.run(nowMs, box);
			}
			return "noted";
		},
		expire: ({ nowMs, countMax }) => {
			const rows: Record<string, unknown>[] = [];
			let bytes = 0;
			for (const row of overMail.iterate(nowMs, countMax)) {
				if (bytes >= EXPIRED_BYTES_MAX) break;
				bytes += Number(row.bytes);
				rows.push(row);
			}
			for (const row of rows) dropMail.run(row.position as number);
			const mail = [...Map.groupBy(rows, (row) => row.box as number)].map(([box, dropped]) => {
				const positions = dropped.map((row) => Number(row.position));
				if (!devices.expired(box, positions)) addTtl.run(dropped.length, box);
				return goneOf(String(nameOf.get(box)?.mailbox), dropped);
			});
			let left = countMax - rows.length;
			const unseen = devices.dropUnseen(nowMs - LIMIT.deviceMs, left);
			left -= unseen.length;
			const trimmed = devices.trim(left).map(({ mailbox, rows }) => goneOf(mailbox, rows));
			left -= trimmed.reduce((sum, { messages }) => sum + messages, 0);
			// mail before records and mailboxes: what a record or a mailbox is still needed for is gone by then
			const tags = Number(expireTags.run(nowMs, left).changes);
			const idle = expireBoxes.all(nowMs - idleMs, left - tags);
			if (left === countMax && tags + idle.length === 0) shrink(database, SHRUNK_PAGES_MAX);
			return { mail, devices: unseen, trimmed, tags, mailboxes: idle.map((row) => String(row.mailbox)) };
		},
	} satisfies Partial<MailCalls>;
}

function readsOf(database: DatabaseSync, devices: DeviceTable) {
	const boxOf = database.prepare("SELECT id FROM mailboxes WHERE mailbox = ?");
	const mailAfter = database.prepare(
		`SELECT position, expiresAtMs, bytes, payload FROM mail
		WHERE box = ? AND position > ? AND expiresAtMs > ? ORDER BY position LIMIT ?`,
	);
	const mailAt = database.prepare(
		"SELECT position, expiresAtMs, bytes, payload FROM mail WHERE position = ? AND box = ? AND expiresAtMs > ?",
	);
	const ranges = database.prepare("SELECT ranges FROM tags WHERE tag = ?");
	const prints = database.prepare(
		// of two under one number the first counts: it comes last, and is the one that stays in the map
		"SELECT seq, print FROM mail WHERE tag = (SELECT id FROM tags WHERE tag = ?) ORDER BY seq DESC, position DESC LIMIT ?",
	);

	/** What a device has not acknowledged: its holes, then what lies behind its cursor. */
	function* unread({ mailbox, device, after, nowMs, countMax }: Page) {
		const box = boxOf.get(mailbox)?.id as number | undefined;
		if (box === undefined) return;
		const place = devices.of(box).find((known) => known.device === device);
		let left = countMax;
		for (const position of [...(place?.holes ?? [])].sort((a, b) => a - b)) {
			const row = left > 0 && position > after && mailAt.get(position, box, nowMs);
			if (!row) continue;
			left--;
			yield row;
		}
		yield* mailAfter.iterate(box, Math.max(after, place?.cursor ?? 0), nowMs, left);
	}

	return {
		read: (page) => {
			const { bytesMax } = page;
			const mails: KeptMail[] = [];
			let bytes = 0;
			for (const row of unread(page)) {
				bytes += Number(row.bytes);
				if (bytes > bytesMax && mails.length > 0) break;
				const payload = row.payload as Uint8Array;
				mails.push({ position: Number(row.position), expiresAtMs: Number(row.expiresAtMs), payload });
			}
			return mails;
		},
		marks: (tag) => ({
			ranges: unpackRanges(asBytes(ranges.get(tag)?.ranges) ?? new Uint8Array()),
			prints: new Map(prints.all(tag, PRINTS_MAX).map((row) => [Number(row.seq), Number(row.print)])),
		}),
	} satisfies Partial<MailCalls>;
}
