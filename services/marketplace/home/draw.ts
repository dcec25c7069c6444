/**
 * Drawing somebody a home: every operator weighs the same, however many relays it has and whatever it says of them; chance is an argument. So neither the person nor
 * an operator can steer where mail that funds pay for goes (docs/decisions/drawn-homes.md; threat 21).
 */

import type { HomeRules } from "./room.ts";

/** A relay that a home may be drawn at: eligible and listed now, and takes mail. */
export type Candidate = {
	readonly relay: string;
	/** all relays of one operator, as far as the market can tell: payout destination, host and network */
	readonly group: string;
	readonly isNewOperator: boolean;
};

/** Chance: a whole number from 0 below `parts`, each as likely. */
export type Chance = (parts: number) => number;

/** Chance from random bytes. Bytes that would make some numbers likelier than others are thrown away. */
export function chanceOf(random: (length: number) => Uint8Array): Chance {
	return (parts) => {
		const most = 2 ** 32 - (2 ** 32 % parts);
		for (;;) {
			const [a = 0, b = 0, c = 0, d = 0] = random(4);
			const drawn = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
			if (drawn < most) return drawn % parts;
		}
	};
}

/** Parts that a share is drawn in: finer than any share. */
const PARTS = 1_000_000;

/**
 * Draws a relay; undefined where there is none. An operator is drawn first, each as likely as any other, then one of its relays. New operators have
 * a share together that is theirs by their number or by the rules, whichever is less: keys and machines for a month are cheap. What a relay says of its line
 * or disk weighs nothing, for anybody can say anything; that it takes nothing now can only keep it out.
 */
export function draw(candidates: readonly Candidate[], chance: Chance, rules: HomeRules): string | undefined {
	const groups = new Map<string, Candidate[]>();
	// in one order, so that the same chance draws the same relay wherever it is drawn
	for (const one of [...candidates].sort((a, b) => (a.relay < b.relay ? -1 : 1)))
		groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
	const all = [...groups.values()];
	const isNew = (group: readonly Candidate[]) => group.some(({ isNewOperator }) => isNewOperator);
	const fresh = all.filter(isNew);
	const settled = all.filter((group) => !isNew(group));
	const left = PARTS - settled.length * rules.operatorSharePpm;
	const most = Math.max(rules.newOperatorsSharePpm, left);
	const share = Math.min(most, Math.floor((PARTS * fresh.length) / Math.max(all.length, 1)));
	const isFresh = settled.length === 0 || (fresh.length > 0 && chance(PARTS) < share);
	const among = isFresh ? fresh : settled;
	if (among.length === 0) return undefined;
	const group = among[chance(among.length)];
	return group?.[chance(group.length)]?.relay;
}

/** What gives somebody a draw. */
export type Right = {
	/** the quota of its passes that are no gifts, in bytes a month */
	readonly quotaBytes: bigint;
	/** the account's own money that relays have earned since its last draw, in nano-dollars */
	readonly paidSince: bigint;
};

/** A home that was drawn. Times are Unix milliseconds. */
export type DrawnHome = {
	readonly relay: string;
	/** whose it was then: {@link Candidate} */
	readonly group: string;
	readonly drawnMs: number;
	/** until when its person's quota is gone, for this home was asked for in place of another */
	readonly spentUntilMs: number | undefined;
};

/** A draw that may be: the first, one for nothing because a home is lost, one for a month's quota, one that was paid for. */
export type Draw = "first" | "free" | "quota" | "paid";

/** Why there is none: nothing that gives one, a home that is still there, another one too soon. */
export type NoDraw = "not-yet" | "has-one" | "too-soon";

/**
 * Whether somebody may draw (again). A draw needs a pass or a payment: with accounts that cost nothing, somebody would ask until the answer is their own
 * relay. `again`: the person asks for another home; else only one that it has lost is replaced. `unlistedSinceMs`: when the home's relay was listed last,
 * where it is not listed now.
 */
export function mayDraw(
	home: DrawnHome | undefined,
	right: Right,
	asked: { readonly nowMs: number; readonly again: boolean; readonly unlistedSinceMs: number | undefined },
	rules: HomeRules,
): Draw | NoDraw {
	const hasPaid = right.paidSince >= rules.drawPaidNanos;
	if (!home) return right.quotaBytes > 0n || hasPaid ? "first" : "not-yet";
	const { nowMs, again, unlistedSinceMs } = asked;
	if (unlistedSinceMs !== undefined && nowMs - unlistedSinceMs >= rules.goneMs) return "free";
	if (!again) return "has-one";
	if (nowMs - home.drawnMs < rules.redrawMs) return "too-soon";
	if (right.quotaBytes > 0n) return "quota";
	return hasPaid ? "paid" : "not-yet";
}
