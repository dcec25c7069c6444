/** `farelay fund` with a market that has several ways to pay. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, suite, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { decodeQR } from "qr/decode.js";
import { qrLines } from "#cli/qr";
import { amount } from "#contracts/amount";
import { systemClock } from "#host/clock";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import { startMarketplace } from "#marketplace/main";
import { crypto, fine } from "#test/support/market";
import { MAIN, Place } from "#test/support/process";
import { heldRates, type ScriptedRail, scriptedRail } from "#test/support/rail";
import { until } from "#test/support/sdk";

suite("farelay fund", () => {
	let place: Place;
	let rail: ScriptedRail;
	let market: Awaited<ReturnType<typeof start>>;
	const at = (home: string) => ({ home, market: market.url });

	async function start(folder: string, play: boolean) {
		// cards are taken only where something is put aside for those that are taken back
		const config = { ...playConfig(folder), play, risk: amount(500_000_000_000n) };
		const cards = scriptedRail({
			name: "cards",
			unit: "cent",
			world: "world:card",
			quote: async () => ({ fee: 59n, isAbout: true }),
			ranges: { in: { min: 50n, max: 10_000n }, out: undefined },
		});
		const deps = { clock: systemClock, log: openSilentLog(), crypto, rails: [rail, cards], rates: heldRates() };
		return fine(await startMarketplace(config, deps));
	}

	before(async () => {
		place = await Place.open();
		rail = scriptedRail();
		market = await start(place.path("market"), false);
	});
	after(async () => {
		await market.stop();
		await place.end();
	});

	test("shows every way with what it costs, before anything is chosen", async () => {
		const ran = await place.run(["fund", "1"], at("ada"));
		assert.equal(ran.code, 2, ran.out + ran.err);
		assert.match(ran.out, /scripted +1005\.026 sat +\$0\.00 +\$0\.00502513 +\$1\.00000087/);
		assert.match(ran.out, /cards +\$1\.59 +about \$0\.59 +\$0\.00 +about \$1\.00/);
		assert.match(ran.err, /choose one: farelay fund 1 --rail NAME/);
		const listed = await place.done(["fund", "1", "--list"], at("ada"));
		assert.equal((listed.rails as object[]).length, 2);
		const unsaid = await place.run(["fund", "--list"], at("ada"));
		assert.equal(unsaid.code, 0, unsaid.out + unsaid.err);
		assert.match(unsaid.out, /^To bring \$5\.00:\n.*\nscripted +5025\.126 sat/);
		const monthly = await place.run(["fund", "1", "--home", "o'hara & co", "--market", market.url]);
		assert.ok(
			monthly.err.includes(`farelay fund 1 --rail NAME --home 'o'\\''hara & co' --market ${market.url}.`),
			monthly.err,
		);
		assert.equal(rail.orders.size, 0, "nothing was begun");
	});

	test("says how to pay, waits until it has come, and goes on where it was stopped", async () => {
		const words = ["fund", "1", "--rail", "scripted", "--id", "first"];
		const begun = await place.done([...words, "--no-wait"], at("ada"));
		assert.match(JSON.stringify(begun.pay), /lnscripted1[0-9a-f]{32}/);
		const waits = place.run(words, at("ada"));
		const [reference = ""] = [...rail.orders.keys()];
		rail.comes(reference, BigInt(String((begun.quote as { units: string }).units)), Date.now());
		rail.hint(reference);
		const ran = await waits;
		assert.equal(ran.code, 0, ran.out + ran.err);
		assert.match(ran.out, /Funded with \$1\.00000087 by scripted; the balance is \$1\.00000087/);
		const again = await place.done(words, at("ada"));
		assert.deepEqual([again.credited, again.balance], ["1000000870", "1000000870"], "asked again, nothing more moved");
		assert.equal(rail.orders.size, 1);
	});

	test("that is stopped says how to go on, and that it is not known whether money moved", async () => {
		const words = ["fund", "2", "--rail", "scripted", "--id", "slow"];
		const env = { ...process.env, FARELAY_HOME: place.path("ada"), FARELAY_MARKET: market.url };
		const child = spawn(process.execPath, [MAIN, ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
		let said = "";
		for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
		const ended = once(child, "close");
		try {
			await until(() => said.includes("Waiting until"), "it waits", 30_000);
		} finally {
			child.kill("SIGINT");
		}
		assert.deepEqual(await ended, [4, null], said);
		assert.match(said, /lnscripted1/);
		assert.match(said, /farelay fund 2 --rail scripted --id slow goes on waiting/);
	});

	test("that cannot be paid any more says so, and that no money moved", async () => {
		const words = ["fund", "3", "--rail", "scripted", "--id", "over"];
		await place.done([...words, "--no-wait"], at("ada"));
		const reference = [...rail.orders.keys()].at(-1) ?? "";
		rail.said.set(reference, { state: "ended" });
		rail.hint(reference);
		await market.lookAtDeposits();
		const ran = await place.run([...words, "--json"], at("ada"));
		assert.deepEqual([ran.code, ran.said.at(-1)?.problem, ran.said.at(-1)?.spent], [3, "unpaid", "no"]);
	});

	test("a way that there is not, an amount that a way does not take", async () => {
		assert.equal(
			(await place.run(["fund", "1", "--rail", "gold", "--json"], at("ada"))).said[0]?.problem,
			"rail-closed",
		);
		const small = (await place.run(["fund", "0.000000001", "--rail", "scripted", "--json"], at("ada"))).said[0];
		assert.equal(small?.problem, "malformed");
		assert.match(String(small?.detail), /at least \$0\.000995 /);
	});

	test("a code in the terminal reads as what it was made from", () => {
		const text = `LIGHTNING:LNBC${"0123456789QPZRY".repeat(20)}`;
		const lines = qrLines(text);
		// each character is two dots, one above the other; each dot four pixels wide and high
		const rows = lines.flatMap((line) => {
			const chars = [...stripVTControlCharacters(line)];
			return [chars.map((char) => char === "█" || char === "▀"), chars.map((char) => char === "█" || char === "▄")];
		});
		const scale = 4;
		const width = (rows[0]?.length ?? 0) * scale;
		const height = rows.length * scale;
		const data = new Uint8ClampedArray(width * height * 4).fill(255);
		for (let y = 0; y < height; y++)
			for (let x = 0; x < width; x++)
				if (rows[Math.floor(y / scale)]?.[Math.floor(x / scale)])
					data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
		assert.equal(decodeQR({ width, height, data }), text);
		assert(lines.every((line) => line.startsWith("\u001b[30m\u001b[107m")));
	});
});
