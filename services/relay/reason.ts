/**
 * Why a relay turned something away, delayed or dropped it: closed lists, by reason and never by who (threat 26), with the words that an
 * operator is shown. What sessions are refused has the codes of `contracts/problem.ts`.
 */

/** Why a connection was not taken, before its hello. */
export const DOOR = {
	subprotocol: "did not speak farelay.v1",
	draining: "the relay was stopping",
	connections: "as many connections as there may be",
	strangers: "as many connections without a hello as there may be",
	rate: "more new connections a second than are taken",
	"address-connections": "one address had as many connections as it may have",
	"address-strangers": "one address had as many connections without a hello as it may have",
	"address-rate": "one address opened more connections a second than it may",
} as const;

/** Why something waited. */
export const DELAYS = {
	bandwidth: "reading waited for the bandwidth cap",
	disk: "senders waited for the disk",
	till: "sends waited for their voucher to be on the disk",
	away: "mail went to the disk because nobody listened",
	behind: "mail went to the disk because its reader was behind",
	unacked: "mail went to the disk because its reader did not acknowledge it in time",
} as const;

/** What was given up. */
export const DROPS = {
	expired: "mail, records and mailboxes whose time was over",
	silent: "connections without a hello, for new ones",
	tabs: "tabs that used next to nothing, for new ones",
} as const;

export type DoorReason = keyof typeof DOOR;
export type DelayReason = keyof typeof DELAYS;
export type DropReason = keyof typeof DROPS;

/** A counter for each reason of a list. */
export function zeroes<Reason extends string>(list: Readonly<Record<Reason, string>>): Record<Reason, number> {
	return Object.fromEntries(Object.keys(list).map((reason) => [reason, 0])) as Record<Reason, number>;
}
