/** Opens a tab at the market: orders what was planned for, at the price that was shown, and takes no other grant (PROTOCOL.md, "Tab"). */

import { billOf } from "#contracts/bill";
import { TAB_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Reason } from "#contracts/reason";
import { type FeeRates, type OpenOrder, signOpen } from "#contracts/tab";
import type { Tranche } from "#contracts/tranche";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { capOf, capWished, checkGrant, type Market, offerOf, tranchesFor } from "./market.ts";
import type { Plans } from "./plan.ts";
import { Purse } from "./purse.ts";

/** A tab that can be paid from, the fees that were agreed to for it, who pays for which part of it, and why as far as that is known. */
export type Opened = {
	readonly purse: Purse;
	readonly fees: FeeRates;
	readonly tranches: readonly Tranche[];
	readonly reasons?: readonly Reason[];
};

/** How often another decision on who pays is taken up before it is given up: each time somebody else was first on a fund. */
const QUOTES_MAX = 3;

export async function openTab(
	device: Pick<Device, "crypto">,
	identity: Identity,
	market: Market,
	relay: Relay,
	plans: Plans,
): Promise<Opened | Problem> {
	for (let quotes = 1; ; quotes++) {
		const opened = await openOnce(device, identity, market, relay, plans);
		if (opened !== "again") return opened;
		if (quotes === QUOTES_MAX) return problem("conflict", "Who pays for it is decided anew all the time; try again.");
	}
}

async function openOnce(
	{ crypto }: Pick<Device, "crypto">,
	identity: Identity,
	market: Market,
	relay: Relay,
	plans: Plans,
): Promise<Opened | Problem | "again"> {
	const terms = await market.terms();
	if (isProblem(terms)) return terms;
	const offer = await offerOf(market, relay.key);
	if (isProblem(offer)) return offer;
	const { fees } = terms;
	const { tariff } = offer;
	const refused = plans.refuse(relay, { tariff, fees });
	if (refused) return refused;
	const needed = plans.needed(relay);
	const quote = await market.quote(relay.key, capWished(needed), tariff);
	if (isProblem(quote)) return quote;
	const tranches = await tranchesFor(market, quote.tranches, needed, fees);
	if (isProblem(tranches)) return tranches;
	const unagreed = plans.refusePart(relay, billOf(needed, tranches, fees).payer);
	if (unagreed) return unagreed;
	const cap = capOf(tranches);
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
		tranches,
	};
	const grant = await market.open(order, signOpen(crypto, order, identity.account));
	const isFunded = tranches.some(({ fund }) => fund !== "own");
	if (isProblem(grant)) return grant.problem === "conflict" && isFunded ? "again" : grant;
	// looked at anew: the market may have changed its key meanwhile
	const now = await market.terms();
	return (
		checkGrant(crypto, grant, order, isProblem(now) ? terms.keys : now.keys) ?? {
			purse: new Purse(crypto, grant, session),
			fees,
			tranches,
			reasons: quote.reasons,
		}
	);
}
