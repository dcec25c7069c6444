/**
 * Money is a bigint everywhere: no float, no `number`, not for a moment. TypeScript refuses to mix the two, so what is looked for here is where money
 * would begin as a number, become one, or be kept as one.
 */
import { blank, type Tree } from "#scripts/imports";

/** Names that money goes by, alone or at the end of another name: `nanos`, `paidAheadNanos`. Rates (`feePpm`) and counts (`percent`) are not money. */
const ENDS =
	"[nN]anos|[mM]sats?|[sS]ats?|[sS]atoshis?|[cC]ents?|[aA]mounts?|[dD]ollars?|[bB]alance|[fF]ees?|[gG]ross|[pP]rice|[pP]erMb(?:Day)?|[pP]erDollar";
const ALONE = "net|cost|money|msatPer\\w+";
const NAME = `(?<![\\w$])(?:(?:[a-z]\\w*?(?=[A-Z_]))?_?(?:${ENDS})|${ALONE})(?![\\w$])`;
const TEXT = "[^;,(){}=]*";

const FORBIDDEN: readonly (readonly [pattern: string, says: string])[] = [
	[`${NAME}\\??\\s*:\\s*${TEXT}\\bnumber\\b`, "is typed as a number"],
	[`${NAME}\\??\\s*:\\s*z\\.(?:coerce\\.)?(?:number|int|float\\d*)\\(`, "is read as a number"],
	[`${NAME}\\s*(?:<[^>]*>)?\\([^()]*\\)\\s*(?::|=>)\\s*(?:Promise<)?${TEXT}\\bnumber\\b`, "is answered as a number"],
	[
		`\\b(?:nanos|msat|cents|price|fee|balance)(?:Of|For)\\w*\\([^()]*\\)\\s*(?::|=>)\\s*(?:Promise<)?${TEXT}\\bnumber\\b`,
		"is answered as a number",
	],
	[`\\b(?:const|let|var)\\s+${NAME}\\s*=\\s*-?[\\d.][\\d_.]*(?:e\\d+)?(?![\\w.])`, "begins as a number"],
	[`\\b(?:Number(?:\\.parse\\w+)?|parseInt|Math\\.\\w+)\\([^;]*${NAME}`, "becomes a number"],
	[`(?<![\\w)\\]])\\+${NAME}`, "becomes a number"],
	[`${NAME}\\)?\\s+as\\s+(?:unknown\\s+as\\s+)?number\\b`, "is called a number"],
	[`${NAME}[^;,]*\\.to(?:Fixed|Precision|Exponential)\\(`, "is rounded as a float"],
	["\\bBigInt\\(\\s*(?:Math\\.|parseFloat|Number\\()", "comes from a float"],
	["\\bparseFloat\\b", "may come from a float"],
];
const PATTERNS = FORBIDDEN.map(([pattern, says]) => [new RegExp(pattern), says] as const);

/** Columns of a table; looked for in the text itself, for SQL stands in strings. */
const COLUMN = /\b\w*(nanos|msat|cents|amount|balance|price)\s+(REAL|FLOAT|DOUBLE|NUMERIC|DECIMAL)\b/i;

/** Where it has to be one, and why that is no harm. A new line here is a visible diff. */
const EXCEPT: Readonly<Record<string, RegExp>> = {
	// what Prometheus shows is a float by its format: looked at, and never counted with
	"services/relay/gauges.ts": /unredeemedNanos/,
	// answers how many rows it changed
	"services/marketplace/ledger/sqlite-thread.ts": /function moveBalance/,
	// the package for Nostr Wallet Connect takes JSON's numbers; more than is exact is refused
	"services/marketplace/rail/nwc.ts": /function jsonOf|Number\(msat\)/,
	// so does Stripe's; checked before to be at most eight digits
	"services/marketplace/rail/stripe-client.ts": /function centsFor|Number\(cents\)/,
};

/** What breaks it in a set of files: everything but tests, and JavaScript that runs before there is TypeScript. */
export function moneyAsNumber(tree: Tree): string[] {
	return [...tree].flatMap(([path, text]) => {
		if (!/\.tsx?$/.test(path) || path.startsWith("test/")) return [];
		const raw = text.split("\n");
		return blank(text, { strings: true })
			.split("\n")
			.flatMap((line, i) => {
				if (EXCEPT[path]?.test(line)) return [];
				const column = COLUMN.test(raw[i] ?? "") ? "is kept as a float" : undefined;
				const says = column ?? PATTERNS.find(([pattern]) => pattern.test(line))?.[1];
				return says ? [`${path}:${i + 1} money is a bigint, and here it ${says}: ${(raw[i] ?? "").trim()}`] : [];
			});
	});
}
