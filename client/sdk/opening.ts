/** Opens a tab at the market: orders what was planned for, at the price that was shown, and takes no other grant (PROTOCOL.md, "Tab"). */

import { TAB_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import { type FeeRates, type OpenOrder, signOpen } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { capFor, checkGrant, type Market, offerOf } from "./market.ts";
import type { Plans } from "./plan.ts";
import { Purse } from "./purse.ts";

/** A tab that can be paid from, and the fees that were agreed to for it. */
export type Opened = { readonly purse: Purse; readonly fees: FeeRates };

export async function openTab(
	{ crypto }: Pick<Device, "crypto">,
	identity: Identity,
	market: Market,
	relay: Relay,
	plans: Plans,
): Promise<Opened | Problem> {
	const terms = await market.terms();
	if (isProblem(terms)) return terms;
	const offer = await offerOf(market, relay.key);
	if (isProblem(offer)) return offer;
	const { fees } = terms;
	const { tariff } = offer;
	const refused = plans.refuse(relay, { tariff, fees });
	if (refused) return refused;
	const cap = await capFor(market, plans.needed(relay), fees);
	if (isProblem(cap)) return cap;
	const tab = crypto.random(TAB_BYTES);
	const session = identity.session(tab);
	const order: OpenOrder = {
		market: terms.market,
		account: identity.account.publicKey,
		tab,
		session: session.publicKey,
		relay: relay.key,
		cap,
		tariff,
		fees,
		lifeMs: LIMIT.fundGrantMsMax,
		tranches: [ownTranche(cap)],
	};
	const grant = await market.open(order, signOpen(crypto, order, identity.account));
	if (isProblem(grant)) return grant;
	// looked at anew: the market may have changed its key meanwhile
	const now = await market.terms();
	return (
		checkGrant(crypto, grant, order, isProblem(now) ? terms.keys : now.keys) ?? {
			purse: new Purse(crypto, grant, session),
			fees,
		}
	);
}
