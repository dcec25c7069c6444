/**
 * What passed a relay's sockets this month (UTC), in bytes of both ways. It survives a crash: on disk stands a mark that is always ahead of the
 * count, so that a relay that was killed counts on from there, a little too high and never too low (threats 13 and 14).
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#host/clock";
import { openFolder } from "#host/folder";
import type { Log } from "#host/log";

const MIB = 1024 * 1024;

/** How far the mark on disk is ahead at least: what a crash costs an operator of the month's cap, and one small write for each half of it. */
const AHEAD_BYTES_MIN = 16 * MIB;
/** And in rounds of looking: on a fast line the mark must be written before the count comes there. */
const AHEAD_ROUNDS = 8;
/** Months that are counted at once: a clock that jumps over midnight and back finds both. The ones nearest to now stay. */
const MONTHS_MAX = 4;

const FILE = "traffic.json";

/** What a count needs. */
export type TrafficDeps = { readonly clock: Clock; readonly log: Log; readonly folder: string | undefined };

/** The count. */
export class Traffic {
	private readonly deps: TrafficDeps;
	/** Bytes by month, `2026-11`, and what stands on the disk for it. */
	private readonly months = new Map<string, { used: number; marked: number }>();
	private fresh = 0;
	private writing: Promise<void> | undefined;

	constructor(deps: TrafficDeps) {
		this.deps = deps;
		for (const [month, bytes] of Object.entries(this.read())) this.months.set(month, { used: bytes, marked: bytes });
	}

	/** The month that is counted now. */
	get month(): string {
		return new Date(this.deps.clock.nowMs()).toISOString().slice(0, 7);
	}

	/** What passed this month. */
	get usedBytes(): number {
		return (this.months.get(this.month)?.used ?? 0) + this.fresh;
	}

	/** Counts what passed since the last look. */
	add(bytes: number): void {
		this.fresh += bytes;
	}

	/** Takes what was added to the month it is, and writes a mark ahead of the count when it comes near the last one. Called each round. */
	sweep(): void {
		const { month, fresh } = this;
		this.fresh = 0;
		const now = this.months.get(month) ?? { used: 0, marked: 0 };
		this.months.set(month, now);
		now.used += fresh;
		const ahead = Math.max(AHEAD_BYTES_MIN, AHEAD_ROUNDS * fresh);
		if (this.writing || now.used + ahead / 2 <= now.marked) return;
		this.forget(month);
		this.writing = this.write(month, now.used + ahead).finally(() => {
			this.writing = undefined;
		});
	}

	/** Writes down the count as it is: the relay stops in order. */
	async close(): Promise<void> {
		await this.writing;
		this.sweep();
		await this.writing;
		await this.write(this.month, this.usedBytes);
	}

	private async write(month: string, mark: number): Promise<void> {
		const { folder, log } = this.deps;
		const marks = Object.fromEntries([...this.months].map(([name, { marked }]) => [name, marked]));
		if (folder === undefined) return;
		try {
			await openFolder(folder).put(FILE, new TextEncoder().encode(JSON.stringify({ ...marks, [month]: mark })));
			const now = this.months.get(month);
			if (now) now.marked = mark;
		} catch (error) {
			// what is counted in memory still counts: a cap holds on a full disk too
			log.warn({ err: error }, "the month's traffic could not be written down");
		}
	}

	/** Keeps the months nearest to now. */
	private forget(month: string): void {
		const far = (other: string): number => Math.abs(Date.parse(`${other}-01`) - Date.parse(`${month}-01`));
		const order = [...this.months.keys()].sort((a, b) => far(a) - far(b));
		for (const old of order.slice(MONTHS_MAX)) this.months.delete(old);
	}

	private read(): Record<string, number> {
		const { folder, log } = this.deps;
		if (folder === undefined) return {};
		try {
			const found: unknown = JSON.parse(readFileSync(join(folder, FILE), "utf8"));
			const months = Object.entries(found as Record<string, unknown>).filter(
				([month, bytes]) => /^\d{4}-\d{2}$/.test(month) && Number.isSafeInteger(bytes) && Number(bytes) >= 0,
			);
			return Object.fromEntries(months.slice(0, MONTHS_MAX)) as Record<string, number>;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "ENOENT")
				log.error({ err: error }, "the month's traffic is unreadable");
			return {};
		}
	}
}
