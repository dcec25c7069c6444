/**
 * Giving a payment back to the card that paid it, at its owner's wish. The money leaves the purse before the rail hears of it, so that it is not spent meanwhile, and comes back
 * to the purse only when the rail says that nothing was given back.
 */

import { type Amount, amount } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import { freshAccount, payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { Rail } from "#marketplace/rail/rail";
import { NEVER_MS, type Step, write } from "./decide.ts";
import type { Backed, Deposit, Refund } from "./deposit.ts";
import { creditFor, unitsFor } from "./exchange.ts";
import type { FundingMarket } from "./start.ts";

/** What it takes to begin to give so much of a deposit back. */
export function beginRefund(market: FundingMarket, deposit: Deposit, nanos: Amount): Step | Problem {
	const { came, quote, account } = deposit;
	const rail = market.rails.find(({ name }) => name === quote.rail);
	if (!came || !rail?.giveBack) return problem("rail-closed", "What came by this rail cannot be given back by it.");
	if (came.gift) return problem("conflict", "It was given to a pool: only its sponsor can take from that.");
	if (came.refund || came.back > 0n)
		return problem("conflict", "Of this payment something was given or taken back before.");
	const units = unitsFor(quote.unit, nanos, quote.rate);
	if (units === 0n || creditFor(quote.unit, units, quote.rate)?.credited !== nanos)
		return problem("malformed", "A card is given back whole cents.");
	const isFresh = came.fresh > 0n;
	if (nanos > (isFresh ? came.fresh : came.credited))
		return problem("malformed", "That is more than this payment brought.");
	const refund: Refund = { id: `${deposit.order}:back`, units, nanos, isFresh, state: "sending" };
	const fresh = isFresh ? amount(came.fresh - nanos) : came.fresh;
	const nowMs = market.clock.nowMs();
	const step = write(deposit, { came: { ...came, refund, fresh }, dueMs: nowMs, fails: 0 });
	const label = {
		id: `refund:${quote.rail}:${deposit.reference}`,
		cause: `Given back to who paid by ${quote.rail}`,
		atMs: nowMs,
	};
	const transfer = move(label, [{ account: purseOf(account, refund), nanos }], [{ account: rail.world, nanos }]);
	return { ...step, change: { transfer, rows: step.change?.rows ?? [] } };
}

/** Asks the rail to give it back, as often as it takes: it does so once for an id. */
export async function followRefund(market: FundingMarket, deposit: Backed, refund: Refund, rail: Rail): Promise<Step> {
	const { came, reference = "" } = deposit;
	const said = await rail.giveBack?.({ id: refund.id, reference, amount: refund.units });
	const nowMs = market.clock.nowMs();
	if (said?.state === "sent") {
		const dueMs = came.fresh > 0n ? came.backUntilMs : NEVER_MS;
		return write(deposit, {
			came: { ...came, refund: { ...refund, state: "sent" }, back: came.back + refund.units },
			dueMs,
		});
	}
	if (said?.state !== "failed") return write(deposit, { dueMs: nowMs + AGAIN_MS });
	const { nanos } = refund;
	const fresh = refund.isFresh ? amount(came.fresh + nanos) : came.fresh;
	const step = write(deposit, {
		came: { ...came, fresh, refund: { ...refund, state: "failed" } },
		dueMs: nowMs,
		says: said.why,
	});
	const label = {
		id: `refund-failed:${deposit.quote.rail}:${reference}`,
		cause: "Not given back after all",
		atMs: nowMs,
	};
	const transfer = move(
		label,
		[{ account: rail.world, nanos }],
		[{ account: purseOf(deposit.account, refund), nanos }],
	);
	// looked at again at once: what it is refused for may be that the payment is taken back, and the event of that was this look
	return { ...step, change: { transfer, rows: step.change?.rows ?? [] }, more: true };
}

/** A refund that the rail did not answer about is asked about again this soon. */
const AGAIN_MS = 60_000;

function purseOf(account: string, { isFresh }: Refund): string {
	return isFresh ? freshAccount(account) : payerAccount(account);
}
