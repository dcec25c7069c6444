/**
 * Shards: a relay may be made of several workers, each with its own tabs and mailboxes. A client says in the path which of them a
 * connection is for, by the beginning of the tab's or the mailbox's id, and never has to know how many there are
 * (PROTOCOL.md, "Transport").
 */

/** How many shards there are: the first two bytes of an id. */
export const SHARDS = 65_536;

/** An id's shard: its first two bytes, as they are written in hex. */
export function shardOf(id: Uint8Array): number {
	return ((id[0] ?? 0) << 8) | (id[1] ?? 0);
}

/** Where a connection for a tab or mailbox goes: the relay's URL with one more segment, the id's first four hex digits. */
export function shardUrl(url: string, id: Uint8Array): string {
	return `${url}${url.endsWith("/") ? "" : "/"}${shardOf(id).toString(16).padStart(4, "0")}`;
}

/** The shard that a path's last segment names; undefined when it names none. */
export function shardOfPath(path: string): number | undefined {
	const named = /\/([0-9a-f]{4})(?:\?.*)?$/.exec(path)?.[1];
	return named === undefined ? undefined : Number.parseInt(named, 16);
}
