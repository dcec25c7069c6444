import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Storage } from "#sdk/storage";
import { acceptStorage } from "#test/acceptance/storage";
import { GUIDE_PRINTS, guideBlocks, guideProgram, insideClone } from "#test/support/guide";
import { startTestMarket, type TestMarket } from "#testing/market";

/** The clone's own scratch folder: only from inside the clone does a program find its rooms. */
const SCRATCH = join(import.meta.dirname, "../../out", `guide-${process.pid}`);

type AsyncStorage = (over: object) => Storage;

suite("the page for app developers", () => {
	let market: TestMarket;
	before(async () => {
		await mkdir(SCRATCH, { recursive: true });
		market = await startTestMarket();
	});
	after(async () => {
		await rm(SCRATCH, { recursive: true, force: true });
		await market?.close();
	});

	test("runs as it stands there, from top to bottom, and prints what it says", async () => {
		const path = join(SCRATCH, "app.ts");
		await writeFile(path, insideClone(await guideProgram()));
		const ran = await promisify(execFile)(process.execPath, [path], {
			cwd: SCRATCH,
			env: { ...process.env, FARELAY_MARKET: market.url },
			timeout: 60_000,
		});
		assert.deepEqual(ran.stdout.trimEnd().split("\n"), GUIDE_PRINTS, ran.stderr);
	});

	/** The page's storage over text, on a store that forgets nothing. */
	async function overText(values: Map<string, string>): Promise<Storage> {
		const block = (await guideBlocks()).find((code) => code.includes("function asyncStorage"));
		assert.ok(block, "the page has a storage of one's own making");
		const path = join(SCRATCH, "storage.ts");
		await writeFile(path, `${insideClone(block)}\nexport { asyncStorage };\n`);
		const { asyncStorage } = (await import(pathToFileURL(path).href)) as { asyncStorage: AsyncStorage };
		return asyncStorage({
			getItem: async (key: string) => values.get(key) ?? null,
			setItem: async (key: string, value: string) => void values.set(key, value),
			removeItem: async (key: string) => void values.delete(key),
			getAllKeys: async () => ["somebody-else's", ...values.keys()],
		});
	}

	let kept = new Map<string, string>();
	acceptStorage(
		"the page's storage over text",
		() => {
			kept = new Map();
			return overText(kept);
		},
		() => overText(kept),
	);
});
