/**
 * `npm run pack`: what others install, as tarballs in `dist/`. `@farelay/client` is bundled for browsers and Node, with types of its own;
 * `farelay` is every service and the command line as plain JavaScript, file by file, because Node strips no types under `node_modules`
 * (docs/decisions/packages.md).
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { build } from "esbuild";
import { importsOf, resolve } from "./imports.ts";
import { home } from "./tree.ts";

const DIST = join(home, "dist");
const EMITTED = join(DIST, "emitted");
const TSC = join(home, "node_modules/typescript/bin/tsc");

type Manifest = {
	version: string;
	license: string;
	description: string;
	imports: Record<string, string>;
	dependencies: Record<string, string>;
};
const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as Manifest;

/** What is packed of the source, room by room. */
const ROOMS = ["contracts", "services", "client"];

/** The doors of `@farelay/client`: what an app imports, and the file that it is made of. */
const DOORS = {
	index: "client/sdk/app.ts",
	node: "client/node/app.ts",
	testing: "client/testing/market.ts",
};

/** What the client's bundle leaves to be installed. Everything else that it needs is in it, with its licence beside it. */
const CLIENT_NEEDS = ["@cloudflare/voprf-ts", "idb", "libsodium-wrappers"];

/** Packages whose code goes into the client's bundle: tRPC's would bring a TypeScript compiler along as its peer. */
const CLIENT_HOLDS = ["@trpc/client", "@trpc/server"];

/** The one thing that is in the other package: the market of the tests of apps. */
const OTHER_PACKAGE = "#box/testmarket";

function put(path: string, text: string): void {
	mkdirSync(dirname(path), { recursive: true });
	writeFileSync(path, text);
}

function putJson(path: string, json: object): void {
	put(path, `${JSON.stringify(json, null, "\t")}\n`);
}

/** Every file below a folder of the emitted tree, by its path in it. */
function emitted(room: string): string[] {
	return readdirSync(join(EMITTED, room), { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => relative(EMITTED, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
		.sort();
}

/** Compiles the rooms to JavaScript and declarations, once for both packages. */
function emit(): void {
	const config = join(DIST, "tsconfig.json");
	putJson(config, {
		extends: "../tsconfig.json",
		compilerOptions: {
			noEmit: false,
			declaration: true,
			rewriteRelativeImportExtensions: true,
			rootDir: "..",
			outDir: "./emitted",
			typeRoots: ["../node_modules/@types"],
		},
		include: ROOMS.map((room) => `../${room}`),
	});
	execFileSync(process.execPath, [TSC, "-p", config], { cwd: home, stdio: "inherit" });
}

/** Files that are named and not imported, a thread's or a child's: their names end differently once they are compiled. */
const NAMED = /((?:import\.meta\.resolve|new URL)\(\s*["']\.\/[\w./-]+)\.ts(["'])/g;

/** `farelay`: the emitted tree as it is, with the map of rooms in its manifest. */
function packFarelay(): string {
	const folder = join(DIST, "farelay");
	const rooms = ["contracts/", "services/", "client/sdk/", "client/cli/"];
	const kept = ROOMS.flatMap(emitted).filter(
		(path) => rooms.some((room) => path.startsWith(room)) && /\.(js|json)$/.test(path) && !path.includes("/vectors/"),
	);
	const needs = new Set<string>(["node"]);
	for (const path of kept) {
		const text = readFileSync(join(EMITTED, path), "utf8").replace(NAMED, "$1.js$2");
		put(join(folder, path), text);
		for (const { from } of path.endsWith(".js") ? importsOf(text) : []) {
			const name = from.split("/", from.startsWith("@") ? 2 : 1).join("/");
			if (name in manifest.dependencies) needs.add(name);
		}
	}
	// what `ws` takes when it is there, and no file names
	needs.add("bufferutil");
	cpSync(join(home, "client/cli/farelay.mjs"), join(folder, "client/cli/farelay.mjs"));
	cpSync(join(home, "LICENSE"), join(folder, "LICENSE"));
	put(join(folder, "README.md"), README);
	const maps = Object.entries(manifest.imports)
		.filter(([, to]) => rooms.some((room) => to.startsWith(`./${room}`)))
		.map(([name, to]) => [name, to.replace(/\.ts$/, ".js")]);
	putJson(join(folder, "package.json"), {
		name: "farelay",
		version: manifest.version,
		description: manifest.description,
		license: manifest.license,
		type: "module",
		engines: { node: ">=20" },
		bin: { farelay: "client/cli/farelay.mjs" },
		imports: Object.fromEntries(maps),
		exports: { "./testmarket": "./services/box/testmarket.js", "./package.json": "./package.json" },
		dependencies: pick(needs),
	});
	return folder;
}

function pick(names: Iterable<string>): Record<string, string> {
	return Object.fromEntries([...names].sort().map((name) => [name, manifest.dependencies[name] as string]));
}

/** In a declaration a table is the names in it: a compiler need not read JSON for them. */
function namesOfTable(source: string, text: string): string {
	return text.replace(/^import (\w+) from "(\.\/[\w-]+\.json)";$/gm, (_all, name: string, from: string) => {
		const table = JSON.parse(readFileSync(join(home, posix.dirname(source), from), "utf8")) as object;
		const names = Object.keys(table).map((key) => JSON.stringify(key));
		return `declare const ${name}: Record<${names.join(" | ")}, unknown>;`;
	});
}

/** The declarations that some files lead to, with every import as a relative path: no resolver has to know our map of rooms. */
function putTypes(doors: readonly string[], folder: string): void {
	const seen = new Set<string>();
	const visit = (source: string): void => {
		if (seen.has(source)) return;
		seen.add(source);
		const path = source.replace(/\.ts$/, ".d.ts");
		const text = namesOfTable(source, readFileSync(join(EMITTED, path), "utf8")).replace(
			/(\bfrom\s*|\bimport\(\s*)(["'])([#.][^"']+)\2/g,
			(_all, before: string, quote: string, from: string) => {
				const to = resolve(source, from.replace(/\.js$/, ".ts"), manifest.imports);
				if (to === undefined) throw new Error(`${path} takes a type from ${from}`);
				if (!/^(contracts|services\/host|client)\//.test(to)) throw new Error(`${path} takes a type of ${to}`);
				visit(to);
				const written = posix.relative(posix.dirname(path), to.replace(/\.ts$/, ".js"));
				return `${before}${quote}${written.startsWith(".") ? written : `./${written}`}${quote}`;
			},
		);
		put(join(folder, path), text);
	};
	for (const door of doors) visit(door);
}

/** `@farelay/client`: one file for each door and what they share, and declarations. */
async function packClient(): Promise<string> {
	const folder = join(DIST, "client");
	const made = await build({
		absWorkingDir: home,
		entryPoints: DOORS,
		outdir: folder,
		bundle: true,
		splitting: true,
		format: "esm",
		platform: "neutral",
		target: "es2022",
		mainFields: ["module", "main"],
		external: [...CLIENT_NEEDS, "@cloudflare/voprf-ts/*", OTHER_PACKAGE, "node:*"],
		chunkNames: "shared-[hash]",
		metafile: true,
		logLevel: "error",
	});
	const held = new Set(
		Object.keys(made.metafile.inputs).flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
	);
	const strange = [...held].filter((name) => !CLIENT_HOLDS.includes(name));
	if (strange.length > 0) throw new Error(`the client's bundle holds ${strange.join(", ")}: name it, or leave it out`);
	putTypes(Object.values(DOORS), join(folder, "types"));
	const licences = [...held].sort().map((name) => {
		const root = join(home, "node_modules", name);
		const file = readdirSync(root).find((entry) => /^licen[cs]e/i.test(entry));
		if (!file) throw new Error(`${name} is without a licence`);
		return `${name}\n\n${readFileSync(join(root, file), "utf8")}`;
	});
	put(join(folder, "THIRD-PARTY.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
	cpSync(join(home, "LICENSE"), join(folder, "LICENSE"));
	cpSync(join(home, "docs/guides/app.md"), join(folder, "README.md"));
	const door = (name: keyof typeof DOORS) => ({
		types: `./types/${DOORS[name].replace(/\.ts$/, ".d.ts")}`,
		default: `./${name}.js`,
	});
	putJson(join(folder, "package.json"), {
		name: "@farelay/client",
		version: manifest.version,
		description:
			"Send and receive sealed messages and files through paid relays: the Farelay SDK for browsers and Node.",
		license: manifest.license,
		type: "module",
		sideEffects: false,
		engines: { node: ">=22" },
		main: "./index.js",
		types: door("index").types,
		exports: {
			".": door("index"),
			"./node": door("node"),
			"./testing": door("testing"),
			"./package.json": "./package.json",
		},
		imports: { [OTHER_PACKAGE]: "farelay/testmarket" },
		dependencies: pick(CLIENT_NEEDS),
		peerDependencies: { farelay: manifest.version },
		peerDependenciesMeta: { farelay: { optional: true } },
	});
	return folder;
}

const README = `# farelay

The open market for relays: people with a spare machine carry sealed payloads for phones and earn per megabyte.

    npx farelay box          the whole market on this machine, with play money
    npx farelay --help       every verb

For apps there is the package @farelay/client.
`;

rmSync(DIST, { recursive: true, force: true });
emit();
const folders = [await packClient(), packFarelay()];
rmSync(EMITTED, { recursive: true });
rmSync(join(DIST, "tsconfig.json"));
for (const folder of folders) {
	const words = ["pack", folder, "--pack-destination", DIST, "--json", "--ignore-scripts"];
	const said: unknown = JSON.parse(execFileSync("npm", words, { cwd: DIST, encoding: "utf8" }));
	const packed = (Array.isArray(said) ? said : Object.values(said as object)) as {
		filename: string;
		size: number;
		entryCount: number;
	}[];
	for (const { filename, size, entryCount } of packed)
		console.log(`dist/${filename}  ${(size / 1000).toFixed(0)} kB, ${entryCount} files`);
}
