/**
 * What an operator may change while a relay runs: pause it, cap its traffic, disk and bandwidth. What was said last counts, also after a
 * restart: a cap that was changed live is kept with the start setting that it was changed from, and ends when that setting is another.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Problem, problem } from "#contracts/problem";
import { openFolder } from "#host/folder";

/** Caps of a relay; a cap of 0 is none. */
export type Caps = {
	/** Takes nothing new; what waits is still delivered. */
	readonly paused: boolean;
	/** What may pass its sockets in a month (UTC), both ways together, in gigabytes of 10^9 bytes. */
	readonly trafficGbMonth: number;
	/** What kept mail may take of the disk, in gigabytes. */
	readonly diskGb: number;
	/** What it reads and writes, each, in megabits a second. */
	readonly bandwidthMbit: number;
};

/** The most that a cap may be: what a listing holds in its four bytes, and more than any machine has. */
export const CAP_MAX = { trafficGbMonth: 10_000_000, diskGb: 1_000_000, bandwidthMbit: 1_000_000 } as const;

/** A change as it comes in at the door: any of the caps. */
export const CHANGE = z
	.strictObject({
		paused: z.boolean(),
		trafficGbMonth: z.int().min(0).max(CAP_MAX.trafficGbMonth),
		diskGb: z.int().min(0).max(CAP_MAX.diskGb),
		bandwidthMbit: z.int().min(0).max(CAP_MAX.bandwidthMbit),
	})
	.partial();

/** Some of the caps, to be changed. */
export type Change = z.infer<typeof CHANGE>;

const NAMES = ["trafficGbMonth", "diskGb", "bandwidthMbit"] as const;

/** As the file has it: the pause, and of each cap that was changed live what it is and what the start setting was then. */
const KEPT = z.strictObject({
	paused: z.boolean(),
	live: z.partialRecord(z.enum(NAMES), z.strictObject({ now: z.int().min(0), start: z.int().min(0) })),
});

const FILE = "operator.json";

/** The caps as they are now. */
export type CapsBook = {
	readonly now: Caps;
	/** Changes some, on disk first; the problem when the disk did not take it, and then nothing changed. */
	change(change: Change): Promise<Problem | undefined>;
};

/** Takes the caps up: from the start settings, and over them what was changed live and is kept in `folder`; undefined keeps nothing. */
export function openCaps(
	start: Omit<Caps, "paused"> & { readonly paused?: boolean },
	folder: string | undefined,
): CapsBook | Problem {
	const kept = folder === undefined ? undefined : read(join(folder, FILE));
	if (kept && "problem" in kept) return kept;
	const { trafficGbMonth, diskGb, bandwidthMbit } = start;
	let now: Caps = { paused: kept?.paused ?? start.paused ?? false, trafficGbMonth, diskGb, bandwidthMbit };
	for (const name of NAMES) {
		const live = kept?.live[name];
		if (live && live.start === start[name]) now = { ...now, [name]: live.now };
	}
	const disk = folder === undefined ? undefined : openFolder(folder);
	return {
		get now() {
			return now;
		},
		change: async (change) => {
			const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
			const next: Caps = { ...now, ...given };
			const changed = NAMES.filter((name) => next[name] !== start[name]);
			const live = Object.fromEntries(changed.map((name) => [name, { now: next[name], start: start[name] }]));
			const text = JSON.stringify({ paused: next.paused, live } satisfies z.infer<typeof KEPT>);
			try {
				await disk?.put(FILE, new TextEncoder().encode(text));
			} catch (error) {
				const code = (error as NodeJS.ErrnoException).code ?? "unknown";
				return problem("disk", `The change could not be written down (${code}); nothing is changed.`);
			}
			now = next;
			return undefined;
		},
	};
}

function read(path: string): z.infer<typeof KEPT> | Problem | undefined {
	let text: string;
	try {
		text = readFileSync(path, "utf8");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		return problem("disk", `${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
	}
	try {
		return KEPT.parse(JSON.parse(text));
	} catch {
		// never guessed: a relay that was paused must not open by itself
		return problem("data-corrupt", `${path} is damaged; remove it to begin with the start settings.`);
	}
}
