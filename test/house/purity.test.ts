import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { home } from "#scripts/tree";

/** TypeScript lets `document` and `node:fs` through in one tsconfig, so Biome holds purity; here it is shown to. */
const planted: [path: string, source: string, rule: string][] = [
	["contracts/a.ts", 'import { readFileSync } from "node:fs";\nexport const a = readFileSync;\n', "noNodejsModules"],
	["contracts/b.ts", "export const a = process.pid;\n", "noRestrictedGlobals"],
	["contracts/c.ts", 'export const a = Buffer.from("");\n', "noRestrictedGlobals"],
	["contracts/d.ts", "export const a = document.title;\n", "noRestrictedGlobals"],
	["contracts/e.ts", "export const a = () => fetch(location.href);\n", "noRestrictedGlobals"],
	["contracts/f.ts", "export const a = () => setTimeout(() => {}, 1);\n", "noRestrictedGlobals"],
	["contracts/g.ts", "export const a = () => crypto.getRandomValues(new Uint8Array(1));\n", "noRestrictedGlobals"],
	["client/sdk/a.ts", 'import { open } from "node:fs/promises";\nexport const a = open;\n', "noNodejsModules"],
	["client/sdk/b.ts", "export const a = Buffer.alloc(1);\n", "noRestrictedGlobals"],
	["client/sdk/seal/c.ts", "export const a = process.env;\n", "noRestrictedGlobals"],
	["client/web/use/a.ts", 'export * from "node:path";\n', "noNodejsModules"],
	["client/web/use/b.tsx", "export const a = () => <p>{process.pid}</p>;\n", "noRestrictedGlobals"],
	["services/relay/a.ts", "export const a = (x: any) => x;\n", "noExplicitAny"],
];

suite("Biome holds purity", () => {
	let folder = "";
	let reports: { category: string; path: string }[] = [];

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-house-"));
		await cp(join(home, "biome.json"), join(folder, "biome.json"));
		await writeFile(join(folder, ".gitignore"), "node_modules/\n");
		const allowed: [string, string][] = [
			["contracts/fine.ts", "export const a = new Uint8Array(1).length + Math.floor(1.5);\n"],
			["client/sdk/fine.ts", "export const a = () => fetch(location.href);\n"],
			["services/relay/fine.ts", 'import { pid } from "node:process";\n\nexport const a = pid;\n'],
		];
		for (const [path, source] of [...planted, ...allowed]) {
			await mkdir(dirname(join(folder, path)), { recursive: true });
			await writeFile(join(folder, path), source);
		}
		reports = await biome(folder);
	});
	after(() => rm(folder, { recursive: true, force: true }));

	for (const [path, source, rule] of planted) {
		test(`${rule} catches ${source.trim().split("\n")[0]} in ${path}`, () => {
			assert.ok(reports.some((report) => report.path === path && report.category.endsWith(`/${rule}`)));
		});
	}

	test("what a room may use is left alone", () => {
		assert.deepEqual(
			reports.filter(({ path }) => path.endsWith("/fine.ts")),
			[],
		);
	});
});

/** What the project's own Biome, with the project's own settings, says about a folder. */
function biome(folder: string): Promise<{ category: string; path: string }[]> {
	const program = join(home, "node_modules/@biomejs/biome/bin/biome");
	const words = [program, "lint", "--reporter=json", "--max-diagnostics=none", "."];
	return new Promise((resolve, reject) => {
		execFile(process.execPath, words, { cwd: folder }, (_failed, stdout, stderr) => {
			try {
				const { diagnostics } = JSON.parse(stdout) as {
					diagnostics: { category: string; location: { path: string | { file: string } } }[];
				};
				resolve(
					diagnostics.map(({ category, location: { path } }) => ({
						category,
						path: typeof path === "string" ? path : path.file,
					})),
				);
			} catch {
				reject(new Error(`biome did not report: ${stdout}${stderr}`));
			}
		});
	});
}
