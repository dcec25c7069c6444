/**
 * How far a relay believes grants that only a key of the market speaks for. A grant is checked offline, so whoever stole an online key can write one that
 * nobody pays for: what such tabs may use together is bounded for each key until the market has paid or confirmed them, and a key of which one grant
 * was not the market's, or which the root has ended, brings no tab that the market does not confirm first (PROTOCOL.md, "The market's keys").
 */

import { toHex } from "#contracts/bytes";
import { GRANTS_ASKED_MAX, type Grant, readGranted } from "#contracts/grant";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Log } from "#host/log";
import type { Tab, TabTrust } from "#relay/tab/tab";
import { type AskDeps, askMarket } from "./ask.ts";
import type { MarketKeys } from "./market.ts";

/** What it takes. */
export type TrustDeps = AskDeps & {
	readonly clock: Clock;
	readonly log: Log;
	readonly market: MarketKeys;
	/** what tabs of one key may use together before the market has confirmed any of it */
	readonly unconfirmedNanos: bigint;
};

/** Answers of the market that are remembered of tabs that are not here: for those who come back at once. */
const ANSWERS_MAX = 4_096;

/** Grants that wait for the market's answer: beyond it whoever comes is to come again. */
const WAITING_MAX = 1_024;

/** When who was not let in for want of an answer is to try again. */
const AGAIN_MS = 2_000;

/** Tabs of one key that the market has not confirmed, with what each was let use, and their sum. */
type Unconfirmed = { nanos: bigint; readonly tabs: Map<string, { readonly grant: Grant; nanos: bigint }> };

type Asking = {
	readonly grant: Grant;
	readonly answer: Promise<boolean | undefined>;
	readonly done: (granted: boolean | undefined) => void;
};

const NEVER = () => problem("grant-unknown-market", "The market says that it never granted this tab.");

/** Says which grants to work on, and how far. */
export class Trust implements TabTrust {
	private readonly deps: TrustDeps;
	/** By key, those with anything that nobody confirmed: a market has few keys at a time, and each lives a month. */
	private readonly keys = new Map<string, Unconfirmed>();
	/** Keys of which the market did not know a grant; for good, and as few. */
	private readonly doubted = new Set<string>();
	/** The market's answers, the oldest first. */
	private readonly answers = new Map<string, boolean>();
	private readonly waiting = new Map<string, Asking>();
	private asking = false;
	/** When the market last did not answer. */
	private failedAtMs = Number.NEGATIVE_INFINITY;

	constructor(deps: TrustDeps) {
		this.deps = deps;
	}

	/** Why a grant, whose signature was checked, is not one to let in now. */
	admit(grant: Grant, tab: Tab | undefined): Problem | undefined {
		const known = tab?.granted === true || this.answers.get(toHex(grant.tab));
		if (known === false) return NEVER();
		if (known || !this.isDoubted(grant)) return undefined;
		const again = problem("grant-unknown-market", "The market is being asked about this grant; try again.", {
			retryAfterMs: AGAIN_MS,
		});
		void this.ask(grant);
		return { ...again, retry: true };
	}

	credit(tab: Tab, nanos: bigint): Problem | Promise<Problem | undefined> | undefined {
		const known = tab.granted || this.answers.get(tab.id);
		if (known === false) return NEVER();
		if (known) {
			this.confirm(tab);
			return undefined;
		}
		const { unconfirmedNanos } = this.deps;
		const key = this.keyOf(tab.grant);
		const more = nanos - (key.tabs.get(tab.id)?.nanos ?? 0n);
		// early, so that nobody has to wait where the market answers
		if ((key.nanos + more) * 2n > unconfirmedNanos) this.askAll(key);
		if (!this.isDoubted(tab.grant) && key.nanos + more <= unconfirmedNanos) {
			this.count(tab, nanos);
			return undefined;
		}
		return this.ask(tab.grant).then((granted) => {
			if (granted === undefined)
				return problem("unavailable", "The market does not answer, and this relay waits for its word on new tabs.", {
					spent: "no",
				});
			if (!granted) return NEVER();
			this.confirm(tab);
			return undefined;
		});
	}

	count(tab: Tab, nanos: bigint): void {
		const key = this.keyOf(tab.grant);
		const before = key.tabs.get(tab.id)?.nanos ?? 0n;
		if (nanos <= before) return;
		key.nanos += nanos - before;
		key.tabs.set(tab.id, { grant: tab.grant, nanos });
	}

	/** The market has paid on this tab, or said that it granted it. */
	confirm(tab: Tab): void {
		tab.granted = true;
		this.answers.delete(tab.id);
		this.forget(tab);
	}

	/** The market does not know this tab: somebody else has its key, or it has lost its own book. What was used stays counted. */
	deny(grant: Grant): void {
		const key = toHex(grant.keyId);
		const { forgot } = this.deps.market;
		if (forgot && forgot.fromMs <= grant.issuedAtMs && grant.issuedAtMs <= forgot.atMs) {
			this.deps.log.warn("the market was brought back from a backup that is older than a tab, and does not pay for it");
			this.keyOf(grant).tabs.delete(toHex(grant.tab));
			this.remember(toHex(grant.tab), false);
			return;
		}
		if (!this.doubted.has(key))
			this.deps.log.error(
				{ keyId: key },
				"the market does not know a tab that its key signed: from now on each new tab of this key is asked about first. Tell whoever runs the market",
			);
		this.doubted.add(key);
		this.keyOf(grant).tabs.delete(toHex(grant.tab));
		this.remember(toHex(grant.tab), false);
		// the key may have been ended meanwhile
		void this.deps.market.refreshSoon();
	}

	forget({ grant }: Pick<Tab, "grant">): void {
		const key = this.keys.get(toHex(grant.keyId));
		if (!key) return;
		const id = toHex(grant.tab);
		key.nanos -= key.tabs.get(id)?.nanos ?? 0n;
		key.tabs.delete(id);
		if (key.nanos === 0n && key.tabs.size === 0) this.keys.delete(toHex(grant.keyId));
	}

	private isDoubted(grant: Grant): boolean {
		return this.doubted.has(toHex(grant.keyId)) || this.deps.market.hasEnded(grant.keyId);
	}

	private keyOf(grant: Grant): Unconfirmed {
		const id = toHex(grant.keyId);
		const found = this.keys.get(id) ?? { nanos: 0n, tabs: new Map() };
		this.keys.set(id, found);
		return found;
	}

	private remember(tab: string, granted: boolean): void {
		this.answers.delete(tab);
		this.answers.set(tab, granted);
		for (const [oldest] of this.answers) {
			if (this.answers.size <= ANSWERS_MAX) break;
			this.answers.delete(oldest);
		}
	}

	private askAll(key: Unconfirmed): void {
		for (const { grant } of key.tabs.values()) {
			if (this.waiting.size >= GRANTS_ASKED_MAX) return;
			void this.ask(grant);
		}
	}

	/** The market's word on a grant; undefined when it did not say. Several ask at once. */
	private ask(grant: Grant): Promise<boolean | undefined> {
		const id = toHex(grant.tab);
		const known = this.answers.get(id);
		if (known !== undefined) return Promise.resolve(known);
		const under = this.waiting.get(id);
		if (under) return under.answer;
		const silent = this.deps.clock.elapsedMs() - this.failedAtMs < AGAIN_MS;
		if (silent || this.waiting.size >= WAITING_MAX) return Promise.resolve(undefined);
		const { promise: answer, resolve: done } = Promise.withResolvers<boolean | undefined>();
		this.waiting.set(id, { grant, answer, done });
		void this.askNext();
		return answer;
	}

	private async askNext(): Promise<void> {
		if (this.asking) return;
		this.asking = true;
		// what is asked within one turn goes together
		await Promise.resolve();
		while (this.waiting.size > 0) {
			const batch = [...this.waiting.entries()].slice(0, GRANTS_ASKED_MAX);
			const grants = batch.map(([, { grant }]) => toHex(grant.bytes));
			const answer = await askMarket(this.deps, "/v1/granted", { grants });
			const granted = isProblem(answer) ? undefined : readGranted(answer.json, batch.length);
			for (const [i, [id, { grant, done }]] of batch.entries()) {
				const said = granted?.[i];
				this.waiting.delete(id);
				if (said === false) this.deny(grant);
				else if (said) {
					this.remember(id, true);
					this.forget({ grant });
				}
				done(said);
			}
			if (!granted) this.failedAtMs = this.deps.clock.elapsedMs();
		}
		this.asking = false;
	}
}
