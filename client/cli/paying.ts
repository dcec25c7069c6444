/** Who pays for what is sent, in words: the account itself, the commons, a sponsor's pool, and why. */

import { formatDollars } from "#contracts/amount";
import { REASONS, type Reason } from "#contracts/reason";
import type { Cost } from "#sdk/spending";
import { sayDay } from "./screen.ts";

/** Who pays what, for programs. */
export function showPaying({ payer, commons, pools, reasons }: Cost): object {
	return { payer, commons, pools, reasons };
}

/** The same for people: nothing where they pay it all and nobody says why. */
export function sayPaying({ total, payer, commons, pools, reasons }: Cost): string[] {
	const parts = [`you ${formatDollars(payer)}`];
	if (pools > 0n) parts.push(`a pool ${formatDollars(pools)}`);
	if (commons > 0n) parts.push(`the commons ${formatDollars(commons)}`);
	const isShared = payer < total;
	// whoever never asked to be paid for is not told on every message why nobody does
	const said = isShared ? reasons : reasons.filter(({ code }) => code !== "no-country" && code !== "affordable");
	return [...(isShared ? [`Of ${formatDollars(total)}, ${parts.join(", ")}.`] : []), ...said.map(sayReason)];
}

function sayReason({ code, fund, untilMs }: Reason): string {
	const { says, do: can } = REASONS[code];
	const which = fund === undefined || fund === "commons" ? "" : ` (pool ${fund.slice(0, 8)})`;
	const until = untilMs === undefined ? "" : ` Until ${sayDay(untilMs)}.`;
	return `${says.replace(/\.$/, "")}${which}.${until}${can ? ` ${can}` : ""}`;
}
