import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import { build } from "esbuild";
import { type Browser, chromium as engine, type Page as Tab } from "playwright-core";
import { startWorld, type World } from "#test/support/world";
import type { Page } from "./page.ts";

declare const page: Page;

/** How long anything in the browser may take: a small machine starts Chromium slowly. */
const BROWSER_MS = 60_000;

suite("the SDK in a real browser, from the same source as in Node", { timeout: 4 * BROWSER_MS }, () => {
	let world: World;
	let server: Server;
	let browser: Browser;
	let script = "";

	before(async () => {
		world = await startWorld();
		await world.relay();
		const bundle = await build({
			entryPoints: [fileURLToPath(import.meta.resolve("./page.ts"))],
			bundle: true,
			platform: "browser",
			format: "iife",
			write: false,
			logLevel: "silent",
		});
		script = bundle.outputFiles[0]?.text ?? "";
		server = createServer((request, response) => {
			const [type, body] =
				request.url === "/page.js"
					? ["text/javascript", script]
					: ["text/html", '<!doctype html><title>test</title><script src="/page.js"></script>'];
			response.setHeader("content-type", `${type}; charset=utf-8`).end(body);
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		browser = await engine.launch({ executablePath: await chromium.executablePath(), args: chromium.args });
	});
	after(async () => {
		await browser?.close();
		server?.close();
		await world?.end();
	});

	/** A tab of its own browser profile, with everything that went wrong in it. */
	async function open(): Promise<{ tab: Tab; faults: string[] }> {
		const tab = await (await browser.newContext()).newPage();
		tab.setDefaultTimeout(BROWSER_MS);
		const faults: string[] = [];
		tab.on("pageerror", (error) => faults.push(String(error)));
		await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
		await tab.waitForFunction(() => "page" in globalThis);
		return { tab, faults };
	}

	test("Alice in one browser writes and sends a file to Bob in another, who is offline; he gets both, and the money adds up", async () => {
		const market = world.market.url;
		const [alice, bob] = await Promise.all([open(), open()]);
		await bob.tab.evaluate((url) => page.start("bob", url, "0"), market);
		const card = await bob.tab.evaluate(() => page.card("bob"));
		await alice.tab.evaluate((url) => page.start("alice", url, "1000000000"), market);
		const sent = await alice.tab.evaluate((to) => page.send("alice", to, "Good morning, Bob — ça va? 🌍"), card);
		assert.equal(sent.tick, "sent");
		assert.ok(BigInt(sent.total) > 0n);
		assert.equal(await alice.tab.evaluate((to) => page.sendFile("alice", to, "photo.jpg", 300_000), card), "sent");

		await bob.tab.evaluate(() => page.listen("bob"));
		await bob.tab.waitForFunction(() => page.heard().length === 2);
		assert.deepEqual(await bob.tab.evaluate(() => page.heard()), [
			{ text: "Good morning, Bob — ça va? 🌍" },
			{ name: "photo.jpg", bytes: 300_000, first: 1, last: 299_999 % 251 },
		]);

		assert.deepEqual(await alice.tab.evaluate(() => page.settle("alice")), [true]);
		const balance = BigInt(await alice.tab.evaluate(() => page.balance("alice")));
		assert.ok(balance < 1_000_000_000n && balance > 999_000_000n, `${balance}`);
		assert.deepEqual([alice.faults, bob.faults], [[], []]);
	});
});
