/** What the desk watches by: who is one operator, what one may take, who looks alike, how relays serve (threats 15 and 21). All of it pure. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { alikeOf, PEOPLE_MIN, type Trace } from "#marketplace/desk/alike";
import { groupsOf, marksOf } from "#marketplace/desk/group";
import { type Measure, scoreOf } from "#marketplace/desk/score";
import { isNewOperator, NEW_OPERATOR_MS, shareLimits } from "#marketplace/desk/share";

const seat = (operator: string, ...marks: string[]) => ({ operator, marks });

suite("which operators are one", () => {
	test("threat 21: those that share a payout destination, a host or a network, by however many steps", () => {
		const groups = groupsOf([
			seat("b", "paid:lightning:x@y.example"),
			seat("c", "net:9.9.9", "host:h.example"),
			seat("a", "paid:lightning:x@y.example", "net:9.9.9"),
			seat("d", "host:h.example"),
			seat("e", "net:8.8.8"),
		]);
		assert.deepEqual(Object.fromEntries(groups), { b: "b", c: "b", a: "b", d: "b", e: "e" });
	});

	test("relays of one operator join what each of them is part of", () => {
		const groups = groupsOf([
			seat("x", "net:1.1.1"),
			seat("x", "net:2.2.2"),
			seat("y", "net:1.1.1"),
			seat("z", "net:2.2.2"),
		]);
		assert.deepEqual([...new Set(groups.values())], ["x"]);
	});

	test("the order in which they are listed changes nothing but a group's name, which is its oldest's", () => {
		const marks = fc.array(fc.constantFrom("net:1", "net:2", "net:3", "host:a", "host:b", "paid:p"), { maxLength: 3 });
		const seats = fc.array(fc.record({ operator: fc.constantFrom(..."abcdefgh"), marks }), { maxLength: 12 });
		const shuffled = seats.chain((all) =>
			fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
		);
		fc.assert(
			fc.property(shuffled, ([all, other]) => {
				const [one, two] = [groupsOf(all), groupsOf(other)];
				for (const a of all) {
					for (const b of all)
						assert.equal(one.get(a.operator) === one.get(b.operator), two.get(a.operator) === two.get(b.operator));
					const together = all.filter((b) => one.get(b.operator) === one.get(a.operator));
					assert.equal(one.get(a.operator), together[0]?.operator);
				}
				for (const a of all)
					for (const b of all)
						if (a.marks.some((mark) => b.marks.includes(mark))) assert.equal(one.get(a.operator), one.get(b.operator));
			}),
		);
	});

	test("a network is a /24, and a /48 of IPv6 however it is spelled; what is private is no mark", () => {
		const marks = (host: string, ...addresses: string[]) => marksOf({ host, addresses, destination: undefined });
		assert.deepEqual(marks("9.9.9.1"), ["net:9.9.9"]);
		assert.deepEqual(marks("9.9.9.254"), ["net:9.9.9"]);
		assert.deepEqual(marks("Relay.Example.ORG.", "9.9.8.1", "::ffff:9.9.7.1"), [
			"net:9.9.8",
			"net:9.9.7",
			"host:relay.example.org",
		]);
		assert.deepEqual(marks("[2a02:db8:1:2::7]"), ["net:2a02:db8:1"]);
		assert.deepEqual(marks("[2a02:0db8:0001:ffff:0:0:0:7]"), ["net:2a02:db8:1"]);
		assert.deepEqual(marks("[2a02:db8::7]"), ["net:2a02:db8:0"]);
		assert.deepEqual(marks("127.0.0.1"), []);
		assert.deepEqual(marks("localhost", "127.0.0.1", "192.168.0.4", "fd00::1"), []);
		assert.deepEqual(marksOf({ host: "10.0.0.1", addresses: [], destination: "stripe:acct_12345678" }), [
			"paid:stripe:acct_12345678",
		]);
	});
});

suite("what one operator may take", () => {
	const rules = { operatorSharePpm: 200_000, pairSharePpm: 50_000, newOperatorsSharePpm: 100_000, operatorsFew: 10 };
	const { operatorsFew: _, ...limits } = rules;

	test("a fifth of a fund's budget, a twentieth of it from one person, and a tenth for all new ones together", () => {
		assert.deepEqual(shareLimits(rules, { eligible: 10, aged: 10 }), limits);
		assert.deepEqual(shareLimits(rules, { eligible: 500, aged: 40 }), limits);
	});

	test("with fewer than ten, two parts of as many each; one alone may take it all", () => {
		const few = [1, 2, 3, 4, 8, 9].map((eligible) => shareLimits(rules, { eligible, aged: eligible }).operatorSharePpm);
		assert.deepEqual(few, [1_000_000, 1_000_000, 666_666, 500_000, 250_000, 222_222]);
	});

	test("new ones may take what those with sixty days behind them could not, so that a young market can pay anybody", () => {
		const forNew = [0, 1, 4, 5, 9].map((aged) => shareLimits(rules, { eligible: 12, aged }).newOperatorsSharePpm);
		assert.deepEqual(forNew, [1_000_000, 800_000, 200_000, 100_000, 100_000]);
	});

	test("an operator is new for sixty days from its first cent of a fund's", () => {
		assert.equal(isNewOperator(undefined, 5), true);
		assert.equal(isNewOperator(1, NEW_OPERATOR_MS), true);
		assert.equal(isNewOperator(1, NEW_OPERATOR_MS + 1), false);
	});
});

/** Fixed, and uneven enough to be people. */
function drawer(seed: number): () => number {
	let state = seed;
	return () => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return state / 2 ** 32;
	};
}

const MONTH_MS = 30 * 86_400_000;

/** People who write as they like to whom they like, whose homes were drawn. */
function honest(count: number, seed = 7): Trace[] {
	const draw = drawer(seed);
	return Array.from({ length: count }, () => {
		const spent = new Map<string, bigint>();
		for (let i = 0; i < 3 + draw() * 5; i++) {
			const group = `operator-${Math.floor(draw() * 12)}`;
			spent.set(group, (spent.get(group) ?? 0n) + BigInt(1_000 + Math.floor(draw() ** 2 * 40_000)));
		}
		const openedMs = Array.from({ length: 5 + Math.floor(draw() * 20) }, () => Math.floor(draw() * MONTH_MS));
		return { spent, openedMs, usedPpm: Math.floor(draw() * 900_000) };
	});
}

const USUAL = new Map(Array.from({ length: 12 }, (_, i) => [`operator-${i}`, 83_333]));
const codes = (traces: readonly Trace[], usual: ReadonlyMap<string, number> = USUAL) =>
	alikeOf(traces, usual).likenesses.map(({ code }) => code);

suite("people who look alike", () => {
	test("honest people do not, however many they are", () => {
		for (const seed of [1, 2, 3, 4, 5])
			for (const count of [12, 40, 200]) assert.deepEqual(codes(honest(count, seed)), [], `${count} by ${seed}`);
	});

	test("threat 21: an enroller that invents people who all write to one relay until nothing is left is asked about it", () => {
		const invented = honest(40).map(
			({ openedMs }): Trace => ({ spent: new Map([["operator-3", 50_000n]]), openedMs, usedPpm: 1_000_000 }),
		);
		const found = alikeOf(invented, USUAL);
		assert.deepEqual(
			found.likenesses.map(({ code }) => code),
			["one-operator", "same-amounts", "all-of-it"],
		);
		assert.deepEqual(found.likenesses[0], { code: "one-operator", ppm: 1_000_000, fromPpm: 700_000 });
		assert.equal(found.isAlike, true);
	});

	test("threat 21: played by one program, they open their tabs together", () => {
		const draw = drawer(3);
		const rounds = Array.from({ length: 20 }, () => Math.floor(draw() * MONTH_MS));
		const played = honest(30).map((trace, i) => ({ ...trace, openedMs: rounds.map((atMs) => atMs + i * 100) }));
		assert.deepEqual(codes(played), ["same-times"]);
	});

	test("one likeness alone is no reason to ask: a school writes in the same break", () => {
		const draw = drawer(3);
		const breaks = Array.from({ length: 20 }, () => Math.floor(draw() * MONTH_MS));
		const school = honest(30).map((trace) => ({
			...trace,
			openedMs: breaks.map((atMs) => atMs + Math.floor(draw() * 3_000)),
		}));
		const found = alikeOf(school, USUAL);
		assert.deepEqual([found.likenesses.length, found.isAlike], [1, false]);
	});

	test("few people are not looked at, nor those who did nothing", () => {
		const same: Trace = { spent: new Map([["operator-3", 50_000n]]), openedMs: [5], usedPpm: 1_000_000 };
		assert.deepEqual(
			alikeOf(
				Array.from({ length: PEOPLE_MIN - 1 }, () => same),
				USUAL,
			),
			{
				people: PEOPLE_MIN - 1,
				likenesses: [],
				isAlike: false,
			},
		);
		const idle = Array.from({ length: 100 }, (): Trace => ({ spent: new Map(), openedMs: [], usedPpm: 0 }));
		assert.equal(alikeOf([...idle, same], USUAL).people, 1);
	});

	test("where there is little choice of operators, that all are with one is not theirs to answer for", () => {
		const two = honest(40).map((trace) => ({
			...trace,
			spent: new Map([["operator-3", [...trace.spent.values()][0] ?? 1n]]),
		}));
		assert.deepEqual(codes(two, new Map([["operator-3", 500_000]])), []);
		assert.deepEqual(codes(two), ["one-operator"]);
	});
});

suite("how relays serve", () => {
	const measures = (count: number, change: Partial<Measure> = {}): Measure[] =>
		Array.from({ length: count }, (_, i) => ({ atMs: i, funded: false, end: "delivered", tookMs: 100 + i, ...change }));
	const faults = (...all: Measure[][]) => scoreOf(all.flat()).faults.map(({ code }) => code);

	test("a score says what made it", () => {
		const { own, funded } = scoreOf([
			...measures(3),
			...measures(1, { end: "lost", tookMs: 0 }),
			...measures(1, { end: "refused", tookMs: 0 }),
		]);
		assert.deepEqual(own, { tries: 5, refused: 1, lost: 1, deliveredPpm: 600_000, medianMs: 101 });
		assert.deepEqual(funded, { tries: 0, refused: 0, lost: 0, deliveredPpm: 0, medianMs: 0 });
	});

	test("threat 15: one that serves the sponsored worse is found by what is delivered, and by how long it takes", () => {
		assert.deepEqual(faults(measures(20), measures(20, { funded: true })), []);
		assert.deepEqual(faults(measures(40), measures(16, { funded: true }), measures(4, { funded: true, end: "lost" })), [
			"sponsored-worse",
		]);
		assert.deepEqual(faults(measures(20), measures(20, { funded: true, tookMs: 2_500 })), ["sponsored-worse"]);
		assert.deepEqual(
			faults(measures(20, { tookMs: 9_000 }), measures(20, { funded: true, tookMs: 11_500 })),
			[],
			"not twice as slow",
		);
		assert.deepEqual(faults(measures(20), measures(20, { funded: true, tookMs: 1_500 })), [], "not slow");
	});

	test("one that takes mail and does not deliver it is found, whoever pays; few tries say nothing", () => {
		assert.deepEqual(faults(measures(8), measures(2, { end: "lost" })), ["not-delivered"]);
		assert.deepEqual(faults(measures(9), measures(1, { end: "lost" })), []);
		assert.deepEqual(faults(measures(9, { end: "lost" })), []);
		assert.deepEqual(faults(measures(30), measures(9, { funded: true, tookMs: 60_000 })), []);
	});
});
