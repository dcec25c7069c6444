/**
 * Who calls: an account that signed a short token for itself (PROTOCOL.md, "Tokens"). A JWS with EdDSA and nothing else, for this market
 * only, alive for a minute at most. One token carries one changing request, whichever of the market's processes it is shown to: it says who
 * asks and not what, so whoever caught one could ask for something else with it.
 */

import { hash } from "node:crypto";
import { type CryptoKey, decodeJwt, errors, importJWK, jwtVerify } from "jose";
import { fromHex, toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Board } from "#marketplace/board/board";

/** The longest life of a token, in seconds. */
const TOKEN_S_MAX = 60;

/** How far a caller's clock may be off, in seconds; beyond it the answer is `clock`, and the market's time is in its description. */
const LEEWAY_S = 10;

/** Imported keys that are kept: importing one costs more than a verify. */
const KEYS_MAX = 1_000;

/** Tells who sent a request. */
export interface Callers {
	/** The account (public key, hex) of an `Authorization` header; undefined when there is none. `changes`: the token counts as used. */
	caller(header: string | undefined, changes: boolean): Promise<string | Problem | undefined>;
}

/** Callers of one market (its root key). Used tokens are marked on the board for as long as they live: as many as come in that minute. */
export function makeCallers(market: Uint8Array, clock: Clock, board: Pick<Board, "use">): Callers {
	const audience = toHex(market);
	const keys = new Map<string, CryptoKey>();

	return {
		caller: async (header, changes) => {
			if (header === undefined) return undefined;
			const token = /^Bearer ([\w-]{1,200}\.[\w-]{1,1000}\.[\w-]{1,200})$/i.exec(header)?.[1];
			if (!token) return problem("unauthorized", "The request's token is not one.");
			const nowMs = clock.nowMs();
			try {
				const { iss } = decodeJwt(token);
				const key = await keyOf(iss);
				if (!iss || !key) return problem("unauthorized", "The token names no account.");
				const { payload } = await jwtVerify(token, key, {
					algorithms: ["EdDSA"],
					audience,
					clockTolerance: LEEWAY_S,
					currentDate: new Date(nowMs),
					requiredClaims: ["iss", "iat", "exp", "jti"],
				});
				const { iat = 0, exp = 0, jti = "" } = payload;
				if (exp - iat > TOKEN_S_MAX || exp <= iat) return problem("unauthorized", "A token lives a minute at most.");
				if (iat > nowMs / 1_000 + LEEWAY_S) return problem("clock");
				if (!/^[\w-]{8,64}$/.test(jti)) return problem("unauthorized", "The token has no id.");
				// the account itself is not written down
				const mark = hash("sha256", `${iss}:${jti}`, "buffer");
				if (changes && !(await board.use(mark, (exp + LEEWAY_S) * 1_000)))
					return problem("unauthorized", "The token was used before; sign one for each change.");
				return iss;
			} catch (error) {
				if (error instanceof errors.JWTExpired) return problem("clock");
				if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError)
					return problem("unauthorized");
				throw error;
			}
		},
	};

	async function keyOf(account: unknown): Promise<CryptoKey | undefined> {
		const bytes = fromHex(account, 32);
		if (!bytes || typeof account !== "string") return undefined;
		const known = keys.get(account);
		if (known) return known;
		const x = Buffer.from(bytes).toString("base64url");
		const key = (await importJWK({ kty: "OKP", crv: "Ed25519", x }, "EdDSA")) as CryptoKey;
		if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value as string);
		keys.set(account, key);
		return key;
	}
}
