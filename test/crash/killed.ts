/** Runs a child that writes a journal of what it asks and what is answered, until it is killed: by itself at a named point, or from here. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** How a child is to die: at a point of `host/fault.ts`, or so many milliseconds after it has begun its work. */
export type Death = { readonly fault: string } | { readonly afterMs: number };

/** Starts `module` with the data's path, the journal's path and more; answers the journal's lines once the child was killed. */
export async function runUntilKilled(
	module: string,
	path: string,
	more: readonly string[],
	death: Death,
): Promise<string[]> {
	const journal = `${path}.journal`;
	rmSync(journal, { force: true });
	const child = spawn(process.execPath, [join(import.meta.dirname, module), path, journal, ...more], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { ...process.env, ...("fault" in death && { FARELAY_FAULT: death.fault }) },
	});
	// a fault that is never reached must not hang the run
	const tooLate = setTimeout(() => child.kill("SIGTERM"), 30_000);
	const closed = once(child, "close");
	if ("afterMs" in death) {
		await Promise.race([once(child.stdout, "data"), closed]);
		setTimeout(() => child.kill("SIGKILL"), death.afterMs);
	} else child.stdout.resume();
	const [code, signal] = await closed;
	clearTimeout(tooLate);
	assert.equal(signal, "SIGKILL", `the child of ${JSON.stringify(death)} ended by itself (exit code ${code})`);
	return readFileSync(journal, "utf8").split("\n").slice(0, -1);
}
