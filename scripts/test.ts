/**
 * Runs the tests: `npm test` all that a newcomer needs, `npm test -- relay till` those whose path has every one of these
 * words, `npm run test:crash` the slow ones that kill processes. What is left out by default has its own script.
 */
import { spawn } from "node:child_process";
import { accessSync, chmodSync, constants, globSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";

/** Folders of tests that take longer or need a browser: only run when asked for by name. */
const APART = ["test/bounds/", "test/crash/", "test/web/", "test/whole/", "test/pack/", "test/rails/"];

/** A file that is still running after this hangs; a run on two busy cores takes a tenth of it. */
const FILE_MS_MAX = 120_000;

/** The same where packages are installed, which takes as long as a registry does, or where what was killed has minutes to come back. */
const LONG_MS_MAX = 600_000;

/** The same where LND is built from its source, the first time on a machine. */
const BUILDING_MS_MAX = 1_800_000;

/** Where Linux keeps files in memory: waiting for a disk is a large part of what most stories take. */
const MEMORY = "/dev/shm";

/** Containers often have 64 MB there, which a few databases fill. */
const FREE_BYTES_MIN = 2 * 1024 ** 3;

process.chdir(dirname(import.meta.dirname));
const words = process.argv.slice(2);
const asked = (path: string) =>
	words.every((word) => path.includes(word)) &&
	!APART.some(
		(room) => path.startsWith(room) && !words.some((word) => room.endsWith(`/${word}`) || word.startsWith(room)),
	);
const files = globSync("test/**/*.test.ts")
	.map((path) => path.replaceAll("\\", "/"))
	.filter(asked)
	.sort();

if (files.length === 0) {
	console.error(`farelay: no test matches ${words.join(" ") || "test/**/*.test.ts"}`);
	process.exit(1);
}

const fileMsMax = files.some((path) => path.startsWith("test/rails/"))
	? BUILDING_MS_MAX
	: files.some((path) => /^test\/(pack|bounds|crash)\//.test(path))
		? LONG_MS_MAX
		: FILE_MS_MAX;

// A developer's own settings must not change what the tests see, but for those that are made for tests.
const env = Object.fromEntries(
	Object.entries(process.env).filter(([name]) => !name.startsWith("FARELAY_") || name.startsWith("FARELAY_TEST_")),
);
// Each file is a process, and so is each call of the command line: what one has compiled the next need not compile again.
env.NODE_COMPILE_CACHE ??= resolve("node_modules/.cache/farelay");
// What kills processes, fills disks or moves much data is about a disk; everything else has its temporary files in memory, and nothing of them stays.
const memory = files.some((path) => APART.some((room) => path.startsWith(room))) ? undefined : folderInMemory();
if (memory !== undefined) env.TMPDIR = memory;
process.on("exit", () => memory !== undefined && rmSync(memory, { recursive: true, force: true, maxRetries: 3 }));
const child = spawn(
	process.execPath,
	[
		"--test",
		"--test-reporter=spec",
		// Three at a time on two cores: most tests wait for processes and sockets for a part of their time.
		`--test-concurrency=${Math.max(3, availableParallelism() - 1)}`,
		`--test-timeout=${fileMsMax}`,
		...files,
	],
	{ stdio: "inherit", env },
);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => {
	process.exitCode = code ?? 1;
});

/** A folder in memory, where there is much room and programs may be run from it. */
function folderInMemory(): string | undefined {
	let folder: string | undefined;
	try {
		const { bavail, bsize } = statfsSync(MEMORY);
		if (bavail * bsize < FREE_BYTES_MIN) return undefined;
		// short: paths of sockets may have no more than a hundred characters
		folder = mkdtempSync(join(MEMORY, "far-"));
		// a Postgres runs as somebody else, and has to come through to its own folder
		chmodSync(folder, 0o711);
		const program = join(folder, "program");
		writeFileSync(program, "", { mode: 0o700 });
		accessSync(program, constants.X_OK);
		return folder;
	} catch {
		if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
		return undefined;
	}
}
