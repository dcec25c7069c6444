/** What a defence refuses is answered: a person, the market's people and the person again, each a program of its own. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import { type RunningMarketplace, startMarketplace } from "#marketplace/main";
import { fine } from "#test/support/market";
import { assertRefused, Place } from "#test/support/process";

suite("farelay ask and farelay market desk", () => {
	let place: Place;
	let market: RunningMarketplace;
	let alice: string;
	let dora: string;
	const as = (home: string, ...words: string[]) => place.run(words, { home, market: market.url });
	const desk = (...words: string[]) => as("dora", "market", "desk", ...words);
	const caseIn = (text: string) => /\b[0-9a-f]{32}\b/.exec(text)?.[0] ?? assert.fail(text);

	before(async () => {
		place = await Place.open();
		const deps = { clock: systemClock, log: openSilentLog(), crypto };
		const nobody = fine(await startMarketplace(playConfig(place.path("market")), deps));
		const who = async (home: string) => String((await place.done(["account"], { home, market: nobody.url })).account);
		[alice, dora] = [await who("alice"), await who("dora")];
		await nobody.stop();
		market = fine(await startMarketplace({ ...playConfig(place.path("market")), desk: [dora] }, deps));
	});
	after(async () => {
		await market.stop();
		await place.end();
	});

	test("threat 21: whoever is frozen hears why where it is refused, answers, and is let go of; all of it stays in a chain", async () => {
		const frozen = await desk("freeze", alice, "--note", "Forty accounts open tabs as one.");
		const id = caseIn(frozen.out);
		const refused = await as("alice", "payout", "now", "--json");
		assertRefused(refused, 1, "unauthorized");
		assert.match(refused.out, /farelay ask/);
		const found = await as("alice", "ask");
		assert.match(found.out, /^The account is frozen/m);
		assert.match(found.out, /^desk +.* Forty accounts open tabs as one\.$/m);
		assert.match(found.out, new RegExp(`^answer +farelay ask ${id}`, "m"));
		await place.done(["ask", id, "We are a class of forty, and our teacher says when."], {
			home: "alice",
			market: market.url,
		});
		assert.match((await desk()).out, new RegExp(`^${id} +answered +frozen.*: We are a class of forty`, "m"));
		assert.match((await desk("lift", id, "--note", "So it is.")).out, /is lifted/);
		assert.match((await as("alice", "ask")).out, /^desk +.* So it is\.$/m);
		const log = await desk("log");
		assert.match(log.out, new RegExp(`^1 .* ${dora.slice(0, 16)} +freeze ${alice}: Forty accounts`, "m"));
		assert.match(log.out, new RegExp(`^2 .* ${dora.slice(0, 16)} +lift ${id}: So it is`, "m"));
		const audit = await place.run(["audit", "--data", place.path("market")]);
		assert.equal(audit.code, 0, audit.err);
	});

	test("called wrongly, it says how, and nobody else decides", async () => {
		assertRefused(await as("alice", "market", "desk", "unfreeze", alice, "--note", "me", "--json"), 1, "unauthorized");
		assertRefused(await desk("freeze", alice, "--json"), 2, "usage");
		assertRefused(await as("alice", "ask", "two", "words", "--json"), 2, "usage");
	});
});
