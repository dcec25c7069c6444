/**
 * Turns the till into money: posts claims in signed batches, notes each signed receipt (PROTOCOL.md, "Redemption"; threats 2,
 * 3 and 14). The market may be away for as long as it likes: what is owed waits, and is asked for again.
 */

import { fromHex, toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type Claim, type RedeemResult, readReceipt, readRedeemAnswer, signBatch } from "#contracts/redemption";
import { within } from "#contracts/tariff";
import { NO_TOTALS } from "#contracts/voucher";
import type { Cancel } from "#host/clock";
import type { Counts } from "#relay/metrics";
import type { Tabs } from "#relay/tab/tabs";
import type { Till } from "#relay/till/till";
import { type Asked, askMarket } from "./ask.ts";
import type { PosterDeps } from "./market.ts";
import type { Trust } from "./trust.ts";

/** The first wait after a market that did not answer; doubled each time, up to the usual interval. */
const BACKOFF_MS = 1_000;
/** A claim that the market refused for good is asked for again only this often: an operator may have it mended. */
const REFUSED_EVERY_MS = 3_600_000;

/** What a redeemer needs. */
export type RedeemerDeps = PosterDeps & {
	readonly tabs: Tabs;
	readonly till: Till;
	readonly counts: Counts;
	readonly trust: Trust;
};

/** Posts what was earned. */
export class Redeemer {
	private readonly deps: RedeemerDeps;
	/** The last batch. */
	last: Asked | undefined;
	private timer: Cancel | undefined;
	private failures = 0;
	private posting: Promise<Problem | undefined> | undefined;
	private stopped = false;

	constructor(deps: RedeemerDeps) {
		this.deps = deps;
	}

	/** Posts now and then: once an interval, sooner after a failure. */
	start(): void {
		this.wait();
	}

	/** Posts everything that is owed, now. Never rejects: timers ask, and nobody is there to catch. */
	redeem(): Promise<Problem | undefined> {
		this.posting ??= this.postAll()
			.catch((error: unknown) => {
				this.deps.log.error({ err: error }, "redeeming broke");
				return problem("internal");
			})
			.finally(() => {
				this.posting = undefined;
			});
		return this.posting;
	}

	stop(): void {
		this.stopped = true;
		this.timer?.();
	}

	private wait(): void {
		const { clock, everyMs, random } = this.deps;
		if (this.stopped) return;
		const backoffMs = this.failures > 0 ? Math.min(BACKOFF_MS * 2 ** (this.failures - 1), everyMs) : everyMs;
		// a market that comes back must not meet all its relays at once
		this.timer = clock.after(Math.round(backoffMs * (0.5 + random())), () => {
			void this.redeem().finally(() => this.wait());
		});
	}

	private async postAll(): Promise<Problem | undefined> {
		const { tabs, clock, market } = this.deps;
		const nowMs = clock.nowMs();
		await tabs.forget(nowMs);
		// a market that was away may have come back without its memory
		if (this.failures > 0) await market.refreshSoon();
		const lost = market.mustClaimAgain ? market.forgot : undefined;
		if (lost) for (const tab of tabs) tab.redeemed = NO_TOTALS;
		const claims: Claim[] = [];
		for (const tab of tabs) {
			const claim = tab.retryAtMs <= nowMs ? tab.claim() : undefined;
			if (claim) claims.push(claim);
		}
		if (claims.length === 0) {
			if (lost) await market.claimedAgain(lost);
			return undefined;
		}
		if (!market.root) await market.refreshSoon();
		for (let at = 0; at < claims.length; at += LIMIT.batchVouchersMax) {
			const failed = await this.post(claims.slice(at, at + LIMIT.batchVouchersMax));
			this.last = { atMs: clock.nowMs(), problem: failed?.problem ?? null };
			if (failed) {
				this.failures++;
				this.deps.counts.redeemFailures++;
				return failed;
			}
			this.failures = 0;
		}
		if (lost) await market.claimedAgain(lost);
		return undefined;
	}

	private async post(claims: readonly Claim[]): Promise<Problem | undefined> {
		const { crypto, relay, market, clock, counts, log } = this.deps;
		const root = market.root;
		if (!root) return problem("unavailable", "The market has not been heard of yet.");
		counts.redeemBatches++;
		counts.redeemClaims += claims.length;
		const answer = await askMarket(this.deps, "/v1/redeem", signBatch(crypto, root, relay, clock.nowMs(), claims));
		if (isProblem(answer)) return answer.problem === "unavailable" ? problem("redemption-unconfirmed") : answer;
		const read = readRedeemAnswer(answer.json, claims.length);
		if (isProblem(read)) return read;
		const disks = await Promise.all(read.results.map((result, i) => this.note(claims[i] as Claim, result)));
		const refused = read.results.filter((result) => isProblem(result)).length;
		log.info({ claims: claims.length, refused }, "redeemed");
		return disks.find((disk) => disk !== undefined);
	}

	/** Notes what the market said of one claim. Only a signed receipt counts. */
	private async note(claim: Claim, result: RedeemResult | Problem): Promise<Problem | undefined> {
		const { crypto, relay, market, clock, tabs, till, trust, log } = this.deps;
		const tab = tabs.get(toHex(claim.tab));
		if (!tab) return undefined;
		if (isProblem(result)) {
			log.warn({ problem: result.problem }, "the market refused a claim");
			if (result.problem === "not-found") trust.deny(tab.grant);
			tab.retryAtMs = clock.nowMs() + (result.retry ? BACKOFF_MS : REFUSED_EVERY_MS);
			return undefined;
		}
		let receipt = readReceipt(crypto, fromHex(result.receipt) ?? new Uint8Array(0), market.keys);
		if (isProblem(receipt) && receipt.problem === "grant-unknown-market") {
			// signed with a key that is newer than what we know
			await market.refreshSoon();
			receipt = readReceipt(crypto, fromHex(result.receipt) ?? new Uint8Array(0), market.keys);
		}
		const wrong =
			isProblem(receipt) ||
			toHex(receipt.tab) !== tab.id ||
			toHex(receipt.relay) !== toHex(relay.publicKey) ||
			!within(claim.used, receipt.paid);
		if (wrong || isProblem(receipt)) {
			log.warn("the market answered a claim with a receipt that does not hold");
			return problem("redemption-unconfirmed");
		}
		const kept = await till.redeemed(tab.id, receipt.paid, receipt.bytes);
		if (kept === "disk") return problem("disk");
		const more = receipt.paid.nanos - tab.redeemed.nanos;
		if (more > 0n) this.deps.counts.paidNanos += more;
		tab.redeemed = receipt.paid;
		trust.confirm(tab);
		return undefined;
	}
}
