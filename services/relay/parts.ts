/** What the parts of a relay know of each other. Made once in `assembly.ts`. */

import type { Crypto, KeyPair } from "#contracts/identity";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { RelayLimits } from "./limit.ts";
import type { MailStore } from "./mailbox/store.ts";
import type { Counts } from "./metrics.ts";
import type { Gate } from "./operator/operator.ts";
import type { Throttle } from "./operator/throttle.ts";
import type { Traffic } from "./operator/traffic.ts";
import type { Greeter } from "./session/hello.ts";
import type { Newcomers } from "./session/newcomers.ts";
import type { Router } from "./session/router.ts";
import type { Tabs } from "./tab/tabs.ts";
import type { Tags } from "./tag/tags.ts";

/** The parts that a session works with. */
export type RelayParts = {
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly log: Log;
	readonly relay: KeyPair;
	readonly limits: RelayLimits;
	/** Each frame alone: slow, and what the fast way is held against. */
	readonly plain: boolean;
	readonly store: MailStore;
	/** Whether a tab or a mailbox is this process's, by its id: always, unless it is one worker of several. */
	readonly owns: (id: Uint8Array) => boolean;
	readonly greeter: Greeter;
	readonly router: Router;
	/** Who made mailboxes, and who brought tabs. */
	readonly newcomers: Newcomers;
	readonly newTabs: Newcomers;
	readonly tabs: Tabs;
	readonly tags: Tags;
	readonly counts: Counts;
	readonly gate: Gate;
	readonly traffic: Traffic;
	readonly throttle: Throttle;
};
