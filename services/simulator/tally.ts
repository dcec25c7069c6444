/** What a year came to, for people by income group, for operators, and for what was promised to whom. */

import type { TabBill } from "#contracts/bill";
import { INCOME_GROUPS, type IncomeGroup, needPerMb } from "#contracts/need";
import type { Reason, ReasonCode } from "#contracts/reason";
import { quotaBytesOf } from "#marketplace/sponsor/rules";
import type { Actor, Relay, World } from "./actor.ts";

/** Honest people of an income group. Amounts are nano-dollars. */
export type GroupSums = {
	people: number;
	/** bytes that were sent, and that were not because a fund had to be waited for */
	bytes: number;
	heldBackBytes: number;
	paid: bigint;
	funded: bigint;
	/** of all of them in a year, to see what they paid beside it */
	income: bigint;
};

/** What operators earned. */
export type OperatorSums = { count: number; earned: bigint; funded: bigint };

const BYTES_PER_MB = 1_000_000n;
const PARTS = 1_000_000n;

/** The tally of a run. */
export class Tally {
	readonly groups: Readonly<Record<IncomeGroup, GroupSums>>;
	readonly operators: Readonly<Record<"honest" | "thieves", OperatorSums>>;
	/** why mail was held back, in bytes */
	readonly reasons = new Map<ReasonCode, number>();
	/** what relays asked for what they carried, and what operators were paid */
	asked = 0n;
	/** of honest people in low-income countries, the most that somebody paid of the need price for what the commons paid too, in parts per million */
	overNeedPpm = 0;
	/** what the gang paid of its own */
	gangPaid = 0n;

	constructor({ actors, humans, operators }: World, days: number) {
		const none = (): GroupSums => ({ people: 0, bytes: 0, heldBackBytes: 0, paid: 0n, funded: 0n, income: 0n });
		this.groups = Object.fromEntries(INCOME_GROUPS.map((group) => [group, none()])) as Record<IncomeGroup, GroupSums>;
		for (const { human } of actors.slice(0, humans)) {
			if (!human) continue;
			const sums = this.groups[human.economy.incomeGroup];
			sums.people += 1;
			sums.income += (human.economy.income * BigInt(days)) / 365n;
		}
		const count = (isThief: boolean) => operators.filter((operator) => operator.isThief === isThief).length;
		this.operators = {
			honest: { count: count(false), earned: 0n, funded: 0n },
			thieves: { count: count(true), earned: 0n, funded: 0n },
		};
	}

	/** Somebody wanted to send so much, and of its ask so much will be carried. */
	wanted({ human }: Actor, bytes: number, ask: bigint, carried: bigint, reasons: readonly Reason[]): void {
		if (!human || carried >= ask) return;
		const held = bytes - Number((BigInt(bytes) * carried) / ask);
		this.groups[human.economy.incomeGroup].heldBackBytes += held;
		const code = reasons.find(({ code: one }) => one !== "need-price" && one !== "pool-pays")?.code;
		if (code) this.reasons.set(code, (this.reasons.get(code) ?? 0) + held);
	}

	/** A tab was settled. */
	settled(actor: Actor, relay: Relay, due: TabBill, bytes: number): void {
		const funded = due.commons + due.pools;
		this.asked += due.ask;
		const earned = this.operators[relay.isThief ? "thieves" : "honest"];
		earned.earned += due.ask;
		earned.funded += funded;
		const { human, isLiar } = actor;
		if (!human) {
			this.gangPaid += due.payer;
			return;
		}
		const sums = this.groups[human.economy.incomeGroup];
		sums.bytes += bytes;
		sums.paid += due.payer;
		sums.funded += funded;
		if (isLiar || human.economy.incomeGroup !== "low") return;
		for (const { tranche, payer, ask } of due.parts) {
			if (tranche.fund !== "commons" || ask === 0n) continue;
			const need = needPerMb(human.economy) * quotaBytesOf(relay.tariff, ask);
			const ppm = Number((payer * BYTES_PER_MB * PARTS) / need);
			if (ppm > this.overNeedPpm) this.overNeedPpm = ppm;
		}
	}
}
