/**
 * What an app's developer signs for a user: that a pool, whose rules name the developer's key, may pay for this account for a day at most. The app asks its own server for one, which
 * knows its users; the market learns nothing of them but the account (PROTOCOL.md, "Passes").
 */

import { join, Reader, Writer } from "./bytes.ts";
import { type Crypto, KEY_BYTES, type KeyPair, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { type Problem, problem } from "./problem.ts";
import { POOL_BYTES } from "./tranche.ts";

/** A day: whoever is no user of the app any more is paid for no longer than that. */
export const APP_PASS_MS_MAX = 86_400_000;

/** A developer's word on an account. Times are Unix milliseconds. */
export type AppPass = {
	readonly market: Uint8Array;
	/** the developer's key */
	readonly app: Uint8Array;
	readonly pool: Uint8Array;
	readonly account: Uint8Array;
	readonly issuedAtMs: number;
	readonly validUntilMs: number;
	/** as it travels: {@link APP_PASS_BYTES} bytes */
	readonly bytes: Uint8Array;
};

/** `market 32 · app 32 · pool 16 · account 32 · issued u64 · valid until u64 · signature 64`. */
export const APP_PASS_BYTES = KEY_BYTES * 3 + POOL_BYTES + 8 + 8 + SIGNATURE_BYTES;

/** Signs a pass with the developer's key. */
export function signAppPass(crypto: Crypto, pass: Omit<AppPass, "bytes" | "app">, app: KeyPair): AppPass {
	const body = new Writer(APP_PASS_BYTES)
		.put(pass.market, KEY_BYTES)
		.put(app.publicKey, KEY_BYTES)
		.put(pass.pool, POOL_BYTES)
		.put(pass.account, KEY_BYTES)
		.u64(pass.issuedAtMs)
		.u64(pass.validUntilMs)
		.finish();
	const bytes = join(body, signFor(crypto, "app-pass", body, app.secretKey));
	return { ...pass, app: app.publicKey, bytes };
}

/** Reads a pass and checks its form and signature. Whether its pool names that developer, and whether it is in time, is the market's. Total. */
export function readAppPass(crypto: Crypto, bytes: Uint8Array): AppPass | Problem {
	const reader = new Reader(bytes);
	const [market, app] = [reader.take(KEY_BYTES), reader.take(KEY_BYTES)];
	const [pool, account] = [reader.take(POOL_BYTES), reader.take(KEY_BYTES)];
	const [issuedAtMs, validUntilMs] = [reader.count(), reader.count()];
	const signature = reader.take(SIGNATURE_BYTES);
	if (!reader.done) return problem("malformed", "The bytes are not an app's pass.");
	if (validUntilMs <= issuedAtMs || validUntilMs - issuedAtMs > APP_PASS_MS_MAX)
		return problem("malformed", "An app's pass is valid for some time, and for a day at most.");
	if (!verifyFor(crypto, "app-pass", bytes.subarray(0, APP_PASS_BYTES - SIGNATURE_BYTES), signature, app))
		return problem("signature-bad", "The pass is not signed by the app that it names.");
	return { market, app, pool, account, issuedAtMs, validUntilMs, bytes: bytes.slice() };
}
