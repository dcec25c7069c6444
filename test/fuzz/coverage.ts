/** What of a room's code has run, by V8's own precise coverage: which blocks, and about how often. */

import { Session } from "node:inspector/promises";

export class Coverage {
	private readonly session = new Session();
	private readonly rooms: RegExp;
	private readonly seen = new Set<string>();

	private constructor(rooms: RegExp) {
		this.rooms = rooms;
	}

	/** Begins to count in files whose URL matches. */
	static async begin(rooms: RegExp): Promise<Coverage> {
		const coverage = new Coverage(rooms);
		coverage.session.connect();
		await coverage.session.post("Profiler.enable");
		await coverage.session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
		return coverage;
	}

	/** How many block-and-count pairs were never seen before the last look; the counts begin anew. */
	async fresh(): Promise<number> {
		const { result } = await this.session.post("Profiler.takePreciseCoverage");
		const before = this.seen.size;
		for (const { url, functions } of result) {
			if (!this.rooms.test(url)) continue;
			// once, twice, four times, ...: a loop that runs longer is something new, one more round is not
			for (const { ranges } of functions)
				for (const { startOffset, endOffset, count } of ranges)
					if (count > 0) this.seen.add(`${url}:${startOffset}:${endOffset}:${32 - Math.clz32(count)}`);
		}
		return this.seen.size - before;
	}

	get size(): number {
		return this.seen.size;
	}

	end(): void {
		this.session.disconnect();
	}
}
