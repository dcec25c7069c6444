/**
 * The chart of accounts: every account that money can stand on, as one table. A name that is not built from it does not exist,
 * and only the outside world may owe: what people hold here is what came in from there.
 */

import { AMOUNT_MAX } from "#contracts/amount";

/** One line of the chart: a name, where `<account>` stands for a public key and `<tab>`, `<pool>` and `<gift>` for ids, all in lower-case hex. */
export type Line = { readonly name: string; readonly mayOwe: boolean; readonly says: string };

/** The chart. */
export const CHART: readonly Line[] = [
	{ name: "world:play", mayOwe: true, says: "play money that was made up here (development only)" },
	{ name: "world:lightning", mayOwe: true, says: "what came in and went out by Lightning" },
	{ name: "world:card", mayOwe: true, says: "what came in by card and went out to bank accounts" },
	{ name: "world:owed:<account>", mayOwe: true, says: "what an account owes after a payment was taken back" },
	{
		name: "world:overrun",
		mayOwe: true,
		says: "what rails took for payouts beyond their ceiling, and for disputes beyond the reserve: the market's owner owes it",
	},
	{ name: "payer:<account>", mayOwe: false, says: "what an account can spend" },
	{ name: "payer:<account>:fresh", mayOwe: false, says: "the same, by a card whose payment can still be taken back" },
	{ name: "hold:<tab>", mayOwe: false, says: "reserved for a tab: what is left of its cap and fees" },
	{ name: "gift:<gift>", mayOwe: false, says: "given by a link and not claimed yet" },
	{ name: "operator:<account>:earned", mayOwe: false, says: "what an operator has earned and not been paid out" },
	{
		name: "operator:<account>:waiting",
		mayOwe: false,
		says: "what an operator has earned from money that has not cleared",
	},
	{ name: "operator:<account>:leaving", mayOwe: false, says: "reserved for a payout that is on its way" },
	{ name: "market:rate", mayOwe: false, says: "what the spread on exchange rates brought, for when a rate moves" },
	{ name: "market:fees", mayOwe: false, says: "the market's fee" },
	{ name: "commons", mayOwe: false, says: "the solidarity fee, for people who cannot pay the full price" },
	{ name: "pool:<pool>", mayOwe: false, says: "what of a sponsor's money in a pool is reserved for nobody yet" },
	{ name: "pool:<pool>:fresh", mayOwe: false, says: "the same, by a card whose payment can still be taken back" },
	{ name: "risk", mayOwe: false, says: "the market's own money, for losses by payments that come back" },
	{ name: "risk:lent", mayOwe: false, says: "the same, standing in for what accounts owe after such payments" },
];

/** Play money enters from here. */
export const WORLD_PLAY = "world:play";
/** The market's fee goes here. */
export const MARKET_FEES = "market:fees";
/** The solidarity fee goes here. */
export const COMMONS = "commons";

/** What the spread on exchange rates brought goes here. */
export const MARKET_RATE = "market:rate";

/** Money that cards bring and that goes to bank accounts. */
export const WORLD_CARD = "world:card";
/** The market's own money, for losses by payments that come back. */
export const RISK = "risk";
/** What of it stands in for what accounts owe. */
export const RISK_LENT = "risk:lent";

/** What rails took that nobody else bears: at or below nothing. */
export const OVERRUN = "world:overrun";

/** What an account owes: at or below nothing. */
export function owedAccount(account: string): string {
	return checked(`world:owed:${account}`);
}

/** What an account (its public key, 64 hex digits) can spend. */
export function payerAccount(account: string): string {
	return checked(`payer:${account}`);
}

/** What an account has by a card whose payment can still be taken back. */
export function freshAccount(account: string): string {
	return checked(`payer:${account}:fresh`);
}

/** What is reserved for a tab (its id, 32 hex digits). */
export function holdAccount(tab: string): string {
	return checked(`hold:${tab}`);
}

/** What a pool (its id, 32 hex digits) has that is not reserved. */
export function poolAccount(pool: string): string {
	return checked(`pool:${pool}`);
}

/** What a pool has by cards whose payment can still be taken back: it counts once it has cleared. */
export function poolFreshAccount(pool: string): string {
	return checked(`pool:${pool}:fresh`);
}

/** What waits for whoever claims a gift (its id, 32 hex digits). */
export function giftAccount(gift: string): string {
	return checked(`gift:${gift}`);
}

/** What an operator (its public key, 64 hex digits) has earned. */
export function earnedAccount(account: string): string {
	return checked(`operator:${account}:earned`);
}

/** What an operator has earned from money that has not cleared. */
export function waitingAccount(account: string): string {
	return checked(`operator:${account}:waiting`);
}

/** What of an operator's is on its way out. */
export function leavingAccount(account: string): string {
	return checked(`operator:${account}:leaving`);
}

const PATTERN = new RegExp(
	`^(?:${CHART.map((line) => line.name.replace("<account>", "[0-9a-f]{64}").replace(/<tab>|<pool>|<gift>/, "[0-9a-f]{32}")).join("|")})$`,
);
const OWING = new RegExp(
	`^(?:${CHART.filter((line) => line.mayOwe)
		.map((line) => line.name.replace("<account>", "[0-9a-f]{64}"))
		.join("|")})$`,
);

/** Whether a name is one of the chart's. */
export function isAccountName(name: string): boolean {
	return PATTERN.test(name);
}

/** The least an account may hold, in nano-dollars: nothing, or for the outside world the most it may owe. */
export function floorOf(name: string): bigint {
	return OWING.test(name) ? -AMOUNT_MAX : 0n;
}

/** @throws RangeError for a key or id that is not one: a bug in the caller, which decodes at its door. */
function checked(name: string): string {
	if (!isAccountName(name)) throw new RangeError(`no such account: ${name.slice(0, 100)}`);
	return name;
}
