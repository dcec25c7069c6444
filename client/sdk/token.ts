/**
 * A caller's own token: a JWS with EdDSA that the account signs for itself, for one market, good for less than a minute and
 * one changing request (PROTOCOL.md, "Tokens").
 */

import { toHex } from "#contracts/bytes";
import { toBase64Url } from "#contracts/card";
import type { KeyPair } from "#contracts/identity";
import type { Device } from "./device.ts";

/** Short of the minute that a market allows: clocks differ. */
const TOKEN_S = 45;
const JTI_BYTES = 16;
const text = new TextEncoder();

/** Signs `header {alg} · claims {iss, aud, iat, exp, jti}`; `nowMs` is the market's time as far as known. */
export function signToken(
	{ crypto }: Pick<Device, "crypto">,
	account: KeyPair,
	market: Uint8Array,
	nowMs: number,
): string {
	const iat = Math.floor(nowMs / 1000);
	const claims = {
		iss: toHex(account.publicKey),
		aud: toHex(market),
		iat,
		exp: iat + TOKEN_S,
		jti: toHex(crypto.random(JTI_BYTES)),
	};
	const part = (json: object) => toBase64Url(text.encode(JSON.stringify(json)));
	// The one signature without a domain: a JWS brings its own form, which no domain's text can start with ("eyJ").
	const signed = `${part({ alg: "EdDSA" })}.${part(claims)}`;
	return `${signed}.${toBase64Url(crypto.sign(text.encode(signed), account.secretKey))}`;
}
