/** Payouts to Stripe accounts on a ledger's file that is closed at each death and opened by the next process: after each call of the book and of the rail. */

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fileDisk } from "#test/support/funding-walk";
import { failCall, failRequest } from "#test/support/stripe/payout-walk";

suite("a payout to a Stripe account on a disk", () => {
	test("threat 19: is paid once or not at all, wherever its market dies", async () => {
		const ends = new Map<string, number>();
		let deaths = 0;
		for (let at = 1; ; at++) {
			const { state, died } = await failCall(at, "dies after", () => fileDisk("farelay-payout-"));
			if (!died) break;
			deaths += 1;
			ends.set(state, (ends.get(state) ?? 0) + 1);
		}
		console.log(
			`the market died ${deaths} times: ${[...ends].map(([state, count]) => `${count} ${state}`).join(", ")}`,
		);
		assert.ok(deaths >= 15 && ends.has("sent"));
	});

	test("threat 19: is paid once or not at all, whichever request to Stripe is lost on its way there or back", async () => {
		for (const fault of ["lost", "dropped"] as const) {
			let lost = 0;
			while ((await failRequest(lost + 1, fault, () => fileDisk("farelay-payout-"))).struck !== "") lost += 1;
			assert.ok(lost >= 3, `${lost} requests`);
		}
	});
});
