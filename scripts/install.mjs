/**
 * Makes sure that what the lockfile says is installed, before npm runs a script. Plain JavaScript on purpose: it runs on
 * whatever Node (20 or later) the machine has, on a clone where nothing is installed yet. What is installed is read from
 * npm's own record in `node_modules`, so there is no stamp that could lie. When nothing is to be done it says nothing.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const home = dirname(dirname(fileURLToPath(import.meta.url)));

/** A JSON file of the clone, or undefined when it is missing or half written. */
function read(path) {
	try {
		return JSON.parse(readFileSync(join(home, path), "utf8"));
	} catch {
		return undefined;
	}
}

/** What the manifest asks for, as one string that two manifests can be compared by. */
function wishes(manifest) {
	const sorted = (list) => Object.entries(list ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
	return JSON.stringify([sorted(manifest?.dependencies), sorted(manifest?.devDependencies)]);
}

/** Why an install is needed, in words, or undefined when all is as the lockfile says. */
export function reasonToInstall({ manifest, lock, installed, nodePresent }) {
	if (!lock) return "there is no lockfile";
	if (wishes(manifest) !== wishes(lock.packages?.[""])) return "the manifest asks for other packages than the lockfile";
	if (!installed) return "nothing is installed yet";
	for (const [path, wanted] of Object.entries(lock.packages)) {
		const found = installed.packages?.[path];
		// What npm left out on purpose (another system's binaries) is no reason to run again and again.
		if (path === "" || (!found && (wanted.optional || wanted.devOptional || wanted.peer))) continue;
		if (found?.version !== wanted.version) return `${path.replace(/^.*node_modules\//, "")} is not ${wanted.version}`;
	}
	return nodePresent ? undefined : "the pinned Node is missing";
}

/** Runs the npm that called this, on the Node that npm runs on: the one in `node_modules` may be about to be replaced. */
function npm(...words) {
	const { npm_execpath: cli, npm_node_execpath: node } = process.env;
	const known = cli?.endsWith(".js") || cli?.endsWith(".cjs");
	const [program, first] = known ? [node ?? process.execPath, [cli]] : ["npm", []];
	const run = spawnSync(program, [...first, ...words], { cwd: home, stdio: ["ignore", 2, 2], shell: !known });
	return run.status === 0;
}

const nodePresent = () =>
	existsSync(join(home, "node_modules/node/bin", process.platform === "win32" ? "node.exe" : "node"));

/** Brings `node_modules` up to date; true when it is. Everything it prints goes to stderr, so that `--json` stays clean. */
export function install() {
	const lock = read("package-lock.json");
	const manifest = read("package.json");
	const installed = read("node_modules/.package-lock.json");
	const why = reasonToInstall({ manifest, lock, installed, nodePresent: nodePresent() });
	if (why) {
		console.error(`farelay: installing packages, because ${why} (about 20 s the first time)`);
		const start = Date.now();
		// `npm install` and not `npm ci`: the latter deletes `node_modules` under a box that is running from it.
		// A lockfile that already fits the manifest is not rewritten, so that a clone stays clean.
		const settled = lock && wishes(manifest) === wishes(lock.packages?.[""]);
		const words = ["install", "--include=dev", "--no-audit", "--no-fund", ...(settled ? ["--no-save"] : [])];
		if (!npm(...words)) {
			console.error("farelay: npm could not install the packages. What it said is above; nothing else was changed.");
			return false;
		}
		// Where install scripts are switched off, the pinned Node was not put in its place: this one script is needed.
		if (!nodePresent() && !(npm("rebuild", "node", "--ignore-scripts=false") && nodePresent())) {
			console.error("farelay: the pinned Node could not be installed; allow install scripts of the package `node`.");
			return false;
		}
		console.error(`farelay: installed in ${Math.round((Date.now() - start) / 1000)} s`);
	}
	link();
	return true;
}

/** npm links the programs of dependencies only; this one is the clone's own, so that `npx farelay` finds it at once. */
function link() {
	const path = join(home, "node_modules/.bin/farelay");
	if (process.platform === "win32" || existsSync(path)) return;
	try {
		symlinkSync("../../client/cli/farelay.mjs", path);
	} catch {
		// Read-only or already being made by another run: npx then takes its longer way.
	}
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href && !install()) process.exitCode = 1;
