/**
 * The mailbox's side of the writer thread (`host/writer.ts`). It holds nothing of its own between requests, so a group that is rolled back
 * leaves nothing to correct; SQLite's page cache is the cache.
 */

import type { DatabaseSync } from "node:sqlite";
import { isProblem, type Problem } from "#contracts/problem";
import { type Range, rangesOf } from "#contracts/ranges";
import { openDatabase, problemOfDatabase } from "#host/database";
import type { Opened } from "#host/writer";
import { PRINTS_MAX, packRanges, rememberUntilMs, union, unpackRanges } from "./marks.ts";
import type { NoteSheet } from "./notes.ts";
import { type Packed, type Parcel, unpack } from "./parcel.ts";
import type { Filling } from "./quota.ts";
import { MAIL_KIND, MAIL_MIGRATIONS } from "./schema.ts";
import type { KeptMail, MailboxState } from "./store.ts";

/** What the thread is started with. */
export type MailThreadOptions = { readonly path: string; readonly pagesMax?: number; readonly idleMs: number };

/** Told at the start: the raised epoch and the index. */
export type MailReady = { readonly epoch: number; readonly mailboxes: readonly MailboxState[] };

/** What left a mailbox. */
export type Gone = Filling & { readonly mailbox: string };

/** What a slice of expiry dropped. */
export type Expired = { readonly mail: readonly Gone[]; readonly tags: number; readonly mailboxes: readonly string[] };

/** What may be asked of the thread. */
export type MailCalls = {
	keep(parcel: Parcel): { unknown: number[] };
	create(mailbox: { mailbox: string; tokenHash: Uint8Array | undefined; nowMs: number }): "created";
	remove(mail: { mailbox: string; positions: readonly number[] }): Gone;
	note(sheet: NoteSheet): "noted";
	told(counts: { mailbox: string; ttl: number; quota: number }): "told";
	expire(slice: { nowMs: number; countMax: number }): Expired;
	read(page: { mailbox: string; after: number; nowMs: number; countMax: number; bytesMax: number }): KeptMail[];
	marks(tag: string): { ranges: Range[]; prints: Map<number, number> };
};

/** SQLite's page cache: the upper pages of the indices of ten million mails. */
const CACHE_KIB = 16 * 1024;

/** Opens the mailbox's file in the thread, raises the epoch on disk and reads the index. */
export function open(options: MailThreadOptions): Opened | Problem {
	const { path, pagesMax } = options;
	const size = pagesMax === undefined ? {} : { pagesMax };
	const database = openDatabase({ path, kind: MAIL_KIND, migrations: MAIL_MIGRATIONS, ...size });
	if (isProblem(database)) return database;
	try {
		database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
		const epoch = Number(database.prepare("UPDATE epoch SET n = n + 1 RETURNING n").get()?.n);
		const ready: MailReady = { epoch, mailboxes: indexOf(database) };
		return { database, writes: writesOf(database, options.idleMs), reads: readsOf(database), ready };
	} catch (error) {
		const known = problemOfDatabase(error, path);
		database.close();
		if (known) return known;
		throw error;
	}
}

function indexOf(database: DatabaseSync): MailboxState[] {
	const rows = database.prepare(
		`SELECT mailbox, tokenHash, droppedTtl, droppedQuota, seenMs, ifnull(messages, 0) AS messages, ifnull(bytes, 0) AS bytes,
			ifnull(strangerMessages, 0) AS strangerMessages, ifnull(strangerBytes, 0) AS strangerBytes
		FROM mailboxes LEFT JOIN (
			SELECT box, count(*) AS messages, sum(bytes) AS bytes, sum(1 - byCard) AS strangerMessages, sum(bytes * (1 - byCard)) AS strangerBytes
			FROM mail GROUP BY box
		) ON box = id`,
	);
	return rows.all().map((row) => ({ ...(row as unknown as MailboxState), tokenHash: asBytes(row.tokenHash) }));
}

function asBytes(value: unknown): Uint8Array | undefined {
	return value instanceof Uint8Array ? value : undefined;
}

function writesOf(database: DatabaseSync, idleMs: number) {
	const boxOf = database.prepare("SELECT id FROM mailboxes WHERE mailbox = ?");
	const tagOf = database.prepare("SELECT id, ranges, untilMs FROM tags WHERE tag = ?");
	const newTag = database.prepare("INSERT INTO tags (tag, ranges, untilMs) VALUES (?, ?, ?)");
	// two statements, because one that names `untilMs` also rewrites its index
	const setRanges = database.prepare("UPDATE tags SET ranges = ? WHERE id = ?");
	const setUntil = database.prepare("UPDATE tags SET untilMs = ? WHERE id = ?");
	const putMail = database.prepare(
		"INSERT INTO mail (position, box, expiresAtMs, byCard, bytes, tag, seq, print, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	);
	const putBox = database.prepare(
		`INSERT INTO mailboxes (mailbox, tokenHash, seenMs) VALUES (?, ?, ?)
		ON CONFLICT (mailbox) DO UPDATE SET tokenHash = excluded.tokenHash, seenMs = max(seenMs, excluded.seenMs)`,
	);
	const removeMail = database.prepare("DELETE FROM mail WHERE position = ? AND box = ? RETURNING byCard, bytes");
	const addQuota = database.prepare("UPDATE mailboxes SET droppedQuota = droppedQuota + ? WHERE mailbox = ?");
	const addTtl = database.prepare("UPDATE mailboxes SET droppedTtl = droppedTtl + ? WHERE id = ? RETURNING mailbox");
	const tell = database.prepare(
		// not below zero: a disk may have refused to note what was told all the same
		`UPDATE mailboxes SET droppedTtl = max(0, droppedTtl - ?), droppedQuota = max(0, droppedQuota - ?) WHERE mailbox = ?`,
	);
	const expireMail = database.prepare(
		`DELETE FROM mail WHERE position IN
			(SELECT position FROM mail WHERE expiresAtMs <= ? ORDER BY expiresAtMs, position LIMIT ?) RETURNING box, byCard, bytes`,
	);
	const expireTags = database.prepare(
		"DELETE FROM tags WHERE id IN (SELECT id FROM tags WHERE untilMs <= ? ORDER BY untilMs, tag LIMIT ?)",
	);
	const expireBoxes = database.prepare(
		`DELETE FROM mailboxes WHERE id IN (SELECT id FROM mailboxes AS old WHERE seenMs <= ?
			AND NOT EXISTS (SELECT 1 FROM mail WHERE box = old.id) ORDER BY seenMs, mailbox LIMIT ?) RETURNING mailbox`,
	);

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
			const boxes = parcel.mailboxes.map((mailbox) => boxOf.get(mailbox)?.id as number | undefined);
			const unknown: number[] = [];
			const known: Packed[] = [];
			unpack(parcel).forEach((mail, i) => {
				if (boxes[mail.mailbox] === undefined) unknown.push(i);
				else known.push(mail);
			});
			const bySender = Map.groupBy(known, (mail) => mail.tag);
			for (const [tag, mails] of bySender) {
				const untilMs = Math.max(...mails.map((mail) => rememberUntilMs(mail.expiresAtMs)));
				const row = remember(parcel.tags[tag] as string, rangesOf(mails.map((mail) => mail.seq)), untilMs);
				for (const mail of mails) {
					const { position, expiresAtMs, byCard, payload, seq, print } = mail;
					const box = boxes[mail.mailbox] as number;
					putMail.run(position, box, expiresAtMs, Number(byCard), payload.length, row, seq, print, payload);
				}
			}
			return { unknown };
		},
		create: ({ mailbox, tokenHash, nowMs }) => {
			putBox.run(mailbox, tokenHash ?? null, nowMs);
			return "created";
		},
		remove: ({ mailbox, positions }) => {
			const box = boxOf.get(mailbox)?.id as number | undefined;
			const gone = goneFrom(mailbox);
			if (box !== undefined) for (const position of positions) count(gone, removeMail.get(position, box));
			return gone;
		},
		note: ({ marks, drops }) => {
			for (const { tag, ranges, untilMs } of marks) remember(tag, ranges, untilMs);
			for (const { mailbox, quota } of drops) addQuota.run(quota, mailbox);
			return "noted";
		},
		told: ({ mailbox, ttl, quota }) => {
			tell.run(ttl, quota, mailbox);
			return "told";
		},
		expire: ({ nowMs, countMax }) => {
			const rows = expireMail.all(nowMs, countMax);
			const mail = [...Map.groupBy(rows, (row) => row.box as number)].map(([box, dropped]) => {
				const gone = goneFrom(String(addTtl.get(dropped.length, box)?.mailbox));
				for (const row of dropped) count(gone, row);
				return gone;
			});
			// mail before records and mailboxes: what a record or a mailbox is still needed for is gone by then
			const tags = Number(expireTags.run(nowMs, countMax - rows.length).changes);
			const idle = expireBoxes.all(nowMs - idleMs, countMax - rows.length - tags);
			return { mail, tags, mailboxes: idle.map((row) => String(row.mailbox)) };
		},
	} satisfies Partial<MailCalls>;
}

type Counting = { -readonly [Key in keyof Gone]: Gone[Key] };

function goneFrom(mailbox: string): Counting {
	return { mailbox, messages: 0, bytes: 0, strangerMessages: 0, strangerBytes: 0 };
}

function count(gone: Counting, row: Record<string, unknown> | undefined): void {
	if (!row) return;
	const stranger = 1 - Number(row.byCard);
	gone.messages += 1;
	gone.bytes += Number(row.bytes);
	gone.strangerMessages += stranger;
	gone.strangerBytes += stranger * Number(row.bytes);
}

function readsOf(database: DatabaseSync) {
	const mailAfter = database.prepare(
		`SELECT position, expiresAtMs, bytes, payload FROM mail
		WHERE box = (SELECT id FROM mailboxes WHERE mailbox = ?) AND position > ? AND expiresAtMs > ? ORDER BY position LIMIT ?`,
	);
	const ranges = database.prepare("SELECT ranges FROM tags WHERE tag = ?");
	const prints = database.prepare(
		// of two under one number the first counts: it comes last, and is the one that stays in the map
		"SELECT seq, print FROM mail WHERE tag = (SELECT id FROM tags WHERE tag = ?) ORDER BY seq DESC, position DESC LIMIT ?",
	);
	return {
		read: ({ mailbox, after, nowMs, countMax, bytesMax }) => {
			const mails: KeptMail[] = [];
			let bytes = 0;
			for (const row of mailAfter.iterate(mailbox, after, nowMs, countMax)) {
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
