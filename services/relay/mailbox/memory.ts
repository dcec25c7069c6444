/** The mail store in memory: the oracle that the SQLite engine is held against, and the relay's disk in tests. Nothing outlives it. */

import { LIMIT } from "#contracts/limit";
import { type Range, rangesOf } from "#contracts/ranges";
import { addTo, type Entry, newEntry, takeFrom, totalOf } from "./entry.ts";
import { PRINTS_MAX, rememberUntilMs, union } from "./marks.ts";
import { IDLE_MS, type KeepResult, type Known, MAILBOXES_MAX, type Mail, type MailStore } from "./store.ts";

/** What {@link openMemoryMailStore} may be told; the same as for `sqlite.ts`. */
export type MemoryMailOptions = {
	readonly mailboxesMax?: number;
	readonly idleMs?: number;
	/** Default 1. */
	readonly epoch?: number;
};

/** A device, and every position that it has acknowledged and others have not. */
type Device = { readonly device: string; seenMs: number; readonly acked: Set<number>; ttl: number; quota: number };

/** A mailbox's devices; what was lost while it had none; whether mail may wait for nobody. */
type Household = { devices: Device[]; ttl: number; quota: number; trim: boolean };

/** Makes an empty store. */
export function openMemoryMailStore(options: MemoryMailOptions = {}): MailStore {
	const { mailboxesMax = MAILBOXES_MAX, idleMs = IDLE_MS, epoch = 1 } = options;
	const index = new Map<string, Entry>();
	const households = new Map<string, Household>();
	const total = totalOf([]);
	const mails = new Map<number, Mail>();
	const tags = new Map<string, { ranges: Range[]; untilMs: number }>();

	function remember(tag: string, ranges: readonly Range[], untilMs: number): void {
		const known = tags.get(tag) ?? { ranges: [], untilMs };
		tags.set(tag, { ranges: union(known.ranges, ranges), untilMs: Math.max(known.untilMs, untilMs) });
	}

	function keepOne(mail: Mail): KeepResult {
		const entry = index.get(mail.mailbox);
		if (!entry) return "mailbox-unknown";
		if (mails.has(mail.position)) throw new Error("a position came twice");
		mails.set(mail.position, { ...mail, payload: mail.payload.slice() });
		remember(mail.tag, rangesOf([mail.seq]), rememberUntilMs(mail.expiresAtMs));
		addTo(entry, mail.payload.length, mail.byCard, total);
		return "kept";
	}

	function drop(mail: Mail): void {
		mails.delete(mail.position);
		const entry = index.get(mail.mailbox);
		const { length } = mail.payload;
		const stranger = mail.byCard ? 0 : 1;
		if (entry)
			takeFrom(
				entry,
				{ messages: 1, bytes: length, strangerMessages: stranger, strangerBytes: stranger * length },
				total,
			);
	}

	function household(mailbox: string): Household {
		const known = households.get(mailbox) ?? { devices: [], ttl: 0, quota: 0, trim: false };
		households.set(mailbox, known);
		return known;
	}

	function find(mailbox: string, device: string): Device | undefined {
		return households.get(mailbox)?.devices.find((known) => known.device === device);
	}

	/** Mail of a mailbox in order. */
	function mailOf(mailbox: string): Mail[] {
		return [...mails.values()].filter((mail) => mail.mailbox === mailbox).sort((a, b) => a.position - b.position);
	}

	function giveUp(mailbox: string, given: Device): void {
		const home = household(mailbox);
		home.devices = home.devices.filter((known) => known !== given);
		noteDevices(mailbox);
		if (home.devices.length > 0) home.trim = true;
		else {
			home.ttl += given.ttl;
			home.quota += given.quota;
		}
	}

	function noteDevices(mailbox: string): void {
		const entry = index.get(mailbox);
		if (entry) entry.devices = household(mailbox).devices.map(({ device }) => device);
	}

	function known(mailbox: string): Known[] {
		return household(mailbox).devices.map(({ device, seenMs }) => ({ device, seenMs }));
	}

	/** Registers a device; undefined when those present take all places. */
	function register(mailbox: string, device: string, nowMs: number, present: readonly string[]): Device | undefined {
		const home = household(mailbox);
		if (home.devices.length >= LIMIT.devicesMax) {
			const [oldest] = home.devices
				.filter((other) => !present.includes(other.device))
				.sort((a, b) => a.seenMs - b.seenMs);
			if (!oldest) return undefined;
			giveUp(mailbox, oldest);
		}
		const first = home.devices.length === 0;
		const made = { device, seenMs: nowMs, acked: new Set<number>(), ttl: 0, quota: 0 };
		if (first) Object.assign(made, { ttl: home.ttl, quota: home.quota });
		if (first) Object.assign(home, { ttl: 0, quota: 0 });
		home.devices.push(made);
		return made;
	}

	/** Drops, up to a count, mail that all devices there are have acknowledged. */
	function trim(countMax: number): number {
		let left = countMax;
		const untrimmed = [...households].filter(([, { trim }]) => trim).sort(([a], [b]) => (a < b ? -1 : 1));
		for (const [mailbox, home] of untrimmed.slice(0, countMax)) {
			if (left <= 0) break;
			const all = home.devices;
			const over = mailOf(mailbox).filter(({ position }) => all.every(({ acked }) => acked.has(position)));
			const going = all.length === 0 ? [] : over.slice(0, left);
			for (const mail of going) drop(mail);
			left -= going.length;
			if (left > 0) home.trim = false;
		}
		return countMax - left;
	}

	return {
		epoch,
		pendingBytes: 0,
		kept: total,
		state: (mailbox) => index.get(mailbox),
		visit: async (mailbox, device, tokenHash, nowMs, present = []) => {
			if (!index.has(mailbox) && index.size >= mailboxesMax) return "too-many";
			const before = find(mailbox, device);
			const mine = before ?? register(mailbox, device, nowMs, present);
			if (!mine) return "too-many";
			const entry = index.get(mailbox) ?? newEntry(mailbox, nowMs);
			index.set(mailbox, entry);
			entry.tokenHash = tokenHash?.slice();
			entry.seenMs = Math.max(entry.seenMs, nowMs);
			mine.seenMs = Math.max(mine.seenMs, nowMs);
			noteDevices(mailbox);
			const waiting = mailOf(mailbox).filter(({ position }) => !mine.acked.has(position));
			return {
				fresh: before === undefined,
				waiting: waiting.length,
				waitingBytes: waiting.reduce((sum, { payload }) => sum + payload.length, 0),
				droppedTtl: mine.ttl,
				droppedQuota: mine.quota,
				devices: known(mailbox),
			};
		},
		seen: (mailbox, device, nowMs) => {
			const entry = index.get(mailbox);
			const mine = find(mailbox, device);
			if (entry) entry.seenMs = Math.max(entry.seenMs, nowMs);
			if (mine) mine.seenMs = Math.max(mine.seenMs, nowMs);
		},
		forget: async (mailbox, device) => {
			const given = find(mailbox, device);
			if (given) giveUp(mailbox, given);
			return index.has(mailbox) ? known(mailbox) : [];
		},
		keep: async (kept) => kept.map(keepOne),
		read: async (mailbox, device, after, nowMs, countMax, bytesMax) => {
			const mine = find(mailbox, device);
			const waiting = mailOf(mailbox)
				.filter(({ position, expiresAtMs }) => position > after && expiresAtMs > nowMs && !mine?.acked.has(position))
				.slice(0, countMax);
			let bytes = 0;
			const fitting = waiting.findIndex((mail, i) => {
				bytes += mail.payload.length;
				return i > 0 && bytes > bytesMax;
			});
			return waiting
				.slice(0, fitting < 0 ? waiting.length : fitting)
				.map(({ position, expiresAtMs, payload }) => ({ position, expiresAtMs, payload: payload.slice() }));
		},
		acknowledge: async (mailbox, device, positions) => {
			const mine = find(mailbox, device);
			for (const position of mine ? positions : []) {
				const mail = mails.get(position);
				if (mail?.mailbox !== mailbox) continue;
				mine?.acked.add(position);
				if (household(mailbox).devices.every(({ acked }) => acked.has(position))) drop(mail);
			}
			return "noted";
		},
		dropped: (mailbox, quota) => {
			if (!index.has(mailbox)) return;
			const home = household(mailbox);
			for (const who of home.devices.length > 0 ? home.devices : [home]) who.quota += quota;
		},
		told: async (mailbox, device, { droppedTtl, droppedQuota }) => {
			const mine = find(mailbox, device);
			if (!mine) return;
			mine.ttl = Math.max(0, mine.ttl - droppedTtl);
			mine.quota = Math.max(0, mine.quota - droppedQuota);
		},
		marks: async (tag) => {
			const prints = [...mails.values()]
				.filter((mail) => mail.tag === tag)
				.sort((a, b) => b.seq - a.seq || b.position - a.position)
				.slice(0, PRINTS_MAX)
				.map((mail) => [mail.seq, mail.print] as const);
			return { ranges: [...(tags.get(tag)?.ranges ?? [])], prints: new Map(prints) };
		},
		mark: async (tag, ranges, untilMs) => remember(tag, ranges, untilMs),
		expire: async (nowMs, countMax) => {
			const late = [...mails.values()]
				.filter((mail) => mail.expiresAtMs <= nowMs)
				.sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.position - b.position)
				.slice(0, countMax);
			for (const mail of late) {
				drop(mail);
				const home = household(mail.mailbox);
				const losers = home.devices.filter(({ acked }) => !acked.has(mail.position));
				for (const who of home.devices.length > 0 ? losers : [home]) who.ttl += 1;
			}
			let left = countMax - late.length;
			const unseen = [...households]
				.flatMap(([mailbox, { devices }]) => devices.map((device) => ({ mailbox, device })))
				.filter(({ device }) => device.seenMs <= nowMs - LIMIT.deviceMs)
				.sort((a, b) => a.device.seenMs - b.device.seenMs || (order(a) < order(b) ? -1 : 1))
				.slice(0, left);
			for (const { mailbox, device } of unseen) giveUp(mailbox, device);
			left -= unseen.length;
			left -= trim(left);
			const oldTags = [...tags]
				.filter(([, { untilMs }]) => untilMs <= nowMs)
				.sort(([a, one], [b, other]) => one.untilMs - other.untilMs || (a < b ? -1 : 1))
				.slice(0, left);
			for (const [tag] of oldTags) tags.delete(tag);
			left -= oldTags.length;
			const idle = [...index.values()]
				.filter((entry) => entry.seenMs <= nowMs - idleMs && entry.messages === 0)
				.sort((a, b) => a.seenMs - b.seenMs || (a.mailbox < b.mailbox ? -1 : 1))
				.slice(0, left);
			for (const { mailbox } of idle) {
				index.delete(mailbox);
				households.delete(mailbox);
			}
			return countMax - left + idle.length;
		},
		close: async () => {},
	};
}

function order({ mailbox, device }: { readonly mailbox: string; readonly device: Device }): string {
	return `${device.device} ${mailbox}`;
}
