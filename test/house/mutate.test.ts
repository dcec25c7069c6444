import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, suite, test } from "node:test";
import { mutantsOf } from "#scripts/mutants";
import { home } from "#scripts/tree";

const changes = (source: string) => mutantsOf("a.ts", source).map(({ from, to }) => `${from} => ${to}`);

suite("a mutant is one check removed or flipped", () => {
	test("bounds move by one, and equalities turn round", () => {
		assert.deepEqual(changes("export const f = (a: number) => a < 3;\n"), [
			"export const f = (a: number) => a < 3; => export const f = (a: number) => a <= 3;",
		]);
		assert.deepEqual(changes("const f = a === b;\n"), ["const f = a === b; => const f = a !== b;"]);
	});

	test("a guard is taken out and turned round", () => {
		assert.deepEqual(changes("if (late(at)) throw new Error();\n"), [
			"if (late(at)) throw new Error(); => if (false) throw new Error();",
			"if (late(at)) throw new Error(); => if (!(late(at))) throw new Error();",
		]);
	});

	test("a guard over several lines is one guard", () => {
		assert.ok(changes("if (\n\ta(b) ||\n\tc\n)\n\tf();\n").includes("if ( a(b) || c ) => if (false)"));
	});

	test("a statement of its own is taken out, and what only logs is left", () => {
		assert.deepEqual(changes("await till.put(row);\nlog.info(row);\n"), ["await till.put(row); => ;"]);
		assert.deepEqual(changes("this.used += bytes;\n"), ["this.used += bytes; => ;"]);
		assert.deepEqual(changes("const a = b\n\t.c(d);\nconst e =\n\tf(g);\n"), []);
	});

	test("a check of the database is made to hold always", () => {
		assert.deepEqual(changes("const sql = `CREATE TABLE a (b INTEGER CHECK (b >= 0))`;\n"), [
			"const sql = `CREATE TABLE a (b INTEGER CHECK (b >= 0))`; => const sql = `CREATE TABLE a (b INTEGER CHECK (1 OR b >= 0))`;",
		]);
	});

	test("types, comments and strings are left alone", () => {
		assert.deepEqual(changes('type A = { b: 1 };\n// if (a < b) throw c;\nconst d = "a < b && c";\n'), []);
	});
});

suite("npm run mutate tells which checks no test would miss", () => {
	let folder = "";
	after(() => rm(folder, { recursive: true, force: true }));

	test("one check is tested, one is not, and one is excused with a reason", async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-mutants-"));
		const excused = [
			{ path: "contracts/tariff.ts", from: "if (a > 9) return 9;", to: "if (a >= 9) return 9;", reason: "9 is 9" },
		];
		const files: Record<string, string> = {
			"package.json": '{ "type": "module", "imports": { "#contracts/*": "./contracts/*.ts" } }',
			"contracts/tariff.ts":
				"export function price(a: number) {\n\tif (a < 0) return 0;\n\tif (a > 9) return 9;\n\treturn a;\n}\n",
			"test/contracts/tariff.test.ts":
				'import assert from "node:assert";\nimport { test } from "node:test";\nimport { price } from "#contracts/tariff";\n' +
				'test("a price is at most 9", () => { assert.equal(price(10), 9); assert.equal(price(1), 1); });\n',
			"test/mutate/equivalent.json": JSON.stringify(excused),
		};
		for (const [path, text] of Object.entries(files)) {
			await mkdir(dirname(join(folder, path)), { recursive: true });
			await writeFile(join(folder, path), text);
		}
		await cp(join(home, "scripts"), join(folder, "scripts"), { recursive: true });
		await symlink(join(home, "node_modules"), join(folder, "node_modules"));

		const { code, out } = await mutate(folder);
		assert.equal(code, 1);
		assert.match(out, /5 of 6 mutants in 1 files \(1 excused\)/);
		assert.match(out, /SURVIVED contracts\/tariff\.ts:2\n {4}- if \(a < 0\) return 0;\n {4}\+ if \(false\) return 0;/);
		assert.doesNotMatch(out, /SURVIVED contracts\/tariff\.ts:3/);

		await writeFile(
			join(folder, "test/contracts/tariff.test.ts"),
			`${files["test/contracts/tariff.test.ts"]}test("none below 0", () => { assert.equal(price(-1), 0); assert.equal(Object.is(price(0), 0), true); });\n`,
		);
		const again = await mutate(folder);
		assert.match(again.out, /SURVIVED contracts\/tariff\.ts:2\n {4}- if \(a < 0\)[^\n]*\n {4}\+ if \(a <= 0\)/);
		await writeFile(
			join(folder, "test/mutate/equivalent.json"),
			JSON.stringify([
				...excused,
				{ path: "contracts/tariff.ts", from: "if (a < 0) return 0;", to: "if (a <= 0) return 0;", reason: "0 is 0" },
			]),
		);
		const last = await mutate(folder);
		assert.match(last.out, /every mutant that was tried was noticed/);
		assert.equal(last.code, 0);
	});
});

function mutate(folder: string): Promise<{ code: number; out: string }> {
	// The outer test runner's context must not reach the inner one.
	const { NODE_TEST_CONTEXT: _, ...env } = process.env;
	return new Promise((resolve) => {
		execFile(process.execPath, [join(folder, "scripts/mutate.ts")], { cwd: folder, env }, (failed, out) =>
			resolve({ code: typeof failed?.code === "number" ? failed.code : 0, out }),
		);
	});
}
