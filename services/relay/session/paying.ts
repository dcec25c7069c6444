/**
 * The paying half of a session: its tab and tag, vouchers, renewals, finish and usage (PROTOCOL.md, "Vouchers"; threats 2, 7, 9
 * and 24). Of the vouchers in one message only the newest is verified.
 */

import { readRenew, writeProblem, writeUsageFrame } from "#contracts/control";
import { advance, type Cursor, cursor, FRAME } from "#contracts/frame";
import { readGrant } from "#contracts/grant";
import { verifyRenew } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { advances, readVoucher, type Voucher } from "#contracts/voucher";
import type { RelayParts } from "#relay/parts";
import type { Credit, Tab } from "#relay/tab/tab";
import type { Tag } from "#relay/tag/dedupe";
import type { TurnAnswers } from "./answers.ts";
import type { Outbox } from "./outbox.ts";

/** What a session's payments tell the session. */
export type PayingDeps = {
	readonly outbox: Outbox;
	readonly answers: TurnAnswers;
	/** ends the connection */
	readonly bye: (why: Problem) => void;
	/** the tab was swapped for another */
	readonly renewed: () => void;
	readonly closed: () => boolean;
	/** whether its address may bring one more tab */
	readonly mayBring: () => boolean;
};

/** Payments of one connection. */
export class Paying {
	tab: Tab | undefined;
	tag: Tag | undefined;
	/** From then on nothing more is taken on the grant. */
	untilMs = 0;
	private readonly parts: RelayParts;
	private readonly deps: PayingDeps;
	/** The newest voucher of this message, not yet verified. */
	private candidate: Voucher | undefined;
	/** The message whose rest was already searched for vouchers. */
	private searched: Uint8Array | undefined;
	private unpaidFrames = 0;
	private unpaidBytes = 0;
	private badVouchers = 0;
	private usageWanted = false;

	constructor(parts: RelayParts, deps: PayingDeps) {
		this.parts = parts;
		this.deps = deps;
	}

	/** Joins a tab; everything sent from now on is charged to it. */
	join(tab: Tab, tag: Tag): void {
		this.tab = tab;
		this.tag = tag;
		this.searched = undefined;
		this.untilMs = tab.grant.expiresAtMs - LIMIT.grantEndMarginMs;
		tag.untilMs = Math.max(tag.untilMs, tab.grant.expiresAtMs + LIMIT.dedupeGraceMs);
	}

	/** Takes a voucher frame's body; false when it is none. */
	voucher(body: Uint8Array): boolean {
		const voucher = readVoucher(body);
		if (isProblem(voucher)) return false;
		if (!this.tab) this.say(problem("grant-needed"));
		else if (!this.candidate || advances(voucher, this.candidate)) this.candidate = voucher;
		return true;
	}

	/** At the end of a message, or when a send needs it: the newest voucher goes to the till. */
	settle(): void {
		const { candidate, tab } = this;
		if (!candidate || !tab) return;
		this.candidate = undefined;
		const credit = tab.offer(candidate);
		if (credit instanceof Promise) void credit.then((done) => this.credited(done, tab));
		else this.credited(credit, tab);
	}

	/** A promise after which an uncovered send is to be tried again; undefined when no voucher is under way that would cover it. */
	coverSoon(message: Uint8Array, c: Cursor, size: number, ttlS: number): Promise<unknown> | undefined {
		// once a message: a thousand uncovered sends must not search it a thousand times
		if (this.searched !== message) {
			this.searched = message;
			const ahead: Cursor = { ...cursor(), next: c.next };
			// what stands behind a renewal is for the next tab
			while (advance(message, ahead) && ahead.type !== FRAME.renew)
				if (ahead.type === FRAME.voucher) this.voucher(message.subarray(ahead.start, ahead.end));
		}
		this.settle();
		return this.tab?.coveredSoon(size, ttlS);
	}

	/** Counts what was refused as unpaid; too much since the last covering voucher ends the connection. */
	unpaid(size: number): void {
		this.unpaidFrames++;
		this.unpaidBytes += size;
		if (this.unpaidFrames > LIMIT.unpaidFramesMax || this.unpaidBytes > LIMIT.unpaidBytesMax)
			this.deps.bye(problem("unpaid", "Too much was sent without a voucher that covers it."));
	}

	/** Swaps in a new grant. What is under way on the old tab goes on; its final count follows as a usage statement. */
	async renew(body: Uint8Array, helloHash: Uint8Array): Promise<void> {
		const { crypto, relay, greeter, tabs, router, clock } = this.parts;
		const renew = readRenew(body);
		const grant = renew && readGrant(renew.grant);
		const { tab: old, tag } = this;
		if (!renew || !grant || isProblem(grant)) return this.deps.bye(problem("malformed"));
		if (!old || !tag) return this.say(problem("grant-needed"));
		const scope = { relay: relay.publicKey, helloHash, grant: renew.grant };
		const refused = greeter.admit(grant);
		if (refused) return this.say(refused);
		if (!verifyRenew(crypto, scope, renew.signature, grant.session))
			return this.say(problem("signature-bad", "The new grant's session key did not sign this renewal."));
		this.settle();
		const paid = await old.offer(renew.final);
		if (isProblem(paid)) return this.bad(paid);
		if (this.deps.closed()) return;
		const next = tabs.join(grant, this.deps.mayBring);
		if (isProblem(next)) return this.say(next);
		if (next === old) return tabs.leave(next);
		this.join(next, tag);
		this.deps.renewed();
		const final = old.finish(clock.nowMs);
		router.spillTab(old);
		void final.then((usage) => {
			tabs.leave(old);
			if (isProblem(usage)) this.say(usage);
			else if (!this.deps.closed()) this.deps.outbox.frame(writeUsageFrame(usage.bytes));
		});
		if (next.voucher) this.deps.answers.credited(next.voucher.nanos);
	}

	/** Takes nothing more on the tab, answers everything under way, and signs the final count. */
	finish(): void {
		const { tab } = this;
		if (!tab) {
			this.say(problem("grant-needed"));
			return;
		}
		this.settle();
		const final = tab.finish(this.parts.clock.nowMs);
		this.parts.router.spillTab(tab);
		void final.then((usage) => {
			if (isProblem(usage)) this.say(usage);
			else if (!this.deps.closed()) this.deps.outbox.frame(writeUsageFrame(usage.bytes));
		});
	}

	/** Signs the count so far, once a turn however often it is asked. */
	usage(): void {
		this.usageWanted = true;
		this.deps.outbox.touch();
	}

	/** At the end of a turn. */
	write(): void {
		if (!this.usageWanted) return;
		this.usageWanted = false;
		if (!this.tab) {
			this.say(problem("grant-needed"));
			return;
		}
		const usage = this.tab.usage(this.tab.sealed, this.parts.clock.nowMs());
		this.deps.outbox.frame(writeUsageFrame(usage.bytes));
	}

	/** The connection ended. */
	end(): void {
		if (this.tab) this.parts.tabs.leave(this.tab);
		this.tab = undefined;
	}

	private credited(credit: Credit, tab: Tab): void {
		if (this.deps.closed()) return;
		if (isProblem(credit)) this.bad(credit);
		if (isProblem(credit) || tab !== this.tab) return;
		if (credit.advanced) {
			this.parts.counts.vouchers++;
			this.unpaidFrames = 0;
			this.unpaidBytes = 0;
		}
		this.deps.answers.credited(tab.voucher?.nanos ?? 0n);
	}

	private bad(refusal: Problem): void {
		this.say(refusal);
		if (refusal.problem === "disk") return;
		this.badVouchers++;
		if (this.badVouchers > this.parts.limits.badVouchersMax) this.deps.bye(refusal);
	}

	private say(refusal: Problem): void {
		if (this.deps.closed()) return;
		this.parts.counts.refuse(refusal.problem);
		this.deps.outbox.frame(writeProblem(FRAME.problem, refusal));
	}
}
