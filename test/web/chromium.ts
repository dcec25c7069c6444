/** A real browser: Chromium from npm, a server on loopback for the page, tabs with profiles of their own. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import { build } from "esbuild";
import { chromium as engine, type Page as Tab } from "playwright-core";

export type { Tab };

/** How long anything in the browser may take: a small machine starts Chromium slowly. */
export const BROWSER_MS = 60_000;

export type Chromium = {
	/** A tab of its own browser profile with the page in it, and everything that went wrong there. */
	open(): Promise<{ tab: Tab; faults: string[] }>;
	close(): Promise<void>;
};

/** Bundles `page.ts` as an app's bundler would, serves it, and starts a browser. */
export async function openChromium(): Promise<Chromium> {
	const bundle = await build({
		entryPoints: [fileURLToPath(import.meta.resolve("./page.ts"))],
		bundle: true,
		platform: "browser",
		format: "iife",
		write: false,
		logLevel: "silent",
	});
	const script = bundle.outputFiles[0]?.text ?? "";
	const server = createServer((request, response) => {
		const [type, body] =
			request.url === "/page.js"
				? ["text/javascript", script]
				: ["text/html", '<!doctype html><title>test</title><script src="/page.js"></script>'];
		response.setHeader("content-type", `${type}; charset=utf-8`).end(body);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	// with the rules between origins that people's browsers have: the package switches them off
	const args = chromium.args.filter((word) => word !== "--disable-web-security");
	const browser = await engine.launch({ executablePath: await chromium.executablePath(), args });
	return {
		async open() {
			const tab = await (await browser.newContext()).newPage();
			tab.setDefaultTimeout(BROWSER_MS);
			const faults: string[] = [];
			tab.on("pageerror", (error) => faults.push(String(error)));
			await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
			await tab.waitForFunction(() => "page" in globalThis);
			return { tab, faults };
		},
		async close() {
			await browser.close();
			server.close();
		},
	};
}
