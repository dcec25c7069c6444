#!/usr/bin/env node
/**
 * What `farelay`, `npx farelay` and `npm start` begin with. It runs on any Node from 20 up and hands over to the pinned
 * Node 26, which alone can run the TypeScript. On the pinned Node it loads the program into this very process.
 */
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import * as modules from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(realpathSync(fileURLToPath(import.meta.url)));
/** In a clone the source; where it was installed as a package, what was made of it. */
const main = ["main.ts", "main.js"].map((name) => join(here, name)).find(existsSync) ?? join(here, "main.ts");

/** What the program is written for. */
const NODE_MIN = 26;

/** The pinned Node, wherever npm put it (hoisted or not), or undefined when it is not installed. */
function pinned() {
	try {
		const folder = dirname(modules.createRequire(import.meta.url).resolve("node/package.json"));
		const path = join(folder, "bin", process.platform === "win32" ? "node.exe" : "node");
		return existsSync(path) ? realpathSync(path) : undefined;
	} catch {
		return undefined;
	}
}

/** In a clone where nothing is installed yet, installs first. */
async function installed() {
	const installer = join(here, "../../scripts/install.mjs");
	if (!pinned() && existsSync(installer)) (await import(pathToFileURL(installer).href)).install();
	return pinned();
}

/**
 * A process that reads many sockets starts with a young generation of 1 MiB: fresh 64 KiB read buffers otherwise push V8 into
 * full collections. It can only be set when a process starts; `npm run bench` measures what it gives.
 */
const flags = ["box", "relay"].includes(process.argv[2] ?? "") ? ["--max-semi-space-size=1"] : [];

const own = await installed();
/** A package that was installed with its scripts switched off runs on the machine's own Node, if that is new enough. */
const able = main.endsWith(".js") && Number(process.versions.node.split(".")[0]) >= NODE_MIN;
const node = own ?? (able ? realpathSync(process.execPath) : undefined);
/**
 * Compiled code is kept beside the packages, not in a folder for temporary files that others may write to: a start takes half the
 * time, and no thread has to load the compiler that strips the types.
 */
if (own && !process.env.NODE_COMPILE_CACHE) process.env.NODE_COMPILE_CACHE = join(dirname(own), "../../.cache/farelay");
// npm runs scripts in the package's folder; a path that someone types is meant from where they stand.
const script = process.env.npm_lifecycle_event;
if ((script === "start" || script === "dev") && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);

if (!node) {
	console.error(
		`farelay: this is Node ${process.versions.node}, and the Node ${NODE_MIN} that comes with farelay is not installed. Nothing was done. ` +
			"Run `npm install`, or where npm runs no install scripts `npm rebuild node --ignore-scripts=false`, and try again.",
	);
	process.exitCode = 1;
} else if (realpathSync(process.execPath) === node && flags.every((flag) => process.execArgv.includes(flag))) {
	process.argv[1] = main;
	modules.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
	await import(pathToFileURL(main).href);
} else {
	// by the fourth the program notices when this process is killed: nobody could end it with Ctrl-C any more
	const stdio = ["inherit", "inherit", "inherit", "ipc"];
	const child = spawn(node, [...flags, main, ...process.argv.slice(2)], { stdio });
	// A terminal sends Ctrl-C to both; waiting here lets the program end in order and give its own exit code.
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
	child.on("error", (error) => {
		console.error(`farelay: the pinned Node does not start (${error.message}). Nothing was done.`);
		process.exitCode = 1;
	});
	child.on("exit", (code, signal) => {
		process.exitCode = signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1);
	});
}
