import assert from "node:assert/strict";
import { test } from "node:test";
import { earnedAccount, holdAccount, isAccountName, payerAccount } from "#marketplace/ledger/chart";

const KEY = "a1".repeat(32);
const TAB = "c3".repeat(16);

test("threat 18: accounts are made of keys and tab ids in lower-case hex, and of nothing else", () => {
	for (const name of [payerAccount(KEY), earnedAccount(KEY), holdAccount(TAB)]) assert.ok(isAccountName(name), name);
	for (const odd of ["", "ada", KEY.toUpperCase(), `${KEY}0`, `${KEY}\n`, TAB])
		for (const make of [payerAccount, earnedAccount]) assert.throws(() => make(odd), RangeError);
	for (const odd of ["", TAB.toUpperCase(), `${TAB}0`, KEY]) assert.throws(() => holdAccount(odd), RangeError);
	assert.throws(
		() => payerAccount("x".repeat(10_000)),
		(error) => error instanceof RangeError && error.message.length < 200,
	);
});
