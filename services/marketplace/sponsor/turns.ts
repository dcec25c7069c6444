/** One after the other on each fund: its counters are rows that every tab on its money changes, and two at once would only beat each other. */

import { type Problem, problem } from "#contracts/problem";

/** What may wait for one fund: a write each of some milliseconds, so that nobody waits longer than a client does. */
const WAITING_MAX = 1_000;

/** Takes turns by name. */
export class Turns {
	readonly #queues = new Map<string, { last: Promise<void>; waiting: number }>();

	/** Runs work when its turn has come on each of these; names are taken in one order, so that no two wait for each other. */
	async take<T>(names: readonly string[], work: () => Promise<T>): Promise<T | Problem> {
		const [name, ...rest] = names.toSorted();
		if (name === undefined) return work();
		const queue = this.#queues.get(name) ?? { last: Promise.resolve(), waiting: 0 };
		if (queue.waiting >= WAITING_MAX)
			return problem("too-many", "Too many tabs are opened on the same fund at once; nothing was done.");
		this.#queues.set(name, queue);
		const before = queue.last;
		const own = Promise.withResolvers<void>();
		queue.last = own.promise;
		queue.waiting++;
		try {
			await before;
			return await this.take(rest, work);
		} finally {
			queue.waiting--;
			if (queue.waiting === 0) this.#queues.delete(name);
			own.resolve();
		}
	}
}
