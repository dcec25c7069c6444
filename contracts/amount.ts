/**
 * Money: integer nano-dollars (1e-9 USD), a branded `bigint`. This file is the one door:
 * nothing else in the project may turn text, JSON or wire bytes into money, or money into text.
 * Never a float and never a JS `number`: a 90 % discount on $0.01/GB is 1,000 nano-dollars a MB.
 */

declare const brand: unique symbol;

/** Nano-dollars, 0 to {@link AMOUNT_MAX}. Make one with {@link amount}, {@link parseAmount} or {@link parseDollars}. */
export type Amount = bigint & { readonly [brand]: "nano-dollars" };

/** The largest amount: a signed 64-bit column holds it ($9.2 billion). */
export const AMOUNT_MAX = 2n ** 63n - 1n;

/** Nano-dollars in one dollar. */
export const NANOS_PER_DOLLAR = 1_000_000_000n;

/** No money. */
export const NOTHING: Amount = amount(0n);

/**
 * Brands an integer of nano-dollars.
 * @throws RangeError below 0 or above {@link AMOUNT_MAX}: a bug in the caller, never a user's mistake.
 */
export function amount(nanos: bigint): Amount {
	if (typeof nanos !== "bigint" || nanos < 0n || nanos > AMOUNT_MAX) throw new RangeError("not an amount");
	return nanos as Amount;
}

/** Whether a bigint lies within what an amount may be. */
export function isAmount(nanos: bigint): nanos is Amount {
	return nanos >= 0n && nanos <= AMOUNT_MAX;
}

/** Reads the one JSON form, a plain decimal string without sign, spaces, exponent or leading zeros; undefined otherwise. */
export function parseAmount(text: unknown): Amount | undefined {
	if (typeof text !== "string" || !/^(0|[1-9][0-9]{0,18})$/.test(text)) return undefined;
	const nanos = BigInt(text);
	return isAmount(nanos) ? nanos : undefined;
}

/** Writes the one JSON form: nano-dollars as a decimal string. */
export function formatAmount(nanos: Amount): string {
	return nanos.toString();
}

/** JSON in which every amount is a decimal string, at whatever depth: the one form there is. */
export function toJson(object: object): string {
	return JSON.stringify(object, (_, value) => (typeof value === "bigint" ? value.toString() : value));
}

/** Reads dollars as people write them ("5", "0.25", "$1.000000001"), at most nine decimals; undefined otherwise. */
export function parseDollars(text: string): Amount | undefined {
	const found = /^\$?([0-9]{1,10})(?:\.([0-9]{1,9}))?$/.exec(text);
	if (!found) return undefined;
	const nanos = BigInt(found[1] ?? "") * NANOS_PER_DOLLAR + BigInt((found[2] ?? "").padEnd(9, "0"));
	return isAmount(nanos) ? nanos : undefined;
}

/** Writes exact dollars ("$0.000524288"): never rounded, at least two decimals, no trailing zeros past them. */
export function formatDollars(nanos: bigint): string {
	const [sign, size] = nanos < 0n ? ["-", -nanos] : ["", nanos];
	const cents = (size % NANOS_PER_DOLLAR)
		.toString()
		.padStart(9, "0")
		.replace(/0{1,7}$/, "");
	return `${sign}$${size / NANOS_PER_DOLLAR}.${cents}`;
}

/** @throws RangeError when the sum is no amount. */
export function add(...parts: Amount[]): Amount {
	return amount(parts.reduce((sum: bigint, part) => sum + part, 0n));
}

/** Whether a number is a rate in parts per million, 0 to 1,000,000. */
export function isRate(ratePpm: unknown): ratePpm is number {
	return Number.isInteger(ratePpm) && (ratePpm as number) >= 0 && (ratePpm as number) <= 1_000_000;
}

/** Parts per million of an amount, rounded down: the one rounding rule of fees (PROTOCOL.md, "Money"). */
export function portion(of: Amount, ratePpm: number): Amount {
	if (!isRate(ratePpm)) throw new RangeError("not a rate");
	return amount((of * BigInt(ratePpm)) / 1_000_000n);
}
