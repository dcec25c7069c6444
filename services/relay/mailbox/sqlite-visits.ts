/** What devices and their owner ask for in the writer's thread: a visit, giving a device up, acknowledging, being told of losses. */

import type { DatabaseSync } from "node:sqlite";
import { type Gone, goneOf } from "./gone.ts";
import type { DeviceTable } from "./sqlite-devices.ts";
import type { Known, Lost, Visit } from "./store.ts";

/** A device's visit; `waiting` is left out where all that is kept waits for it. */
export type Visited = Omit<Visit, "waiting" | "waitingBytes"> & Partial<Pick<Visit, "waiting" | "waitingBytes">>;

/** Who comes, and which of its owner's devices are there now. */
export type Visitor = {
	readonly mailbox: string;
	readonly device: string;
	readonly tokenHash: Uint8Array | undefined;
	readonly nowMs: number;
	readonly present: readonly string[];
};

/** What may be asked. */
export type VisitCalls = {
	visit(visitor: Visitor): Visited | "too-many";
	forget(device: { mailbox: string; device: string }): readonly Known[];
	acknowledge(mail: { mailbox: string; device: string; positions: readonly number[] }): Gone;
	told(counts: { mailbox: string; device: string; lost: Lost }): "told";
};

/** The handlers. */
export function visitsOf(database: DatabaseSync, devices: DeviceTable): VisitCalls {
	const boxOf = database.prepare("SELECT id FROM mailboxes WHERE mailbox = ?");
	const putBox = database.prepare(
		`INSERT INTO mailboxes (mailbox, tokenHash, seenMs) VALUES (?, ?, ?)
		ON CONFLICT (mailbox) DO UPDATE SET tokenHash = excluded.tokenHash, seenMs = max(seenMs, excluded.seenMs) RETURNING id`,
	);
	const removeMail = database.prepare("DELETE FROM mail WHERE position = ? AND box = ? RETURNING byCard, bytes");

	function rowOf(mailbox: string): number | undefined {
		return boxOf.get(mailbox)?.id as number | undefined;
	}

	function known(box: number): Known[] {
		return devices.of(box).map(({ device, seenMs }) => ({ device, seenMs }));
	}

	return {
		visit: ({ mailbox, device, tokenHash, nowMs, present }) => {
			const before = rowOf(mailbox);
			if (before !== undefined && !devices.hasRoom(before, device, present)) return "too-many";
			const box = putBox.get(mailbox, tokenHash ?? null, nowMs)?.id as number;
			const fresh = devices.register(box, device, nowMs, present);
			const mine = devices.of(box).find((other) => other.device === device);
			if (!mine) throw new Error("a device that was registered is not there");
			const { droppedTtl, droppedQuota } = mine;
			return { fresh, droppedTtl, droppedQuota, devices: known(box), ...devices.waiting(box, mine) };
		},
		forget: ({ mailbox, device }) => {
			const box = rowOf(mailbox);
			if (box === undefined) return [];
			const given = devices.of(box).find((other) => other.device === device);
			if (given) devices.drop(box, given);
			return known(box);
		},
		acknowledge: ({ mailbox, device, positions }) => {
			const box = rowOf(mailbox);
			const over = box === undefined ? [] : devices.acknowledge(box, device, positions);
			return goneOf(
				mailbox,
				over.map((position) => removeMail.get(position, box as number)),
			);
		},
		told: ({ mailbox, device, lost }) => {
			const box = rowOf(mailbox);
			if (box !== undefined) devices.told(box, device, lost);
			return "told";
		},
	};
}
