/**
 * Where an operator's payouts go. One that was changed is used by nothing for a day, and neither is the one before it, so that whoever
 * took over an account is noticed before money leaves by it (threat 19). The first one needs no wait: there is nothing to take over yet.
 */

import { type Problem, problem } from "#contracts/problem";
import type { RecordRow, RowChange } from "#marketplace/ledger/book";
import { isLightningAddress } from "#marketplace/rail/address";
import type { RailWorld } from "#marketplace/rail/rail";

/** Ways to be paid: `lightning` to a Lightning address, `invoice` by an invoice that the operator brings each time, `stripe` to a Stripe account. */
export const KINDS = ["lightning", "invoice", "stripe"] as const;
export type Kind = (typeof KINDS)[number];

/** Where to; `to` is empty for `invoice`. */
export type Target = { readonly kind: Kind; readonly to: string };

/** An operator's destination. */
export type Destination = Target & {
	readonly version: number;
	readonly account: string;
	readonly setAtMs: number;
	/** payouts wait until then */
	readonly fromMs: number;
};

/** How long a changed destination waits: a day, in which its owner has looked at their mail or machine once. */
export const CHANGE_WAIT_MS = 24 * 3_600_000;

/** In whose name money goes out that way. */
export const WORLD_OF: Readonly<Record<Kind, RailWorld>> = {
	lightning: "world:lightning",
	invoice: "world:lightning",
	stripe: "world:card",
};

const STRIPE_ACCOUNT = /^acct_[A-Za-z0-9]{8,64}$/;

/** Reads where an operator wants payouts to go; a clear problem for what is none. */
export function readTarget(kind: Kind, text: string): Target | Problem {
	switch (kind) {
		case "lightning": {
			const to = text.trim().toLowerCase();
			return isLightningAddress(to)
				? { kind, to }
				: problem("malformed", "A Lightning address is like name@example.com.");
		}
		case "stripe":
			return STRIPE_ACCOUNT.test(text)
				? { kind, to: text }
				: problem("malformed", "A Stripe account's id begins with acct_.");
		case "invoice":
			return text === "" ? { kind, to: "" } : problem("malformed", "An invoice is given with each payout.");
	}
}

/** The destination after it was set to something; undefined when that is what it is. */
export function setDestination(
	before: Destination | undefined,
	target: Target,
	account: string,
	nowMs: number,
): Destination | undefined {
	if (before && isSame(before, target)) return undefined;
	const fromMs = before ? nowMs + CHANGE_WAIT_MS : nowMs;
	return { ...target, version: before?.version ?? 0, account, setAtMs: nowMs, fromMs };
}

/** Whether both are the same place. */
export function isSame(a: Target, b: Target): boolean {
	return a.kind === b.kind && a.to === b.to;
}

/** Why nothing can go there now. */
export function refuseUse(destination: Destination | undefined, nowMs: number): Problem | undefined {
	if (!destination) return problem("not-found", "No destination is set: say first where payouts go.");
	if (nowMs >= destination.fromMs) return undefined;
	const until = new Date(destination.fromMs).toISOString().slice(0, 16).replace("T", " ");
	return problem("destination-waits", `The destination was changed: payouts wait until ${until} UTC.`, {
		retryAfterMs: destination.fromMs - nowMs,
	});
}

type Value = { readonly kind: Kind; readonly to: string; readonly setAtMs: number; readonly fromMs: number };

/** Reads a record; what it holds was written here. */
export function readDestination(row: RecordRow): Destination {
	return { ...(JSON.parse(row.value) as Value), version: row.version, account: row.account };
}

/** The change that writes it over the version that it was read at. */
export function writeDestination({ version, account, kind, to, setAtMs, fromMs }: Destination): RowChange {
	const value: Value = { kind, to, setAtMs, fromMs };
	return {
		table: "destinations",
		expect: version,
		row: { key: account, account, state: kind, dueMs: fromMs, value: JSON.stringify(value) },
	};
}
