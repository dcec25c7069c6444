/** What was aimed for before anything was measured. A row without a target is told for comparison only. */
import type { Row } from "#test/bench/measure";

/** At least this ratio (and this much of ours), at most this much of ours, or ours at most so much above the peer. */
export type Target =
	| { readonly ratioMin: number; readonly oursMin?: number }
	| { readonly oursMax: number }
	| { readonly aboveMax: number };

type Rule = { readonly bench: string; readonly case: RegExp; readonly peer: RegExp; readonly target: Target };

const BARE = /^ws$/;
const atLeast = (ratioMin: number): Target => ({ ratioMin });
const atMost = (oursMax: number): Target => ({ oursMax });

/** Against a bare forwarder with stock flags, senders that batch; half of it where frames for four stand in one message. */
const BATCHED = { 64: 40, 256: 20, 1024: 8, 16384: 2, 65536: 1.5 };

const RULES: readonly Rule[] = [
	...Object.entries(BATCHED).flatMap(([size, ratio]) => [
		{ bench: "forward", case: new RegExp(`^pipelined-${size}$`), peer: BARE, target: atLeast(ratio) },
		{ bench: "forward", case: new RegExp(`^mixed-${size}$`), peer: BARE, target: atLeast(ratio / 2) },
	]),
	{ bench: "forward", case: /^single-/, peer: BARE, target: atLeast(1) },
	{ bench: "forward", case: /^pipelined-/, peer: /^(nats|mosquitto|coturn)$/, target: atLeast(1) },
	{ bench: "forward", case: /^pipelined-(64|256|1024|16384)$/, peer: /^uws$/, target: atLeast(1) },
	{ bench: "latency", case: /p50/, peer: BARE, target: atLeast(1) },
	{ bench: "mailbox", case: /^store-/, peer: /^node:sqlite$/, target: atLeast(0.5) },
	{ bench: "mailbox", case: /^loop-/, peer: /./, target: { aboveMax: 10 } },
	{ bench: "mailbox", case: /^expire-\d+$/, peer: /./, target: atMost(20) },
	{ bench: "ledger", case: /^redeem-300$/, peer: /^node:sqlite$/, target: { ratioMin: 0.6, oursMin: 20_000 } },
	{ bench: "ledger", case: /^transfer-1$/, peer: /^node:sqlite$/, target: { ratioMin: 0.6, oursMin: 4_000 } },
	{ bench: "ledger", case: /^pg-batch$/, peer: /^one-by-one$/, target: atLeast(10) },
	{ bench: "ledger", case: /^growth$/, peer: /^small$/, target: atLeast(0.667) },
	{ bench: "payments", case: /^share/, peer: /./, target: atLeast(0.9) },
	{ bench: "idle", case: /^connection$/, peer: /./, target: atMost(8192) },
];

/** The target of a row, if there is one. */
export function targetOf(bench: string, row: Pick<Row, "case" | "peerName">): Target | undefined {
	return RULES.find((rule) => rule.bench === bench && rule.case.test(row.case) && rule.peer.test(row.peerName))?.target;
}

/** Whether a row's median is as good as was aimed for. */
export function met(target: Target, row: Pick<Row, "ratio" | "ours" | "peer">): boolean {
	if ("ratioMin" in target) return row.ratio.median >= target.ratioMin && row.ours >= (target.oursMin ?? 0);
	return "oursMax" in target ? row.ours <= target.oursMax : row.ours - row.peer <= target.aboveMax;
}
