/** What the owner of a market asks of it on the command line, while it runs and while it does not. */

import assert from "node:assert/strict";
import { chmod, readFile, stat } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { Place, type Program } from "#test/support/process";

suite("farelay market statement, reconcile and doctor", () => {
	let place: Place;
	let market: Program;
	const FIXED = { FARELAY_PLAY: "1", FARELAY_FIXED_RATE: "50000" };
	const data = () => ["--data", place.path("market")];
	const owner = (words: string[], env: Record<string, string> = {}) =>
		place.run(["market", ...words, ...data()], { env: { ...FIXED, ...env } });

	before(async () => {
		place = await Place.open();
		market = await place.market();
		await place.done(["fund", "5"], { home: "alice", market: market.url });
	});
	after(() => place.end());

	test("while it runs: its rails and its ledger say the same, and all is well", async () => {
		const found = await owner(["reconcile"]);
		assert.equal(found.code, 0, found.out + found.err);
		assert.match(found.out, /^play: .*\nThe rails and the ledger say the same/);
		const doctor = await owner(["doctor"], { FARELAY_PUBLIC_URL: market.url });
		assert.equal(doctor.code, 0, doctor.out + doctor.err);
		assert.match(
			doctor.out,
			/ok +market: runs\.\nok +address: http:\S+ leads to this market\.\nok +rail play: works\.\n/,
		);
		const json = await owner(["doctor", "--json"]);
		assert.equal(json.said.at(-1)?.well, true);
	});

	test("whom it could not reach is no damage: it ends with 3, and says unavailable", async () => {
		const away = await owner(["doctor", "--json"], { FARELAY_PUBLIC_URL: "http://127.0.0.1:1" });
		assert.deepEqual([away.code, away.said.at(-1)?.problem, away.said.at(-1)?.well], [3, "unavailable", false]);
		const data = place.path("market");
		const settings = {
			FARELAY_PHOENIXD_PASSWORD: "none",
			FARELAY_RATE_SOURCES: ["kraken", "bitstamp", "gemini"].map((name) => `${name}=http://127.0.0.1:1`).join(),
		};
		const rates = await place.run(["market", "doctor", "--data", data], { env: settings });
		assert.match(rates.out, /bad +rate: is not known/);
		assert.doesNotMatch(rates.out.replace(/bad +rate.*/, ""), /^bad/m);
		assert.equal(rates.code, 3, rates.out + rates.err);
		assert.match(rates.err, /^unavailable: Bad: 1 of/m);
		// and nothing is bad where nothing needs a rate
		const { FARELAY_RATE_SOURCES } = settings;
		const unneeded = await place.run(["market", "doctor", "--data", data], { env: { FARELAY_RATE_SOURCES } });
		assert.deepEqual([unneeded.code, /warn +rate: is not known/.test(unneeded.out)], [0, true], unneeded.out);
	});

	test("its door is its owner's alone", async () => {
		assert.equal((await stat(place.path("market", "operator.sock"))).mode & 0o777, 0o600);
	});

	test("its statement is empty before it earned anything, as CSV too", async () => {
		assert.match((await owner(["statement"])).out, /Nothing has moved yet/);
		const path = place.path("market.csv");
		assert.equal((await owner(["statement", "--csv", path])).code, 0);
		assert.match(await readFile(path, "utf8"), /^position,time,[^\r]*\r\n$/);
	});

	test("an address of another market, and what is not well, end with 1, each with what to do and no stack trace", async () => {
		const key = place.path("market", "keys", "root.json");
		await chmod(key, 0o644);
		const doctor = await owner(["doctor"], { FARELAY_PUBLIC_URL: "http://127.0.0.1:1" });
		await chmod(key, 0o600);
		assert.equal(doctor.code, 1);
		assert.match(doctor.out, /bad +files: .*root\.json.*chmod go-rwx/);
		assert.match(doctor.out, /bad +address: .*cannot be reached/);
		assert.doesNotMatch(doctor.out + doctor.err, /^\s+at /m);
		const seed = (JSON.parse(await readFile(key, "utf8")) as { seed: string }).seed;
		assert.ok(!(doctor.out + doctor.err).includes(seed));
	});

	test("what it is not asked is said", async () => {
		assert.equal((await owner(["dance"])).code, 2);
		assert.equal((await owner(["reconcile", "now"])).code, 2);
		assert.equal((await owner(["reconcile", "--days", "some"])).code, 2);
	});

	test("while it does not run: the ledger's file and the settings' rails say the same, and the doctor says that it does not run", async () => {
		await market.end("SIGTERM");
		const found = await owner(["reconcile"]);
		assert.equal(found.code, 0, found.out + found.err);
		const json = await owner(["reconcile", "--json", "--accept"]);
		assert.deepEqual(json.said.at(-1)?.accepted, {});
		const doctor = await owner(["doctor"]);
		assert.equal(doctor.code, 1);
		assert.match(doctor.out, /bad +market: does not run on this folder/);
	});

	test("its database is found by its owner's questions where it used one elsewhere, and a start that forgets it is told", async () => {
		const elsewhere = `sqlite:${place.path("elsewhere")}`;
		const moved = await place.market({ more: ["--database", elsewhere] });
		await place.done(["fund", "5"], { home: "alice", market: moved.url });
		await place.done(["fund", "5"], { home: "alice", market: moved.url });
		await moved.end("SIGTERM");
		assert.equal((await place.done(["audit", ...data()])).transfers, 2, "and not the one in the folder's own file");
		assert.equal((await owner(["keys"])).code, 0);
		const forgot = await place.run(["market", "--play", "--port", "0", ...data()]);
		assert.equal(forgot.code, 2, forgot.out + forgot.err);
		assert.match(forgot.err, /keeps its money in sqlite:.*say --database sqlite:.*\nNo money moved/);
	});
});

suite("farelay market reconcile and doctor on a box", () => {
	let place: Place;
	const data = () => ["--data", place.path("box")];
	before(async () => {
		place = await Place.open();
		await place.start(["box", "--port", "0", ...data()]);
	});
	after(() => place.end());

	test("what its node put into its channels is nobody's balance, and no difference that somebody must accept", async () => {
		const found = await place.run(["market", "reconcile", ...data()]);
		assert.equal(found.code, 0, found.out + found.err);
		assert.match(
			found.out,
			/lightning-regtest: 2 deposits brought \d+ msat, 1 payout took \d+, and 0 are there beyond/,
		);
		assert.match(found.out, /explained +lightning-regtest: 15680000000 msat of what it holds were there before/);
	});

	test("its rate is fixed, whatever exchanges the settings name: none is asked", async () => {
		const env = {
			FARELAY_RATE_SOURCES: ["kraken", "bitstamp", "gemini"].map((name) => `${name}=http://127.0.0.1:1`).join(),
		};
		const doctor = await place.run(["market", "doctor", ...data()], { env });
		assert.equal(doctor.code, 0, doctor.out + doctor.err);
		assert.match(doctor.out, /ok +rate: is fixed/);
		assert.doesNotMatch(doctor.out, /source/);
	});
});
