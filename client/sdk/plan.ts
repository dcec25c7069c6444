/**
 * What is about to be spent at each relay, and what it was priced at when it was agreed to: a relay may list another price between
 * the look and the signature, and whenever it ends a tab (threat 6).
 */

import { type Amount, add } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { type Problem, problem } from "#contracts/problem";
import type { Reason } from "#contracts/reason";
import type { FeeRates } from "#contracts/tab";
import type { Tariff } from "#contracts/tariff";
import type { Tranche } from "#contracts/tranche";
import type { Relay } from "./card.ts";

/** Who pays for what is sent next: the tranches of its tab, what of them is used up, and why they are so. */
export type Paying = {
	readonly tranches: readonly Tranche[];
	readonly used: Amount;
	readonly reasons: readonly Reason[];
};

/** What sending to a relay costs, and whom. */
export type Rates = { readonly tariff: Tariff; readonly fees: FeeRates; readonly paying?: Paying | undefined };

/** What something was priced at: nothing of it is sent for more. */
export type Plan = {
	readonly ask: Amount;
	readonly rates: Rates /** the account's own part of it */;
	readonly payer?: Amount;
};

/** What a cost may be off by for being rounded by itself: its ask, both fees and its part, of each of two tranches. */
const ROUNDED = 8n;

/** The plans of a wallet, by relay. */
export class Plans {
	private readonly plans = new Map<string, Set<Plan>>();

	add(relay: Relay, plan: Plan): void {
		const key = toHex(relay.key);
		this.plans.set(key, (this.plans.get(key) ?? new Set()).add(plan));
	}

	/** It is spent, or not any more. */
	delete(relay: Relay, plan: Plan): void {
		const key = toHex(relay.key);
		const plans = this.plans.get(key);
		plans?.delete(plan);
		if (plans?.size === 0) this.plans.delete(key);
	}

	/** All that is about to be spent at a relay: the next tab is made large enough for it. */
	needed(relay: Relay): Amount {
		return add(...this.at(relay).map(({ ask }) => ask));
	}

	/** Why a tab at these rates is not what was agreed to; undefined when nothing that is planned costs more on it. */
	refuse(relay: Relay, rates: Rates): Problem | undefined {
		for (const plan of this.at(relay)) {
			const refused = dearer(rates, plan);
			if (refused) return refused;
		}
		return undefined;
	}

	/** Why a tab of which the account's own part is this is not what was agreed to: where a fund was to pay, and does not. */
	refusePart(relay: Relay, payer: Amount): Problem | undefined {
		const plans = this.at(relay);
		if (!plans.some(({ rates }) => rates.paying?.tranches.some(({ fund }) => fund !== "own"))) return undefined;
		let agreed = 0n;
		// each was rounded for itself
		for (const plan of plans) agreed += (plan.payer ?? plan.ask) + ROUNDED;
		if (payer <= agreed) return undefined;
		return problem("conflict", "Less of it is paid by others now than was shown; look at the price again.");
	}

	private at(relay: Relay): readonly Plan[] {
		return [...(this.plans.get(toHex(relay.key)) ?? [])];
	}
}

/** Why rates are not what something was priced at; undefined when nothing of it costs more. */
export function dearer({ tariff, fees }: Rates, { rates }: Plan): Problem | undefined {
	const within =
		tariff.sendPerMb <= rates.tariff.sendPerMb &&
		tariff.storePerMbDay <= rates.tariff.storePerMbDay &&
		fees.marketPpm <= rates.fees.marketPpm &&
		fees.solidarityPpm <= rates.fees.solidarityPpm;
	return within ? undefined : problem("conflict", "It costs more now than was agreed to; look at the price again.");
}
