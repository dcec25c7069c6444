/**
 * The house rules as functions from a set of files to what breaks them (docs: ARCHITECTURE.md, CONTRIBUTING.md). They run over the project
 * itself, where they must find nothing, and over planted violations, each of which they must find.
 */
import { posix } from "node:path";
import { blank, graphOf, type Import, importsOf, resolve, type Tree } from "#scripts/imports";
import { moneyAsNumber } from "./money.ts";

/** A place that breaks a rule, as people read it: `path:line what is wrong`. */
export type Breach = string;

/** The parts of the manifest that the rules read. */
export type Manifest = {
	imports: Record<string, string>;
	dependencies: Record<string, string>;
	devDependencies: Record<string, string>;
};

/** A rule: what it finds in a set of files. */
export type Rule = (tree: Tree, manifest: Manifest) => Breach[];

/** Who may import whom. A new edge is a change to this table, and so a visible diff. */
const MAY_IMPORT: Record<string, { static: string[]; lazy?: string[] }> = {
	contracts: { static: [] },
	"services/host": { static: ["contracts"] },
	"services/relay": { static: ["contracts", "services/host"] },
	"services/marketplace": { static: ["contracts", "services/host"] },
	// plays a year on the market's own decisions, in memory
	"services/simulator": { static: ["contracts", "services/host", "services/marketplace"] },
	"services/box": {
		static: ["contracts", "services/host", "services/relay", "services/marketplace", "client/sdk"],
	},
	"client/sdk": { static: ["contracts"] },
	"client/node": { static: ["contracts", "services/host", "client/sdk"] },
	// An app's tests load the market; an app that is shipped does not.
	"client/testing": { static: ["contracts", "client/sdk"], lazy: ["services/box"] },
	"client/web": { static: ["contracts", "client/sdk"] },
	// The command line loads a service only in the verb that needs it, so that `farelay send` starts fast.
	"client/cli": {
		static: ["contracts", "services/host", "client/sdk"],
		lazy: ["services/relay", "services/marketplace", "services/box"],
	},
	scripts: { static: ["contracts"] },
};

/** The one exception: the SDK may take the type of the marketplace's tRPC router, which is erased before it runs. */
const ROUTER_TYPE = { from: "client/sdk", to: "services/marketplace/api/router.ts" };

/** What each room may use of the packages that the manifest names; a room that is not listed may use any. */
const PACKAGES: Record<string, RegExp> = {
	contracts: /^zod$/,
	"services/relay": /^(?!libsodium-wrappers|@trpc\/|express)/,
	"services/marketplace": /^(?!libsodium-wrappers|ws$)/,
	"client/sdk": /^(zod|idb|libsodium-wrappers|@trpc\/client|@cloudflare\/voprf-ts|ws)$/,
	"client/web": /^(?!sodium-native|node$)/,
};

const isSource = (path: string) => /\.[mc]?[tj]sx?$/.test(path);
const isText = (path: string) =>
	/\.([mc]?[tj]sx?|md|json|css|html|sql|ya?ml|sh|webmanifest)$|(^|\/)[^.]+$|^\.[^/]+$/.test(path);

/** The room that a path lies in, or undefined for `test/` and files at the root, which may import anything. */
export function roomOf(path: string): string | undefined {
	return Object.keys(MAY_IMPORT).find((room) => path.startsWith(`${room}/`));
}

function eachSource(tree: Tree, visit: (path: string, text: string, room: string | undefined) => Breach[]): Breach[] {
	return [...tree].filter(([path]) => isSource(path)).flatMap(([path, text]) => visit(path, text, roomOf(path)));
}

function eachImport(tree: Tree, visit: (path: string, found: Import, room: string | undefined) => string | undefined) {
	return eachSource(tree, (path, text, room) =>
		importsOf(text).flatMap((found) => {
			const wrong = visit(path, found, room);
			return wrong ? [`${path}:${found.line} ${wrong}`] : [];
		}),
	);
}

/** The lines of each text file that match, with the word that matched. */
function eachMatch(tree: Tree, pattern: RegExp, says: string, keep = (_: string) => true): Breach[] {
	return [...tree]
		.filter(([path]) => isText(path) && keep(path))
		.flatMap(([path, text]) =>
			text.split("\n").flatMap((line, i) => {
				const found = pattern.exec(line);
				return found ? [`${path}:${i + 1} ${says}: ${found[0].trim()}`] : [];
			}),
		);
}

const importsPointOneWay: Rule = (tree, { imports }) =>
	eachImport(tree, (path, { from, lazy, typeOnly }, room) => {
		const to = resolve(path, from, imports);
		if (to === undefined || room === undefined) return undefined;
		const target = roomOf(to);
		if (target === room) return undefined;
		if (target === undefined) return `imports ${from}, which only tests may`;
		const may = MAY_IMPORT[room];
		if (may?.static.includes(target)) return undefined;
		if ((lazy || typeOnly) && may?.lazy?.includes(target)) return undefined;
		if (typeOnly && room === ROUTER_TYPE.from && to === ROUTER_TYPE.to) return undefined;
		return `${room} may not import ${target} (${from})`;
	});

const nothingClimbs: Rule = (tree) =>
	eachImport(tree, (path, { from }) => {
		const plain = /\.mjs$/.test(path) && from === "../../scripts/install.mjs";
		return from.includes("../") && !plain ? `climbs with ${from}` : undefined;
	});

const importsNameFiles: Rule = (tree, { imports }) =>
	eachImport(tree, (path, { from }) => {
		const to = resolve(path, from, imports);
		return to === undefined || tree.has(to) ? undefined : `imports ${from}, and there is no ${to}`;
	});

const noCycles: Rule = (tree, { imports }) => {
	// What is loaded later or erased cannot be caught half made.
	const graph = graphOf(tree, imports, ({ lazy, typeOnly }) => !lazy && !typeOnly);
	const state = new Map<string, "open" | "done">();
	const breaches: Breach[] = [];
	const visit = (path: string, trail: string[]) => {
		if (state.get(path) === "open") breaches.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
		if (state.has(path)) return;
		state.set(path, "open");
		for (const to of graph.get(path) ?? []) visit(to, [...trail, path]);
		state.set(path, "done");
	};
	for (const path of graph.keys()) visit(path, []);
	return breaches;
};

const packagesAreKnown: Rule = (tree, { dependencies, devDependencies }) =>
	eachImport(tree, (_path, { from, typeOnly }, room) => {
		if (/^[.#]|^node:/.test(from)) return undefined;
		const name = from
			.split("/")
			.slice(0, from.startsWith("@") ? 2 : 1)
			.join("/");
		const shipped = name in dependencies;
		const known = shipped || name in devDependencies || (typeOnly && `@types/${name}` in devDependencies);
		if (!known)
			return `imports ${name}, which the manifest does not name (Node's own modules are written node:${name})`;
		const inside = room !== undefined && room !== "scripts";
		if (inside && !typeOnly && !shipped) return `imports ${name}, which is only there for development`;
		const allowed = room === undefined ? undefined : PACKAGES[room];
		return allowed && !typeOnly && !allowed.test(name) ? `${room} may not use the package ${name}` : undefined;
	});

const versionsArePinned: Rule = (_tree, { dependencies, devDependencies }) =>
	Object.entries({ ...dependencies, ...devDependencies }).flatMap(([name, version]) =>
		/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version) ? [] : [`package.json ${name} is not pinned exactly: ${version}`],
	);

/** No file is longer: one file, one idea. Tests, documents, tables and translations may be. */
const LINES_MAX = 300;
const filesAreShort: Rule = (tree) =>
	[...tree].flatMap(([path, text]) => {
		const lines = text.split("\n").length - 1;
		const counts = /\.([mc]?[tj]sx?|css|sql|html|sh)$/.test(path) && !path.startsWith("test/");
		return counts && lines > LINES_MAX ? [`${path} has ${lines} lines; ${LINES_MAX} are enough`] : [];
	});

const VAGUE = /^(utils?|helpers?|common|core|lib|libs|types|misc|shared|managers?)$/;
const roomsHaveNames: Rule = (tree) =>
	[...tree.keys()].flatMap((path) => {
		const parts = path.split("/").map((part) => part.replace(/\..*$/, ""));
		const vague = parts.find((part) => VAGUE.test(part));
		return vague ? [`${path}: "${vague}" says nothing; name the thing`] : [];
	});

/** Shorter than this, a file must do something of its own. */
const DUST_LINES = 20;
const noDust: Rule = (tree) =>
	eachSource(tree, (path, text) => {
		const left = blank(text, { strings: false }).replace(
			/export\s+(type\s+)?(\*(\s+as\s+\w+)?|\{[^}]*\})\s*from\s*["'][^"']+["'];?/g,
			"",
		);
		const lines = text.split("\n").length - 1;
		const passesOn = left.trim() === "" && /\bfrom\b/.test(text);
		return passesOn && lines < DUST_LINES ? [`${path} only passes on what others export`] : [];
	});

// Each word is put together here, so that this file does not break its own rule.
const UNFINISHED = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`);
const nothingIsUnfinished: Rule = (tree) => eachMatch(tree, UNFINISHED, "is marked as unfinished");

/** A room's README says in its first paragraph what the room is for: about two lines, at most this many. More may follow. */
const ROOM_LINES_MAX = 4;
const roomsSayWhatTheyAreFor: Rule = (tree) => {
	const rooms = new Set<string>();
	for (const path of tree.keys()) {
		if (!/^(contracts|services\/[^/]+|client\/[^/]+)\//.test(path)) continue;
		let room = posix.dirname(path);
		while (room !== "services" && room !== "client" && room !== ".") {
			rooms.add(room);
			room = posix.dirname(room);
		}
	}
	return [...rooms].flatMap((room) => {
		const text = tree.get(`${room}/README.md`);
		if (text === undefined) return [`${room} has no README.md that says in two lines what it is for`];
		const lines =
			text
				.replace(/^(#.*)?\n/gm, (line) => (line === "\n" ? line : "\n"))
				.trim()
				.split(/\n\n/)[0]
				?.split("\n") ?? [];
		const said = lines.filter((line) => line.trim()).length;
		return said >= 1 && said <= ROOM_LINES_MAX
			? []
			: [`${room}/README.md takes ${said} lines to say it; say it in two`];
	});
};

const MACHINE = new RegExp(
	`(?<![\\w#.@/-])/(${["work", "root", "home", "Users"].join("|")})/[\\w.]|[A-Z]:\\\\\\\\?Users`,
);
const REGISTRY = new RegExp(
	["registry\\.(npmjs|yarnpkg)", "artifactory", "\\bverdaccio\\b", "_auth" + "Token", '"resolved"\\s*:\\s*"http'].join(
		"|",
	),
);
const noMachineOrRegistry: Rule = (tree) => [
	...eachMatch(tree, MACHINE, "names a folder of one machine", (path) => path !== "test/house/rules.ts"),
	...eachMatch(tree, REGISTRY, "names a package registry", (path) => path !== "test/house/rules.ts"),
];

const testsAllRun: Rule = (tree) =>
	eachSource(tree, (path, text) => {
		if (!path.startsWith("test/")) return [];
		const only = /\b(test|it|describe|suite|t)\.(only|skip|todo)\b|\{\s*(only|skip|todo)\s*:\s*true\b/;
		return blank(text, { strings: true })
			.split("\n")
			.flatMap((line, i) => (only.test(line) ? [`${path}:${i + 1} leaves tests out: ${line.trim()}`] : []));
	});

const contractsArePure: Rule = (tree) =>
	eachSource(tree, (path, text, room) => {
		if (room !== "contracts") return [];
		// Biome holds the rest of purity; these are members of things that are otherwise fine to use.
		const impure = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bglobalThis\b/;
		return blank(text, { strings: true })
			.split("\n")
			.flatMap((line, i) =>
				impure.test(line) ? [`${path}:${i + 1} time and chance are arguments: ${line.trim()}`] : [],
			);
	});

const linksLeadSomewhere: Rule = (tree) =>
	[...tree]
		.filter(([path]) => path.endsWith(".md"))
		.flatMap(([path, text]) =>
			[...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].flatMap(([, to = ""]) => {
				const target = posix.join(posix.dirname(path), to);
				const there =
					/^[a-z]+:/.test(to) || [...tree.keys()].some((name) => name === target || name.startsWith(`${target}/`));
				return there ? [] : [`${path} links to ${to}, which is not there`];
			}),
		);

const decisionsAreListed: Rule = (tree) => {
	const index = tree.get("docs/decisions/README.md") ?? "";
	return [...tree.keys()].flatMap((path) => {
		const page = /^docs\/decisions\/((?!README)[^/]+\.md)$/.exec(path)?.[1];
		return page && !index.includes(`](${page})`) ? [`${path} is not in docs/decisions/README.md`] : [];
	});
};

/** Every rule by what it says when it holds. */
export const RULES: Record<string, Rule> = {
	"imports point one way": importsPointOneWay,
	"no import climbs out of its room": nothingClimbs,
	"every import names a file that exists": importsNameFiles,
	"no files import each other in a circle": noCycles,
	"packages are known and each room uses its own": packagesAreKnown,
	"every dependency is pinned to one version": versionsArePinned,
	"no file outside the tests is longer than 300 lines": filesAreShort,
	"rooms and files are named after things": roomsHaveNames,
	"no file only passes on what others export": noDust,
	"nothing is marked as unfinished": nothingIsUnfinished,
	"every room says what it is for": roomsSayWhatTheyAreFor,
	"no file names a machine's folders or a registry": noMachineOrRegistry,
	"no test is left out": testsAllRun,
	"money is never a number": moneyAsNumber,
	"contracts read no clock and throw no dice": contractsArePure,
	"every link in a document leads to a file": linksLeadSomewhere,
	"every decision is in the index": decisionsAreListed,
};
