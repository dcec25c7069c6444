/**
 * The bounds that both ends of a wire must agree on, each with its reason. What only one side keeps is in that side's own
 * `limit.ts` (PROTOCOL.md, "Limits").
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const LIMIT = {
	/** One WebSocket message. Four slices of a large payload; more only makes others wait behind it. */
	messageBytesMax: 64 * KIB,
	/** What a client gathers into one message: the measured knee of cost against latency. */
	batchBytes: 16 * KIB,
	/** One payload: a slice. Larger things are sent as several, so that nobody's photo blocks anybody's text. */
	payloadBytesMax: 60 * KIB,
	/** The size at which the SDK slices. A Padme size, so a full slice is not padded further. */
	sliceBytes: 16 * KIB,
	/** The longest mail is kept, in seconds (30 days): an operator's promise has to end. */
	ttlSMax: 30 * 86_400,
	/** Used when nobody says otherwise, in seconds (7 days). */
	ttlSDefault: 7 * 86_400,
	/** Handles one connection may open: a large contact list; 64 bytes each at the relay. */
	handlesMax: 4096,
	/** Copies of one fan: with a full payload it still fits a message. */
	fanCopiesMax: 256,
	/** Mailboxes one connection may listen on. */
	listensMax: 16,
	/** How far a hello's time may be from the relay's, and so how long its nonce is remembered. */
	clockWindowMs: 60 * SECOND,
	/** How long a socket may stay without a hello. */
	helloMs: 10 * SECOND,
	/** How far ahead a client pays a stranger: one full frame and its neighbours. */
	stepBytesFirst: 64 * KIB,
	/** How far ahead it pays at most: what a client can lose to a relay that turns bad at once. */
	stepBytesMax: MIB,
	/** Connections that may share one tab. */
	tabConnectionsMax: 4,
	/** Unpaid frames that a relay answers since the last covering voucher: 1 MiB must be able to stand before its voucher. */
	unpaidFramesMax: 1024,
	/** Unpaid bytes likewise. */
	unpaidBytesMax: MIB + 64 * KIB,
	/** Deliveries a reader may leave unacknowledged before more waits on the disk: some batches of the smallest mail, whose bytes alone would bound nothing. */
	windowFrames: 1024,
	/** Bytes likewise. */
	windowBytes: MIB,
	/** How long a live delivery waits for its reader's ack before it goes to the mailbox's disk. */
	ackMs: 5 * SECOND,
	/** Ranges in one ack, kept or refused frame. */
	rangesMax: 1024,
	/** Gaps that the dedupe record of one tag may have. */
	gapsMax: 256,
	/** What one mailbox may hold. */
	mailboxBytesMax: 512 * MIB,
	/** Messages one mailbox may hold: at a row's overhead this is as much disk as the bytes. */
	mailboxMessagesMax: 100_000,
	/** Devices of one mailbox: a person's phones and machines; what waits is kept until all have it. */
	devicesMax: 8,
	/** How long a device may stay away before it is given up (30 days): as long as the longest mail is kept. */
	deviceMs: 30 * DAY,
	/** The part of a mailbox that people without its card may fill: a tenth. */
	strangerShare: 10,
	/** The highest cap of a tab, $1,000,000: with both fees at their most it is still far from what an amount can hold. */
	capNanosMax: 1_000_000_000_000_000n,
	/** The longest life of a grant paid at full price. */
	grantMsMax: 7 * DAY,
	/** The longest life of one that the commons or a pool pays for: what it reserves is nobody else's meanwhile. Clients ask for it always, so that relays cannot tell. */
	fundGrantMsMax: DAY,
	/** The time from a grant's end to its redemption deadline. */
	redeemGraceMs: DAY,
	/** A relay takes nothing more this long before a grant ends, so that clocks may differ. */
	grantEndMarginMs: 120 * SECOND,
	/** How long an online key of the market may live. */
	marketKeyMsMax: 30 * DAY,
	/** How long after a grant's end a tag's dedupe record is kept. */
	dedupeGraceMs: 7 * DAY,
	/** How long a relay waits for a client that has not pinged: 2.2 rounds of 55 s, the first on cellular. */
	idleMs: 121 * SECOND,
	/** The shortest that a ping makes it: a message's way on a bad line must not end a connection. */
	idleMsMin: 10 * SECOND,
	/** The longest: 2.2 rounds of the longest keepalive. A socket that died unseen costs its memory for so long. */
	idleMsMax: 1_320 * SECOND,
	/** The longest time between two pings: a carrier's or a router's table forgets later than this, or never. */
	keepaliveMsMax: 600 * SECOND,
	/** Vouchers in one redemption batch. */
	batchVouchersMax: 300,
	/** How old a redemption batch or a listing may be when it arrives. */
	requestAgeMsMax: 10 * MINUTE,
	/** The longest a listing stays valid without being said again. */
	listingMsMax: 15 * MINUTE,
	/** The longest a market keeps a published card without hearing from its owner: who is away for longer has lost their mail too. */
	publishedMsMax: 90 * DAY,
	/** The longest relay URL: fits every browser, and a row. */
	urlBytesMax: 256,
	/** A problem's detail on the wire. */
	detailBytesMax: 512,
	/** The highest ask per MB sent that the commons and pools pay for, $0.002: four times the usual one; above it no fee that anybody would bear pays for all who need it. */
	poolSendPerMbMax: 2_000_000n,
	/** The highest per MB kept for a day likewise, $0.000004. */
	poolStorePerMbDayMax: 4_000n,
	/** The longest that the commons and pools pay for mail to be kept, in days: what waits for longer is rarely fetched. */
	poolTtlDaysMax: 14,
	/** The highest asking price per MB or MB-day: $1,000. Beyond it is a typing error. */
	priceNanosMax: 1_000_000_000_000n,
} as const;
