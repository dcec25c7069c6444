/** A relay as a process of its own that is meant to die. */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { toHex } from "#contracts/bytes";
import type { FakeMarket } from "#test/support/fakemarket";
import { keys } from "#test/support/rawclient";

const MAIN = fileURLToPath(import.meta.resolve("#relay/main"));
export type Process = { child: ChildProcess; url: string; died: Promise<NodeJS.Signals | null> };

/** A relay as a process of its own, dying at a named point if one is given. */
export async function startRelayProcess(
	t: TestContext,
	market: FakeMarket,
	data: string,
	fault?: string,
): Promise<Process> {
	const env = {
		PATH: process.env.PATH,
		FARELAY_MARKET_URL: market.url,
		FARELAY_OPERATOR: toHex(keys().publicKey),
		FARELAY_DATA: data,
		FARELAY_PORT: "0",
		...(fault && { FARELAY_FAULT: fault }),
	};
	const child = spawn(process.execPath, ["--max-semi-space-size=1", MAIN], {
		env,
		stdio: ["ignore", "pipe", "inherit"],
	});
	t.after(() => void child.kill("SIGKILL"));
	const died = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
	const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
	const url = await new Promise<string>((resolve, reject) => {
		lines.on("line", (line) => {
			const said = JSON.parse(line) as { url?: string };
			if (said.url) resolve(said.url);
		});
		child.once("exit", () => reject(new Error("the relay did not start")));
	});
	return { child, url, died };
}
