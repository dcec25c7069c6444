/**
 * A tab as the market keeps it: the row of the book, read and written. What is not in the row is in the grant, which it holds whole
 * (PROTOCOL.md, "Tab").
 */

import { type Amount, amount, formatAmount, parseAmount } from "#contracts/amount";
import { type Billed, billOf, type TabBill } from "#contracts/bill";
import { fromHex, toHex } from "#contracts/bytes";
import { type Grant, readGrant } from "#contracts/grant";
import { isProblem, problem } from "#contracts/problem";
import type { FeeRates } from "#contracts/tab";
import { price } from "#contracts/tariff";
import { areTranches, ownTranche, POOL_BYTES, type Tranche } from "#contracts/tranche";
import type { Totals } from "#contracts/voucher";
import { BookFailure, type RowChange, type TabRow } from "#marketplace/ledger/book";
import { COMMONS, poolAccount } from "#marketplace/ledger/chart";
import type { Counted, Use } from "#marketplace/sponsor/facts";

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
	/** who pays for which part of the cap */
	readonly tranches: readonly Tranche[];
	/** what was counted for the funds among them, to be given back by what is not spent; undefined where there are none */
	readonly counted: Counted | undefined;
	/** the bill of the cap: what `open` took, of everybody together */
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
	/** what funds pay of the ask waits: its operator is new (desk/waits.ts) */
	readonly waits: boolean;
	/** what of the ask went back to the funds that had paid it, by a finding that stood */
	readonly forfeited: Amount;
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
	readonly waits?: boolean | undefined;
	readonly forfeited?: string | undefined;
	/** fund (`own`, `commons` or a pool's id), cap, payer's part; left out where all is the payer's own */
	readonly tranches?: readonly (readonly [string, string, number])[] | undefined;
	readonly counted?: (Omit<Counted, "uses"> & { readonly uses: readonly (readonly string[])[] }) | undefined;
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
	const forfeited = parseAmount(value.forfeited ?? "0");
	if (fresh === undefined || late === undefined || forfeited === undefined) throw corrupt(row.tab);
	if (!grant || isProblem(grant) || reserved === undefined || !STATES.includes(row.state)) throw corrupt(row.tab);
	const tranches = readTranches(value, grant.cap);
	if (!tranches) throw corrupt(row.tab);
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
		tranches,
		counted: value.counted && { ...value.counted, uses: value.counted.uses.map(readUse) },
		reserved,
		paid: { ...traffic, nanos },
		receipt: value.receipt,
		returned: parseAmount(value.returned),
		fresh,
		late,
		waits: value.waits === true,
		forfeited,
	};
}

function readTranches({ tranches }: Value, cap: Amount): readonly Tranche[] | undefined {
	if (!tranches) return [ownTranche(cap)];
	const read = tranches.map(([fund, nanos, payerPpm]): Tranche => {
		const part = { cap: parseAmount(nanos) ?? amount(0n), payerPpm };
		if (fund === "own" || fund === "commons") return { fund, ...part };
		return { fund: "pool", pool: fromHex(fund, POOL_BYTES) ?? new Uint8Array(0), ...part };
	});
	return areTranches(read, cap) ? read : undefined;
}

function readUse([quota = "0", texts = "0", elsewhere = "0"]: readonly string[]): Use {
	return { quota: BigInt(quota), texts: BigInt(texts), elsewhere: BigInt(elsewhere) };
}

/** A tranche's fund as it is called: `own`, `commons`, or the pool's id in hex. */
export function fundOf({ fund, pool }: Tranche): string {
	return pool ? toHex(pool) : fund;
}

/** Where a fund's money that is not reserved stands; undefined for the payer's own. */
export function accountOfFund(tranche: Tranche): string | undefined {
	if (tranche.fund === "own") return undefined;
	return tranche.fund === "commons" ? COMMONS : poolAccount(fundOf(tranche));
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
		...(tab.waits && { waits: true }),
		...(tab.forfeited > 0n && { forfeited: formatAmount(tab.forfeited) }),
		...((tab.tranches.length > 1 || tab.tranches[0]?.fund !== "own") && {
			tranches: tab.tranches.map((one) => [fundOf(one), formatAmount(one.cap), one.payerPpm] as const),
		}),
		...(tab.counted && { counted: { ...tab.counted, uses: tab.counted.uses.map(writeUse) } }),
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

function writeUse({ quota, texts, elsewhere }: Use): readonly string[] {
	return [quota.toString(), texts.toString(), elsewhere.toString()];
}

/** What was billed on a tab so far, and to whom. */
export function billed(tab: Pick<Tab, "paid" | "tranches" | "fees">): TabBill {
	return billOf(tab.paid.nanos, tab.tranches, tab.fees);
}

/** The bill of the cap: what each was asked to reserve. */
export function reservedOf(tab: Pick<Tab, "grant" | "tranches" | "fees">): TabBill {
	return billOf(tab.grant.cap, tab.tranches, tab.fees);
}

/** A tab's bill so far as its payer gets it signed. */
export function billToSign(tab: Tab, atMs: number): Billed {
	const { market, tab: id, relay, tariff } = tab.grant;
	const account = fromHex(tab.account);
	if (!account) throw new Error("a tab's account is no key");
	return { market, tab: id, account, relay, tariff, fees: tab.fees, tranches: tab.tranches, carried: tab.paid, atMs };
}

/** What is still reserved on a tab that is not closed: what its hold must have. */
export function held(tab: Tab): Amount {
	return tab.state === "closed" ? amount(0n) : amount(tab.reserved - billed(tab).total);
}
