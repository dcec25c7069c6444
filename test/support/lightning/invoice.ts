/** Invoices for tests: BOLT11 with everything but a signature, which nobody here checks. */

import { createHash, randomBytes } from "node:crypto";

const LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** The checksum of bech32 (BIP-173). */
function checksum(prefix: string, words: readonly number[]): number[] {
	const values = [
		...[...prefix].map((letter) => letter.charCodeAt(0) >> 5),
		0,
		...[...prefix].map((letter) => letter.charCodeAt(0) & 31),
		...words,
		...Array<number>(6).fill(0),
	];
	let sum = 1;
	for (const value of values) {
		const top = sum >>> 25;
		sum = ((sum & 0x1ffffff) << 5) ^ value;
		for (const [i, generator] of [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].entries())
			if ((top >> i) & 1) sum ^= generator;
	}
	sum ^= 1;
	return [0, 1, 2, 3, 4, 5].map((i) => (sum >>> (5 * (5 - i))) & 31);
}

/** Bytes as groups of five bits. */
function words(bytes: Uint8Array): number[] {
	const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
	return (bits.match(/.{1,5}/g) ?? []).map((five) => Number.parseInt(five.padEnd(5, "0"), 2));
}

function number(value: number, length: number): number[] {
	return [...Array(length).keys()].map((i) => Math.floor(value / 32 ** (length - 1 - i)) % 32);
}

const tag = (letter: string, data: number[]) => [LETTERS.indexOf(letter), ...number(data.length, 2), ...data];

/** What an invoice says; what is left out is as usual. */
export type Wanted = {
	readonly prefix?: string;
	readonly amountMsat?: bigint | undefined;
	readonly hash?: string | undefined;
	/** more hashes than one, or none */
	readonly hashes?: readonly string[];
	readonly atMs?: number;
	readonly expiryS?: number | undefined;
	readonly text?: string;
	readonly describes?: string;
};

/** A new secret and its hash, in hex. */
export function secretPair(): { readonly preimage: string; readonly hash: string } {
	const preimage = randomBytes(32);
	return { preimage: preimage.toString("hex"), hash: createHash("sha256").update(preimage).digest("hex") };
}

/** An invoice. */
export function makeInvoice(wanted: Wanted = {}): string {
	const { prefix = "bcrt", amountMsat, atMs = Date.now(), expiryS, text = "", describes } = wanted;
	// ten of the smallest unit are a millisatoshi
	const head = `ln${prefix}${amountMsat === undefined ? "" : `${amountMsat * 10n}p`}`;
	const hashes = wanted.hashes ?? [wanted.hash ?? secretPair().hash];
	const data = [
		...number(Math.floor(atMs / 1_000), 7),
		...hashes.flatMap((hash) => tag("p", words(Buffer.from(hash, "hex")))),
		...(describes === undefined
			? tag("d", words(Buffer.from(text)))
			: tag("h", words(createHash("sha256").update(describes).digest()))),
		...(expiryS === undefined ? [] : tag("x", number(expiryS, 7))),
		...Array<number>(104).fill(0),
	];
	return `${head}1${[...data, ...checksum(head, data)].map((word) => LETTERS[word]).join("")}`;
}
