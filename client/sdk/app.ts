/**
 * What an app imports: `@farelay/client`. Everything else in this room is the SDK's own and may change with any version
 * (docs/guides/app.md).
 */

/** Money: nano-dollars as a branded bigint, dollars as people write them. */
export { type Amount, amount, formatAmount, formatDollars, parseAmount, parseDollars } from "#contracts/amount";
/** Keys and ids as text. */
export { fromHex, toHex } from "#contracts/bytes";
/** What somebody's card says, once it is read. */
export type { Card, Home } from "#contracts/card";
/** Refusals: the closed list, and what each says of money and of trying again. */
export { PROBLEMS, type Problem, type ProblemCode, problem, type Spent } from "#contracts/problem";
/** The market's procedures, for what has no name on the client. */
export type { MarketApi } from "./api.ts";
/** A relay by its key and address. */
export type { Relay } from "./card.ts";
/** The client itself, and what is said to it. */
export {
	type CardOptions,
	type Client,
	type ClientOptions,
	type ClientSendOptions,
	createClient,
	type Outcome,
	type Sendable,
	type Tick,
	type Whom,
} from "./client.ts";
/** What the SDK takes from a machine, for runtimes that have it under other names. */
export type { Device, Socket } from "./device.ts";
/** Vouching for people. */
export type { Enrolled, Enrolling } from "./enrolling.ts";
/** What every promise of the client rejects with, where it is no bug. */
export { FarelayError } from "./error.ts";
/** Files to send and to receive: in memory, from a browser, or of your own making. */
export { blobSource, bytesSink, bytesSource, type FileSink, type FileSource } from "./file.ts";
/** How a tab ended. */
export type { Settlement } from "./finish.ts";
/** Putting money on an account. */
export type { Deposits, Funding, FundingQuote, FundingRail } from "./funding.ts";
/** Money for a friend. */
export type { Gifts, OfferedGift } from "./gifts.ts";
/** A home that the market drew. */
export type { Drawn } from "./home.ts";
/** The devices of an account. */
export type { MailboxDevice } from "./household.ts";
/** An account's secret, as a line that somebody wrote down. */
export { type Identity, restoreIdentity } from "./identity.ts";
/** What comes. */
export type { Handlers, IncomingText } from "./incoming.ts";
/** Where a browser keeps its state. */
export { type IndexedDbStorage, indexedDbStorage } from "./indexeddb.ts";
/** What waits to be sent. */
export type { Waiting } from "./letter.ts";
/** Relays on show. */
export type { RelayOffer } from "./market.ts";
/** Sending. */
export type { SendOptions, Sent } from "./outbox.ts";
/** A file that comes. */
export type { IncomingFile } from "./part.ts";
/** By what messages are paid for, and codes for others. */
export type { CodesWanted, HandedCode, HeldPass, Passes, Rights } from "./passes.ts";
/** Paying for others. */
export type { PoolJson, PoolRulesJson, Pools } from "./pools.ts";
/** Quota that nobody can tie to an account. */
export type { Quotas } from "./quotas.ts";
/** Prices. */
export type { Cost } from "./spending.ts";
/** Where state rests: the seam, and memory. */
export { memoryStorage, type Storage } from "./storage.ts";
