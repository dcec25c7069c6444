import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { each, has, include, type Range, rangesOf } from "#contracts/ranges";
import { Numbers } from "#relay/tag/numbers";

suite("a set of numbers that grows at its end", () => {
	test("is the plain set, whatever is put in, taken out and asked in between", () => {
		const number = fc.oneof(fc.nat(40), fc.integer({ min: 0xfffffff0, max: 0xffffffff }));
		const step = fc.record({
			what: fc.constantFrom("include", "next", "next", "next", "exclude", "look", "take"),
			number,
		});
		fc.assert(
			fc.property(fc.uniqueArray(fc.nat(40)), fc.array(step, { maxLength: 60 }), (start, steps) => {
				const before = rangesOf(start);
				const numbers = new Numbers(before);
				let plain: Range[] = [...before];
				for (const { what, number } of steps) {
					const end = plain[plain.length - 1]?.[1] ?? -1;
					const chosen = what === "next" && end < 0xffffffff ? end + 1 : number;
					if (what === "exclude") {
						plain = rangesOf([...each(plain)].filter((known) => known !== chosen));
						numbers.exclude(chosen);
					} else if (what === "take") {
						assert.deepEqual(numbers.take(), plain);
						plain = [];
					} else if (what === "look") assert.deepEqual(numbers.ranges, plain);
					else {
						include(plain, chosen);
						numbers.include(chosen);
					}
					assert.equal(numbers.has(chosen), has(plain, chosen));
					assert.equal(numbers.has(number), has(plain, number));
					assert.equal(numbers.count, plain.length);
					assert.equal(numbers.end < 0, plain.length === 0);
				}
				assert.deepEqual(numbers.ranges, plain);
				assert.deepEqual(before, rangesOf(start), "what it was made from is as it was");
			}),
			{ numRuns: 500 },
		);
	});
});
