/** Fresh money on a tab, against an oracle that lays every nano-dollar on a table, cleared ones first, and counts. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Amount, amount, NOTHING } from "#contracts/amount";
import type { Grant } from "#contracts/grant";
import { bill } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import { clearedBy, drawFrom, returnsOf, sharesOf } from "#marketplace/tab/fresh";
import type { Tab } from "#marketplace/tab/tab";

const FEES = { marketPpm: 20_300, solidarityPpm: 177_777 };

type Coin = "cleared" | "fresh";

/** A tab of which only money is looked at. */
function tabOf(cap: bigint, fresh: Amount): Tab {
	const reserved = bill(amount(cap), FEES).total;
	const paid = { bytes: 0n, byteSeconds: 0n, nanos: NOTHING };
	const whole = { tranches: [ownTranche(amount(cap))], grant: { cap: amount(cap) } as Grant };
	const none = { late: NOTHING, waits: false, forfeited: NOTHING };
	return { state: "open", fees: FEES, reserved, paid, fresh, ...whole, ...none } as Partial<Tab> as Tab;
}

const step = fc.oneof(
	fc.record({ do: fc.constant("redeem" as const), share: fc.nat(100) }),
	fc.record({ do: fc.constant("clear" as const), share: fc.nat(100), late: fc.nat(100) }),
	fc.record({ do: fc.constant("close" as const) }),
	fc.record({ do: fc.constant("release" as const) }),
);

const count = (coins: readonly Coin[], kind: Coin): bigint => BigInt(coins.filter((coin) => coin === kind).length);

describe("fresh money on a tab", () => {
	it("is what an oracle counts, however often it is redeemed, cleared, closed and released in between", () => {
		fc.assert(
			fc.property(fc.bigInt(1n, 3_000n), fc.nat(100), fc.array(step, { maxLength: 25 }), (cap, freshShare, steps) => {
				const total = bill(amount(cap), FEES).total;
				let tab = tabOf(cap, amount((total * BigInt(freshShare)) / 100n));
				const table: Coin[] = [
					...Array<Coin>(Number(total - tab.fresh)).fill("cleared"),
					...Array<Coin>(Number(tab.fresh)).fill("fresh"),
				];
				/** what the ledger would have moved to the operator, step by step */
				let earned = 0n;
				let waiting = 0n;
				for (const next of steps) {
					const before = sharesOf(tab);
					const { total: billed } = bill(tab.paid.nanos, FEES);
					if (next.do === "redeem" && tab.state === "open") {
						const nanos = amount(tab.paid.nanos + ((cap - tab.paid.nanos) * BigInt(next.share)) / 100n);
						tab = { ...tab, paid: { ...tab.paid, nanos } };
						const after = sharesOf(tab);
						assert(
							after.earned >= before.earned && after.waiting >= before.waiting,
							"nothing is taken from an operator",
						);
					} else if (next.do === "clear") {
						const part = amount((tab.fresh * BigInt(next.share)) / 100n);
						for (let left = part; left > 0n; left = amount(left - 1n)) table[table.indexOf("fresh")] = "cleared";
						tab = clearedBy(tab, part, (released) => amount((released * BigInt(next.late)) / 100n));
					} else if (next.do === "close" && tab.state === "open") {
						const back = returnsOf(tab);
						const rest = table.splice(Number(billed));
						assert.deepEqual([back.cleared, back.fresh], [count(rest, "cleared"), count(rest, "fresh")]);
						tab = { ...tab, state: "closed", fresh: back.billedFresh };
						assert.deepEqual(sharesOf(tab), before, "closing moves nothing of the operator's");
					} else if (next.do === "release") tab = { ...tab, late: NOTHING };
					const now = sharesOf(tab);
					earned += now.earned - before.earned;
					waiting += now.waiting - before.waiting;
					const asked = table.slice(0, Number(tab.paid.nanos));
					assert.equal(now.waiting - tab.late, count(asked, "fresh"), "what waits is the fresh part of the ask");
					assert.equal(now.earned + tab.late, count(asked, "cleared"));
					assert.equal(tab.fresh, count(table, "fresh"));
					assert.deepEqual([earned, waiting], [now.earned, now.waiting]);
					assert.equal(earned + waiting, tab.paid.nanos, "an operator has its whole ask");
				}
			}),
			{ numRuns: 300 },
		);
	});

	it("is taken last, and never more than both purses have", () => {
		fc.assert(
			fc.property(fc.bigInt(0n, 50n), fc.bigInt(0n, 50n), fc.bigInt(0n, 50n), (wanted, cleared, fresh) => {
				const drawn = drawFrom(wanted, { cleared, fresh });
				const table: Coin[] = [
					...Array<Coin>(Number(cleared)).fill("cleared"),
					...Array<Coin>(Number(fresh)).fill("fresh"),
				];
				if (wanted > cleared + fresh) return assert.equal(drawn, undefined);
				const taken = table.slice(0, Number(wanted));
				assert.deepEqual(drawn, { cleared: count(taken, "cleared"), fresh: count(taken, "fresh") });
			}),
		);
	});
});
