/** Which part of a relay is one worker's: the 65,536 shards divided evenly, so that clients need not know how many workers there are. */

import { SHARDS, shardOf } from "#contracts/shard";

/** Workers at most: more shares than a machine has cores gain nothing, and each has a link to each other one. */
export const WORKERS_MAX = 64;

/** One worker of several. */
export type Share = { readonly worker: number; readonly workers: number };

/** The worker that has a shard. */
export function workerOf(shard: number, workers: number): number {
	return Math.floor((shard * workers) / SHARDS);
}

/** The worker that has a tab or a mailbox, by its id. */
export function workerOfId(id: Uint8Array, workers: number): number {
	return workerOf(shardOf(id), workers);
}
