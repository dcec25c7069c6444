/**
 * Play money: made up here, for trying and developing only. The market refuses to start with this rail unless it listens on the
 * loopback interface alone (`config.ts`).
 */

import { type Amount, amount, formatDollars, parseDollars } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import { payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import { type Market, problemOfRefusal } from "#marketplace/market";
import { PLAY_CALL_MAX } from "#marketplace/rail/play";

/** An account that holds this much gets no more. */
export const PLAY_HELD_MAX: Amount = parseDollars("1000") as Amount;

/** Gives an account play money under an id of the caller's choice; the same id again gives nothing more. Answers the balance. */
export async function fundPlay(market: Market, account: string, id: string, nanos: Amount): Promise<Amount | Problem> {
	if (!market.play) return problem("rail-closed", "This market has no play money.");
	if (nanos === 0n || nanos > PLAY_CALL_MAX)
		return problem("malformed", `Play money comes in amounts of up to ${formatDollars(amount(PLAY_CALL_MAX))}.`);
	const payer = payerAccount(account);
	const transferId = `play:${account}:${id}`;
	const before = await market.book.transfer(transferId);
	const refused = before ? undefined : await refusePlay(market, account, nanos);
	if (refused) return refused;
	const transfer = move(
		{ id: transferId, cause: "Play money", atMs: market.clock.nowMs() },
		[{ account: WORLD_PLAY, nanos }],
		[{ account: payer, nanos }],
	);
	const [outcome] = await market.book.apply([{ transfer }]);
	if (outcome === undefined) throw new Error("the book answered nothing");
	if (typeof outcome === "object") return problemOfRefusal(outcome.refused, outcome.detail);
	return amount(await market.book.balance(payer));
}

/** What an account is told that has enough play money. */
export async function refusePlay(
	market: Pick<Market, "book">,
	account: string,
	nanos: Amount,
): Promise<Problem | undefined> {
	if ((await market.book.balance(payerAccount(account))) + nanos <= PLAY_HELD_MAX) return undefined;
	return problem("malformed", `An account holds at most ${formatDollars(PLAY_HELD_MAX)} of play money.`);
}
