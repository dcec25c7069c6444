/** The devices of mailboxes, in the writer's thread: who is registered, what each has acknowledged, what may go (`place.ts`). */

import type { DatabaseSync } from "node:sqlite";
import { LIMIT } from "#contracts/limit";
import { HOLES_MAX, lacks, type Place, packHoles, unpackHoles } from "./place.ts";
import type { Known, Lost } from "./store.ts";

/** A device's row. */
export type DeviceRow = Known & Lost & Place & { readonly id: number };

/** A device that was given up because it was away for too long. */
export type DroppedDevice = { readonly mailbox: string; readonly device: string };

/** Mail that nobody waits for any more, as its row says. */
export type Trimmed = { readonly mailbox: string; readonly rows: Record<string, unknown>[] };

/** The devices' side of the mailbox's file. `box` is a mailbox's row. */
export type DeviceTable = ReturnType<typeof deviceTable>;

/** Makes the statements. */
export function deviceTable(database: DatabaseSync) {
	const ofBox = database.prepare(
		"SELECT id, device, seenMs, cursor, holes, droppedTtl, droppedQuota FROM devices WHERE box = ? ORDER BY id",
	);
	const takeLosses = database.prepare("UPDATE mailboxes SET droppedTtl = 0, droppedQuota = 0 WHERE id = ?");
	const losses = database.prepare("SELECT droppedTtl, droppedQuota FROM mailboxes WHERE id = ?");
	const insert = database.prepare(
		"INSERT INTO devices (box, device, seenMs, droppedTtl, droppedQuota) VALUES (?, ?, ?, ?, ?)",
	);
	const see = database.prepare("UPDATE devices SET seenMs = max(seenMs, ?) WHERE box = ? AND device = ?");
	const remove = database.prepare("DELETE FROM devices WHERE id = ?");
	const toTrim = database.prepare("UPDATE mailboxes SET trim = ? WHERE id = ?");
	const leave = database.prepare(
		"UPDATE mailboxes SET droppedTtl = droppedTtl + ?, droppedQuota = droppedQuota + ? WHERE id = ?",
	);
	const between = database.prepare(
		"SELECT position FROM mail WHERE box = ? AND position > ? AND position <= ? ORDER BY position LIMIT ?",
	);
	const isThere = database.prepare("SELECT 1 FROM mail WHERE position = ? AND box = ?");
	const setPlace = database.prepare("UPDATE devices SET cursor = ?, holes = ? WHERE id = ?");
	const addTtl = database.prepare("UPDATE devices SET droppedTtl = droppedTtl + ? WHERE id = ?");
	const addQuota = database.prepare("UPDATE devices SET droppedQuota = droppedQuota + ? WHERE box = ?");
	const tell = database.prepare(
		// not below zero: a disk may have refused to note what was told all the same
		`UPDATE devices SET droppedTtl = max(0, droppedTtl - ?), droppedQuota = max(0, droppedQuota - ?) WHERE box = ? AND device = ?`,
	);
	const unseen = database.prepare(
		`SELECT devices.id, box, mailbox, device, devices.droppedTtl, devices.droppedQuota FROM devices JOIN mailboxes ON mailboxes.id = box
		WHERE devices.seenMs <= ? ORDER BY devices.seenMs, device, mailbox LIMIT ?`,
	);
	const countOf = database.prepare("SELECT count(*) AS n FROM devices WHERE box = ?");
	const untrimmed = database.prepare("SELECT id, mailbox FROM mailboxes WHERE trim = 1 ORDER BY mailbox LIMIT ?");
	const trimMail = database.prepare(
		`DELETE FROM mail WHERE position IN (SELECT position FROM mail WHERE box = ? AND position <= ?
			AND position NOT IN (SELECT value FROM json_each(?)) ORDER BY position LIMIT ?) RETURNING byCard, bytes`,
	);
	const waiting = database.prepare(
		"SELECT count(*) AS n, ifnull(sum(bytes), 0) AS bytes FROM mail WHERE box = ? AND position > ?",
	);
	const sizeOf = database.prepare("SELECT bytes FROM mail WHERE position = ? AND box = ?");

	function of(box: number): DeviceRow[] {
		return ofBox
			.all(box)
			.map((row) => ({ ...(row as unknown as DeviceRow), holes: unpackHoles((row as { holes: unknown }).holes) }));
	}

	/** Gives a device up. What it had not been told of is for whoever comes when it was the last. */
	function drop(box: number, device: Pick<DeviceRow, "id"> & Lost): void {
		remove.run(device.id);
		if (countOf.get(box)?.n === 0) leave.run(device.droppedTtl, device.droppedQuota, box);
		else toTrim.run(1, box);
	}

	return {
		of,
		drop,

		/** Whether a device is known, or there is a place for it, or one to give way that is not present. */
		hasRoom(box: number, device: string, present: readonly string[]): boolean {
			const all = of(box);
			if (all.length < LIMIT.devicesMax) return true;
			return all.some((known) => known.device === device || !present.includes(known.device));
		},

		/** Registers a device or sees it again; whether it is new. The one unseen the longest gives way, if it is not present. */
		register(box: number, device: string, nowMs: number, present: readonly string[]): boolean {
			const all = of(box);
			if (all.some((known) => known.device === device)) {
				see.run(nowMs, box, device);
				return false;
			}
			const [oldest] = all.filter((known) => !present.includes(known.device)).sort((a, b) => a.seenMs - b.seenMs);
			if (all.length >= LIMIT.devicesMax && oldest) drop(box, oldest);
			const lost = all.length === 0 ? (losses.get(box) as unknown as Lost) : { droppedTtl: 0, droppedQuota: 0 };
			insert.run(box, device, nowMs, lost.droppedTtl, lost.droppedQuota);
			if (all.length === 0) takeLosses.run(box);
			return true;
		},

		see: (box: number, device: string, nowMs: number) => void see.run(nowMs, box, device),

		/** What of these positions can be deleted now that a device has acknowledged them. With one device all, and nothing is written. */
		acknowledge(box: number, device: string, positions: readonly number[]): readonly number[] {
			const all = of(box);
			const mine = all.find((known) => known.device === device);
			if (!mine) return [];
			if (all.length === 1) return positions;
			const said = new Set(positions);
			const cursor = positions.reduce((last, position) => Math.max(last, position), mine.cursor);
			const passed = between.all(box, mine.cursor, cursor, positions.length + HOLES_MAX + 1);
			let holes = [...mine.holes, ...passed.map((row) => Number(row.position))].filter((p) => !said.has(p));
			// what expired meanwhile needs no hole
			if (holes.length > HOLES_MAX) holes = holes.filter((position) => isThere.get(position, box));
			// more than a window of unacknowledged mail: nobody was given that, so nothing is noted, and it comes again
			if (holes.length > HOLES_MAX) return [];
			setPlace.run(cursor, packHoles(holes), mine.id);
			return positions.filter((position) => all.every((other) => other === mine || !lacks(other, position)));
		},

		/** Counts mail that is past its time for the devices that had not acknowledged it; false when there is none. */
		expired(box: number, positions: readonly number[]): boolean {
			const all = of(box);
			for (const device of all) {
				const lost = positions.filter((position) => lacks(device, position)).length;
				if (lost > 0) addTtl.run(lost, device.id);
			}
			return all.length > 0;
		},

		/** Counts refused mail for every device; false when there is none. */
		refused: (box: number, quota: number): boolean => Number(addQuota.run(quota, box).changes) > 0,

		told: (box: number, device: string, { droppedTtl, droppedQuota }: Lost) =>
			void tell.run(droppedTtl, droppedQuota, box, device),

		/** How much waits for a device; undefined when it is all that there is. */
		waiting(box: number, { cursor, holes }: Place): { waiting: number; waitingBytes: number } | undefined {
			if (cursor === 0) return undefined;
			const { n, bytes } = waiting.get(box, cursor) as { n: number; bytes: number };
			const there = [...holes].flatMap((position) => (sizeOf.get(position, box)?.bytes as number) ?? []);
			return { waiting: n + there.length, waitingBytes: there.reduce((sum, size) => sum + size, bytes) };
		},

		/** Gives up devices that nobody saw since then, those unseen the longest first. */
		dropUnseen(sinceMs: number, countMax: number): DroppedDevice[] {
			const rows = unseen.all(sinceMs, countMax) as unknown as (DroppedDevice & Lost & { id: number; box: number })[];
			for (const row of rows) drop(row.box, row);
			return rows.map(({ mailbox, device }) => ({ mailbox, device }));
		},

		/** Deletes mail that was kept only for devices given up. */
		trim(countMax: number): Trimmed[] {
			const trimmed: Trimmed[] = [];
			let left = countMax;
			for (const { id, mailbox } of untrimmed.all(left) as { id: number; mailbox: string }[]) {
				if (left <= 0) break;
				const all = of(id);
				const to = Math.min(...all.map(({ cursor }) => cursor));
				const wanted = JSON.stringify(all.flatMap(({ holes }) => [...holes]));
				const rows = all.length === 0 ? [] : trimMail.all(id, to, wanted, left);
				if (rows.length > 0) trimmed.push({ mailbox, rows });
				left -= rows.length;
				if (left <= 0) break;
				toTrim.run(0, id);
				// what is left now is all unacknowledged: one device alone needs no place
				const [alone] = all;
				if (alone && all.length === 1) setPlace.run(0, new Uint8Array(0), alone.id);
			}
			return trimmed;
		},
	};
}
