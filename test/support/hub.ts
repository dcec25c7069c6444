/** An embedded Lightning network for tests: in a folder that goes with it, on a clock that the test may move. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hub, openHub } from "#box/lightning/hub";
import { isProblem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";

/** Opens the hub of a folder. */
export async function hubAt(data: string, clock: Clock): Promise<Hub> {
	const hub = await openHub({ data, clock, log: openSilentLog(), random: crypto.random, network: "regtest" });
	assert(!isProblem(hub), JSON.stringify(hub));
	return hub;
}

/** A folder for a hub's file. */
export async function hubFolder(): Promise<{ path: string; remove(): Promise<void> }> {
	const path = await mkdtemp(join(tmpdir(), "farelay-hub-"));
	return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
