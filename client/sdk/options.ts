/** What an app says to the SDK's front: how a client is made, what goes on a card, what can be sent. */

import type { Amount } from "#contracts/amount";
import type { Card } from "#contracts/card";
import type { Problem } from "#contracts/problem";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { FileSource } from "./file.ts";
import type { Waiting } from "./letter.ts";
import type { SendOptions, Sent } from "./outbox.ts";
import type { Storage } from "./storage.ts";
import type { WalletEvents } from "./wallet.ts";

export type ClientOptions = {
	/** The marketplace: its address, and its root key in hex if known; otherwise the first key it shows is pinned. */
	readonly market: string | { readonly url: string; readonly key: string };
	/** Where state rests; in memory if left out, and then the account ends with the process. */
	readonly storage?: Storage;
	/** The account's 32-byte seed; if left out, the one in storage, or a new one that is kept there. */
	readonly seed?: Uint8Array;
	/** The seed of another account of one's own that opens the tabs, so that the market cannot tie them to this one: what `quotas.seed` gives. It has its own money, and passes. */
	readonly payer?: Uint8Array;
	/** The most to spend in a day, fees included. */
	readonly spendLimit?: Amount | undefined;
	/** Answers messages of people whose card is known with a paid receipt, so that they see `delivered`. */
	readonly receipts?: boolean;
	/** Traffic that was paid for and never answered: by a crash of the relay, or of this client. */
	readonly onLost?: WalletEvents["lost"];
	/** A relay that claimed what was never signed: it is not used any more. */
	readonly onDishonest?: WalletEvents["dishonest"];
	/** Something waited to be sent until its TTL was over, and is dropped. */
	readonly onOver?: (waiting: Waiting) => void;
	/** Worth knowing, already dealt with. */
	readonly onProblem?: (problem: Problem) => void;
	/**
	 * An app that pays for its users out of a pool: asked for what its developer signed for this account, when a tab is about to be opened and the last one has ended; undefined
	 * where there is none. The account's public key is what is to be signed for.
	 */
	readonly appPass?: (account: Uint8Array) => Promise<Uint8Array | undefined>;
	/** Parts of the device, in place of what the runtime has. */
	readonly device?: Partial<Device>;
};

/** What goes on a card: the relays to have a mailbox at (the preferred first, at most two), and what its owner calls themselves. */
export type CardOptions = { readonly relay?: Relay; readonly relays?: readonly Relay[]; readonly name?: string };

/** How a message stands: on its way, at the relay, with its reader. */
export type Tick = "waiting" | "sent" | "passed" | "delivered";
export type ClientSendOptions = SendOptions & { readonly tick?: (tick: Tick, to: Uint8Array) => void };
/** What became of something for one of several people, by their identity key. */
export type Outcome = { readonly to: Uint8Array; readonly answer: Sent | Problem };
/** Somebody: by their card, or by a link to it. */
export type Whom = string | Card;
/** What can be sent: a text, a file, or a browser's `File`. */
export type Sendable = string | FileSource | Blob;

/** Whether something goes to several people, each of whom is answered for. */
export function isMany(to: Whom | readonly Whom[]): to is readonly Whom[] {
	return Array.isArray(to);
}
