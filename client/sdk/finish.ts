/**
 * Ends a tab in agreement: the relay says its final count, this client signs a voucher for exactly that, and only if its own
 * count agrees. With both the market frees the rest at once (PROTOCOL.md, "Finish").
 */

import { writeEmpty } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import { TAG_BYTES } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readUsage, type Usage } from "#contracts/redemption";
import { type FeeRates, signClose } from "#contracts/tab";
import type { Traffic } from "#contracts/tariff";
import type { Voucher } from "#contracts/voucher";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import type { Closed, Market } from "./market.ts";
import type { Purse } from "./purse.ts";
import { type Clocks, Session } from "./session.ts";

/** How long a relay may take to make everything pending last and say its final count. */
const FINISH_MS = 15_000;

/** What both sides agreed on: the relay's signed final count, and this client's signed total for the same. */
export type Agreement = { readonly usage: Usage; readonly voucher: Voucher; readonly lost: Traffic | undefined };

/**
 * Asks the relay for its final count on a connection of its own. Nothing may be under way on the tab. A count above this
 * client's is `relay-dishonest`, and then only its own count was ever signed.
 */
export async function finishTab(
	device: Device,
	relay: Relay,
	clocks: Clocks,
	purse: Purse,
	known: boolean,
): Promise<Agreement | Problem> {
	const first = await finishOnce(device, relay, clocks, purse, known);
	return isProblem(first) && first.problem === "clock" ? finishOnce(device, relay, clocks, purse, known) : first;
}

function finishOnce(
	device: Device,
	relay: Relay,
	clocks: Clocks,
	purse: Purse,
	known: boolean,
): Promise<Agreement | Problem> {
	return new Promise((resolve) => {
		let outcome: Agreement | Problem | undefined;
		let lost: Traffic | undefined;
		const who = { tag: device.crypto.random(TAG_BYTES), ...purse.who };
		const session = new Session(device, relay, who, clocks, {
			welcome(welcome) {
				const adopted = welcome.tab ? purse.adopt(welcome.tab, !known) : problem("malformed");
				if (isProblem(adopted)) end(adopted);
				else {
					lost = adopted;
					session.write(writeEmpty(FRAME.finish));
				}
			},
			frame(type, body) {
				if (type !== FRAME.usage) return;
				const usage = readUsage(device.crypto, body, purse.grant);
				if (isProblem(usage)) return end(usage);
				// Asked for nothing else, but a relay may say its count at any time: only the final one counts.
				if (!usage.final) return;
				const voucher = purse.final(usage.used);
				end(isProblem(voucher) ? voucher : { usage, voucher, lost });
			},
			problem: (refusal) => end(refusal),
			closed(why) {
				cancel();
				resolve(outcome ?? why ?? problem("unavailable", "The relay ended the connection.", { spent: "no" }));
			},
		});
		const end = (answer: Agreement | Problem) => {
			outcome = answer;
			session.close();
		};
		const cancel = device.after(FINISH_MS, () => end(problem("unavailable", "The relay did not say its final count.")));
	});
}

/** How a tab ended. Without an agreement the relay could not be asked, or claims what was not signed (`dispute`). */
export type Settlement = {
	readonly relay: Relay;
	readonly grant: Grant;
	readonly fees: FeeRates;
	readonly vouchersSigned: number;
	readonly agreement: Agreement | undefined;
	/** The newest total that this client signed: the most that the relay can ever redeem. */
	readonly signed: Voucher | undefined;
	readonly dispute: Problem | undefined;
	readonly closed: Closed | Problem;
};

/** Finishes a tab at its relay and closes it at the market: with an agreement the rest is free at once, else at the deadline. */
export async function settleTab(
	device: Device,
	identity: Identity,
	market: Market,
	clocks: Clocks,
	{ relay, purse, fees }: { relay: Relay; purse: Purse; fees: FeeRates },
	known: boolean,
): Promise<Settlement> {
	const { grant } = purse;
	const agreed = await finishTab(device, relay, clocks, purse, known);
	const agreement = isProblem(agreed) ? undefined : agreed;
	const dispute = isProblem(agreed) ? agreed : undefined;
	const nothing = agreement?.usage.used.nanos === 0n;
	const final = agreement && { usage: agreement.usage.bytes, voucher: nothing ? undefined : agreement.voucher };
	const signature = signClose(device.crypto, grant.market, grant.tab, identity.account);
	const closed = await market.close(grant.tab, signature, final);
	const { vouchersSigned } = purse.record;
	return { relay, grant, fees, vouchersSigned, agreement, signed: purse.voucher, dispute, closed };
}
