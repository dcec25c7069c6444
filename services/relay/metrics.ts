/** What a relay counts, for `/metrics` (prom-client) and for people. By reason, never by who: no keys, no addresses (threat 26). */

import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { ProblemCode } from "#contracts/problem";
import { DELAYS, DOOR, DROPS, zeroes } from "./reason.ts";

/** Plain counters: the hot path adds to numbers, and the registry reads them when it is asked. */
export class Counts {
	/** Sockets accepted; those that are open now; those of them that listen. */
	accepted = 0;
	open = 0;
	listening = 0;
	/** Copies that went straight to a reader, their bytes, those of them that were live only, and copies sent to the disk. */
	live = 0;
	passed = 0;
	liveBytes = 0;
	toDisk = 0;
	diskBytes = 0;
	/** Copies handed to the worker that has their mailbox. */
	crossed = 0;
	/** Sends that had been accepted before. */
	retries = 0;
	/** Vouchers that counted. */
	vouchers = 0;
	/** What the market confirmed as paid since the start, in nano-dollars. */
	paidNanos = 0n;
	/** Batches posted, claims in them, and posts that the market did not answer. */
	redeemBatches = 0;
	redeemClaims = 0;
	redeemFailures = 0;
	readonly refusals = new Map<ProblemCode, number>();
	readonly closings = new Map<string, number>();
	/** Connections that were not taken, by reason; what waited; what was given up. */
	readonly doors = zeroes(DOOR);
	readonly delays = zeroes(DELAYS);
	readonly drops = zeroes(DROPS);

	refuse(code: ProblemCode): void {
		this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
	}

	/** A connection ended: by which problem, or "client" when the other side ended it. */
	close(reason: ProblemCode | "client"): void {
		this.closings.set(reason, (this.closings.get(reason) ?? 0) + 1);
	}
}

/** What is looked at only when the registry is asked. */
export type Gauges = Readonly<Record<string, { readonly help: string; readonly value: () => number }>>;

const TOTALS: readonly (readonly [keyof Counts & string, name: string, help: string])[] = [
	["accepted", "connections_accepted_total", "Sockets accepted."],
	["live", "copies_live_total", "Copies handed straight to a listening reader."],
	["passed", "copies_passed_total", "Live-only copies passed on."],
	["liveBytes", "live_bytes_total", "Payload bytes handed straight to readers."],
	["toDisk", "copies_disk_total", "Copies sent to the disk at once."],
	["diskBytes", "disk_bytes_total", "Payload bytes sent to the disk at once."],
	["crossed", "copies_crossed_total", "Copies handed to the worker that has their mailbox."],
	["retries", "retries_total", "Sends that had been accepted before and were answered again."],
	["vouchers", "vouchers_total", "Vouchers that counted."],
	["redeemBatches", "redeem_batches_total", "Batches posted to the market."],
	["redeemClaims", "redeem_claims_total", "Claims in those batches."],
	["redeemFailures", "redeem_failures_total", "Posts that the market did not answer as it should."],
];

/** A registry of its own over the counts and gauges; every name begins with `farelay_relay_`. */
export function openMetrics(counts: Counts, gauges: Gauges, process: boolean): Registry {
	const registry = new Registry();
	const registers = [registry];
	if (process) collectDefaultMetrics({ register: registry });
	for (const [field, name, help] of TOTALS) {
		new Counter({
			name: `farelay_relay_${name}`,
			help,
			registers,
			collect() {
				this.reset();
				this.inc(counts[field] as number);
			},
		});
	}
	for (const [name, help, label, map] of [
		["refused_total", "Sends and requests refused, by reason.", "code", counts.refusals],
		["closed_total", "Connections ended, by reason.", "reason", counts.closings],
		["door_refused_total", "Connections not taken, by reason.", "reason", counts.doors],
		["delayed_total", "What had to wait, by reason.", "reason", counts.delays],
		["dropped_total", "What was given up, by reason.", "reason", counts.drops],
	] as const) {
		new Counter({
			name: `farelay_relay_${name}`,
			help,
			labelNames: [label],
			registers,
			collect() {
				this.reset();
				const found = map instanceof Map ? map : Object.entries(map);
				for (const [reason, count] of found) this.inc({ [label]: reason }, count);
			},
		});
	}
	for (const [name, { help, value }] of Object.entries(gauges)) {
		new Gauge({
			name: `farelay_relay_${name}`,
			help,
			registers,
			collect() {
				this.set(value());
			},
		});
	}
	return registry;
}
