/** What others install (`npm run test:pack`): both tarballs in an empty folder, type-checked, run, and used as the page for app developers says. */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { GUIDE_PRINTS, guideProgram } from "#test/support/guide";
import { until } from "#test/support/sdk";
import { startTestMarket } from "#testing/market";

const CLONE = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Installing takes what npm has kept, and otherwise a registry. */
const INSTALL_MS = 300_000;
const RUN_MS = 90_000;

/** A developer's shell: nothing of this clone on its path, nothing of the test runner's in its environment. */
const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...plain } = process.env;
const env = Object.fromEntries(
	Object.entries(plain).filter(([name]) => !/^(npm_|FARELAY_|INIT_CWD|NODE_COMPILE_CACHE)/.test(name)),
);

/** A small app as its author would write it. */
const CONSUMER = `
import { type Client, createClient, type Cost, FarelayError, type Problem, type Storage } from "@farelay/client";
import { folderStorage } from "@farelay/client/node";
import { startTestMarket } from "@farelay/client/testing";

const market = await startTestMarket();
try {
	const bob: Client = await market.person("bob");
	const storage: Storage = folderStorage("./carol");
	const carol = await createClient({ market: market.url, storage });
	const alice = await market.person("alice");
	const link: string = await bob.publishCard({ name: "Bob" });
	const cost: Cost = await alice.estimate(link, "Good morning");
	const arrived = new Promise<string>((done) => bob.listen({ text: ({ text }) => done(text) }));
	const { tick } = await alice.send(link, "Good morning");
	console.log(tick, await arrived, cost.total > 0n);
	const { tabs } = await alice.market.api.tab.list.query({ live: true });
	console.log(tabs.map(({ state }) => state).join());
	const refused: Problem = await carol.send(link, "I have no money").then(
		() => { throw new Error("was sent"); },
		(error: unknown) => { if (error instanceof FarelayError) return error.problem; throw error; },
	);
	console.log(refused.problem);
	await carol.close();
} finally {
	await market.close();
}
`;

suite("the packages that others install", { timeout: INSTALL_MS + 6 * RUN_MS }, () => {
	let folder = "";
	const at = (...parts: string[]) => join(folder, ...parts);
	const packed = (name: string) => at("node_modules", name);

	before(async () => {
		execFileSync(process.execPath, [join(CLONE, "scripts/pack.ts")], { cwd: CLONE, stdio: "pipe" });
		folder = await mkdtemp(join(tmpdir(), "farelay-pack-"));
		const dist = join(CLONE, "dist");
		const tarballs = (await readdir(dist)).filter((name) => name.endsWith(".tgz")).map((name) => join(dist, name));
		assert.equal(tarballs.length, 2);
		await writeFile(at("package.json"), '{ "name": "app", "private": true, "type": "module" }\n');
		const words = ["install", "--prefer-offline", "--no-audit", "--no-fund", ...tarballs];
		await run("npm", words, { cwd: folder, env, timeout: INSTALL_MS });
	});
	after(() => rm(folder, { recursive: true, force: true }));

	/** What a program of the consumer's prints, line by line. */
	async function printed(file: string, more: Record<string, string> = {}): Promise<string[]> {
		const { stdout } = await run(process.execPath, [at(file)], {
			cwd: folder,
			env: { ...env, ...more },
			timeout: RUN_MS,
		});
		return stdout.trimEnd().split("\n");
	}

	test("hold no source, no test, no map of ours in a declaration, and ask for what they need and no more", async () => {
		const client = await readdir(packed("@farelay/client"), { recursive: true });
		assert.ok(client.includes("THIRD-PARTY.txt") && client.includes("LICENSE") && client.includes("README.md"));
		for (const name of client) assert.ok(!/\.ts$/.test(name) || /\.d\.ts$/.test(name), name);
		for (const name of client.filter((path) => path.endsWith(".d.ts"))) {
			const text = await readFile(join(packed("@farelay/client"), name), "utf8");
			assert.doesNotMatch(text, /from "[#]|@trpc|marketplace\/|from "node:/, name);
		}
		const manifest = JSON.parse(await readFile(join(packed("@farelay/client"), "package.json"), "utf8"));
		assert.deepEqual(Object.keys(manifest.dependencies), ["@cloudflare/voprf-ts", "idb", "libsodium-wrappers"]);
		const farelay = (await readdir(packed("farelay"), { recursive: true })).filter(
			(name) => !name.includes("node_modules"),
		);
		for (const name of farelay) assert.doesNotMatch(name, /\.ts$|(^|\/)test\//, name);
		const threads = farelay.filter((name) => /thread\.js$/.test(name));
		assert.ok(threads.length >= 4, threads.join());
		const all = JSON.parse(await readFile(join(packed("farelay"), "package.json"), "utf8"));
		assert.deepEqual(
			Object.keys(all.dependencies).filter((name) => name === "typescript" || name.startsWith("@types/")),
			[],
		);
	});

	test("a strict compiler finds nothing wrong in an app, with the libraries' declarations checked too, in both ways of resolving", async () => {
		await writeFile(at("app.ts"), CONSUMER);
		await writeFile(at("guide.ts"), await guideProgram());
		// declarations of Node for what the guide does with files: the clone's own
		const types = JSON.stringify(join(CLONE, "node_modules/@types"));
		for (const [module, resolution, files, lib] of [
			["nodenext", "nodenext", '"app.ts"', '"es2024", "dom"'],
			["esnext", "bundler", '"app.ts"', '"es2024", "dom"'],
		] as const) {
			await writeFile(
				at("tsconfig.json"),
				`{ "compilerOptions": { "module": "${module}", "moduleResolution": "${resolution}", "target": "es2024", "lib": [${lib}],
				"strict": true, "noEmit": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true, "skipLibCheck": false, "types": [] },
				"files": [${files}] }`,
			);
			const checked = await run(process.execPath, [join(CLONE, "node_modules/typescript/bin/tsc"), "-p", folder], {
				timeout: RUN_MS,
			}).catch((error: { stdout: string }) => error);
			assert.equal(checked.stdout, "", `${module}`);
		}
		await writeFile(
			at("tsconfig.json"),
			`{ "compilerOptions": { "module": "nodenext", "target": "es2024", "lib": ["es2024", "dom"], "strict": true, "noEmit": true,
			"skipLibCheck": true, "types": ["node"], "typeRoots": [${types}] }, "files": ["guide.ts"] }`,
		);
		const guide = await run(process.execPath, [join(CLONE, "node_modules/typescript/bin/tsc"), "-p", folder], {
			timeout: RUN_MS,
		}).catch((error: { stdout: string }) => error);
		assert.equal(guide.stdout, "", "the page for app developers");
	});

	test("the app starts a market of its own, sends a message between two people, and hears a refusal", async () => {
		await writeFile(at("app.ts"), CONSUMER);
		assert.deepEqual(await printed("app.ts"), ["sent Good morning true", "open", "balance-short"]);
	});

	test("the page for app developers runs on the packages as it stands there", async () => {
		const market = await startTestMarket();
		try {
			await writeFile(at("guide.ts"), await guideProgram());
			assert.deepEqual(await printed("guide.ts", { FARELAY_MARKET: market.url }), GUIDE_PRINTS);
		} finally {
			await market.close();
		}
	});

	test("npx farelay says what it can do, and does the whole market's main job once", async () => {
		const npx = async (...words: string[]) =>
			(await run("npx", ["--no-install", "farelay", ...words], { cwd: folder, env, timeout: RUN_MS })).stdout;
		assert.match(await npx("--help"), /^farelay VERB \[options\]/);
		assert.match(await npx("--version"), /^farelay \d+\.\d+\.\d+ \(Node v26\./);
		await npx("box", "--once", "--data", "box", "--json", "box.json");
		const done = JSON.parse(await readFile(at("box.json"), "utf8")) as { ok?: boolean };
		assert.ok(Object.keys(done).length > 3, "the result of the job");
		assert.match(await npx("audit", "--data", "box"), /./);
	});

	test("a relay of two workers runs from the package, and carries a message of the packed client", async () => {
		const market = await startTestMarket({ relays: 0 });
		const main = join(packed("farelay"), "client/cli/main.js");
		const words = ["relay", "--workers", "2", "--port", "0", "--data", "relay", "--market-url", market.url];
		const relay = spawn(process.execPath, [main, ...words, "--operator", "00".repeat(32)], { cwd: folder, env });
		const ended = once(relay, "close");
		try {
			const alice = await market.person("alice");
			await until(async () => (await alice.relays()).length === 1, "the relay is listed", 30_000);
			const bob = await market.person("bob");
			assert.equal((await alice.send(await bob.card(), "through a worker")).tick, "sent");
		} finally {
			relay.kill("SIGTERM");
			await ended;
			await market.close();
		}
	});

	test("without the package of the market, a test is told what to install", async () => {
		await rename(packed("farelay"), at("aside"));
		try {
			const text =
				'import { startTestMarket } from "@farelay/client/testing";\nawait startTestMarket().catch((why) => console.log(why.message));';
			await writeFile(at("alone.ts"), text);
			assert.match((await printed("alone.ts")).join(), /npm install --save-dev farelay/);
		} finally {
			await rename(at("aside"), packed("farelay"));
		}
	});

	test("a browser's bundler takes the client without anything of Node's", async () => {
		const { build } = await import("esbuild");
		const made = await build({
			stdin: { contents: 'export * from "@farelay/client";', resolveDir: folder },
			bundle: true,
			platform: "browser",
			format: "esm",
			write: false,
			logLevel: "silent",
		});
		assert.equal(made.errors.length, 0);
		assert.doesNotMatch(made.outputFiles[0]?.text ?? "", /from\s*"node:/);
	});
});
