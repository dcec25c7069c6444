import assert from "node:assert/strict";
import { mkdir, stat } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import type { RelayState } from "#relay/operator/state";
import { assertRefused, Place, type Program } from "#test/support/process";

suite("farelay relay status, pause, resume and set", () => {
	let place: Place;
	let market: Program;
	let relay: Program;
	const operator = "ab".repeat(32);
	const at = (data: string) => ["--data", place.path(data)];
	const state = async (data = "relay") => (await place.done(["relay", "status", ...at(data)])) as unknown as RelayState;
	const start = (more: readonly string[] = []) => place.relay({ market: market.url, operator }, { more });
	const offered = async () => {
		const { relays } = await place.done(["relays"], { home: "anyone", market: market.url });
		return (relays as unknown[]).length;
	};

	before(async () => {
		place = await Place.open();
		market = await place.market();
		relay = await start(["--traffic-gb-month", "7"]);
	});
	after(() => place.end());

	test("status says it in words when it is piped, and all of it as JSON", async () => {
		const plain = await place.run(["relay", "status", ...at("relay")]);
		assert.equal(plain.code, 0, plain.err);
		for (const line of [
			/^relay [0-9a-f]{8} {2}ws:/m,
			/^It takes what is paid for\.$/m,
			/^traffic .* of 7 GB in \d{4}-\d\d/m,
			/^disk .* of 10 GB/m,
		])
			assert.match(plain.out, line);
		assert(!plain.out.includes("\u001b"));
		const { caps, money, market: seen, why } = await state();
		assert.deepEqual(caps, { paused: false, trafficGbMonth: 7, diskGb: 10, bandwidthMbit: 0 });
		assert.deepEqual(money, { earned: "0", waiting: "0", paid: "0" });
		assert.equal(seen.keys?.problem, null);
		assert.deepEqual(why, []);
	});

	test("a pause takes it off the market's list, and holds through kill -9 until it is resumed", async () => {
		assert.equal(await offered(), 1);
		const paused = await place.run(["relay", "pause", ...at("relay")]);
		assert.match(paused.out, /Paused: it takes nothing new/);
		for (let tries = 0; (await offered()) === 1; tries++) assert(tries < 20, "still offered");
		await relay.end("SIGKILL");
		relay = await start(["--traffic-gb-month", "7"]);
		assert.equal((await state()).closed.sends, "relay-paused");
		assert.equal(await offered(), 0);
		const resumed = await place.run(["relay", "resume", ...at("relay")]);
		assert.match(resumed.out, /It takes what is paid for/);
		for (let tries = 0; (await offered()) === 0; tries++) assert(tries < 20, "not offered again");
	});

	test("caps that are set live count at once and after a restart, until the option says something else", async () => {
		const words = ["--traffic-gb-month", "50", "--disk-gb", "3", "--bandwidth-mbit", "25"];
		const set = await place.run(["relay", "set", ...at("relay"), ...words]);
		assert.match(set.out, / of 50 GB in .* of 3 GB, .* 25 Mbit\/s/s);
		const live = { paused: false, trafficGbMonth: 50, diskGb: 3, bandwidthMbit: 25 };
		assert.deepEqual((await state()).caps, live);
		assert.equal((await relay.end()).code, 0);
		relay = await start(["--traffic-gb-month", "7"]);
		assert.deepEqual((await state()).caps, live);
		await relay.end();
		relay = await start(["--traffic-gb-month", "8"]);
		assert.deepEqual((await state()).caps, { ...live, trafficGbMonth: 8 });
	});

	test("its socket is the owner's alone, and a folder with a long name has one too", async () => {
		const { mode } = await stat(place.path("relay", "operator.sock"));
		assert.equal(mode & 0o777, 0o600);
		const deep = `deep/${"folder-of-a-long-name-".repeat(5)}`;
		await mkdir(place.path(deep), { recursive: true });
		const far = await place.relay({ market: market.url, operator }, { data: deep });
		assert.equal((await state(deep)).url, far.url);
		assert.equal((await far.end()).code, 0);
	});

	test("what makes no sense is refused, and says why", async () => {
		assertRefused(await place.run(["relay", "set", ...at("relay"), "--json"]), 2, "usage");
		assertRefused(await place.run(["relay", "set", ...at("relay"), "--disk-gb", "-1", "--json"]), 2, "usage");
		assertRefused(await place.run(["relay", "set", ...at("relay"), "--disk-gb", "much"]), 2, "usage");
		assertRefused(await place.run(["relay", "stop", ...at("relay"), "--json"]), 2, "usage");
		assertRefused(await place.run(["relay", "pause", "now", ...at("relay"), "--json"]), 2, "usage");
		assertRefused(await place.run(["relay", "status", ...at("nowhere"), "--json"]), 3, "unavailable");
	});
});
