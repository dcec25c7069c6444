/** Vectors of codes, enrollers' passes and quota tokens: what is written, hashed and signed. The oblivious functions themselves have theirs in RFC 9497. */
import { join, toHex } from "#contracts/bytes";
import { codeHash, codeLink, makeCode, readCode, showCode } from "#contracts/code";
import type { Crypto } from "#contracts/identity";
import { COMMONS_POOL, checkedBytes, PASS_BYTES, readPass, signPass, tagOf } from "#contracts/pass";
import {
	isForked,
	isMonth,
	monthEndMs,
	monthOf,
	OBLIVIOUS_KEY_BYTES,
	readObliviousKey,
	signObliviousKey,
	spentMark,
	TOKEN_QUOTA_BYTES,
	tokenInput,
} from "#contracts/quota";
import { DAY_MS, flip, NOW_MS, patch, resign, seed, u64, world } from "#test/contracts/world";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";

const POOL = new Uint8Array(16).fill(0xab);

export function passVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const market = w.root.publicKey;
	const code = makeCode({ ...crypto, random: (length) => Uint8Array.from({ length }, (_, i) => i * 7) });
	const said = {
		market,
		pool: POOL,
		code: codeHash(crypto, code),
		tag: seed(0x77),
		country: undefined,
		issuedAtMs: NOW_MS,
		validUntilMs: NOW_MS + 365 * DAY_MS,
	};
	const sign = (pass: Parameters<typeof signPass>[1]) => signPass(crypto, pass, w.operator).bytes;
	const bytes = sign(said);
	const commons = { ...said, pool: COMMONS_POOL, country: "KE" };
	const again = (at: number, over: Uint8Array) => resign(crypto, "pass", patch(bytes, at, over), w.operator.secretKey);
	const read = (signed: Uint8Array) => readPass(crypto, signed);
	const letters = (country: string) => new TextEncoder().encode(country);
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["a country in small letters", again(144, letters("ke"))],
		["half a country", again(144, Uint8Array.of(0x4b, 0))],
		["a country that is no text", again(144, Uint8Array.of(0xff, 0xff))],
		["valid until it was issued", again(154, u64(NOW_MS))],
		["valid for more than 400 days", again(154, u64(NOW_MS + 400 * DAY_MS + 1))],
		["issued at 2^53", again(146, u64(2n ** 53n))],
		["another enroller written over it", patch(bytes, 32, w.other.publicKey)],
		["signed for another purpose", resign(crypto, "card", bytes, w.operator.secretKey)],
		["a bit of the tag changed", flip(bytes, 112)],
		["a bit of the signature changed", flip(bytes, PASS_BYTES - 1)],
	];
	const links = [
		code,
		showCode(code),
		` ${showCode(code).toLowerCase()}`,
		codeLink("https://market.example/", "pass", code),
	];
	const badCodes = [
		"",
		code.slice(1),
		`${code}0`,
		showCode(code).replace("-", "_"),
		`${code.slice(0, -1)}U`,
		slip(code),
	];
	const checked: [string, string, string][] = [
		["a number as it stands on paper", "ke-national-id", " 1234-5678 "],
		["letters in any case, and in their wide forms", "ke-passport", "ａk 0012 ß"],
		["four letters or digits at least", "member", "a-b-1-2"],
	];
	const unchecked: [string, string, string][] = [
		["three letters or digits", "ke-national-id", "1-2-3"],
		["no letters and no digits", "ke-national-id", "-----"],
		["201 of them", "ke-national-id", "1".repeat(201)],
		["a kind in capitals", "KE", "12345678"],
		["no kind", "", "12345678"],
	];
	return {
		contract: "pass",
		section: "Passes and gifts",
		codes: [
			accepted("of fifteen bytes of chance", {
				chance: Uint8Array.from({ length: 15 }, (_, i) => i * 7),
				code,
				shown: showCode(code),
				hash: codeHash(crypto, code),
			}),
		],
		codesRead: links.map((typed) => accepted(typed, { typed, reads: readCode(crypto, typed) })),
		codesRefused: badCodes.map((typed) => refused(`"${typed}"`, { typed }, readCode(crypto, typed))),
		checked: checked.map(([name, kind, text]) =>
			accepted(name, { kind, text, input: checkedBytes(market, kind, text) }),
		),
		checkedRefused: unchecked.map(([name, kind, text]) =>
			refused(name, { kind, text }, checkedBytes(market, kind, text)),
		),
		tags: [COMMONS_POOL, POOL].map((pool) =>
			accepted(`of pool ${toHex(pool).slice(0, 2)}`, {
				pool,
				output: new Uint8Array(64).fill(5),
				tag: tagOf(crypto, pool, new Uint8Array(64).fill(5)),
			}),
		),
		enrollerSecretKey: toHex(w.operator.secretKey),
		length: PASS_BYTES,
		passes: [
			accepted("of a pool", { ...said, bytes, read: read(bytes) }),
			accepted("of the commons, with a country, for as long as may be", {
				bytes: sign({ ...commons, validUntilMs: NOW_MS + 400 * DAY_MS }),
				read: read(sign({ ...commons, validUntilMs: NOW_MS + 400 * DAY_MS })),
			}),
		],
		passesRefused: bad.map(([name, other]) => refused(name, other, read(other))),
	};
}

/** The code with two of its characters exchanged. */
function slip(code: string): string {
	const [a = "", b = ""] = code.slice(3, 5);
	return code.slice(0, 3) + b + a + code.slice(5);
}

export function quotaVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const market = w.root.publicKey;
	const keys = [w.marketKey];
	const said = { market, pool: POOL, month: 202701, key: seed(0x42) };
	const { bytes } = signObliviousKey(crypto, said, w.online);
	const read = (signed: Uint8Array) => readObliviousKey(crypto, signed, keys);
	const again = (at: number, over: Uint8Array) =>
		resign(crypto, "oblivious-key", patch(bytes, at, over), w.online.secretKey);
	const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["month 13", again(48, u32(202_713))],
		["month 0 of a year", again(48, u32(202_700))],
		["a year before there were any", again(48, u32(201_912))],
		["a key's id that is not known", again(84, new Uint8Array(8))],
		["another market", again(0, w.other.publicKey)],
		["signed by somebody else", resign(crypto, "oblivious-key", bytes, w.other.secretKey)],
		["signed for another purpose", resign(crypto, "grant", bytes, w.online.secretKey)],
		["a bit of the key changed", flip(bytes, 52)],
		["two at once", join(bytes, bytes)],
	];
	const nonce = seed(0x11);
	const other = { ...said, key: seed(0x43), bytes };
	return {
		contract: "quota",
		section: "Quota tokens",
		tokenQuotaBytes: TOKEN_QUOTA_BYTES.toString(),
		length: OBLIVIOUS_KEY_BYTES,
		certificate: toHex(w.marketKey.bytes),
		months: [NOW_MS, Date.UTC(2026, 11, 31, 23, 59, 59, 999), Date.UTC(2027, 0, 1)].map((atMs) =>
			accepted(`at ${atMs}`, {
				atMs,
				month: monthOf(atMs),
				endMs: monthEndMs(monthOf(atMs)),
				isMonth: isMonth(monthOf(atMs)),
			}),
		),
		tokens: [
			accepted("of a pool's month", {
				market,
				pool: POOL,
				month: 202701,
				nonce,
				input: tokenInput(market, POOL, 202701, nonce),
				mark: spentMark(crypto, POOL, 202701, nonce),
			}),
		],
		keys: [
			accepted("of a pool's month", { ...said, bytes, read: read(bytes) }),
			accepted("of tags", {
				bytes: signObliviousKey(crypto, { ...said, pool: COMMONS_POOL, month: 0 }, w.online).bytes,
				read: read(signObliviousKey(crypto, { ...said, pool: COMMONS_POOL, month: 0 }, w.online).bytes),
			}),
		],
		keysRefused: bad.map(([name, signed]) => refused(name, signed, read(signed))),
		forks: [
			accepted("the same month, another key", { isFork: isForked({ ...said, bytes }, other) }),
			accepted("another month, another key", { isFork: isForked({ ...said, bytes }, { ...other, month: 202702 }) }),
			accepted("another pool, another key", { isFork: isForked({ ...said, bytes }, { ...other, pool: COMMONS_POOL }) }),
			accepted("the same key", { isFork: isForked({ ...said, bytes }, { ...said, bytes }) }),
		],
	};
}
