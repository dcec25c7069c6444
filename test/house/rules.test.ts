import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Tree } from "#scripts/imports";
import { readTree } from "#scripts/tree";
import { type Manifest, RULES } from "./rules.ts";

const project = readTree();
const manifest = JSON.parse(project.get("package.json") ?? "{}") as Manifest;

suite("the house rules hold for every file of the project", () => {
	for (const [says, rule] of Object.entries(RULES)) {
		test(says, () => assert.deepEqual(rule(project, manifest), []));
	}
});

/** A small house in which every rule holds, and changes to it that break one each. */
const house: Record<string, string> = {
	"contracts/README.md": "# contracts\n\nWhat all agree on.\n",
	"contracts/amount.ts": "export const amount = 1n;\nexport type Amount = bigint;\n",
	"services/host/README.md": "What a service needs.\n",
	"services/host/clock.ts": 'import { amount } from "#contracts/amount";\nexport const now = () => amount;\n',
	"services/relay/README.md": "Forwards.\n",
	"services/relay/meter.ts":
		'import { now } from "#host/clock";\nimport express from "ws";\nexport const m = [now, express];\n',
	"services/marketplace/README.md": "Settles.\n",
	"services/marketplace/api/README.md": "For people's clients.\n",
	"services/marketplace/api/router.ts": "export type Router = { a: 1 };\nexport const router = 1;\n",
	"client/sdk/README.md": "For apps.\n",
	"client/sdk/market.ts":
		'import type { Router } from "#marketplace/api/router";\nexport const r = (x: Router) => x;\n',
	"client/cli/README.md": "For people.\n",
	"client/cli/relay.ts": 'export const verb = () => import("#relay/meter");\n',
	"test/relay/meter.test.ts":
		'import { test } from "node:test";\nimport "#relay/meter";\ntest("it counts", () => {});\n',
};
const rooms: Manifest = {
	imports: {
		"#contracts/*": "./contracts/*.ts",
		"#host/*": "./services/host/*.ts",
		"#relay/*": "./services/relay/*.ts",
		"#marketplace/*": "./services/marketplace/*.ts",
		"#sdk/*": "./client/sdk/*.ts",
		"#test/*": "./test/*.ts",
	},
	dependencies: { ws: "8.23.0", "libsodium-wrappers": "0.8.4", express: "5.3.0" },
	devDependencies: { "fast-check": "4.10.2" },
};
const built = (files: Record<string, string>): Tree => new Map(Object.entries({ ...house, ...files }));
const without = (path: string): Tree => new Map(Object.entries(house).filter(([name]) => name !== path));
const marked = ["TO", "DO"].join("");

const planted: [rule: string, what: string, tree: Tree, manifest?: Manifest][] = [
	["imports point one way", "a contract imports a service", built({ "contracts/a.ts": 'import "#host/clock";\n' })],
	[
		"imports point one way",
		"a relay imports the marketplace",
		built({ "services/relay/a.ts": 'import { router } from "#marketplace/api/router";\n' }),
	],
	[
		"imports point one way",
		"a relay imports a type of the marketplace",
		built({ "services/relay/a.ts": 'import type { Router } from "#marketplace/api/router";\n' }),
	],
	[
		"imports point one way",
		"the marketplace imports a relay",
		built({ "services/marketplace/a.ts": 'export * from "#relay/meter";\n' }),
	],
	[
		"imports point one way",
		"the SDK imports the router and not only its type",
		built({ "client/sdk/a.ts": 'import { router } from "#marketplace/api/router";\n' }),
	],
	[
		"imports point one way",
		"the SDK imports another type of the marketplace",
		built({
			"services/marketplace/tab.ts": "export type T = 1;\n",
			"client/sdk/a.ts": 'import type { T } from "#marketplace/tab";\n',
		}),
	],
	[
		"imports point one way",
		"the command line loads a service before it is asked to",
		built({ "client/cli/a.ts": 'import { m } from "#relay/meter";\n' }),
	],
	[
		"imports point one way",
		"a service imports a test",
		built({ "services/relay/a.ts": 'import "#test/relay/meter.test";\n' }),
	],
	[
		"imports point one way",
		"an import over several lines",
		built({ "contracts/a.ts": 'import {\n\tnow,\n} from "#host/clock";\n' }),
	],
	[
		"imports point one way",
		"an import behind a comment on the same line",
		built({ "contracts/a.ts": '/* so */ import { now } from "#host/clock";\n' }),
	],
	[
		"imports point one way",
		"a hidden import()",
		built({ "contracts/a.ts": 'export const a = async () => (await import("#host/clock")).now;\n' }),
	],
	[
		"no import climbs out of its room",
		"an import of the room above",
		built({ "services/marketplace/api/a.ts": 'import "../tab.ts";\n' }),
	],
	[
		"every import names a file that exists",
		"an import of nothing",
		built({ "services/relay/a.ts": 'import "#host/nothing";\n' }),
	],
	[
		"no files import each other in a circle",
		"two files in a circle",
		built({ "contracts/a.ts": 'import "./b.ts";\n', "contracts/b.ts": 'import "./a.ts";\n' }),
	],
	[
		"packages are known and each room uses its own",
		"a package nobody asked for",
		built({ "services/relay/a.ts": 'import "left-pad";\n' }),
	],
	[
		"packages are known and each room uses its own",
		"a Node module without node:",
		built({ "services/relay/a.ts": 'import fs from "fs";\n' }),
	],
	[
		"packages are known and each room uses its own",
		"a development package in a service",
		built({ "services/relay/a.ts": 'import fc from "fast-check";\n' }),
	],
	[
		"packages are known and each room uses its own",
		"the clients' sodium in a relay",
		built({ "services/relay/a.ts": 'import s from "libsodium-wrappers";\n' }),
	],
	[
		"packages are known and each room uses its own",
		"a package in the contracts",
		built({ "contracts/a.ts": 'import ws from "ws";\n' }),
	],
	[
		"every dependency is pinned to one version",
		"a range",
		built({}),
		{ ...rooms, dependencies: { ...rooms.dependencies, ws: "^8.0.0" } },
	],
	[
		"no file outside the tests is longer than 300 lines",
		"301 lines",
		built({ "contracts/a.ts": "export {};\n".repeat(301) }),
	],
	[
		"rooms and files are named after things",
		"a room of utils",
		built({ "services/relay/utils/README.md": "Odds and ends.\n" }),
	],
	[
		"rooms and files are named after things",
		"a file of types",
		built({ "services/relay/types.ts": "export type A = 1;\n" }),
	],
	[
		"no file only passes on what others export",
		"an index of the room",
		built({ "contracts/index.ts": '// all\nexport * from "./amount.ts";\nexport { amount } from "./amount.ts";\n' }),
	],
	["nothing is marked as unfinished", "a mark in a comment", built({ "contracts/a.ts": `// ${marked} later\n` })],
	["every room says what it is for", "a room without a README", without("services/marketplace/api/README.md")],
	["every room says what it is for", "an empty README", built({ "services/relay/README.md": "# relay\n" })],
	[
		"no file names a machine's folders or a registry",
		"somebody's home",
		built({ "README.md": `cd ${["", "home", "ada", "farelay"].join("/")}\n` }),
	],
	[
		"no file names a machine's folders or a registry",
		"a registry's host",
		built({ ".npmrc": `registry=https://${["registry", "npmjs"].join(".")}.org/\n` }),
	],
	["no test is left out", "one test alone", built({ "test/a.test.ts": 'test.only("a", () => {});\n' })],
	["no test is left out", "a skipped test", built({ "test/a.test.ts": 'test("a", { skip: true }, () => {});\n' })],
	[
		"money is never a number",
		"a parameter",
		built({ "services/relay/a.ts": "export const a = (paidNanos: number) => paidNanos;\n" }),
	],
	[
		"money is never a number",
		"a field of a schema",
		built({ "services/relay/a.ts": "export const a = { nanos: z.number() };\n" }),
	],
	[
		"money is never a number",
		"a whole number of a schema",
		built({ "services/relay/a.ts": "export const a = { cents: z.int() };\n" }),
	],
	["money is never a number", "a price", built({ "services/relay/a.ts": "export type A = { sendPerMb?: number };\n" })],
	[
		"money is never a number",
		"millisatoshi",
		built({ "services/relay/a.ts": "export type A = { readonly msat: number };\n" }),
	],
	[
		"money is never a number",
		"an exchange rate",
		built({ "services/relay/a.ts": "export type A = { readonly msatPerDollar: number | undefined };\n" }),
	],
	[
		"money is never a number",
		"a list of fees",
		built({ "services/relay/a.ts": "export const a = (fees: readonly number[]) => fees;\n" }),
	],
	[
		"money is never a number",
		"balances by name",
		built({
			"services/relay/a.ts":
				"export const a = { balance: new Map() as Map<string, bigint>, b: 1 };\nexport type A = { balance: Map<string | number, bigint> };\n",
		}),
	],
	[
		"money is never a number",
		"a function that answers cents",
		built({ "services/relay/a.ts": "export function cents(a: bigint): number {\n\treturn a === 1n ? 1 : 2;\n}\n" }),
	],
	[
		"money is never a number",
		"a promise of a balance",
		built({ "services/relay/a.ts": "export type A = { balance(of: string): Promise<number> };\n" }),
	],
	[
		"money is never a number",
		"what a fee is worked out by",
		built({ "services/relay/a.ts": "export function feeFor(a: bigint): number {\n\treturn 1;\n}\n" }),
	],
	[
		"money is never a number",
		"a sum that begins at nothing",
		built({ "services/relay/a.ts": "export function f() {\n\tlet nanos = 0;\n\treturn nanos;\n}\n" }),
	],
	[
		"money is never a number",
		"a price in decimals",
		built({ "services/relay/a.ts": "export const price = 0.0005;\n" }),
	],
	[
		"money is never a number",
		"an amount made a number",
		built({ "services/relay/a.ts": "export const a = (amount: bigint) => Number(amount) / 1e9;\n" }),
	],
	[
		"money is never a number",
		"an amount made a number by a plus",
		built({
			"services/relay/a.ts": "export const a = (text: { amount: string }, amount: string) => [text, +amount];\n",
		}),
	],
	[
		"money is never a number",
		"an amount rounded",
		built({ "services/relay/a.ts": "export const a = (gross: bigint) => Math.round(Number(gross));\n" }),
	],
	[
		"money is never a number",
		"an amount called a number",
		built({ "services/relay/a.ts": "export const a = (cents: unknown) => (cents as number) + 1;\n" }),
	],
	[
		"money is never a number",
		"dollars cut to two decimals",
		built({ "services/relay/a.ts": "export const a = (dollars: any) => dollars.toFixed(2);\n" }),
	],
	[
		"money is never a number",
		"a float made whole",
		built({ "services/relay/a.ts": "export const a = (x: any) => BigInt(Math.round(x * 1e9));\n" }),
	],
	[
		"money is never a number",
		"a text read as a float",
		built({ "services/relay/a.ts": "export const a = (x: string) => parseFloat(x);\n" }),
	],
	[
		"money is never a number",
		"a column of floats",
		built({ "services/relay/a.ts": 'export const a = "CREATE TABLE b (fee_cents REAL NOT NULL)";\n' }),
	],
	[
		"contracts read no clock and throw no dice",
		"a clock",
		built({ "contracts/a.ts": "export const a = () => Date.now();\n" }),
	],
	[
		"contracts read no clock and throw no dice",
		"dice",
		built({ "contracts/a.ts": "export const a = () => Math.random();\n" }),
	],
	[
		"every link in a document leads to a file",
		"a page that was renamed",
		built({ "README.md": "See [how](docs/how.md).\n" }),
	],
	["every decision is in the index", "a page that nobody finds", built({ "docs/decisions/why.md": "# Why\n" })],
];

suite("a planted violation is caught", () => {
	test("the small house itself breaks no rule", () => {
		for (const rule of Object.values(RULES)) assert.deepEqual(rule(built({}), rooms), []);
	});

	test("what is no money stays what it is", () => {
		const fine = [
			"export const a = (feePpm: number, percent: number, priceless: number) => [feePpm, percent, priceless];",
			"export const fees: { readonly marketPpm: number } = { marketPpm: 1 };",
			"export const nanos = 0n;\nexport const cents = 1_000n;\nexport const b = (count: number) => BigInt(count) * nanos;",
			"export const c = (bytes: number) => (bytes / 1e6).toFixed(1);",
			"export const d = (net: bigint, at: number) => [net, at];",
			"// amount: number\nexport const e = 'parseFloat(amount)';",
		];
		for (const text of fine)
			assert.deepEqual(RULES["money is never a number"]?.(built({ "services/relay/a.ts": `${text}\n` }), rooms), []);
	});

	for (const [says, what, tree, changed] of planted) {
		test(`"${says}": ${what}`, () => {
			const caught = Object.entries(RULES).filter(([, rule]) => rule(tree, changed ?? rooms).length > 0);
			assert.ok(caught.some(([name]) => name === says));
		});
	}

	test("every rule has a violation planted against it", () => {
		assert.deepEqual(new Set(planted.map(([says]) => says)), new Set(Object.keys(RULES)));
	});
});
