/** What a bitcoin costs, exactly as a source writes it: text becomes an integer, and never passes through a float. */

/** A price of one bitcoin, in hundred-millionths of a dollar. */
export type Price = bigint;

/** Decimals of a dollar that a price keeps; what a source writes past them is cut off. */
const DECIMALS = 8;

/** Millisatoshi in a bitcoin. */
const MSAT_PER_BITCOIN = 100_000_000_000n;

/** A bitcoin below a dollar or above a hundred million is no price but a mistake; between them a millisatoshi in a dollar is a small enough step. */
const PRICE_MIN = 10n ** 8n;
const PRICE_MAX = 10n ** 16n;

/** Reads a plain decimal ("64231.5"): no sign, exponent, separator or space; undefined for anything else, and for what no bitcoin costs. */
export function parsePrice(text: unknown): Price | undefined {
	if (typeof text !== "string") return undefined;
	const found = /^(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,20}))?$/.exec(text);
	if (!found) return undefined;
	const price = BigInt(`${found[1]}${(found[2] ?? "").slice(0, DECIMALS).padEnd(DECIMALS, "0")}`);
	return price >= PRICE_MIN && price <= PRICE_MAX ? price : undefined;
}

/** Millisatoshi in one dollar at a price, rounded down: a part in ten thousand off at most, and a part in a million at today's prices. */
export function msatPerDollarOf(price: Price): bigint {
	return (MSAT_PER_BITCOIN * 10n ** BigInt(DECIMALS)) / price;
}

/** A price as people read it: "$64,231.50", cut to cents. */
export function formatPrice(price: Price): string {
	const cents = (price / 10n ** BigInt(DECIMALS - 2)).toString().padStart(3, "0");
	return `$${cents.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",")}.${cents.slice(-2)}`;
}
