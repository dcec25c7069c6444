/**
 * `npm run soak -- --minutes M [--json FILE] [--seed N] [--writers N]`. Ends with 0 only when nothing that was kept was lost, nothing came
 * twice, every nano-dollar is where it should be, and there were kills and faults at all.
 */

import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";

const { values } = parseArgs({
	options: {
		minutes: { type: "string", default: "10" },
		json: { type: "string" },
		seed: { type: "string", default: String(randomInt(1_000_000)) },
		writers: { type: "string", default: "16" },
	},
});
const [minutes, seed, writers] = [Number(values.minutes), Number(values.seed), Number(values.writers)];
if (!(minutes > 0 && minutes <= 600) || !Number.isSafeInteger(seed) || !(writers >= 2 && writers <= 500)) {
	console.error("npm run soak -- --minutes 0.1..600 [--json FILE] [--seed N] [--writers 2..500]");
	process.exit(2);
}

console.log(`soaking for ${minutes} minutes with ${writers} writers, seed ${seed}`);
const began = performance.now();
const say = (line: string) => console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${line}`);
const result = await soak({ minutes, seed, writers, say });
if (values.json)
	writeFileSync(resolve(process.env.INIT_CWD ?? ".", values.json), `${JSON.stringify(result, null, "\t")}\n`);
console.log(JSON.stringify(result, null, "\t"));

const bad = result.lost + result.duplicates + result.unaccountedNanos + result.unanswered + result.refused;
const tried = result.kills > 0 && result.faults > 0 && result.delivered > 0;
console.log(bad === 0 && tried ? "nothing was lost, doubled or unaccounted for" : "the soak FAILED");
process.exit(bad === 0 && tried ? 0 : 1);
