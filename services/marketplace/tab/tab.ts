/**
 * A tab as the market keeps it: the row of the book, read and written. What is not in the row is in the grant, which it holds whole
 * (PROTOCOL.md, "Tab").
 */

import { type Amount, amount, formatAmount, parseAmount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { type Grant, readGrant } from "#contracts/grant";
import { isProblem, problem } from "#contracts/problem";
import { type Bill, bill, type FeeRates } from "#contracts/tab";
import { price } from "#contracts/tariff";
import type { Totals } from "#contracts/voucher";
import { BookFailure, type RowChange, type TabRow } from "#marketplace/ledger/book";

/** `open`: spends; `closing`: its account wants no more, its relay may still redeem; `closed`: nothing is reserved any more. */
export type TabState = "open" | "closing" | "closed";

/** A tab. Keys and ids as bytes are in `grant`; the row's own are hex. */
export type Tab = {
	/** how often the row was written; a change is decided on this version and refused on any other */
	readonly version: number;
	readonly tab: string;
	readonly account: string;
	readonly relay: string;
	/** who is paid: the relay's operator when the tab was opened */
	readonly operator: string;
	readonly state: TabState;
	readonly grant: Grant;
	readonly fees: FeeRates;
	/** the bill of the cap: what `open` took */
	readonly reserved: Amount;
	/** what was redeemed, cumulative */
	readonly paid: Totals;
	/** the newest receipt, in hex, once something was redeemed */
	readonly receipt: string | undefined;
	/** what went back to the account, once closed */
	readonly returned: Amount | undefined;
	/** what of the reserved money is fresh: by a card whose payment can still be taken back; of a closed tab, what of the billed money is (fresh.ts) */
	readonly fresh: Amount;
	/** what of the operator's waits although it has cleared (money.md, "Cards come back") */
	readonly late: Amount;
};

/** What the row's JSON text holds. */
type Value = {
	readonly operator: string;
	readonly grant: string;
	readonly marketPpm: number;
	readonly solidarityPpm: number;
	readonly reserved: string;
	readonly bytes: string;
	readonly byteSeconds: string;
	readonly receipt?: string | undefined;
	readonly returned?: string | undefined;
	readonly fresh?: string | undefined;
	readonly late?: string | undefined;
};

const STATES: readonly string[] = ["open", "closing", "closed"] satisfies TabState[];

/** Reads a row. @throws BookFailure `data-corrupt` for one that no market wrote. */
export function readTab(row: TabRow): Tab {
	const value = JSON.parse(row.value) as Value;
	const grantBytes = fromHex(value.grant);
	const grant = grantBytes && readGrant(grantBytes);
	const reserved = parseAmount(value.reserved);
	// left out where there is nothing: most tabs never see a card
	const fresh = parseAmount(value.fresh ?? "0");
	const late = parseAmount(value.late ?? "0");
	if (fresh === undefined || late === undefined) throw corrupt(row.tab);
	if (!grant || isProblem(grant) || reserved === undefined || !STATES.includes(row.state)) throw corrupt(row.tab);
	const traffic = { bytes: BigInt(value.bytes), byteSeconds: BigInt(value.byteSeconds) };
	const nanos = price(grant.tariff, traffic);
	if (nanos === undefined || toHex(grant.tab) !== row.tab || toHex(grant.relay) !== row.relay) throw corrupt(row.tab);
	return {
		version: row.version,
		tab: row.tab,
		account: row.account,
		relay: row.relay,
		operator: value.operator,
		state: row.state as TabState,
		grant,
		fees: { marketPpm: value.marketPpm, solidarityPpm: value.solidarityPpm },
		reserved,
		paid: { ...traffic, nanos },
		receipt: value.receipt,
		returned: parseAmount(value.returned),
		fresh,
		late,
	};
}

function corrupt(tab: string): BookFailure {
	return new BookFailure(problem("data-corrupt", `The row of tab ${tab} is not one that the market wrote.`));
}

/** The change that writes a tab over the version that it was read at (0: it is new). */
export function writeTab(tab: Tab): RowChange {
	const value: Value = {
		operator: tab.operator,
		grant: toHex(tab.grant.bytes),
		marketPpm: tab.fees.marketPpm,
		solidarityPpm: tab.fees.solidarityPpm,
		reserved: formatAmount(tab.reserved),
		bytes: tab.paid.bytes.toString(),
		byteSeconds: tab.paid.byteSeconds.toString(),
		receipt: tab.receipt,
		returned: tab.returned === undefined ? undefined : formatAmount(tab.returned),
		...(tab.fresh > 0n && { fresh: formatAmount(tab.fresh) }),
		...(tab.late > 0n && { late: formatAmount(tab.late) }),
	};
	return {
		table: "tabs",
		expect: tab.version,
		row: {
			tab: tab.tab,
			account: tab.account,
			relay: tab.relay,
			state: tab.state,
			deadlineMs: tab.grant.redeemByMs,
			value: JSON.stringify(value),
		},
	};
}

/** What the account has been billed on a tab so far. */
export function billed(tab: Tab): Bill {
	return bill(tab.paid.nanos, tab.fees);
}

/** What is still reserved on a tab that is not closed: what its hold must have. */
export function held(tab: Tab): Amount {
	return tab.state === "closed" ? amount(0n) : amount(tab.reserved - billed(tab).total);
}
