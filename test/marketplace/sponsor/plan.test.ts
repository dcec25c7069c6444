/** Who pays for a tab: stories over the plan, and what holds of any plan. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { ECONOMIES, needPerMb } from "#contracts/need";
import { areTranches, partsOf } from "#contracts/tranche";
import type { Facts, FundFacts, PassFacts } from "#marketplace/sponsor/facts";
import { plan } from "#marketplace/sponsor/plan";
import { DEFENCES, type Defence, type PoolRules, quotaAsk, quotaBytesOf, RULES } from "#marketplace/sponsor/rules";

const TARIFF = { sendPerMb: amount(2_000_000n), storePerMbDay: amount(1_000n) };
const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };
const DOLLAR = 1_000_000_000n;
const NOW = Date.UTC(2026, 4, 10, 12);
const POOL = "11".repeat(16);

function fund(more: Partial<FundFacts> = {}): FundFacts {
	return {
		...{ fund: "commons", state: "open", free: 100n * DOLLAR, burnedToday: 0n, dayLimit: 10n * DOLLAR },
		...{ budget30: 300n * DOLLAR, toOperator: 0n, toPair: 0n, toNewOperators: 0n, saidToday: 0n, quotaPpm: 1_000_000 },
		...more,
	} as FundFacts;
}

const pool = (more: Partial<FundFacts> = {}) => fund({ fund: POOL, pool: fromHex(POOL) as Uint8Array, ...more });

const MB = 1_000_000n;
/** What an MB of quota comes to, and with the market's fee. */
const ASK = 2_014_000n;
const BURNED = ASK + 40_280n;
const POOL_RULES: PoolRules = {
	...{ countries: [], enrollers: [], monthBytes: 100n * MB, dayBytes: 100n * MB, dayLimit: 1_000n * DOLLAR, fromMs: 0 },
};

const PASS: PassFacts = {
	...{ pool: POOL, from: "code", monthBytes: 100_000_000n, usedMonth: 0n, usedDay: 0n },
	...{ validUntilMs: NOW + 1, isVouched: false },
} as PassFacts;

function facts(more: {
	person?: Partial<Facts["person"]>;
	pools?: FundFacts[];
	commons?: Partial<FundFacts>;
	relay?: Partial<Facts["relay"]>;
}): Facts {
	return {
		nowMs: NOW,
		fees: FEES,
		person: {
			...{ account: "aa".repeat(32), sinceMs: 0, frozen: false, evidence: "none", passes: [] },
			...{ commonsUsed: 0n, textUsed: 0n, elsewhereUsed: 0n },
			...more.person,
		} as Facts["person"],
		pools: more.pools ?? [],
		commons: fund(more.commons),
		relay: {
			...{ relay: "bb".repeat(32), operator: "cc".repeat(32), group: "cc", isEligible: true, isPaused: false },
			...{ isNewOperator: false, eligibleOperators: 20, room: undefined },
			...more.relay,
		},
	};
}

const shape = (cap: bigint, known: Facts, rules = RULES) => {
	const { tranches, reasons } = plan({ cap, tariff: TARIFF }, known, rules);
	return {
		paid: tranches.map((one) => `${one.fund} ${one.cap} ${one.payerPpm}`),
		why: reasons.map((one) => one.code),
	};
};

describe("who pays for a tab", () => {
	it("is the payer where no fund covers them", () => {
		assert.deepEqual(shape(1000n, facts({})), { paid: ["own 1000 1000000"], why: ["no-country"] });
	});

	it("is a pool first, then the commons at the need price, then the payer", () => {
		const known = facts({
			person: { country: "MW", evidence: "strong", passes: [{ ...PASS, monthBytes: 1_000_000n }] },
			pools: [pool()],
		});
		const quota = quotaAsk(TARIFF, RULES.quotaBytes);
		const { paid, why } = shape(DOLLAR, known);
		assert.equal(paid[0], "pool 2014000 0");
		assert.match(paid[1] ?? "", new RegExp(`^commons ${quota} [0-9]+$`));
		assert.equal(paid[2], `own ${DOLLAR - quota - 2_014_000n} 1000000`);
		assert.deepEqual(why, ["quota-used", "pool-pays", "quota-used", "need-price"]);
	});

	it("never costs somebody at the need price more than it for an MB", () => {
		for (const country of ["BI", "MW", "IN", "NG", "BR"]) {
			const known = facts({ person: { country, evidence: "strong" } });
			const tariff = { sendPerMb: amount(2_000_000n), storePerMbDay: amount(4_000n) };
			const mb = quotaAsk(tariff, 1_000_000n);
			const [first] = plan({ cap: mb, tariff }, known, RULES).tranches;
			if (first?.fund !== "commons") continue;
			const total = mb + (mb * 20_000n) / 1_000_000n;
			const economy = ECONOMIES.get(country);
			assert.ok(economy && (total * BigInt(first.payerPpm)) / 1_000_000n <= needPerMb(economy), country);
		}
	});

	it("gives somebody whose country is their own word 20 MB a month", () => {
		const known = facts({ person: { country: "MW", evidence: "said" } });
		const [commons] = plan({ cap: DOLLAR, tariff: TARIFF }, known, RULES).tranches;
		assert.equal(quotaBytesOf(TARIFF, commons?.cap ?? 0n), RULES.saidQuotaBytes);
	});
});

/** Every limit by itself: what is told, what the pool pays for then (in MB), and which defence it is, if it is one. */
const LIMITS: readonly (readonly [
	string,
	bigint,
	Parameters<typeof facts>[0] & { readonly pool?: Partial<FundFacts>; readonly pass?: Partial<PassFacts> },
	Defence?,
])[] = [
	["frozen", 0n, { person: { frozen: true } }],
	["asks-too-much", 0n, { relay: { isEligible: false } }],
	["relay-paused", 0n, { relay: { isPaused: true } }, "watching"],
	["fund-paused", 0n, { pool: { state: "paused" } }],
	["fund-ended", 0n, { pool: { state: "ended" } }],
	["fund-ended", 0n, { pool: { rules: { ...POOL_RULES, untilMs: NOW } } }],
	["fund-paused", 0n, { pool: { rules: { ...POOL_RULES, fromMs: NOW + 1 } } }],
	["pass-ended", 0n, { pass: { validUntilMs: NOW } }],
	["fund-country", 0n, { pool: { rules: { ...POOL_RULES, countries: ["MW"] } }, person: { country: "CH" } }],
	["fund-country", 0n, { pool: { rules: { ...POOL_RULES, countries: ["MW"] } } }],
	[
		"fund-enroller",
		0n,
		{ pool: { rules: { ...POOL_RULES, enrollers: ["x"] } }, pass: { from: "enroller", enroller: "y" } },
	],
	["quota-used", 3n, { pass: { monthBytes: 5n * MB, usedMonth: 2n * MB } }, "quota"],
	["quota-used", 3n, { pool: { rules: { ...POOL_RULES, monthBytes: 3n * MB } } }, "quota"],
	["fund-thin", 4n, { pool: { quotaPpm: 40_000 } }, "quota"],
	["day-used", 2n, { pool: { rules: { ...POOL_RULES, dayBytes: 3n * MB } }, pass: { usedDay: MB } }],
	["fund-empty", 3n, { pool: { free: 3n * BURNED } }],
	["fund-day", 3n, { pool: { dayLimit: 5n * BURNED, burnedToday: 2n * BURNED } }],
	["operator-share", 3n, { pool: { budget30: 100n * BURNED, toOperator: 17n * BURNED } }, "operator-share"],
	["pair-share", 3n, { pool: { budget30: 100n * BURNED, toPair: 2n * BURNED } }, "pair-share"],
	[
		"new-operators",
		3n,
		{ pool: { budget30: 100n * BURNED, toNewOperators: 7n * BURNED }, relay: { isNewOperator: true } },
		"new-operators",
	],
	["no-room", 5n, { relay: { room: 3n * BURNED }, person: { elsewhereUsed: 3n * MB } }, "room"],
];

describe("a limit", () => {
	for (const [code, mb, { pool: ofPool, pass: ofPass, ...rest }, defence] of LIMITS)
		it(`${code} leaves ${mb} MB to the pool${defence ? `, unless the defence ${defence} is off` : ""}`, () => {
			const wide = { budget30: 1_000n * DOLLAR, dayLimit: 1_000n * DOLLAR, free: 1_000n * DOLLAR };
			const known = facts({
				...rest,
				person: { ...rest.person, passes: [{ ...PASS, ...ofPass }] },
				pools: [pool({ ...wide, rules: POOL_RULES, ...ofPool })],
			});
			// 4 MB of 100 at a quota of four parts in a hundred, and so on: as much as is left, and the rest is the payer's
			const cap = 10n * ASK;
			const paidBy = (on: boolean) => {
				const others = ["operator-share", "pair-share", "new-operators"] as const;
				const off = Object.fromEntries(others.filter((one) => one !== defence).map((one) => [one, false]));
				const own = defence ? { [defence]: on } : {};
				return plan({ cap, tariff: TARIFF }, known, { ...RULES, defences: { ...RULES.defences, ...off, ...own } });
			};
			const { tranches, reasons } = paidBy(true);
			const paid = tranches.find(({ fund: whose }) => whose === "pool")?.cap ?? 0n;
			assert.equal((paid + 1n) / ASK, mb, `${paid}`);
			assert(
				reasons.some((one) => one.code === code),
				JSON.stringify(reasons),
			);
			for (const one of reasons) assert(one.untilMs === undefined || one.untilMs > NOW);
			if (defence) assert.equal(paidBy(false).tranches[0]?.cap, cap, "without it the pool pays it all");
		});

	it("on texts is lifted a little a day for those who are vouched for, once for all funds", () => {
		const vouched = { ...PASS, monthBytes: MB, usedMonth: MB, isVouched: true };
		const other = "22".repeat(16);
		const known = (textUsed: bigint, isVouched = true) =>
			facts({
				person: {
					textUsed,
					country: "MW",
					evidence: "strong",
					commonsUsed: 100n * MB,
					passes: [
						{ ...vouched, isVouched },
						{ ...vouched, isVouched, pool: other },
					],
				},
				pools: [pool(), fund({ fund: other, pool: fromHex(other) as Uint8Array })],
			});
		const of = (textUsed: bigint, isVouched?: boolean) =>
			plan({ cap: 10n * ASK, tariff: TARIFF }, known(textUsed, isVouched), RULES);
		assert.deepEqual(of(0n).uses, [{ quota: 0n, texts: MB, elsewhere: 0n }]);
		assert.deepEqual(of(MB / 2n).uses, [{ quota: 0n, texts: MB / 2n, elsewhere: 0n }]);
		assert.deepEqual(of(MB).uses, []);
		assert.deepEqual(of(0n, false).uses, []);
	});

	it("said-share holds all together whose country is their own word, and nobody with evidence", () => {
		const known = (evidence: "said" | "strong") =>
			facts({ person: { country: "MW", evidence }, commons: { dayLimit: DOLLAR, saidToday: DOLLAR / 20n } });
		assert.deepEqual(shape(ASK, known("said")).why, ["said-share"]);
		assert.deepEqual(shape(ASK, known("strong")).why, ["need-price"]);
		const off = { ...RULES, defences: { ...RULES.defences, "said-share": false } };
		assert.deepEqual(shape(ASK, known("said"), off).why, ["need-price"]);
	});

	it("of the commons is their day's budget, and of their state that they are open", () => {
		const known = (commons: Partial<FundFacts>) => facts({ person: { country: "MW", evidence: "strong" }, commons });
		assert.deepEqual(shape(ASK, known({ dayLimit: DOLLAR, burnedToday: DOLLAR })).why, ["fund-day"]);
		assert.deepEqual(shape(ASK, known({ state: "paused" })).why, ["fund-paused"]);
		assert.deepEqual(shape(ASK, facts({ person: { country: "CH", evidence: "strong" } })).why, ["affordable"]);
		assert.deepEqual(shape(ASK, facts({ person: { country: "MW" } })).why, ["no-country"]);
	});
});

describe("a reason", () => {
	const reasons = (ofPool: Partial<FundFacts>, ofPass: Partial<PassFacts> = {}, cap = 10n * ASK) => {
		const known = facts({
			person: { passes: [{ ...PASS, ...ofPass }] },
			pools: [pool({ rules: POOL_RULES, ...ofPool })],
		});
		return plan({ cap, tariff: TARIFF }, known, RULES);
	};

	it("says until when: midnight, the 1st, or when the fund is refilled, and nothing where nobody knows", () => {
		const until = (ofPool: Partial<FundFacts>, ofPass: Partial<PassFacts> = {}) => reasons(ofPool, ofPass).reasons[0];
		const midnight = Date.UTC(2026, 4, 11);
		const [fund_, first] = [POOL, Date.UTC(2026, 5, 1)];
		assert.deepEqual(until({ dayLimit: 0n }), { code: "fund-day", fund: fund_, untilMs: midnight });
		assert.deepEqual(until({ rules: { ...POOL_RULES, dayBytes: 0n } }), {
			code: "day-used",
			fund: fund_,
			untilMs: midnight,
		});
		assert.deepEqual(until({}, { monthBytes: 0n }), { code: "quota-used", fund: fund_, untilMs: first });
		assert.deepEqual(until({ quotaPpm: 0, refillsAtMs: NOW + 9 }), {
			code: "fund-thin",
			fund: fund_,
			untilMs: NOW + 9,
		});
		assert.deepEqual(until({ quotaPpm: 0 }, { usedMonth: PASS.monthBytes }), {
			code: "quota-used",
			fund: fund_,
			untilMs: first,
		});
		assert.deepEqual(until({ free: 0n }), { code: "fund-empty", fund: fund_ });
	});

	it("is a sponsor's own share where that is narrower than the market's, and not where it is wider", () => {
		const narrow = (ppm: number) =>
			reasons({ budget30: 1_000n * BURNED, rules: { ...POOL_RULES, operatorSharePpm: ppm, pairSharePpm: ppm } });
		assert.equal(narrow(3_000).tranches[0]?.cap, 3n * ASK);
		assert.equal(narrow(1_000_000).tranches[0]?.cap, 10n * ASK);
	});

	it("is given for less than a first step too, which is not worth a tranche", () => {
		const least = quotaAsk(TARIFF, 65_536n);
		const of = (ask: bigint) => reasons({ free: ask + (ask * 20_000n) / 1_000_000n + 1n });
		assert.equal(of(least).tranches[0]?.fund, "pool");
		assert.deepEqual(
			of(least - 2n).tranches.map(({ fund: whose }) => whose),
			["own"],
		);
		assert.equal(of(least - 2n).reasons[0]?.code, "fund-empty");
	});

	it("is the need price too for whoever can pay all but the solidarity fee: the commons pay nothing, and none is taken", () => {
		const economy = ECONOMIES.get("MW");
		assert(economy);
		const tariff = { sendPerMb: amount((needPerMb(economy) * 100n) / 103n), storePerMbDay: amount(0n) };
		const known = facts({ person: { country: "MW", evidence: "strong" }, commons: { free: 0n } });
		assert.deepEqual(plan({ cap: 1_000_000n, tariff }, known, RULES).tranches, [
			{ fund: "commons", cap: 1_000_000n, payerPpm: 1_000_000 },
		]);
	});
});

describe("what is no limit", () => {
	const of = (ofPool: Partial<FundFacts>, ofPass: Partial<PassFacts> = {}) =>
		shape(ASK, facts({ person: { passes: [{ ...PASS, ...ofPass }] }, pools: [pool({ rules: POOL_RULES, ...ofPool })] }))
			.why;

	it("is that a pool ends soon: it pays and says until when", () => {
		const rules = { ...POOL_RULES, untilMs: NOW + 5 };
		assert.deepEqual(of({ state: "ending", rules }), ["pool-pays", "fund-ending"]);
		const known = facts({ person: { passes: [PASS] }, pools: [pool({ state: "ending", rules })] });
		assert.equal(plan({ cap: ASK, tariff: TARIFF }, known, RULES).reasons[1]?.untilMs, NOW + 5);
	});

	it("is the first moment of a pool, an enroller that it names, a pass of no enroller, and a pool that names none", () => {
		assert.deepEqual(of({ rules: { ...POOL_RULES, fromMs: NOW } }), ["pool-pays"]);
		const named = { ...POOL_RULES, enrollers: ["x"] };
		assert.deepEqual(of({ rules: named }, { from: "enroller", enroller: "x" }), ["pool-pays"]);
		assert.deepEqual(of({ rules: named }), ["pool-pays"]);
		assert.deepEqual(of({}, { from: "enroller", enroller: "y" }), ["pool-pays"]);
	});

	it("is the commons' day, for texts of people who are vouched for and have used their quota up", () => {
		const spent = { dayLimit: DOLLAR, burnedToday: DOLLAR };
		const why = (used: bigint, isVouched: boolean, validUntilMs = NOW + 1) => {
			const passes = [{ ...PASS, isVouched, validUntilMs }];
			const person = { country: "MW", evidence: "strong", commonsUsed: used, passes } as const;
			return shape(MB / 4n, facts({ person, commons: spent })).why;
		};
		assert.deepEqual(why(RULES.quotaBytes, true), ["need-price"]);
		assert.deepEqual(why(RULES.quotaBytes, false), ["quota-used"]);
		assert.deepEqual(why(RULES.quotaBytes, true, NOW), ["quota-used"]);
		assert.deepEqual(why(0n, true), ["fund-day"]);
	});
});

describe("several pools", () => {
	const ids = [POOL, "22".repeat(16), "33".repeat(16)];
	const all = (more: Partial<PassFacts> = {}, relay: Partial<Facts["relay"]> = {}, passed = ids) =>
		facts({
			person: {
				passes: passed.map((one) => ({ ...PASS, monthBytes: 3n * MB, ...more, pool: one })),
				country: "MW",
				evidence: "strong",
			},
			pools: ids.map((one) => fund({ fund: one, pool: fromHex(one) as Uint8Array })),
			relay,
		});

	it("pay one after the other, two at most, before the commons", () => {
		const { tranches, reasons } = plan({ cap: 8n * ASK, tariff: TARIFF }, all(), RULES);
		assert.deepEqual(
			tranches.map(({ fund: whose, cap }) => [whose, cap / ASK]),
			[
				["pool", 3n],
				["pool", 3n],
				["commons", 2n],
			],
		);
		assert(!reasons.some((one) => one.fund === ids[2]), "the third is not asked");
	});

	it("are not asked for what is paid already, nor where there is no pass", () => {
		assert.deepEqual(shape(3n * ASK, all()).why, ["pool-pays"]);
		assert.deepEqual(shape(ASK, all({}, {}, [ids[1] as string])).why, ["pool-pays"]);
	});

	it("share the relay's room and what a person may use elsewhere", () => {
		const { uses } = plan({ cap: 20n * ASK, tariff: TARIFF }, all({}, { room: 2n * BURNED }), RULES);
		// what the commons pay a part of goes further
		assert.deepEqual(
			uses.map(({ elsewhere }) => elsewhere),
			[MB, 3n * MB, MB],
		);
		const { tranches } = plan({ cap: 20n * ASK, tariff: TARIFF }, all({}, { room: 0n }), RULES);
		assert.deepEqual(
			tranches.map(({ cap }) => cap / ASK),
			[3n, 2n, 15n],
		);
	});
});

describe("any plan", () => {
	it("has tranches that a tab may have, and a lower cap gets the first part of the same", () => {
		let seed = 7;
		const chance = (below: number) => {
			seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
			return Math.floor((seed / 2_147_483_648) * below);
		};
		const some = () => BigInt(chance(3) === 0 ? 0 : chance(2_000_000_000));
		const state = () => (["open", "paused", "ending", "ended"] as const)[chance(4)] ?? "open";
		for (let round = 0; round < 3_000; round++) {
			const limits = () => ({
				...{ free: some(), burnedToday: some(), dayLimit: some(), budget30: some(), toOperator: some() },
				...{ toPair: some(), toNewOperators: some(), saidToday: some(), quotaPpm: chance(1_000_001), state: state() },
			});
			const passes = [POOL, "22".repeat(16), "33".repeat(16)].map((id) => ({
				...PASS,
				...{ pool: id, usedMonth: some() / 10n, isVouched: chance(2) === 0 },
			}));
			const known = facts({
				person: {
					country: ["MW", "IN", "CH"][chance(3)],
					evidence: (["none", "said", "strong"] as const)[chance(3)] ?? "none",
					...{ passes, commonsUsed: some() / 10n, elsewhereUsed: some() / 400n },
				},
				pools: passes.map((pass) => fund({ ...limits(), fund: pass.pool, pool: fromHex(pass.pool) as Uint8Array })),
				commons: limits(),
				relay: {
					room: chance(2) ? some() : undefined,
					isNewOperator: chance(2) === 0,
					eligibleOperators: chance(20),
				},
			});
			const defences = Object.fromEntries(DEFENCES.map((one) => [one, chance(8) > 0])) as typeof RULES.defences;
			const cap = BigInt(1 + chance(1_000_000_000));
			const whole = plan({ cap, tariff: TARIFF }, known, { ...RULES, defences });
			assert.ok(areTranches(whole.tranches, amount(cap)), "tranches of a tab");
			const less = BigInt(1 + chance(Number(cap)));
			const first = plan({ cap: less, tariff: TARIFF }, known, { ...RULES, defences }).tranches;
			const wanted = partsOf(amount(less), whole.tranches);
			const cut = whole.tranches.map((one, i) => ({ ...one, cap: wanted[i] })).filter((one) => one.cap !== 0n);
			assert.deepEqual(first, cut);
		}
	});
});
