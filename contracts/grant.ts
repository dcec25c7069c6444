/**
 * A grant: the market's signed statement of one tab's terms. A relay checks it offline, with nothing but the market's keys
 * and its own clock (PROTOCOL.md, "Grant").
 */

import { type Amount, amount, isAmount } from "./amount.ts";
import { Reader, same, Writer } from "./bytes.ts";
import {
	type Crypto,
	KEY_BYTES,
	KEY_ID_BYTES,
	keyId,
	SIGNATURE_BYTES,
	signFor,
	TAB_BYTES,
	verifyFor,
} from "./identity.ts";
import { LIMIT } from "./limit.ts";
import { type MarketKey, marketKeyOf } from "./market.ts";
import { type Problem, problem } from "./problem.ts";
import { isTariff, type Tariff } from "./tariff.ts";

/** The terms of a tab. Times are Unix milliseconds. */
export type Terms = {
	readonly market: Uint8Array;
	readonly tab: Uint8Array;
	readonly session: Uint8Array;
	readonly relay: Uint8Array;
	/** The most that vouchers may say: the operator's ask, fees not included. */
	readonly cap: Amount;
	readonly tariff: Tariff;
	readonly issuedAtMs: number;
	readonly expiresAtMs: number;
	/** The redemption deadline. */
	readonly redeemByMs: number;
};

/** Signed terms. `bytes` is the grant as it travels. */
export type Grant = Terms & { readonly keyId: Uint8Array; readonly bytes: Uint8Array };

/** The one currency of version 1: nano US dollars, in the signed bytes so that no voucher can mean another. */
export const CURRENCY = Uint8Array.of(0x6e, 0x55, 0x53, 0x44);

const BODY_BYTES = 1 + 32 + 8 + 4 + 16 + 32 + 32 + 6 * 8;

/** `version 1 · market 32 · key id 8 · currency 4 · tab 16 · session 32 · relay 32 · cap, sendPerMb, storePerMbDay, issued, expires, redeem-by u64 each · signature 64`. */
export const GRANT_BYTES = BODY_BYTES + SIGNATURE_BYTES;

/** Signs terms with the market's online key. */
export function signGrant(
	crypto: Crypto,
	terms: Terms,
	online: { publicKey: Uint8Array; secretKey: Uint8Array },
): Grant {
	const id = keyId(crypto, online.publicKey);
	const body = new Writer(BODY_BYTES)
		.u8(1)
		.put(terms.market, KEY_BYTES)
		.put(id, KEY_ID_BYTES)
		.put(CURRENCY)
		.put(terms.tab, TAB_BYTES)
		.put(terms.session, KEY_BYTES)
		.put(terms.relay, KEY_BYTES)
		.u64(terms.cap)
		.u64(terms.tariff.sendPerMb)
		.u64(terms.tariff.storePerMbDay)
		.u64(terms.issuedAtMs)
		.u64(terms.expiresAtMs)
		.u64(terms.redeemByMs)
		.finish();
	const bytes = new Writer(GRANT_BYTES)
		.put(body)
		.put(signFor(crypto, "grant", body, online.secretKey))
		.finish();
	return { ...terms, keyId: id, bytes };
}

/** Reads a grant's fields; says nothing of its signature. */
export function readGrant(bytes: Uint8Array): Grant | Problem {
	const reader = new Reader(bytes);
	const version = reader.u8();
	if (reader.sound && version !== 1) return problem("version-unknown", "The grant is of another version.");
	const market = reader.take(KEY_BYTES);
	const id = reader.take(KEY_ID_BYTES);
	const currency = reader.take(4);
	const tab = reader.take(TAB_BYTES);
	const session = reader.take(KEY_BYTES);
	const relay = reader.take(KEY_BYTES);
	const cap = reader.u64();
	const sendPerMb = reader.u64();
	const storePerMbDay = reader.u64();
	const issuedAtMs = reader.count();
	const expiresAtMs = reader.count();
	const redeemByMs = reader.count();
	reader.take(SIGNATURE_BYTES);
	if (!reader.done || !same(currency, CURRENCY)) return problem("malformed", "The grant's bytes are not a grant.");
	if (!isAmount(cap) || !isAmount(sendPerMb) || !isAmount(storePerMbDay))
		return problem("malformed", "The grant's amounts are none.");
	const tariff = { sendPerMb: amount(sendPerMb), storePerMbDay: amount(storePerMbDay) };
	if (cap > LIMIT.capNanosMax) return problem("malformed", "The grant's cap is beyond any tab's.");
	if (!isTariff(tariff)) return problem("malformed", "The grant's tariff is beyond any ask.");
	if (expiresAtMs <= issuedAtMs || expiresAtMs - issuedAtMs > LIMIT.grantMsMax || redeemByMs < expiresAtMs)
		return problem("malformed", "The grant's times are out of order.");
	return {
		market,
		keyId: id,
		tab,
		session,
		relay,
		cap: amount(cap),
		tariff,
		issuedAtMs,
		expiresAtMs,
		redeemByMs,
		bytes: bytes.slice(),
	};
}

/** Checks that one of the market's keys signed the grant, and was in its life when it did. */
export function verifyGrant(crypto: Crypto, grant: Grant, keys: readonly MarketKey[]): Problem | undefined {
	const key = marketKeyOf(crypto, keys, grant.keyId, grant.issuedAtMs);
	if (!key || !same(key.market, grant.market)) return problem("grant-unknown-market");
	const body = grant.bytes.subarray(0, BODY_BYTES);
	const signature = grant.bytes.subarray(BODY_BYTES);
	if (!verifyFor(crypto, "grant", body, signature, key.key))
		return problem("signature-bad", "The market did not sign this grant.");
	return undefined;
}

/** Grants in one question of a relay whether the market made them: as much as a batch of claims is long. */
export const GRANTS_ASKED_MAX = 64;

/** Reads the market's answer to `POST /v1/granted` about so many grants, in the order asked; undefined when it is none. */
export function readGranted(json: unknown, count: number): readonly boolean[] | undefined {
	const { granted } = (json ?? {}) as { granted?: unknown };
	if (!Array.isArray(granted) || granted.length !== count) return undefined;
	return granted.every((said) => typeof said === "boolean") ? granted : undefined;
}

/** Whether a relay may take new traffic on a grant: its own, and not within two minutes of its end. */
export function admitGrant(grant: Terms, relay: Uint8Array, nowMs: number): Problem | undefined {
	if (!same(grant.relay, relay)) return problem("grant-other-relay");
	if (nowMs >= grant.expiresAtMs - LIMIT.grantEndMarginMs) return problem("grant-expired");
	return undefined;
}
