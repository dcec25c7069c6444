/** What must hold of every tab at any moment, for an audit (threats 2 and 5): proved from the ledger's entries and the rows alone. */

import type { Check } from "#marketplace/ledger/audit";
import { holdAccount, waitingAccount } from "#marketplace/ledger/chart";
import { sharesOf } from "./fresh.ts";
import { billed, held, readTab, reservedOf, type Tab } from "./tab.ts";

/** Says what is wrong with any tab. */
export const checkTabs: Check = async function* (facts) {
	/** what should wait for each operator */
	const waiting = new Map<string, bigint>();
	for await (const row of facts.tabs()) {
		let tab: Tab;
		try {
			tab = readTab(row);
		} catch {
			yield `The row of tab ${row.tab} is not one that a market wrote.`;
			continue;
		}
		yield* faultsOf(tab, facts.balanceOf(holdAccount(tab.tab)));
		// money that no card brought, by an operator that is not new, leaves nothing to wait for
		if (tab.fresh === 0n && tab.late === 0n && !tab.waits) continue;
		try {
			waiting.set(tab.operator, (waiting.get(tab.operator) ?? 0n) + sharesOf(tab).waiting);
		} catch {
			yield `Tab ${tab.tab} has more fresh money than money, or more that waits than was earned.`;
		}
	}
	for (const [operator, wanted] of waiting) {
		const balance = facts.balanceOf(waitingAccount(operator));
		if (balance !== wanted)
			yield `${wanted} nano-dollars should wait for operator ${operator}, but ${balance} stand on its account.`;
	}
};

function* faultsOf(tab: Tab, balance: bigint): Iterable<string> {
	if (tab.paid.nanos > tab.grant.cap)
		yield `Tab ${tab.tab} paid ${tab.paid.nanos} nano-dollars, more than its cap of ${tab.grant.cap}.`;
	if (tab.reserved !== reservedOf(tab).total)
		yield `Tab ${tab.tab} reserved ${tab.reserved} nano-dollars, which is not the bill of its cap.`;
	const left = tab.reserved - billed(tab).total;
	const own = reservedOf(tab).payer - billed(tab).payer;
	if (tab.state === "closed" && tab.returned !== own)
		yield `Tab ${tab.tab} returned ${tab.returned} nano-dollars of the ${own} of its account's that were left.`;
	const wanted = left < 0n ? 0n : held(tab);
	if (balance !== wanted)
		yield `Tab ${tab.tab} should hold ${wanted} nano-dollars, but ${balance} stand on its account.`;
}
