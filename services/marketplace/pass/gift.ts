/**
 * Gifts between people: some of one's own money to an account, or by a link to whoever has it. What is given by a link waits on an account of its own until it is
 * claimed, once, or goes back. Only money that has cleared can be given: a gift is for good, and a card's payment is not yet.
 */

import { type Amount, amount, formatAmount, formatDollars, parseAmount, parseDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { codeHash, readCode } from "#contracts/code";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { LIST_MAX, type Most, type RecordRow, type RowChange } from "#marketplace/ledger/book";
import { giftAccount, payerAccount } from "#marketplace/ledger/chart";
import { move } from "#marketplace/ledger/post";
import type { Transfer } from "#marketplace/ledger/transfer";
import { ATTEMPTS_MAX, type Market, problemOfRefusal } from "#marketplace/market";
import { countWrong, takeTry } from "./guesses.ts";

/** A gift by a link. */
export type Gift = {
	/** hash of the link's code, in hex */
	readonly hash: string;
	readonly version: number;
	/** who gave it, public key in hex */
	readonly giver: string;
	/** it waits; somebody claimed it; it went back */
	readonly state: "gift" | "claimed" | "returned";
	/** when it goes back by itself */
	readonly untilMs: number;
	readonly nanos: Amount;
	/** who claimed it */
	readonly claimer: string | undefined;
};

/** Less than a cent is not worth a link, and what waits for nothing must cost something. */
export const GIFT_MIN: Amount = parseDollars("0.01") as Amount;
/** A friend's year of messages; more is a payment, and a mistyped link's worth of regret. */
export const GIFT_MAX: Amount = parseDollars("100") as Amount;
/** The longest that a gift waits, in days: after that its giver has it again by itself. */
export const GIFT_DAYS_MAX = 90;
/** Gifts of an account that may wait at once: a class of friends. */
const ROOM: Most = { states: ["gift"], ofAccount: 50 };
/** Gifts that go back in one round. */
const ROUND_MAX = 200;

const DAY_MS = 86_400_000;

type GiftMarket = Pick<Market, "book" | "board" | "clock" | "crypto" | "frozen">;

function readGift({ key, version, account, state, dueMs, value }: RecordRow): Gift {
	const { nanos, claimer } = JSON.parse(value) as { readonly nanos: string; readonly claimer?: string };
	const base = { hash: key, version, giver: account, state: state as Gift["state"], untilMs: dueMs };
	return { ...base, nanos: parseAmount(nanos) ?? amount(0n), claimer };
}

function isGiftState(state: string): state is Gift["state"] {
	return state === "gift" || state === "claimed" || state === "returned";
}

function writeGift({ hash, version, giver, state, untilMs, nanos, claimer }: Gift): RowChange {
	const value = JSON.stringify({ nanos: formatAmount(nanos), claimer });
	return { table: "codes", expect: version, row: { key: hash, account: giver, state, dueMs: untilMs, value } };
}

async function giftOf({ book }: Pick<Market, "book">, hash: string): Promise<Gift | undefined> {
	const row = await book.record("codes", hash);
	return row && isGiftState(row.state) ? readGift(row) : undefined;
}

async function refuseGift(market: GiftMarket, giver: string, nanos: Amount): Promise<Problem | undefined> {
	if (await market.frozen.has(giver))
		return problem("unauthorized", "This account is frozen: it can give nothing. Ask the market's desk.");
	if (nanos >= GIFT_MIN && nanos <= GIFT_MAX) return undefined;
	return problem("malformed", `A gift is of ${formatDollars(GIFT_MIN)} to ${formatDollars(GIFT_MAX)}.`);
}

async function shortOf({ book }: Pick<Market, "book">, giver: string): Promise<Problem> {
	const cleared = formatDollars(amount(await book.balance(payerAccount(giver))));
	return problem(
		"balance-short",
		`There is ${cleared} that can be given: what came by card in the last two weeks can be when it has cleared.`,
	);
}

/** Gives to an account that one knows, under an id of the giver's choice: the same again gives nothing more. */
export async function giveTo(
	market: GiftMarket,
	giver: string,
	{ id, to, nanos }: { readonly id: string; readonly to: string; readonly nanos: Amount },
): Promise<Problem | undefined> {
	const refused = await refuseGift(market, giver, nanos);
	if (refused) return refused;
	if (to === giver) return problem("malformed", "That is your own account.");
	const transfer = move(
		{ id: `gift:${giver}:${id}`, cause: "Gift", atMs: market.clock.nowMs() },
		[{ account: payerAccount(giver), nanos }],
		[{ account: payerAccount(to), nanos }],
	);
	const [outcome] = await market.book.apply([{ transfer }]);
	if (typeof outcome !== "object") return undefined;
	if (outcome.refused === "conflict")
		return problem("conflict", "This id was used for another gift; nothing was given.");
	return outcome.refused === "overdraft"
		? await shortOf(market, giver)
		: problemOfRefusal(outcome.refused, outcome.detail);
}

/** Puts a gift aside for whoever brings the code of this hash: the same again puts nothing more aside. */
export async function giveByLink(
	market: GiftMarket,
	giver: string,
	{ hash: bytes, nanos, days }: { readonly hash: Uint8Array; readonly nanos: Amount; readonly days: number },
): Promise<Gift | Problem> {
	const refused = await refuseGift(market, giver, nanos);
	if (refused) return refused;
	if (!Number.isSafeInteger(days) || days < 1 || days > GIFT_DAYS_MAX)
		return problem("malformed", `A gift waits 1 to ${GIFT_DAYS_MAX} days.`);
	const nowMs = market.clock.nowMs();
	const hash = toHex(bytes);
	const gift: Gift = {
		hash,
		version: 0,
		giver,
		state: "gift",
		untilMs: nowMs + days * DAY_MS,
		nanos,
		claimer: undefined,
	};
	const transfer = move(
		{ id: `gift:${hash}`, cause: "Gift, waiting to be claimed", atMs: nowMs },
		[{ account: payerAccount(giver), nanos }],
		[{ account: giftAccount(hash.slice(0, 32)), nanos }],
	);
	const [outcome] = await market.book.apply([{ transfer, rows: [{ ...writeGift(gift), most: ROOM }] }]);
	if (outcome === "applied") return { ...gift, version: 1 };
	if (typeof outcome === "object") {
		if (outcome.refused === "full")
			return problem(
				"too-many",
				`${ROOM.ofAccount} gifts of an account wait at most; take one back, or give to an account.`,
			);
		if (outcome.refused === "overdraft") return await shortOf(market, giver);
		if (outcome.refused !== "stale" && outcome.refused !== "conflict")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	const there = await giftOf(market, hash);
	return there?.giver === giver && there.nanos === nanos
		? there
		: problem("conflict", "This link's code was used for something else; make another. Nothing was given.");
}

/** Claims a gift by its code, typed or as its link: whoever comes first has it, and coming again changes nothing. */
export async function claimGift(market: GiftMarket, claimer: string, typed: string): Promise<Gift | Problem> {
	const code = readCode(market.crypto, typed);
	if (isProblem(code)) return code;
	const nowMs = market.clock.nowMs();
	const refused = await takeTry(market, claimer, nowMs);
	if (refused) return refused;
	const hash = toHex(codeHash(market.crypto, code));
	return settle(market, hash, (gift) => {
		if (gift?.state === "claimed" && gift.claimer === claimer) return gift;
		if (!gift)
			return problem("not-found", "There is no such gift here. Look at the link again, and at which market it is of.");
		if (gift.state === "claimed") return problem("conflict", "This gift was claimed already, by another account.");
		if (gift.state === "returned" || gift.untilMs <= nowMs)
			return problem("conflict", "This gift went back to whoever gave it; ask them for another.");
		return { ...gift, state: "claimed", claimer };
	});
}

/** Takes a gift back that nobody claimed yet. */
export function takeGiftBack(market: GiftMarket, giver: string, hash: Uint8Array): Promise<Gift | Problem> {
	return settle(market, toHex(hash), (gift) => {
		if (gift?.giver !== giver) return problem("not-found", "You gave no such gift.");
		if (gift.state === "claimed") return problem("conflict", "This gift was claimed already: it is theirs.");
		return gift.state === "returned" ? gift : { ...gift, state: "returned" };
	});
}

/** Gives back what nobody claimed in time; how many. */
export async function returnGifts(market: GiftMarket): Promise<number> {
	const beforeMs = market.clock.nowMs() + 1;
	const due = await market.book.records({ table: "codes", by: "due", state: "gift", beforeMs, limit: ROUND_MAX });
	for (const { key } of due)
		await settle(market, key, (gift) =>
			gift?.state === "gift" ? { ...gift, state: "returned" } : problem("conflict"),
		);
	return due.length;
}

/** An account's gifts by link, whatever became of them. */
export async function giftsOf({ book }: Pick<Market, "book">, giver: string): Promise<Gift[]> {
	const rows = await book.records({ table: "codes", by: "account", of: giver, limit: LIST_MAX });
	return rows.filter(({ state }) => isGiftState(state)).map(readGift);
}

/** What becomes of a gift, with its money, in one change. */
async function settle(
	market: GiftMarket,
	hash: string,
	decide: (gift: Gift | undefined) => Gift | Problem,
): Promise<Gift | Problem> {
	for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
		const gift = await giftOf(market, hash);
		const next = decide(gift);
		if (isProblem(next)) {
			if (!gift) await countWrong(market, market.clock.nowMs());
			return next;
		}
		if (next === gift) return gift;
		const [outcome] = await market.book.apply([
			{ transfer: transferOf(next, market.clock.nowMs()), rows: [writeGift(next)] },
		]);
		if (outcome === "applied") return { ...next, version: next.version + 1 };
		if (typeof outcome === "object" && outcome.refused !== "stale" && outcome.refused !== "conflict")
			return problemOfRefusal(outcome.refused, outcome.detail);
	}
	return problemOfRefusal("stale", "");
}

/** The one transfer by which a gift ends: claimed or returned, it has one id, so that it is never both. */
function transferOf({ hash, state, nanos, giver, claimer }: Gift, atMs: number): Transfer | undefined {
	const to = state === "claimed" && claimer !== undefined ? claimer : giver;
	const cause = state === "claimed" ? "Gift, claimed" : "Gift that nobody claimed";
	return move(
		{ id: `gift:${hash}:end`, cause, atMs },
		[{ account: giftAccount(hash.slice(0, 32)), nanos }],
		[{ account: payerAccount(to), nanos }],
	);
}
