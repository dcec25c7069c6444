import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { pathToFileURL } from "node:url";
import { home } from "#scripts/tree";

const installer = (await import(pathToFileURL(join(home, "scripts/install.mjs")).href)) as {
	reasonToInstall(found: Record<string, unknown>): string | undefined;
};

suite("npm's scripts install what is missing, and only then", () => {
	const manifest = { dependencies: { ws: "1.0.0" }, devDependencies: {}, scripts: { start: "a" } };
	const lock = {
		packages: {
			"": { dependencies: { ws: "1.0.0" } },
			"node_modules/ws": { version: "1.0.0" },
			"node_modules/windows-only": { version: "1.0.0", optional: true },
		},
	};
	const installed = { packages: { "node_modules/ws": { version: "1.0.0" } } };
	const settled = { manifest, lock, installed, nodePresent: true };

	test("nothing is done when all is as the lockfile says", () => {
		assert.equal(installer.reasonToInstall(settled), undefined);
	});
	test("another script in the manifest is no reason", () => {
		assert.equal(installer.reasonToInstall({ ...settled, manifest: { ...manifest, scripts: {} } }), undefined);
	});
	const reasons: [string, Record<string, unknown>][] = [
		["there is no lockfile", { lock: undefined }],
		["nothing is installed yet", { installed: undefined }],
		["the manifest asks for other packages", { manifest: { dependencies: { ws: "1.0.1" } } }],
		["ws is not 1.0.0", { installed: { packages: { "node_modules/ws": { version: "0.9.0" } } } }],
		["ws is not 1.0.0", { installed: { packages: {} } }],
		["the pinned Node is missing", { nodePresent: false }],
	];
	for (const [says, change] of reasons) {
		test(`it installs when ${says}: ${JSON.stringify(change)}`, () => {
			assert.match(installer.reasonToInstall({ ...settled, ...change }) ?? "", new RegExp(says));
		});
	}
});

suite("the lockfile holds all that is installed, on any system", () => {
	interface Locked {
		version?: string;
		integrity?: string;
		resolved?: string;
		dependencies?: Record<string, string>;
		optionalDependencies?: Record<string, string>;
	}
	let locked: [string, Locked][] = [];
	before(async () => {
		const { packages } = JSON.parse(await readFile(join(home, "package-lock.json"), "utf8"));
		locked = Object.entries(packages);
	});

	// A lockfile that was made where another system's binaries could not be had lacks them, and `npm ci` then refuses it on every system.
	test("other systems' binaries are in it, so that `npm ci` takes it", () => {
		const names = new Set(locked.map(([path]) => path));
		const found = (from: string, name: string): boolean => {
			if (names.has(`${from === "" ? "" : `${from}/`}node_modules/${name}`)) return true;
			return from !== "" && found(from.slice(0, Math.max(0, from.lastIndexOf("/node_modules/"))), name);
		};
		const missing = locked.flatMap(([path, { dependencies, optionalDependencies }]) =>
			Object.keys({ ...dependencies, ...optionalDependencies })
				.filter((name) => !found(path, name))
				.map((name) => `${name}, for ${path || "farelay"}`),
		);
		assert.deepEqual(missing, []);
	});
	test("each is held by a hash, and comes from the registry of whoever installs", () => {
		const loose = locked.filter(([path, { integrity, resolved }]) => path !== "" && (!integrity || resolved));
		assert.deepEqual(
			loose.map(([path]) => path),
			[],
		);
	});
});

suite("farelay hands over to the pinned Node", { skip: process.platform === "win32" }, () => {
	const program = [
		"const words: string[] = process.argv.slice(2);",
		'if (words[0] === "wait") setInterval(() => {}, 1000);',
		"if (words[0] === 'wait') process.on('SIGTERM', () => process.exit(9));",
		"console.log(JSON.stringify({ words, folder: process.cwd(), file: process.argv[1], pid: process.pid }));",
		'if (words[0] === "fail") process.exitCode = 7;',
	].join("\n");
	let folder = "";

	/** A copy of the launcher with a program of ours behind it, and a Node that is, or is not, the one it runs on. */
	async function copy(name: string, node: "same" | "other" | "none") {
		const place = join(folder, name);
		await mkdir(join(place, "client/cli"), { recursive: true });
		await mkdir(join(place, "elsewhere"));
		await cp(join(home, "client/cli/farelay.mjs"), join(place, "client/cli/farelay.mjs"));
		await writeFile(join(place, "client/cli/main.ts"), program);
		await writeFile(join(place, "package.json"), '{ "type": "module" }');
		if (node === "none") return place;
		await mkdir(join(place, "node_modules/node/bin"), { recursive: true });
		await writeFile(join(place, "node_modules/node/package.json"), '{ "name": "node" }');
		const path = join(place, "node_modules/node/bin/node");
		if (node === "same") await symlink(process.execPath, path);
		else await writeFile(path, `#!/bin/sh\nexec "${process.execPath}" "$@"\n`);
		await chmod(path, 0o755);
		return place;
	}

	function run(place: string, words: string[], env: Record<string, string> = {}) {
		const child = spawn(process.execPath, [join(place, "client/cli/farelay.mjs"), ...words], {
			cwd: place,
			env: { PATH: process.env.PATH, ...env },
			stdio: ["ignore", "pipe", "pipe"],
		});
		const said = { out: "", err: "" };
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			said.out += text;
		});
		child.stderr.setEncoding("utf8").on("data", (text: string) => {
			said.err += text;
		});
		return { child, said, ended: once(child, "close") as Promise<[number | null]> };
	}

	before(async () => {
		folder = await realpath(await mkdtemp(join(tmpdir(), "farelay-door-")));
	});
	after(() => rm(folder, { recursive: true, force: true }));

	for (const node of ["same", "other"] as const) {
		test(`words, output and exit code go through (${node} Node)`, async () => {
			const place = await copy(`through-${node}`, node);
			const { child, said, ended } = run(place, ["fail", "--json", "a b"]);
			assert.deepEqual((await ended)[0], 7);
			const told = JSON.parse(said.out);
			assert.deepEqual(told.words, ["fail", "--json", "a b"]);
			assert.equal(told.folder, place);
			assert.equal(told.file, join(place, "client/cli/main.ts"));
			assert.equal(told.pid === child.pid, node === "same");
		});

		test(`npm start works from where npm was called (${node} Node)`, async () => {
			const place = await copy(`start-${node}`, node);
			const env = { INIT_CWD: join(place, "elsewhere"), npm_lifecycle_event: "start" };
			const { said, ended } = run(place, ["box"], env);
			await ended;
			assert.equal(JSON.parse(said.out).folder, join(place, "elsewhere"));
		});

		test(`a signal reaches the program, which ends in its own way (${node} Node)`, async () => {
			const place = await copy(`signal-${node}`, node);
			const { child, ended } = run(place, ["wait"]);
			await once(child.stdout, "data");
			child.kill("SIGTERM");
			assert.deepEqual((await ended)[0], 9);
		});
	}

	test("without the pinned Node it says what to do, and that nothing was done", async () => {
		const { said, ended } = run(await copy("none", "none"), ["send"]);
		assert.deepEqual((await ended)[0], 1);
		assert.match(said.err, /not installed\. Nothing was done\. Run `npm install`/);
		assert.doesNotMatch(said.err, /^\s+at /m);
	});
});
