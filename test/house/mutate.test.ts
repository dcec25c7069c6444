import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import { covered } from "#scripts/covered";
import { judge, type Run } from "#scripts/judge";
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

suite("a busy machine kills no mutant", () => {
	const failed = (ms: number): Run => ({ said: "failed", ms });
	const passed: Run = { said: "passed", ms: 100 };
	const late: Run = { said: "too long", ms: 20_000 };
	/** The verdict when the runs, of the mutant and of the unchanged file in turn, end like this; all of them must be asked for. */
	async function verdict(...runs: Run[]) {
		const limits: number[] = [];
		const next = async (msMax: number) => {
			limits.push(msMax);
			return runs.shift() ?? assert.fail("one run more than needed");
		};
		const said = await judge(next, next, 100);
		assert.equal(runs.length, 0);
		return [said, limits.at(-1)];
	}

	test("a test that fails at its usual pace has noticed, and one that passes has not", async () => {
		assert.deepEqual(await verdict(failed(1_100)), ["killed", 20_000]);
		assert.deepEqual(await verdict(passed), ["survived", 20_000]);
	});

	test("a slow failure counts only when the unchanged file passes", async () => {
		assert.deepEqual(await verdict(failed(1_200), passed), ["killed", 20_000]);
		assert.deepEqual(await verdict(failed(1_200), failed(900), failed(1_200), late, passed), ["survived", 80_000]);
	});

	test("a mutant hangs when it does so twice and the unchanged file ends each time", async () => {
		assert.deepEqual(await verdict(late, passed, late, passed), ["hung", 40_000]);
		assert.deepEqual(await verdict(late, passed, passed), ["survived", 40_000]);
	});

	test("when neither ends well, three times over, it is not judged", async () => {
		assert.deepEqual(await verdict(late, late, late, passed, late, late), ["unclear", 80_000]);
	});
});

test("what a test runs is read from V8's reports: the innermost range says it, and every thread adds to it", async () => {
	const folder = await mkdtemp(join(tmpdir(), "farelay-covered-"));
	const url = pathToFileURL(join(folder, "a.ts")).href;
	const range = (startOffset: number, endOffset: number, count: number) => ({ startOffset, endOffset, count });
	const report = (...ranges: object[]) => JSON.stringify({ result: [{ url, functions: [{ ranges }] }] });
	await writeFile(join(folder, "1.json"), report(range(4, 6, 0), range(0, 8, 1), range(5, 6, 2)));
	await writeFile(join(folder, "2.json"), report(range(0, 8, 0), range(7, 8, 0), range(4, 5, 1)));
	await writeFile(join(folder, "3.json"), '{"result":[');
	assert.deepEqual([...(covered(folder, folder, ["a.ts"]).get("a.ts") ?? [])], [1, 1, 1, 1, 1, 1, 1, 1]);
	await rm(join(folder, "2.json"));
	assert.deepEqual([...(covered(folder, folder, ["a.ts"]).get("a.ts") ?? [])], [1, 1, 1, 1, 0, 1, 1, 1]);
	await rm(folder, { recursive: true });
});

test("what is excused is a mutant of the code as it stands, and says why no test can tell it", async () => {
	const excused = JSON.parse(await readFile(join(home, "test/mutate/equivalent.json"), "utf8"));
	for (const { path, from, to, reason } of excused) {
		const mutants = mutantsOf(path, await readFile(join(home, path), "utf8"));
		assert.equal(mutants.filter((mutant) => mutant.from === from && mutant.to === to).length, 1, `${path}: ${to}`);
		assert.match(reason, /^\S.{20,}\.$/);
	}
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

		const [one, other] = [
			await mutate(folder, "--list", "--sample", "3", "--seed", "7"),
			await mutate(folder, "--list"),
		];
		assert.equal((await mutate(folder, "--list", "--sample", "3", "--seed", "7")).out, one.out, "a seed says which");
		assert.equal(one.out.split("contracts/tariff.ts:").length, 4);
		assert.equal(other.out.split("contracts/tariff.ts:").length, 6);

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

function mutate(folder: string, ...flags: string[]): Promise<{ code: number; out: string }> {
	// The outer test runner's context must not reach the inner one.
	const { NODE_TEST_CONTEXT: _, ...env } = process.env;
	return new Promise((resolve) => {
		execFile(process.execPath, [join(folder, "scripts/mutate.ts"), ...flags], { cwd: folder, env }, (failed, out) =>
			resolve({ code: typeof failed?.code === "number" ? failed.code : 0, out }),
		);
	});
}
