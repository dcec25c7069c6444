/**
 * The bill of a tab by tranches: what a cumulative ask comes to for the payer, the commons and pools, each number cumulative and rounded once; and the same
 * signed by the market, which the payer keeps and the relay never sees (PROTOCOL.md, "Bill").
 */

import { type Amount, add, amount, isAmount, isRate, NOTHING, portion } from "./amount.ts";
import { join, Reader, same, Writer } from "./bytes.ts";
import {
	type Crypto,
	KEY_BYTES,
	KEY_ID_BYTES,
	type KeyPair,
	keyId,
	SIGNATURE_BYTES,
	signFor,
	TAB_BYTES,
	verifyFor,
} from "./identity.ts";
import { type MarketKey, marketKeyOf } from "./market.ts";
import { type Problem, problem } from "./problem.ts";
import { type Bill, bill, type FeeRates } from "./tab.ts";
import { price, type Tariff, type Traffic } from "./tariff.ts";
import { areTranches, partsOf, putTranches, type Tranche, takeTranches } from "./tranche.ts";

/** Who pays what of a bill that two share. */
export type Split = { readonly payer: Amount; readonly rest: Amount };

/** Splits an amount: the payer's part is rounded down, the rest is whoever else's. */
export function split(total: Amount, ppm: number): Split {
	const payer = portion(total, ppm);
	return { payer, rest: amount(total - payer) };
}

/** The bill of the part of an ask that lies in one tranche, and who pays what of its total. */
export type Part = Bill & Split & { readonly tranche: Tranche };

/** The bill of a tab: the sums of its parts. */
export type TabBill = Bill & {
	readonly payer: Amount;
	readonly commons: Amount;
	readonly pools: Amount;
	readonly parts: readonly Part[];
};

/** The bill of a cumulative ask within the tranches' caps: no solidarity fee is taken of what a fund pays for. */
export function billOf(ask: Amount, tranches: readonly Tranche[], fees: FeeRates): TabBill {
	const asks = partsOf(ask, tranches);
	const parts = tranches.map((tranche, i): Part => {
		const rates = tranche.fund === "own" ? fees : { ...fees, solidarityPpm: 0 };
		const own = bill(asks[i] as Amount, rates);
		return { ...own, ...split(own.total, tranche.payerPpm), tranche };
	});
	const sum = (of: (part: Part) => Amount) => add(...parts.map(of));
	const rest = (fund: Tranche["fund"]) => sum((part) => (part.tranche.fund === fund ? part.rest : NOTHING));
	return {
		ask: sum((part) => part.ask),
		marketFee: sum((part) => part.marketFee),
		solidarityFee: sum((part) => part.solidarityFee),
		total: sum((part) => part.total),
		payer: sum((part) => part.payer),
		commons: rest("commons"),
		pools: rest("pool"),
		parts,
	};
}

/** What the market says a payer was billed on a tab so far: everything that it follows from, and what it came to. */
export type SignedBill = {
	readonly market: Uint8Array;
	readonly keyId: Uint8Array;
	readonly tab: Uint8Array;
	readonly account: Uint8Array;
	readonly relay: Uint8Array;
	readonly tariff: Tariff;
	readonly fees: FeeRates;
	readonly tranches: readonly Tranche[];
	readonly carried: Traffic;
	readonly bill: TabBill;
	readonly atMs: number;
	readonly bytes: Uint8Array;
};

/** What is signed; what it comes to follows. */
export type Billed = Omit<SignedBill, "keyId" | "bytes" | "bill">;

/** The bill that follows from terms and traffic; undefined where no tab has those. */
function billFrom({ tariff, fees, tranches, carried }: Billed): TabBill | undefined {
	const ask = price(tariff, carried);
	const cap = tranches.reduce((sum, tranche) => sum + tranche.cap, 0n);
	if (!isAmount(cap) || !areTranches(tranches, cap) || ask === undefined || ask > cap) return undefined;
	return isRate(fees.marketPpm) && isRate(fees.solidarityPpm) ? billOf(ask, tranches, fees) : undefined;
}

const AMOUNTS = ["ask", "marketFee", "solidarityFee", "payer", "commons", "pools"] as const;

/** Signs a bill with the market's online key. @throws RangeError for traffic that the tranches do not cover. */
export function signBill(crypto: Crypto, billed: Billed, online: KeyPair): SignedBill {
	const found = billFrom(billed);
	if (!found) throw new RangeError("no tab has such a bill");
	const id = keyId(crypto, online.publicKey);
	const writer = new Writer(512)
		.put(billed.market, KEY_BYTES)
		.put(id, KEY_ID_BYTES)
		.put(billed.tab, TAB_BYTES)
		.put(billed.account, KEY_BYTES)
		.put(billed.relay, KEY_BYTES)
		.u64(billed.tariff.sendPerMb)
		.u64(billed.tariff.storePerMbDay)
		.u32(billed.fees.marketPpm)
		.u32(billed.fees.solidarityPpm)
		.u64(billed.carried.bytes)
		.u64(billed.carried.byteSeconds);
	for (const name of AMOUNTS) writer.u64(found[name]);
	const body = putTranches(writer.u64(billed.atMs), billed.tranches).finish();
	const bytes = join(body, signFor(crypto, "bill", body, online.secretKey));
	return { ...billed, keyId: id, bill: found, bytes };
}

/** Reads a bill: its amounts must follow from its terms, and one of the market's keys must have signed it. */
export function readBill(crypto: Crypto, bytes: Uint8Array, keys: readonly MarketKey[]): SignedBill | Problem {
	const reader = new Reader(bytes);
	const market = reader.take(KEY_BYTES);
	const id = reader.take(KEY_ID_BYTES);
	const [tab, account, relay] = [reader.take(TAB_BYTES), reader.take(KEY_BYTES), reader.take(KEY_BYTES)];
	const [sendPerMb, storePerMbDay] = [reader.u64(), reader.u64()];
	const fees = { marketPpm: reader.u32(), solidarityPpm: reader.u32() };
	const carried = { bytes: reader.u64(), byteSeconds: reader.u64() };
	const said = AMOUNTS.map(() => reader.u64());
	const atMs = reader.count();
	const tranches = takeTranches(reader);
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done || !tranches || !isAmount(sendPerMb) || !isAmount(storePerMbDay))
		return problem("malformed", "The bill's bytes are not a bill.");
	const billed = { market, tab, account, relay, tariff: { sendPerMb, storePerMbDay }, fees, tranches, carried, atMs };
	const found = billFrom(billed);
	if (!found || !AMOUNTS.every((name, i) => found[name] === said[i]))
		return problem("voucher-price", "The bill's amounts do not follow from its terms.");
	const key = marketKeyOf(crypto, keys, id, atMs);
	if (!key || !same(key.market, market))
		return problem("grant-unknown-market", "The bill names a key that is not the market's.");
	if (!verifyFor(crypto, "bill", bytes.subarray(0, bytes.length - SIGNATURE_BYTES), signature, key.key))
		return problem("signature-bad", "The market did not sign this bill.");
	return { ...billed, keyId: id, bill: found, bytes: bytes.slice() };
}
