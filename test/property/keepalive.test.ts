import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { LIMIT } from "#contracts/limit";
import { afterClean, afterMiss, firstRhythm, KEEPALIVE_MS_MIN, type NetworkKind, soundRhythm } from "#sdk/keepalive";

const kinds = ["cellular", "wifi", "unknown"] as const;
const most = (kind: NetworkKind) => (kind === "cellular" ? 300_000 : 600_000);

suite("PROTOCOL: Keepalive (learned)", () => {
	test("55 s on cellular and 120 s elsewhere at first; half as long again after three clean rounds; halved after a miss; never beyond its bounds", () => {
		fc.assert(
			fc.property(fc.constantFrom(...kinds), fc.array(fc.boolean(), { maxLength: 200 }), (kind, rounds) => {
				let rhythm = firstRhythm(kind);
				assert.equal(rhythm.everyMs, kind === "cellular" ? 55_000 : 120_000);
				let clean = 0;
				for (const went of rounds) {
					const before: number = rhythm.everyMs;
					rhythm = went ? afterClean(rhythm, kind) : afterMiss(rhythm);
					clean = went ? clean + 1 : 0;
					if (!went) assert.equal(rhythm.everyMs, Math.max(Math.round(before / 2), KEEPALIVE_MS_MIN));
					else if (clean % 3 > 0) assert.equal(rhythm.everyMs, before);
					else assert.equal(rhythm.everyMs, Math.min(Math.round(before * 1.5), most(kind)));
					assert.ok(rhythm.everyMs >= KEEPALIVE_MS_MIN && rhythm.everyMs <= most(kind));
					// the relay waits long enough for one that is lost on its way
					assert.ok(Math.min(rhythm.everyMs * 2.2, LIMIT.idleMsMax) >= 2 * rhythm.everyMs);
				}
			}),
			{ numRuns: 300 },
		);
	});

	for (const kind of kinds)
		test(`a ${kind} network that forgets after any time is learned: most rounds go well, and nearly as seldom as it bears`, () => {
			fc.assert(
				fc.property(fc.integer({ min: 45_000, max: 900_000 }), (bearsMs) => {
					let rhythm = firstRhythm(kind);
					let missed = 0;
					let spentMs = 0;
					const rounds = 300;
					for (let i = 0; i < rounds; i++) {
						spentMs += rhythm.everyMs;
						if (rhythm.everyMs <= bearsMs) rhythm = afterClean(rhythm, kind);
						else {
							missed++;
							rhythm = afterMiss(rhythm);
						}
					}
					assert.ok(missed <= rounds / 4 + 3, `${missed} missed`);
					const couldMs = Math.min(bearsMs, most(kind));
					assert.ok(spentMs / rounds >= couldMs * 0.5, `${spentMs / rounds} of ${couldMs}`);
				}),
				{ numRuns: 100 },
			);
		});

	test("what rests on disk is taken for what it is: a whole number within the bounds, or nothing", () => {
		fc.assert(
			fc.property(fc.constantFrom(...kinds), fc.anything(), (kind, said) => {
				const rhythm = soundRhythm(said, kind);
				if (rhythm) assert.ok(rhythm.everyMs >= KEEPALIVE_MS_MIN && rhythm.everyMs <= most(kind));
			}),
		);
		assert.equal(soundRhythm(400_000, "cellular")?.everyMs, 300_000);
		assert.equal(soundRhythm(1, "wifi"), undefined);
	});
});
