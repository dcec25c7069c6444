/** The disks of a relay: its mail and its till, in memory without a data folder. */

import { join } from "node:path";
import { isProblem, type Problem } from "#contracts/problem";
import type { Health } from "#host/health";
import type { Log } from "#host/log";
import { openMemoryMailStore } from "./mailbox/memory.ts";
import { openSqliteMailStore } from "./mailbox/sqlite.ts";
import type { MailStore } from "./mailbox/store.ts";
import { openMemoryTill } from "./till/memory.ts";
import { openSqliteTill } from "./till/sqlite.ts";
import type { Till } from "./till/till.ts";
import { soleFolder } from "./workers/layout.ts";

/** What a relay keeps. */
export type Disks = { readonly store: MailStore; readonly till: Till };

/** What opening them needs; a `store` or `till` that is given is taken instead. */
export type DisksDeps = {
	readonly log: Log;
	readonly health: Health;
	readonly store?: MailStore | undefined;
	readonly till?: Till | undefined;
	/** Set for one worker of several, whose folder is its own; else the folder must not be divided among workers. */
	readonly part?: object | undefined;
	/** Told when something broke for good: the process should stop. */
	readonly onDeath?: ((why: Error) => void) | undefined;
};

/** Opens both, or neither. */
export async function openDisks(folder: string | undefined, deps: DisksDeps): Promise<Disks | Problem> {
	const own = folder === undefined || deps.part ? folder : soleFolder(folder);
	if (isProblem(own)) return own;
	const onDeath = (why: Error): void => {
		deps.health.report("disk", "internal");
		deps.log.fatal({ err: why }, "a writer died");
		deps.onDeath?.(why);
	};
	const at = (name: string) => ({ path: join(own ?? "", name), onDeath });
	const till = deps.till ?? (folder === undefined ? openMemoryTill() : await openSqliteTill(at("till.db")));
	if (isProblem(till)) return till;
	const store = deps.store ?? (folder === undefined ? openMemoryMailStore() : await openSqliteMailStore(at("mail.db")));
	if (!isProblem(store)) return { store, till };
	await till.close();
	return store;
}
