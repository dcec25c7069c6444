/** Reads the project's own files, for the house rules and for the mutation runner. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Tree } from "./imports.ts";

/** The project's folder. */
export const home = dirname(import.meta.dirname);

/** What is not the project's own: installed, generated, or somebody's data. */
const FOREIGN = new Set(["node_modules", ".git", ".farelay", "out", "dist"]);

/** Every file of the project by its posix path from `root`. Binary files read as whatever text they make. */
export function readTree(root: string = home): Tree {
	const tree = new Map<string, string>();
	const walk = (folder: string) => {
		for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
			const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
			if (FOREIGN.has(entry.name)) continue;
			if (entry.isDirectory()) walk(path);
			else if (entry.isFile() && !entry.name.endsWith(".log")) tree.set(path, readFileSync(join(root, path), "utf8"));
		}
	};
	walk("");
	return tree;
}
