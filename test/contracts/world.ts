/**
 * The people and machines of the contracts' tests and vectors: fixed seeds, fixed times, nothing by chance.
 */
import { amount } from "#contracts/amount";
import { signBill } from "#contracts/bill";
import { join, toHex } from "#contracts/bytes";
import { signGrant, type Terms } from "#contracts/grant";
import { type Crypto, signFor } from "#contracts/identity";
import { signListing } from "#contracts/listing";
import { signMarketKey } from "#contracts/market";
import { isProblem, type Problem } from "#contracts/problem";
import { signReceipt, signUsage } from "#contracts/redemption";
import type { OpenOrder } from "#contracts/tab";
import { signVoucher, type Voucher, writeVoucher } from "#contracts/voucher";

/** 2027-01-15T08:00:00Z. */
export const NOW_MS = 1_800_000_000_000;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** Thirty-two equal bytes: every seed of the tests is one of these. */
export function seed(byte: number): Uint8Array {
	return new Uint8Array(32).fill(byte);
}

/** What a test takes for granted, so that a refusal there is a bug. */
export function must<T>(answer: T | Problem | undefined): T {
	if (answer === undefined || isProblem(answer)) throw new Error(`refused: ${JSON.stringify(answer)}`);
	return answer;
}

/** A byte string with one bit changed. */
export function flip(bytes: Uint8Array, at: number, bit = 1): Uint8Array {
	const changed = bytes.slice();
	changed[at] = (changed[at] as number) ^ bit;
	return changed;
}

/** A byte string with other bytes written over it at `at`. */
export function patch(bytes: Uint8Array, at: number, over: Uint8Array): Uint8Array {
	const changed = bytes.slice();
	changed.set(over, at);
	return changed;
}

/** A u64 as the wire has it. */
export function u64(value: bigint | number): Uint8Array {
	const bytes = new Uint8Array(8);
	new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
	return bytes;
}

/** Signed bytes whose body was changed, signed anew: what a liar with the key would send. */
export function resign(
	crypto: Crypto,
	what: string,
	bytes: Uint8Array,
	secretKey: Uint8Array,
	before: Uint8Array = new Uint8Array(0),
): Uint8Array {
	const body = bytes.slice(0, bytes.length - 64);
	return join(body, signFor(crypto, what, join(before, body), secretKey));
}

export type World = ReturnType<typeof world>;

/** One market, one relay, one payer and everything they sign. */
export function world(crypto: Crypto) {
	const root = crypto.keyPair(seed(1));
	const online = crypto.keyPair(seed(2));
	const relay = crypto.keyPair(seed(3));
	const account = crypto.keyPair(seed(4));
	const session = crypto.keyPair(seed(5));
	const operator = crypto.keyPair(seed(6));
	const mailbox = crypto.keyPair(seed(7));
	const other = crypto.keyPair(seed(8));
	const nextOnline = crypto.keyPair(seed(9));
	const tab = new Uint8Array(16).fill(0xaa);
	const marketKey = signMarketKey(crypto, root, online.publicKey, NOW_MS - DAY_MS, NOW_MS + 29 * DAY_MS);
	const nextMarketKey = signMarketKey(crypto, root, nextOnline.publicKey, NOW_MS, NOW_MS + 30 * DAY_MS);
	const tariff = { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) };
	const terms: Terms = {
		market: root.publicKey,
		tab,
		session: session.publicKey,
		relay: relay.publicKey,
		cap: amount(10_000_000n),
		tariff,
		issuedAtMs: NOW_MS,
		expiresAtMs: NOW_MS + 7 * DAY_MS,
		redeemByMs: NOW_MS + 8 * DAY_MS,
	};
	const grant = signGrant(crypto, terms, online);
	const sign = (bytes: bigint, byteSeconds: bigint, of: Terms = terms): Voucher =>
		must(signVoucher(crypto, of, { bytes, byteSeconds }, session.secretKey));
	const voucher = sign(2_000_000n, 2_000_000n * 604_800n);
	const used = { bytes: 1_500_001n, byteSeconds: 1_500_001n * 604_800n };
	const usage = signUsage(crypto, terms, used, true, NOW_MS + HOUR_MS, relay.secretKey);
	const paid = sign(1_000_000n, 1_000_000n * 604_800n);
	const receipt = signReceipt(
		crypto,
		{
			market: root.publicKey,
			tab,
			relay: relay.publicKey,
			operator: operator.publicKey,
			paid: { bytes: paid.bytes, byteSeconds: paid.byteSeconds, nanos: paid.nanos },
			atMs: NOW_MS + 2 * HOUR_MS,
		},
		nextOnline,
	);
	const offer = {
		market: root.publicKey,
		relay: relay.publicKey,
		operator: operator.publicKey,
		url: "wss://relay.example/farelay",
		country: "KE",
		bandwidthMbps: 100,
		storageGb: 50,
		trafficCapGb: 2_000,
		takes: true,
		storageLeftGb: 41,
		trafficLeftGb: 1_234,
		tariff,
		issuedAtMs: NOW_MS,
		validUntilMs: NOW_MS + 15 * 60_000,
	};
	const listing = signListing(crypto, offer, relay);
	const order: OpenOrder = {
		market: root.publicKey,
		account: account.publicKey,
		tab,
		session: session.publicKey,
		relay: relay.publicKey,
		cap: terms.cap,
		tariff,
		fees: { marketPpm: 20_000, solidarityPpm: 20_000 },
		lifeMs: 7 * DAY_MS,
		tranches: [
			{ fund: "pool", pool: new Uint8Array(16).fill(0x99), cap: amount(4_000_000n), payerPpm: 0 },
			{ fund: "commons", cap: amount(3_000_000n), payerPpm: 250_000 },
			{ fund: "own", cap: amount(3_000_000n), payerPpm: 1_000_000 },
		],
	};
	const bill = signBill(
		crypto,
		{
			...{ market: root.publicKey, tab, account: account.publicKey, relay: relay.publicKey, tariff },
			...{ fees: order.fees, tranches: order.tranches, atMs: NOW_MS + 2 * HOUR_MS },
			carried: { bytes: 16_000_001n, byteSeconds: 16_000_001n * 1_209_600n },
		},
		nextOnline,
	);
	const dispute = {
		grantKey: marketKey.bytes,
		grant: grant.bytes,
		voucher: writeVoucher(voucher),
		usage: usage.bytes,
		receipt: { bytes: receipt.bytes, key: nextMarketKey.bytes },
	};
	return {
		root,
		online,
		nextOnline,
		relay,
		account,
		session,
		operator,
		mailbox,
		other,
		tab,
		tag: new Uint8Array(16).fill(0xbb),
		nonce: new Uint8Array(16).fill(0xcc),
		token: new Uint8Array(16).fill(0xdd),
		device: new Uint8Array(16).fill(0xee),
		marketKey,
		nextMarketKey,
		keys: [marketKey, nextMarketKey],
		tariff,
		terms,
		grant,
		sign,
		voucher,
		used,
		usage,
		receipt,
		bill,
		offer,
		listing,
		order,
		dispute,
	};
}

/** Anything as JSON has it: bytes in hex, money and other big integers as decimal strings. */
export function shown(value: unknown): unknown {
	if (value instanceof Uint8Array) return toHex(value);
	if (typeof value === "bigint") return value.toString();
	if (Array.isArray(value)) return value.map(shown);
	if (typeof value === "object" && value !== null)
		return Object.fromEntries(
			Object.entries(value)
				.filter(([, field]) => field !== undefined)
				.map(([name, field]) => [name, shown(field)]),
		);
	return value;
}
