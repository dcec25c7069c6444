/**
 * The bounds that only a relay keeps, each with its reason. What both ends of a wire must know is in
 * `contracts/limit.ts`. A relay's owner and a test may set others (`RelayConfig.limits`).
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

export const RELAY_LIMITS = {
	/** Sockets at once. At 8 KiB each they cost 160 MiB; beyond that a machine of one gigabyte has better uses. */
	connectionsMax: 20_000,
	/** Sockets at once that have not said hello: a flood of them must not keep out those who do. */
	strangersMax: 2_048,
	/** The same from one address: a household or a carrier's gateway reconnecting at once, not a flood. IPv6 counts by /64. */
	strangersPerAddressMax: 128,
	/** How long a socket may be silent before it gives way to a new one where there are too many: two rounds on a bad mobile line. */
	strangerMsMin: 2 * SECOND,
	/** Connections of one address, hello or not: a village behind one gateway, a twentieth of all there may be. */
	connectionsPerAddressMax: 1_024,
	/** New sockets a second: each costs two verifications at hello, so this keeps a reconnecting crowd below half a core. */
	acceptsPerSecondMax: 2_000,
	/** The same from one address: twenty of them take all there is, one takes a tenth. */
	acceptsPerAddressMax: 200,
	/** Hellos remembered against replay, for those with a grant and those without apart: a flood of fresh keys must not push out payers. */
	noncesMax: 262_144,
	/** Handles open at once over all connections: some 400 bytes each, so 100 MiB. */
	handlesMax: 250_000,
	/** Handles of one connection once half of those are open: what is left is enough for that many on each of 20,000 connections. */
	handlesShareMax: 6,
	/** Mailboxes that one address may make in an hour: a village behind one gateway, not all places there are. */
	newMailboxesPerHourMax: 512,
	/** Tabs that one address may bring in an hour: each keeps its place for the seven days of its grant, even if it is worth a nano-dollar. */
	newTabsPerHourMax: 256,
	/** Mailboxes with an actor in memory. */
	mailboxesMax: 200_000,
	/** Tabs in memory: those that paid something and are not settled, and those that are connected. */
	tabsMax: 100_000,
	/** Tags in memory: one for each connection, and the idle ones. At 1 KiB each, and at most 11 KiB for one that sends with gaps on purpose. */
	tagsMax: 24_096,
	/** Tags that nobody speaks for at the moment: for who comes back soon; of others the record is on disk. */
	tagsIdleMax: 4_096,
	/** Unsent bytes on a reader's socket beyond which its mail waits on disk; twice that with what one turn brings. With the window of 1 MiB this keeps a dead reader within 1.5 MiB. */
	unsentBytesHigh: 256 * KIB,
	/** Unsent bytes on any socket beyond which it is closed: nobody who reads their answers gets here. */
	unsentBytesMax: 1_280 * KIB,
	/** How long a socket may take nothing of what waits for it. */
	unsentMsMax: 30 * SECOND,
	/** Bytes on their way to the disk beyond which senders are no longer read: half of what the writer takes, so that it never has to refuse. */
	diskBytesHigh: 16 * MIB,
	/** Bytes given to the writer at once, whoever they come from: three quarters of what it takes. The rest waits its turn where it is. */
	diskBytesTaken: 24 * MIB,
	/** Bytes that one connection may have read but not yet worked off while it waits for the till: one read of the socket and what `ws` holds. */
	waitingBytesMax: 512 * KIB,
	/** Vouchers of one connection that do not verify before it is closed: each costs 40 microseconds. */
	badVouchersMax: 16,
	/** Listens and renewals of one connection: each costs a verification and a commit. */
	ordersMax: 256,
	/** Fingerprints remembered for a tag besides those of what is on disk: what may be under way to one reader. 12 KiB for a tag that sends a lot. A power of two. */
	printsMax: 1_024,
	/** The same for all tags together: 24 MiB, so 2,000 that send a lot at once; beyond it a tag remembers 16 or 64. */
	printsOfAllMax: 2_097_152,
	/** Mail read from the disk at once for one reader. */
	pageFrames: 256,
	pageBytes: 256 * KIB,
	/** What one mailbox may be given a third time or more, whoever reads: enough for a phone on a bad line, too little to live on. */
	rereadBytesPerSecond: 64 * KIB,
	/** Mailboxes for which it is remembered what they gave twice: as many as have a place on disk, at some 400 bytes each. */
	rereadingsMax: 100_000,
	/** Dropped in one slice of expiry, so that who waits for the writer waits some milliseconds: between two slices it takes what others ask. */
	expireCount: 256,
	expireEveryMs: 5 * SECOND,
	/** How often dues are looked for: late hellos, missing acks, idle sockets. */
	sweepEveryMs: SECOND / 2,
	/** How long a tag without a connection stays in memory. */
	tagIdleMs: 10 * MINUTE,
	/** How long a request to the market may take. */
	marketMs: 10 * SECOND,
	/** How long a closing socket may take to say goodbye. */
	byeMs: 2 * SECOND,
	/** How long draining may take: container runtimes kill after 10 s. */
	drainMs: 6 * SECOND,
	/** Over how long the clients of a draining relay are asked to come back. */
	drainSpreadMs: 30 * SECOND,
};

/** The relay's bounds by name. */
export type RelayLimits = { readonly [name in keyof typeof RELAY_LIMITS]: number };
