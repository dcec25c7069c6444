/**
 * A relay's state as its operator sees it: one JSON object without keys of people or addresses (threat 26). Amounts are decimal strings of
 * nano-dollars, times Unix milliseconds. States of several workers add up to one.
 */

import { toHex } from "#contracts/bytes";
import { PROBLEMS, type ProblemCode } from "#contracts/problem";
import type { Health, HealthReport } from "#host/health";
import type { Asked } from "#relay/market/ask";
import type { RelayParts } from "#relay/parts";
import { DELAYS, DOOR, DROPS } from "#relay/reason";
import type { Caps } from "./caps.ts";
import type { Operator } from "./operator.ts";

/** How often something was turned away, delayed, dropped or closed, and why, in words. Only what happened is listed. */
export type Why = {
	readonly what: "turned away" | "refused" | "closed" | "delayed" | "dropped";
	readonly reason: string;
	readonly count: number;
	readonly says: string;
};

/** What an operator sees. */
export type RelayState = {
	readonly relay: string;
	readonly url: string;
	readonly atMs: number;
	readonly startedAtMs: number;
	readonly caps: Caps;
	/** Why nothing new is taken, or nothing that would have to be kept; null where it is. */
	readonly closed: { readonly sends: ProblemCode | null; readonly keeps: ProblemCode | null };
	readonly health: HealthReport;
	/** `earned` since the start and before it, if it was not paid then: what was `paid` since the start, and what is `waiting`. */
	readonly money: { readonly earned: string; readonly waiting: string; readonly paid: string };
	readonly connections: { readonly open: number; readonly strangers: number; readonly readers: number };
	readonly inMemory: {
		readonly tabs: number;
		readonly tags: number;
		readonly mailboxes: number;
		readonly handles: number;
	};
	/** This month's, in UTC; `leftBytes` is null without a cap. */
	readonly traffic: { readonly month: string; readonly usedBytes: number; readonly leftBytes: number | null };
	readonly disk: {
		readonly mails: number;
		readonly bytes: number;
		readonly pendingBytes: number;
		readonly leftBytes: number | null;
	};
	/** Copies since the start. */
	readonly carried: {
		readonly live: number;
		readonly liveBytes: number;
		readonly kept: number;
		readonly keptBytes: number;
		readonly retries: number;
		readonly vouchers: number;
	};
	readonly why: readonly Why[];
	/** When the market was last asked for its keys, told the listing, and given vouchers, and what came of it; null: not yet. */
	readonly market: {
		readonly url: string;
		readonly keys: Asked | null;
		readonly listing: Asked | null;
		readonly redemption: Asked | null;
		readonly batches: number;
		readonly claims: number;
		readonly failures: number;
	};
};

/** What a state is read off. */
export type StateDeps = {
	readonly parts: RelayParts;
	readonly operator: Operator;
	readonly health: Health;
	readonly url: string;
	readonly marketUrl: string;
	readonly startedAtMs: number;
	readonly strangers: number;
	readonly asked: Pick<RelayState["market"], "keys" | "listing" | "redemption">;
};

/** Reads the state off a relay. It walks all tabs: for who looks, not for each packet. */
export function readState(deps: StateDeps): RelayState {
	const { parts, operator } = deps;
	const { counts, tabs, tags, router, store, gate, traffic, clock, relay } = parts;
	const waiting = tabs.unredeemedNanos;
	return {
		relay: toHex(relay.publicKey),
		url: deps.url,
		atMs: clock.nowMs(),
		startedAtMs: deps.startedAtMs,
		caps: operator.caps,
		closed: { sends: gate.sends ?? null, keeps: gate.keeps ?? null },
		health: deps.health.now(),
		money: {
			earned: (waiting + counts.paidNanos).toString(),
			waiting: waiting.toString(),
			paid: counts.paidNanos.toString(),
		},
		connections: { open: counts.open, strangers: deps.strangers, readers: counts.listening },
		inMemory: { tabs: tabs.count, tags: tags.count, mailboxes: router.count, handles: router.handles },
		traffic: {
			month: traffic.month,
			usedBytes: traffic.usedBytes,
			leftBytes: operator.trafficLeftBytes ?? null,
		},
		disk: {
			mails: store.kept.messages,
			bytes: operator.diskBytes,
			pendingBytes: store.pendingBytes,
			leftBytes: operator.diskLeftBytes ?? null,
		},
		carried: {
			live: counts.live + counts.passed,
			liveBytes: counts.liveBytes,
			kept: counts.toDisk,
			keptBytes: counts.diskBytes,
			retries: counts.retries,
			vouchers: counts.vouchers,
		},
		why: whyOf(parts),
		market: {
			url: deps.marketUrl,
			...deps.asked,
			batches: counts.redeemBatches,
			claims: counts.redeemClaims,
			failures: counts.redeemFailures,
		},
	};
}

function whyOf({ counts }: RelayParts): Why[] {
	const list = <Reason extends string>(
		what: Why["what"],
		found: Iterable<readonly [string, number]>,
		says: Readonly<Record<Reason, string>>,
	): Why[] =>
		[...found].flatMap(([reason, count]) =>
			count > 0 ? [{ what, reason, count, says: says[reason as Reason] ?? reason }] : [],
		);
	const codes = Object.fromEntries(Object.entries(PROBLEMS).map(([code, kind]) => [code, kind.says]));
	return [
		...list("turned away", Object.entries(counts.doors), DOOR),
		...list("refused", counts.refusals, codes),
		...list("closed", counts.closings, { ...codes, client: "The other side ended it." }),
		...list("delayed", Object.entries(counts.delays), DELAYS),
		...list("dropped", Object.entries(counts.drops), DROPS),
	];
}

/** Several workers' states as one: what can be counted is added up, the rest is the first one's. */
export function addStates(states: readonly [RelayState, ...RelayState[]]): RelayState {
	return states.reduce(addState);
}

function addState(sum: RelayState, next: RelayState): RelayState {
	return {
		...sum,
		startedAtMs: Math.min(sum.startedAtMs, next.startedAtMs),
		// while one of them takes something the relay does
		closed: { sends: next.closed.sends && sum.closed.sends, keeps: next.closed.keeps && sum.closed.keeps },
		health: {
			...sum.health,
			ok: sum.health.ok && next.health.ok,
			troubles: { ...next.health.troubles, ...sum.health.troubles },
		},
		money: {
			earned: (BigInt(sum.money.earned) + BigInt(next.money.earned)).toString(),
			waiting: (BigInt(sum.money.waiting) + BigInt(next.money.waiting)).toString(),
			paid: (BigInt(sum.money.paid) + BigInt(next.money.paid)).toString(),
		},
		connections: added(sum.connections, next.connections),
		inMemory: added(sum.inMemory, next.inMemory),
		traffic: { ...sum.traffic, ...added(leftless(sum.traffic), leftless(next.traffic)) },
		disk: { ...sum.disk, ...added(leftless(sum.disk), leftless(next.disk)) },
		carried: added(sum.carried, next.carried),
		why: addWhys(sum.why, next.why),
		market: {
			...sum.market,
			...added(
				{ batches: sum.market.batches, claims: sum.market.claims, failures: sum.market.failures },
				{ batches: next.market.batches, claims: next.market.claims, failures: next.market.failures },
			),
		},
	};
}

/** The numbers of a part; what is left of a cap adds up only where there is one. */
function leftless<Part extends { readonly leftBytes: number | null }>(part: Part): Record<string, number> {
	return Object.fromEntries(
		Object.entries(part).filter((field): field is [string, number] => typeof field[1] === "number"),
	);
}

function added<Part extends Readonly<Record<string, number>>>(a: Part, b: Part): Part {
	return Object.fromEntries(Object.entries(a).map(([name, value]) => [name, value + (b[name] ?? 0)])) as Part;
}

function addWhys(a: readonly Why[], b: readonly Why[]): Why[] {
	const sums = new Map<string, Why>();
	for (const why of [...a, ...b]) {
		const key = `${why.what} ${why.reason}`;
		sums.set(key, { ...why, count: why.count + (sums.get(key)?.count ?? 0) });
	}
	return [...sums.values()];
}
