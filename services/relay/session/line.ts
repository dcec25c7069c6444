/** The socket as a session sees it: a way out, a way to wait, an end. */

import type { ProblemCode } from "#contracts/problem";
import type { Outbox } from "./outbox.ts";

/** One connection's line. */
export interface Line {
	readonly outbox: Outbox;
	/** Where it comes from; for bounds only, never written down. */
	readonly address: string;
	/** Reads no more, and reads on. */
	pause(): void;
	resume(): void;
	/** Sends what waits and closes. */
	close(reason: ProblemCode): void;
}
