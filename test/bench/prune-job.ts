/** Prunes a ledger in a process of its own, as an owner does, and says how long it took and how long the longest change of it: `URL|FOLDER ARCHIVE UP-TO`. */
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { pruneLedger } from "#marketplace/ledger/prune";
import { openLedgerAlone } from "#marketplace/stores";

/** What it says. */
export type Pruning = { readonly ms: number; readonly longestMs: number; readonly transfers: number };

const [at = "", archive = "", upTo = ""] = process.argv.slice(2);
const postgres = { engine: "postgres" as const, url: at, password: undefined };
const where = at.startsWith("postgres:") ? postgres : { engine: "sqlite" as const, folder: at };
const book = await openLedgerAlone(where, { clock: systemClock, crypto });
if (isProblem(book)) throw new Error(book.detail);
let longestMs = 0;
const prune: typeof book.prune = async (slice) => {
	const began = performance.now();
	const gone = await book.prune(slice);
	longestMs = Math.max(longestMs, performance.now() - began);
	return gone;
};
const began = performance.now();
const bounds = { beforeMs: Number.MAX_SAFE_INTEGER, upToMost: Number(upTo) };
const done = await pruneLedger({ book: { ...book, prune }, folder: archive, ...bounds });
if (isProblem(done)) throw new Error(done.detail);
const said: Pruning = { ms: performance.now() - began, longestMs, transfers: done.transfers };
console.log(JSON.stringify(said));
await book.close();
