/** Says to the market what this relay offers, every minute (PROTOCOL.md, "Listing"). */

import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { type Offer, signListing } from "#contracts/listing";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Cancel } from "#host/clock";
import type { RelayConfig } from "#relay/config";
import type { Left } from "#relay/operator/operator";
import { type Asked, askMarket } from "./ask.ts";
import type { PosterDeps } from "./market.ts";

/** After a market that did not answer. */
const RETRY_MS = 5_000;
/** Between a change of what is offered and its announcement: a cap that is reached and not, again and again, must not flood the market. */
const SOON_MS = 500;

/** What an announcer needs. */
export type AnnouncerDeps = PosterDeps & {
	/** What is offered now. */
	readonly offer: () => Omit<Offer, "market" | "relay" | "issuedAtMs" | "validUntilMs">;
};

/** What a relay's owner offers at an address. */
export function offerOf(config: RelayConfig, url: string, left: Left): ReturnType<AnnouncerDeps["offer"]> {
	const { operator, country, tariff } = config;
	return { operator, url, country, ...left, tariff };
}

/** Announces. */
export class Announcer {
	private readonly deps: AnnouncerDeps;
	/** The last try. */
	last: Asked | undefined;
	private timer: Cancel | undefined;
	private soonTimer: Cancel | undefined;
	private stopped = false;

	constructor(deps: AnnouncerDeps) {
		this.deps = deps;
	}

	/** Announces now and from then on; resolves after the first try. */
	async start(): Promise<Problem | undefined> {
		const failed = await this.announce();
		this.wait(failed);
		return failed;
	}

	stop(): void {
		this.stopped = true;
		this.timer?.();
		this.soonTimer?.();
	}

	/** Announces in a moment, once however often it is asked: what is offered has changed. */
	soon(): void {
		if (this.stopped || this.soonTimer) return;
		this.soonTimer = this.deps.clock.after(SOON_MS, () => {
			this.soonTimer = undefined;
			void this.announce();
		});
	}

	/** Announces once. */
	async announce(): Promise<Problem | undefined> {
		const failed = await this.post();
		this.last = { atMs: this.deps.clock.nowMs(), problem: failed?.problem ?? null };
		if (failed)
			this.deps.log.warn({ problem: failed.problem, detail: failed.detail }, "the market did not take the listing");
		return failed;
	}

	private wait(failed: Problem | undefined): void {
		const { clock, everyMs, random } = this.deps;
		if (this.stopped) return;
		const waitMs = Math.round((failed ? Math.min(RETRY_MS, everyMs) : everyMs) * (0.75 + random() / 2));
		this.timer = clock.after(waitMs, () => void this.announce().then((again) => this.wait(again)));
	}

	private async post(): Promise<Problem | undefined> {
		const { crypto, clock, relay, market } = this.deps;
		if (!market.root) await market.refreshSoon();
		if (!market.root) return problem("unavailable", "The market has not been heard of yet.");
		const issuedAtMs = clock.nowMs();
		const offer = {
			...this.deps.offer(),
			market: market.root,
			relay: relay.publicKey,
			issuedAtMs,
			validUntilMs: issuedAtMs + LIMIT.listingMsMax,
		};
		const listing = toHex(signListing(crypto, offer, relay).bytes);
		const answer = await askMarket(this.deps, "/v1/listing", { listing });
		return isProblem(answer) ? answer : undefined;
	}
}
