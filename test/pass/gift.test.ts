/** Gifts between people: once, back if nobody claims them, and every cent in the ledger (threats 18, 20 and 22). */

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { type Amount, amount } from "#contracts/amount";
import { codeHash, codeLink, makeCode } from "#contracts/code";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import type { Book } from "#marketplace/ledger/book";
import { freshAccount, giftAccount, payerAccount, WORLD_CARD, WORLD_PLAY } from "#marketplace/ledger/chart";
import {
	claimGift,
	GIFT_MAX,
	GIFT_MIN,
	giftsOf,
	giveByLink,
	giveTo,
	returnGifts,
	takeGiftBack,
} from "#marketplace/pass/gift";
import { placeOf } from "#marketplace/proof/sorted";
import { linesOf } from "#marketplace/statement";
import { DAY_MS, refusal, roomsOf, someone, well } from "#test/support/passes";

const DOLLAR = amount(1_000_000_000n);
const books: Book[] = [];
afterEach(async () => {
	for (const book of books.splice(0)) assert.deepEqual((await book.audit()).findings, []);
});

async function world() {
	const rooms = { ...roomsOf(), frozen: new Set<string>() };
	books.push(rooms.book);
	const balance = (account: string) => rooms.book.balance(payerAccount(account));
	const fund = async (account: string, nanos: Amount, from = WORLD_PLAY, to = payerAccount(account)) => {
		const entries = [
			{ account: from, nanos: -nanos },
			{ account: to, nanos },
		];
		assert.deepEqual(
			await rooms.book.apply([{ transfer: { id: `fund:${to}`, cause: "Play money", atMs: 0, entries } }]),
			["applied"],
		);
	};
	const ada = someone();
	await fund(ada, amount(10n * DOLLAR));
	const offer = async (code: string, nanos = DOLLAR, days = 30) =>
		giveByLink(rooms, ada, { hash: codeHash(crypto, code), nanos, days });
	return { rooms, ada, balance, fund, offer };
}

describe("a gift to an account", () => {
	it("is theirs at once, given once under its id, and on both statements", async () => {
		const { rooms, ada, balance } = await world();
		const bob = someone();
		const give = (id: string, nanos: Amount, to = bob) => giveTo(rooms, ada, { id, to, nanos });
		for (let i = 0; i < 2; i++) assert.equal(await give("a", DOLLAR), undefined);
		assert.deepEqual([await balance(ada), await balance(bob)], [9n * DOLLAR, DOLLAR]);
		refusal(await give("a", amount(2n * DOLLAR)), "conflict", /id was used for another gift; nothing was given/);
		refusal(await give("a", DOLLAR, someone()), "conflict", /used for another/);
		refusal(await give("b", DOLLAR, ada), "malformed", /your own account/);
		refusal(await give("b", amount(10n * DOLLAR)), "balance-short", /\$9.00 that can be given/);
		for (const wrong of [0n, GIFT_MIN - 1n, GIFT_MAX + 1n])
			refusal(await give("b", amount(wrong)), "malformed", /\$0.01 to \$100/);
		for (const who of [ada, bob]) {
			const lines = well(await linesOf(rooms.book, who, 0, 10));
			assert.equal(lines.at(-1)?.cause, "Gift");
		}
		rooms.frozen.add(ada);
		refusal(await give("c", DOLLAR), "unauthorized", /frozen.*desk/);
	});

	it("threat 20: a card gift is charged back after it was spent: what a card brought cannot be given before it has cleared", async () => {
		const { rooms, fund } = await world();
		const thief = someone();
		await fund(thief, amount(50n * DOLLAR), WORLD_CARD, freshAccount(thief));
		refusal(
			await giveTo(rooms, thief, { id: "a", to: someone(), nanos: DOLLAR }),
			"balance-short",
			/by card in the last two weeks/,
		);
		const hash = codeHash(crypto, makeCode(crypto));
		refusal(await giveByLink(rooms, thief, { hash, nanos: DOLLAR, days: 1 }), "balance-short", /cleared/);
	});
});

describe("a gift by a link", () => {
	it("waits aside, is claimed by whoever brings its link, and coming again changes nothing", async () => {
		const { rooms, ada, balance, offer } = await world();
		const code = makeCode(crypto);
		const gift = well(await offer(code));
		assert.deepEqual(well(await offer(code)), gift);
		assert.equal(await balance(ada), 9n * DOLLAR);
		assert.equal(await rooms.book.balance(giftAccount(gift.hash.slice(0, 32))), DOLLAR);
		refusal(
			await offer(code, amount(2n * DOLLAR)),
			"conflict",
			/used for something else; make another. Nothing was given/,
		);
		const bob = someone();
		for (let i = 0; i < 2; i++) well(await claimGift(rooms, bob, codeLink("https://market.example", "gift", code)));
		assert.deepEqual([await balance(ada), await balance(bob)], [9n * DOLLAR, DOLLAR]);
		refusal(await claimGift(rooms, someone(), code), "conflict", /claimed already, by another account/);
		refusal(await takeGiftBack(rooms, ada, codeHash(crypto, code)), "conflict", /claimed already: it is theirs/);
		assert.deepEqual(
			(await giftsOf(rooms, ada)).map(({ state }) => state),
			["claimed"],
		);
	});

	it("however many race for it, its giver among them, exactly one has it", async () => {
		for (let round = 0; round < 5; round++) {
			const { rooms, ada, balance, offer } = await world();
			const code = makeCode(crypto);
			well(await offer(code));
			const others = { ...roomsOf(rooms), frozen: rooms.frozen };
			const people = [someone(), someone(), someone()];
			const answers = await Promise.all([
				...people.map((person, i) => claimGift(i % 2 ? rooms : others, person, code)),
				takeGiftBack(rooms, ada, codeHash(crypto, code)),
				returnGifts(others),
			]);
			assert.equal(answers.filter((answer) => typeof answer === "object" && !isProblem(answer)).length, 1);
			const sum = (await Promise.all([ada, ...people].map(balance))).reduce((a, b) => a + b, 0n);
			assert.equal(sum, 10n * DOLLAR);
		}
	});

	it("goes back by itself when nobody claims it in time, once, and can be taken back before", async () => {
		const { rooms, ada, balance, offer } = await world();
		const [one, two] = [makeCode(crypto), makeCode(crypto)];
		well(await offer(one, DOLLAR, 7));
		well(await offer(two, DOLLAR, 8));
		refusal(await takeGiftBack(rooms, someone(), codeHash(crypto, two)), "not-found", /no such gift/);
		for (let i = 0; i < 2; i++)
			assert.equal(well(await takeGiftBack(rooms, ada, codeHash(crypto, two))).state, "returned");
		assert.equal(await balance(ada), 9n * DOLLAR);
		await rooms.clock.advance(7 * DAY_MS - 1);
		assert.equal(await returnGifts(rooms), 0);
		await rooms.clock.advance(1);
		refusal(await claimGift(rooms, someone(), one), "conflict", /went back to whoever gave it/);
		assert.equal(await returnGifts(rooms), 1);
		assert.equal(await returnGifts(rooms), 0);
		assert.equal(await balance(ada), 10n * DOLLAR);
		refusal(await claimGift(rooms, someone(), two), "conflict", /went back/);
	});

	it("waits a day to ninety; fifty of an account wait at most; a frozen account puts nothing aside", async () => {
		const { rooms, ada, offer } = await world();
		for (const days of [0, 91, 1.5]) refusal(await offer(makeCode(crypto), DOLLAR, days), "malformed", /1 to 90 days/);
		for (let i = 0; i < 50; i++) well(await offer(makeCode(crypto), GIFT_MIN));
		refusal(await offer(makeCode(crypto), GIFT_MIN), "too-many", /50 gifts of an account wait/);
		rooms.frozen.add(ada);
		refusal(await offer(makeCode(crypto), GIFT_MIN), "unauthorized", /frozen/);
	});

	it("threat 22: brute force on codes: ten tries an hour, those for passes among them", async () => {
		const { rooms } = await world();
		const mallory = someone();
		for (let i = 0; i < 10; i++)
			refusal(await claimGift(rooms, mallory, makeCode(crypto)), "not-found", /no such gift/);
		refusal(await claimGift(rooms, mallory, makeCode(crypto)), "too-many", /tried 10 codes/);
		refusal(await claimGift(rooms, someone(), "hello"), "malformed", /16 letters/);
	});

	it("is among what the market owes when it commits to that", () => {
		const id = "ab".repeat(16);
		assert.deepEqual(placeOf(giftAccount(id)), { kind: "hold", id: new Uint8Array(16).fill(0xab) });
	});
});
