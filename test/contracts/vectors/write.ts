/** Writes `contracts/vectors/*.json` anew: run it after a change to a contract, and read the difference before committing it. */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { nativeEngine } from "./engine.ts";
import { vectorFiles } from "./make.ts";

const folder = join(dirname(dirname(dirname(import.meta.dirname))), "contracts", "vectors");
for (const [name, text] of vectorFiles(nativeEngine)) writeFileSync(join(folder, name), text);
