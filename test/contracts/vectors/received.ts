/** Vectors of readers' totals: what somebody signs of what came to them at one relay. */
import { join, toHex } from "#contracts/bytes";
import type { Crypto } from "#contracts/identity";
import { dayOf, megabytesOf, RECEIVED_BYTES, readReceived, signReceived } from "#contracts/received";
import { DAY_MS, flip, NOW_MS, patch, resign, world } from "#test/contracts/world";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";

export function receivedVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const market = w.root.publicKey;
	const total = {
		account: w.account.publicKey,
		relay: w.relay.publicKey,
		day: dayOf(NOW_MS),
		megabytes: 57,
	};
	const bytes = signReceived(crypto, market, total, w.account);
	const read = (signed: Uint8Array) => readReceived(crypto, market, signed);
	const cases: [string, typeof total][] = [
		["an ordinary day", total],
		["nothing came", { ...total, megabytes: 0 }],
		["as much as a total can say", { ...total, day: 0xffffffff, megabytes: 0xffffffff }],
	];
	const lies: [string, Uint8Array][] = [
		["for another market", signReceived(crypto, w.other.publicKey, total, w.account)],
		["signed by somebody else", signReceived(crypto, market, total, w.other)],
		["signed without the market", resign(crypto, "received", bytes, w.account.secretKey)],
		["signed for another purpose", resign(crypto, "close", bytes, w.account.secretKey, market)],
		["somebody else's account written over it", patch(bytes, 0, w.other.publicKey)],
		["two at once", join(bytes, bytes)],
	];
	return {
		contract: "received",
		section: "Readers' totals",
		market: toHex(market),
		length: RECEIVED_BYTES,
		megabytes: [0n, 1n, 999_999n, 1_000_000n, 1_000_001n, 4_294_967_295_000_000n, 2n ** 63n].map((received) =>
			accepted(`${received} bytes`, { received, megabytes: megabytesOf(received) }),
		),
		days: [0, DAY_MS - 1, DAY_MS, NOW_MS].map((atMs) => accepted(`at ${atMs}`, { atMs, day: dayOf(atMs) })),
		totals: cases.map(([name, said]) => {
			const signed = signReceived(crypto, market, said, w.account);
			return accepted(name, { bytes: signed, ...said, read: read(signed) });
		}),
		totalsRefused: [
			...lengths(bytes).map(([name, other]) => refused(name, other, read(other))),
			...["account", "relay", "day", "megabytes", "signature"].map((field, i) => {
				const other = flip(bytes, [0, 32, 64, 68, 72][i] as number);
				return refused(`another ${field}`, other, read(other));
			}),
			...lies.map(([name, lie]) => refused(name, lie, read(lie))),
		],
	};
}
