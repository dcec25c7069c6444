/**
 * The keys of the market that this relay works with: fetched, checked against the root that is pinned (by the operator, or by
 * first use), and kept on disk, so that a relay starts and forwards while the market is away (PROTOCOL.md, "The market's keys").
 */

import { join } from "node:path";
import { fromHex, same, toHex } from "#contracts/bytes";
import { forkLines } from "#contracts/chain";
import { keepHead } from "#contracts/heads";
import { type Crypto, KEY_BYTES, type KeyPair, keyId } from "#contracts/identity";
import {
	KEY_END_BYTES,
	type KeyEnd,
	MARKET_KEY_BYTES,
	type MarketInfo,
	type MarketKey,
	type Restored,
	readKeyEnd,
	readMarketInfo,
	readMarketKey,
	withEnds,
} from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import { readJson, writeJson } from "#host/replace";
import { type AskDeps, type Asked, askMarket } from "./ask.ts";

/** Keys are asked for again this often: a new one is published long before it signs. */
const REFRESH_EVERY_MS = 600_000;
/** The same while none came: soon, because no payer can come in. */
const RETRY_EVERY_MS = 5_000;
/** Old certificates that are kept: grants signed before the market changed its key are good until they end. */
const KEYS_MAX = 16;

/** How long a start waits for a market that is slow; it goes on without it. */
const START_WAIT_MS = 2_000;

/** Where what was learned is kept, in the relay's data folder. */
const FILE = "market.json";

/** Where the market's commitments are kept beside it, as `farelay verify --seen` reads them. */
const HEADS_FILE = "heads.json";

/** What market keys need. */
export type MarketDeps = AskDeps & {
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly log: Log;
	/** The root key that the operator pinned. */
	readonly pin: Uint8Array | undefined;
	/** Where what was learned is kept; undefined keeps it in memory. */
	readonly folder: string | undefined;
};

/** Resolves when the market was asked, or when a relay that starts has waited for it long enough. */
export async function waitBriefly(clock: Clock, asking: Promise<unknown>): Promise<void> {
	const late = Promise.withResolvers<void>();
	const cancel = clock.after(START_WAIT_MS, late.resolve);
	await Promise.race([asking, late.promise]);
	cancel();
}

/** What saying something to the market again and again needs: a signer, time, and chance to spread it. */
export type PosterDeps = AskDeps & {
	readonly crypto: Crypto;
	readonly clock: Clock;
	readonly random: () => number;
	readonly log: Log;
	readonly relay: KeyPair;
	readonly market: MarketKeys;
	readonly everyMs: number;
};

/** The market as this relay knows it. */
export class MarketKeys {
	private readonly deps: MarketDeps;
	/** The last question. */
	last: Asked | undefined;
	private rootKey: Uint8Array | undefined;
	private known: MarketKey[] = [];
	/** Ends of keys that are known: kept for good, also when the market does not say them any more. */
	private ends: KeyEnd[] = [];
	/** The market's last loss of its memory, and the one after which everything was claimed again. */
	private lost: Restored | undefined;
	private mendedMs = 0;
	private askedAtMs = Number.NEGATIVE_INFINITY;
	private asking: Promise<Problem | undefined> | undefined;

	constructor(deps: MarketDeps) {
		this.deps = deps;
		this.rootKey = deps.pin;
	}

	/** The market's root key; undefined until it was heard of for the first time. */
	get root(): Uint8Array | undefined {
		return this.rootKey;
	}

	/** Certificates that are known, newest first. */
	get keys(): readonly MarketKey[] {
		return this.known;
	}

	isRoot(market: Uint8Array): boolean {
		return this.rootKey !== undefined && same(this.rootKey, market);
	}

	/** The span that a market brought back from a backup forgot, as far as it was heard of. */
	get forgot(): Restored | undefined {
		return this.lost;
	}

	/** Whether what was paid before is to be claimed again, for the market may not know that it paid it. */
	get mustClaimAgain(): boolean {
		return this.lost !== undefined && this.lost.atMs > this.mendedMs;
	}

	/** Everything was claimed again after this loss. */
	async claimedAgain(lost: Restored): Promise<void> {
		this.mendedMs = lost.atMs;
		await this.keep();
	}

	/** Whether the root has ended the key of this id. */
	hasEnded(id: Uint8Array): boolean {
		const { crypto } = this.deps;
		return this.known.some(({ key, endedAtMs }) => endedAtMs !== undefined && same(keyId(crypto, key), id));
	}

	/** Whether it is time to ask again. */
	get due(): boolean {
		const wait = this.known.length > 0 ? REFRESH_EVERY_MS : RETRY_EVERY_MS;
		return this.deps.clock.elapsedMs() - this.askedAtMs >= wait;
	}

	/** Asks again, but not more often than every few seconds whoever wants it. */
	async refreshSoon(): Promise<void> {
		if (this.deps.clock.elapsedMs() - this.askedAtMs >= RETRY_EVERY_MS) await this.refresh();
	}

	/** Asks the market for its keys. What is known stays when it does not answer, or answers what its root did not sign. */
	refresh(): Promise<Problem | undefined> {
		this.asking ??= this.ask()
			.then((refused) => {
				this.last = { atMs: this.deps.clock.nowMs(), problem: refused?.problem ?? null };
				return refused;
			})
			.finally(() => {
				this.asking = undefined;
			});
		return this.asking;
	}

	private async ask(): Promise<Problem | undefined> {
		const { crypto, log } = this.deps;
		this.askedAtMs = this.deps.clock.elapsedMs();
		const answer = await askMarket(this.deps, "/.well-known/farelay.json");
		if (isProblem(answer)) return answer;
		const read = readMarketInfo(crypto, answer.json);
		if (isProblem(read)) {
			log.warn({ problem: read.problem }, "the market's description does not hold");
			return read;
		}
		if (this.rootKey && !same(this.rootKey, read.market)) {
			log.error("the market answers with another root key than the one that is pinned");
			return problem("grant-unknown-market", "The market has another root key than the one that is pinned.");
		}
		const known = this.known.length > 0;
		this.rootKey = read.market;
		const { restored } = read.info;
		// whoever hears of this market for the first time has claimed nothing of it before
		if (restored && !known) this.mendedMs = restored.atMs;
		this.lost = restored ?? this.lost;
		const fresh = read.keys.map(({ bytes }) => toHex(bytes));
		const old = this.known.filter(({ bytes }) => !fresh.includes(toHex(bytes)));
		const newEnds = read.ends.filter((end) => !this.ends.some(({ bytes }) => same(bytes, end.bytes)));
		const changed = old.length + fresh.length > this.known.length || newEnds.length > 0;
		this.learn([...read.keys, ...old], [...newEnds, ...this.ends]);
		if (changed) await this.keep();
		await this.keepHead(read.info.head, read.market);
		return undefined;
	}

	/** Keeps the market's newest commitment: a relay is somebody whom a market cannot show another past than others. */
	private async keepHead(head: MarketInfo["head"], market: Uint8Array): Promise<void> {
		const { crypto, folder, log } = this.deps;
		if (folder === undefined) return;
		const path = join(folder, HEADS_FILE);
		try {
			const kept = keepHead(crypto, await readJson(path), head, market);
			if (!kept) return;
			await writeJson(path, kept.heads);
			if (kept.fork) log.error({ file: path, says: forkLines(kept.fork, "twice") }, "the market's commitments fork");
		} catch (error) {
			log.warn({ err: error }, "the market's newest commitment could not be kept");
		}
	}

	/** Takes up keys and ends; an end is kept as long as its key. */
	private learn(keys: readonly MarketKey[], ends: readonly KeyEnd[]): void {
		const kept = keys.slice(0, KEYS_MAX);
		this.ends = ends.filter((end) => kept.some(({ key }) => same(key, end.key)));
		this.known = withEnds(kept, this.ends);
	}

	private async keep(): Promise<void> {
		const { folder, log } = this.deps;
		if (folder === undefined || !this.rootKey) return;
		const kept = {
			market: toHex(this.rootKey),
			keys: this.known.map(toBytes),
			ended: this.ends.map(toBytes),
			mendedMs: this.mendedMs,
		};
		try {
			await writeJson(join(folder, FILE), kept);
		} catch (error) {
			log.warn({ err: error }, "the market's keys could not be written down");
		}
	}

	/**
	 * Reads what was learned before. A file that is damaged is a problem, unless the operator pinned the key: a relay that forgot its
	 * market would trust whichever answers first.
	 */
	async restore(): Promise<Problem | undefined> {
		const { folder, crypto, pin } = this.deps;
		if (folder === undefined) return undefined;
		const path = join(folder, FILE);
		let json: { market?: unknown; keys?: unknown; ended?: unknown; mendedMs?: unknown } | null | undefined;
		try {
			json = (await readJson(path)) as typeof json;
		} catch (error) {
			return problem("disk", `${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
		}
		if (json === undefined) return undefined;
		const root = fromHex(json?.market, KEY_BYTES);
		if (!root || !Array.isArray(json?.keys)) {
			if (pin) return undefined;
			return problem(
				"data-corrupt",
				`${path} does not say any more which market this relay works with. Give --market-key, or remove the file to trust the market at its address anew.`,
			);
		}
		if (this.rootKey && !same(this.rootKey, root)) return undefined;
		this.rootKey = root;
		const read = <T extends { readonly market: Uint8Array }>(
			list: readonly unknown[],
			length: number,
			reader: (crypto: Crypto, bytes: Uint8Array) => T | Problem,
		): T[] =>
			list.slice(0, KEYS_MAX).flatMap((hex) => {
				const one = reader(crypto, fromHex(hex, length) ?? new Uint8Array(0));
				return isProblem(one) || !same(one.market, root) ? [] : [one];
			});
		if (Number.isSafeInteger(json.mendedMs)) this.mendedMs = json.mendedMs as number;
		const ended: readonly unknown[] = Array.isArray(json.ended) ? json.ended : [];
		this.learn(read(json.keys, MARKET_KEY_BYTES, readMarketKey), read(ended, KEY_END_BYTES, readKeyEnd));
		return undefined;
	}
}

function toBytes({ bytes }: { readonly bytes: Uint8Array }): string {
	return toHex(bytes);
}
