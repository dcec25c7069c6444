/** What a relay is told when it is one worker of several (`workers/`); a relay of one process is told nothing of it. */

import type { KeyPair } from "#contracts/identity";
import type { Problem } from "#contracts/problem";
import type { Desk } from "./mailbox/desk.ts";
import type { Caps } from "./operator/caps.ts";
import type { RelayParts } from "./parts.ts";
import type { Far } from "./session/far.ts";

/** A part of a relay. */
export type WorkerPart = {
	/** The whole relay's key, folder and address. */
	readonly relay: KeyPair;
	readonly folder: string | undefined;
	readonly url: string;
	/** Its share of the caps. */
	readonly caps: Caps;
	/** Whether a tab or a mailbox is this part's, by its id. */
	owns(id: Uint8Array): boolean;
	/** The other parts. */
	readonly far: Far;
	/** Links to the others and opens the door for them; the problem when that cannot be. */
	meet(parts: RelayParts, desk: Desk): Promise<Problem | undefined>;
	/** Hands what was taken live to the store, now and then. */
	flush(): void;
	/** Resolves when nothing is under way to another part any more and all others have said the same. */
	settled(): Promise<void>;
	/** Ends the links. */
	leave(): void;
};
