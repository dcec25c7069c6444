/** A rail whose provider is a few maps: money comes when a story says so, answers get lost, hints come when and as often as it likes. */

import { problem } from "#contracts/problem";
import type { DepositState, Rail, StartOrder } from "#marketplace/rail/rail";
import type { Rate, Rates } from "#marketplace/rate/rate";

export type ScriptedRail = Rail & {
	/** what was begun, by reference */
	readonly orders: Map<string, StartOrder>;
	/** what the provider would answer, by reference */
	readonly said: Map<string, DepositState>;
	/** how often the rail was asked about a deposit */
	asked: number;
	/** the provider cannot be reached */
	down: boolean;
	/** somebody pays: more money on a reference, as the provider counts it; no hint by itself */
	comes(reference: string, amount: bigint, atMs: number, more?: { fee?: bigint; backUntilMs?: number }): void;
	hint(reference: string): void;
};

export function scriptedRail(change: Partial<Rail> = {}): ScriptedRail {
	const orders = new Map<string, StartOrder>();
	const said = new Map<string, DepositState>();
	const hints = new Set<(reference: string) => void>();
	const away = () => problem("unavailable", "The provider does not answer.");
	const rail: ScriptedRail = {
		name: "scripted",
		world: "world:lightning",
		unit: "msat",
		ranges: { in: { min: 1_000n, max: 1_000_000_000_000n }, out: undefined },
		orders,
		said,
		asked: 0,
		down: false,
		quote: async () => ({ fee: 0n, isAbout: false }),
		start: async (order) => {
			if (rail.down) return away();
			const reference = `ref-${order.id}`;
			if (!orders.has(reference)) {
				orders.set(reference, order);
				said.set(reference, { state: "waiting" });
			}
			const { expiresAtMs } = orders.get(reference) ?? order;
			return { reference, pay: { kind: "invoice", invoice: `lnscripted1${order.id}` }, expiresAtMs };
		},
		onEvent: (hint) => {
			hints.add(hint);
			return () => void hints.delete(hint);
		},
		deposit: async (reference) => {
			rail.asked += 1;
			return rail.down ? away() : (said.get(reference) ?? { state: "absent" });
		},
		payment: async () => ({ state: "absent" }),
		pay: async () => ({ state: "unknown", why: "nothing goes out in these stories" }),
		comes: (reference, amount, atMs, more = {}) => {
			const before = said.get(reference);
			const sum = (before?.state === "paid" ? before.amount : 0n) + amount;
			said.set(reference, { state: "paid", amount: sum, fee: 0n, atMs, ...more });
		},
		balance: async () => undefined,
		check: async () => undefined,
		close: async () => {},
		hint: (reference) => {
			for (const hint of hints) hint(reference);
		},
		...change,
	};
	return rail;
}

/** $100,000 for a bitcoin: a millisatoshi is 1,000 nano-dollars; with half a per cent of spread. */
export function heldRates(): Rates & { rate: Rate; known: boolean } {
	const rates = {
		rate: { msatPerDollar: 1_000_000n, spreadPpm: 5_000, atMs: 0, says: "a fixed rate" },
		known: true,
		now: async () => (rates.known ? rates.rate : problem("unavailable", "No rate is known.")),
	};
	return rates;
}
