/** The figures of a study as others read them: amounts as decimal strings, shares as numbers. */

import { type Study, shareOf } from "./study.ts";
import type { Year } from "./year.ts";

/** What is written to `--json`. `pool` covers pools and the commons; `share` is the part of what they spent that reached honest people. */
export type Figures = {
	readonly seed: string;
	readonly people: number;
	readonly days: number;
	readonly pool: { readonly spent: string; readonly toHonest: string; readonly share: number };
	readonly without: readonly { readonly defence: string; readonly share: number }[];
	readonly undefended: { readonly share: number };
	readonly commons: { readonly lowest: string; readonly toHonest: string };
	readonly operators: { readonly askPaidShare: number };
	readonly lowIncome: { readonly paidOverNeedMax: number };
};

/** What all funds of a year spent, and what of it reached honest people, in nano-dollars. */
export function sumsOf({ funds }: Pick<Year, "funds">): { readonly spent: bigint; readonly toHonest: bigint } {
	return {
		spent: funds.reduce((sum, { spent }) => sum + spent, 0n),
		toHonest: funds.reduce((sum, { ends }) => sum + ends.honest, 0n),
	};
}

/** The figures of a study. */
export function figuresOf(seed: string, people: number, days: number, { main, without, undefended }: Study): Figures {
	const { spent, toHonest } = sumsOf(main);
	const commons = main.funds.find(({ name }) => name === "commons");
	return {
		seed,
		people,
		days,
		pool: { spent: spent.toString(), toHonest: toHonest.toString(), share: shareOf(main) },
		without: without.map(({ defence, year }) => ({ defence, share: shareOf(year) })),
		undefended: { share: shareOf(undefended) },
		commons: { lowest: String(commons?.lowest ?? 0n), toHonest: String(commons?.ends.honest ?? 0n) },
		operators: { askPaidShare: main.asked === 0n ? 1 : Number((main.earned * 1_000_000n) / main.asked) / 1_000_000 },
		lowIncome: { paidOverNeedMax: main.overNeedPpm / 1_000_000 },
	};
}
