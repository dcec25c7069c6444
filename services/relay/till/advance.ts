/** How a tab's row may change: only ever upwards (threat 4). Both engines put rows through here. */

import { within } from "#contracts/tariff";
import { advances, type Totals } from "#contracts/voucher";
import type { TillRow } from "./till.ts";

/** What the row becomes when `next` is put over `known`: a voucher, what is redeemed and `final` never go back; the rest is `next`'s. */
export function merge(known: TillRow | undefined, next: TillRow): TillRow {
	if (!known) return next;
	const paid = rises(known.redeemed, next.redeemed) ? next : known;
	return {
		...next,
		voucher: next.voucher && (!known.voucher || advances(next.voucher, known.voucher)) ? next.voucher : known.voucher,
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
