/** How an operator comes to an account that a rail can pay out to, where the rail's provider wants to know who they are. */

import { isProblem, type Problem, problem } from "#contracts/problem";
import { referenceKey } from "#marketplace/funding/deposit";
import { type Market, problemOfRefusal } from "#marketplace/market";
import type { SignedUp, SignUpOrder } from "#marketplace/rail/rail";

/** Opens the account once, and answers it and what is still to do for it. The e-mail goes to the provider and is not kept. */
export async function signUpAt(
	market: Pick<Market, "book" | "rails">,
	name: string,
	account: string,
	who: Pick<SignUpOrder, "country" | "email">,
): Promise<SignedUp | Problem> {
	const rail = market.rails.find((one) => one.name === name);
	if (!rail?.signUp) return problem("rail-closed", "Nobody has to sign up with that rail here.");
	const key = referenceKey(name, `operator:${account}`);
	const before = await market.book.record("references", key);
	const signed = await rail.signUp({ ...who, id: account, to: before?.value });
	if (isProblem(signed) || before) return signed;
	const row = { key, account, state: "of-operator", dueMs: 0, value: signed.to };
	const [outcome] = await market.book.apply([{ rows: [{ table: "references", expect: 0, row }] }]);
	// stale: the same order was written by another request, with the account that the same key opened
	if (typeof outcome === "object" && outcome.refused !== "stale")
		return problemOfRefusal(outcome.refused, outcome.detail);
	return signed;
}
