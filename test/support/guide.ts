/** The code on the page for app developers (docs/guides/app.md), as one program, and what it must print. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

const PAGE = join(import.meta.dirname, "../../docs/guides/app.md");

/** Every block of code, from top to bottom. */
export async function guideBlocks(): Promise<string[]> {
	const page = await readFile(PAGE, "utf8");
	return [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

/** The page as one program, as an app would have it. */
export async function guideProgram(): Promise<string> {
	return (await guideBlocks()).join("\n");
}

/** The same inside the clone, where the packages are rooms. */
export function insideClone(code: string): string {
	return code
		.replaceAll('"@farelay/client/node"', '"#node/app"')
		.replaceAll('"@farelay/client/testing"', '"#testing/market"')
		.replaceAll('"@farelay/client"', '"#sdk/app"');
}

/** What the program prints. */
export const GUIDE_PRINTS = [
	"true",
	"Bob",
	"$1.00",
	"true credited true",
	"true",
	"true",
	"waiting",
	"sent",
	"true",
	"Good morning, Bob",
	"60736n",
	"[ 60000 ]",
	"0",
	"spending-limit false no",
	"true",
	"sent",
];
