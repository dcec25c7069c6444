/** Account numbers that the ledger's thread remembers, so that most entries find their account without its long name. */

/** About 15 MiB. */
export const NUMBERS_MAX = 100_000;

/** Remembers numbers by name, at most `max` of them; a new one beyond that makes it forget all, which the next uses bring back. */
export class Numbers {
	readonly #numbers = new Map<string, number | bigint>();
	readonly #max: number;

	constructor(max = NUMBERS_MAX) {
		this.#max = max;
	}

	get(name: string): number | bigint | undefined {
		return this.#numbers.get(name);
	}

	set(name: string, number: number | bigint): void {
		if (this.#numbers.size >= this.#max) this.#numbers.clear();
		this.#numbers.set(name, number);
	}
}
