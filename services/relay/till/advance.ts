/** How a tab's row may change: only ever upwards (threat 4). Both engines put rows through here. */

import { within } from "#contracts/tariff";
import { advances, type Totals } from "#contracts/voucher";
import type { TillRow } from "./till.ts";

/**
 * What the row becomes when `next` is put over `known`: a voucher, what is redeemed and `final` never go back; the rest is `next`'s.
 * A tab that still takes vouchers has not stopped, so `used` does not travel with one: a count copied from the last start would, after
 * a crash, give away what was used since.
 */
export function merge(known: TillRow | undefined, next: TillRow): TillRow {
	if (!known) return next;
	const advanced = next.voucher !== undefined && (!known.voucher || advances(next.voucher, known.voucher));
	const paid = rises(known.redeemed, next.redeemed) ? next : known;
	return {
		...next,
		voucher: advanced ? next.voucher : known.voucher,
		used: advanced ? undefined : next.used,
		redeemed: paid.redeemed,
		receipt: paid.receipt ?? known.receipt,
		final: known.final || next.final,
	};
}

/** The row after the market's confirmation; the row as it was when that says less than an earlier one. */
export function withRedeemed(known: TillRow, redeemed: Totals, receipt: Uint8Array): TillRow {
	return rises(known.redeemed, redeemed) ? { ...known, redeemed, receipt } : known;
}

/** Not less in anything; the same totals with a newer receipt count. */
function rises(before: Totals, after: Totals): boolean {
	return within(before, after) && before.nanos <= after.nanos;
}
