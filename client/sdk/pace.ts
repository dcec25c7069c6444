/** Remembers how often to speak on each network that a machine was on, through restarts (`keepalive.ts` says how it is learned). */

import { toHex } from "#contracts/bytes";
import { hashFor } from "#contracts/identity";
import type { Device } from "./device.ts";
import { afterClean, afterMiss, firstRhythm, type NetworkKind, type Rhythm, soundRhythm } from "./keepalive.ts";
import { getJson, putJson } from "./storage.ts";

/** Networks that are remembered: a year's of somebody who travels; the one that was used longest ago is forgotten. */
const NETWORKS_MAX = 64;
const KEY = "keepalive";
const text = new TextEncoder();

/** How often a session speaks, and how it says how that went. It belongs to the network on which the session began. */
export interface Pace {
	readonly everyMs: number;
	clean(): void;
	missed(): void;
}

/** For a session too short to learn from: the safe start on any network. */
export const STEADY: Pace = { everyMs: firstRhythm("cellular").everyMs, clean() {}, missed() {} };

/** The paces of a client. */
export class Paces {
	private readonly device: Device;
	private readonly known = new Map<string, Rhythm>();
	private loading: Promise<void> | undefined;

	constructor(device: Device) {
		this.device = device;
	}

	/** Reads what earlier processes learned. */
	load(): Promise<void> {
		this.loading ??= (async () => {
			const rows = await getJson<unknown>(this.device.storage, KEY);
			if (!Array.isArray(rows)) return;
			for (const row of rows.slice(-NETWORKS_MAX)) {
				const [name, everyMs] = Array.isArray(row) ? row : [];
				const kind = typeof name === "string" ? name.split(" ")[0] : undefined;
				const rhythm = isKind(kind) && soundRhythm(everyMs, kind);
				if (rhythm && !this.known.has(name)) this.known.set(name, rhythm);
			}
		})();
		return this.loading;
	}

	/** The pace for the network that the machine is on now. */
	now(): Pace {
		const network = this.device.network();
		const { kind } = network;
		// a network's name says where somebody is: only a hash of it rests
		const name = `${kind} ${toHex(hashFor(this.device.crypto, "network", text.encode(network.name)).subarray(0, 8))}`;
		const rhythm = () => this.known.get(name) ?? firstRhythm(kind);
		return {
			get everyMs() {
				return rhythm().everyMs;
			},
			clean: () => this.note(name, rhythm(), afterClean(rhythm(), kind)),
			missed: () => this.note(name, rhythm(), afterMiss(rhythm())),
		};
	}

	private note(name: string, before: Rhythm, rhythm: Rhythm): void {
		this.known.delete(name);
		this.known.set(name, rhythm);
		const [oldest] = this.known.keys();
		if (this.known.size > NETWORKS_MAX && oldest !== undefined) this.known.delete(oldest);
		if (rhythm.everyMs === before.everyMs) return;
		const rows = [...this.known].map(([name, { everyMs }]) => [name, everyMs]);
		// what a disk does not take is learned again
		putJson(this.device.storage, KEY, rows).catch(() => {});
	}
}

function isKind(kind: unknown): kind is NetworkKind {
	return kind === "cellular" || kind === "wifi" || kind === "unknown";
}
