/**
 * What an account signs to open and to close a tab. The signed `open` fixes the tariff and both fee rates for the tab's
 * whole life (PROTOCOL.md, "Tab"; threats 5, 6 and 9).
 */

import { type Amount, add, isAmount, isRate, portion } from "./amount.ts";
import { Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, signFor, TAB_BYTES, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { isTariff, type Tariff } from "./tariff.ts";
import { areTranches, putTranches, type Tranche } from "./tranche.ts";

/** An account's order to open a tab. `tab` is chosen by the account, so that asking again opens nothing twice. */
export type OpenOrder = {
	readonly market: Uint8Array;
	readonly account: Uint8Array;
	readonly tab: Uint8Array;
	readonly session: Uint8Array;
	readonly relay: Uint8Array;
	readonly cap: Amount;
	readonly tariff: Tariff;
	readonly fees: FeeRates;
	/** How long the grant shall live, in milliseconds. */
	readonly lifeMs: number;
	/** Who pays for which part of the cap. */
	readonly tranches: readonly Tranche[];
};

/** The two fees on top of the operator's ask, in parts per million of it. */
export type FeeRates = { readonly marketPpm: number; readonly solidarityPpm: number };

function openBody(order: OpenOrder): Uint8Array {
	const writer = new Writer()
		.put(order.market, KEY_BYTES)
		.put(order.account, KEY_BYTES)
		.put(order.tab, TAB_BYTES)
		.put(order.session, KEY_BYTES)
		.put(order.relay, KEY_BYTES)
		.u64(order.cap)
		.u64(order.tariff.sendPerMb)
		.u64(order.tariff.storePerMbDay)
		.u32(order.fees.marketPpm)
		.u32(order.fees.solidarityPpm)
		.u64(order.lifeMs);
	return putTranches(writer, order.tranches).finish();
}

/** Signs an order to open with the account's key. */
export function signOpen(crypto: Crypto, order: OpenOrder, account: KeyPair): Uint8Array {
	return signFor(crypto, "open", openBody(order), account.secretKey);
}

/**
 * Whether an order's fields are within what a tab may have, so that its bytes mean it alone and its bill is an amount.
 * An order comes from outside: fields of another type are refused here too.
 */
export function isOpenOrder(order: OpenOrder): boolean {
	const { cap, tariff, fees, lifeMs } = order;
	const keys = [order.market, order.account, order.session, order.relay];
	return (
		keys.every((key) => key instanceof Uint8Array && key.length === KEY_BYTES) &&
		order.tab instanceof Uint8Array &&
		order.tab.length === TAB_BYTES &&
		[cap, tariff.sendPerMb, tariff.storePerMbDay].every((nanos) => typeof nanos === "bigint" && isAmount(nanos)) &&
		cap <= LIMIT.capNanosMax &&
		isTariff(tariff) &&
		isRate(fees.marketPpm) &&
		isRate(fees.solidarityPpm) &&
		Number.isSafeInteger(lifeMs) &&
		lifeMs > 0 &&
		lifeMs <= LIMIT.grantMsMax &&
		areTranches(order.tranches, cap)
	);
}

/** Whether the account signed this order, and it is one that a tab may have. */
export function verifyOpen(crypto: Crypto, order: OpenOrder, signature: Uint8Array): boolean {
	return isOpenOrder(order) && verifyFor(crypto, "open", openBody(order), signature, order.account);
}

function closeBody(market: Uint8Array, account: Uint8Array, tab: Uint8Array): Uint8Array {
	return new Writer().put(market, KEY_BYTES).put(account, KEY_BYTES).put(tab, TAB_BYTES).finish();
}

/** Signs an order to close a tab with the account's key. */
export function signClose(crypto: Crypto, market: Uint8Array, tab: Uint8Array, account: KeyPair): Uint8Array {
	return signFor(crypto, "close", closeBody(market, account.publicKey, tab), account.secretKey);
}

/** Whether the account ordered this tab to be closed. */
export function verifyClose(
	crypto: Crypto,
	market: Uint8Array,
	account: Uint8Array,
	tab: Uint8Array,
	signature: Uint8Array,
): boolean {
	const sound = market.length === KEY_BYTES && account.length === KEY_BYTES && tab.length === TAB_BYTES;
	return sound && verifyFor(crypto, "close", closeBody(market, account, tab), signature, account);
}

/** What a cumulative ask comes to for the payer: the ask and each fee, each rounded down once (PROTOCOL.md, "Bill"). */
export type Bill = {
	readonly ask: Amount;
	readonly marketFee: Amount;
	readonly solidarityFee: Amount;
	readonly total: Amount;
};

/** The bill of a cumulative ask. What a tab comes to by its tranches is in `bill.ts`. */
export function bill(ask: Amount, fees: FeeRates): Bill {
	const marketFee = portion(ask, fees.marketPpm);
	const solidarityFee = portion(ask, fees.solidarityPpm);
	return { ask, marketFee, solidarityFee, total: add(ask, marketFee, solidarityFee) };
}
