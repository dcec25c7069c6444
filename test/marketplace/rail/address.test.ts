import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { isProblem, type Problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { invoiceOfAddress, isLightningAddress } from "#marketplace/rail/address";
import { type Outside, openOutside, PUBLIC } from "#marketplace/rail/outside";
import { makeInvoice, type Wanted } from "#test/support/lightning/invoice";
import { fine } from "#test/support/market";

const AT = Date.UTC(2026, 0, 1);
const METADATA = JSON.stringify([["text/plain", "tips for someone"]]);
const AMOUNT = 7_000_000n;

/** A host that keeps to the rules but for what a test changes, and what it was asked. */
function host(more: { request?: object; invoice?: Wanted; payment?: unknown } = {}) {
	const asked: string[] = [];
	const outside: Outside = {
		get: async (url) => {
			asked.push(url);
			if (asked.length > 1)
				return {
					json: more.payment ?? {
						pr: makeInvoice({ amountMsat: AMOUNT, describes: METADATA, atMs: AT, ...more.invoice }),
						routes: [],
					},
				};
			const callback = "https://pay.example.com/cb?user=7";
			const request = { tag: "payRequest", callback, minSendable: 1_000, maxSendable: 100_000_000, metadata: METADATA };
			return { json: { ...request, ...more.request } };
		},
		close: async () => {},
	};
	const invoice = (address = "someone@example.com", amount = AMOUNT) =>
		invoiceOfAddress(address, amount, { outside, network: "regtest", nowMs: () => AT });
	return { asked, invoice };
}

describe("a Lightning address", () => {
	it("becomes an invoice over exactly the amount, for exactly what its host promised", async () => {
		const { asked, invoice } = host();
		const { amountMsat, network } = fine(await invoice("some.one+tips@example.com"));
		assert.deepEqual([amountMsat, network], [AMOUNT, "regtest"]);
		assert.deepEqual(asked, [
			"https://example.com/.well-known/lnurlp/some.one+tips",
			"https://pay.example.com/cb?user=7&amount=7000000",
		]);
	});

	for (const [what, more] of [
		["over another amount", { invoice: { amountMsat: AMOUNT - 1n } }],
		["without an amount", { invoice: { amountMsat: undefined } }],
		["for something else", { invoice: { describes: "[]" } }],
		["with a description in place of its hash", { invoice: { describes: undefined as never, text: METADATA } }],
		["on another network", { invoice: { prefix: "bc" } }],
		["that has ended", { invoice: { atMs: AT - 3_600_000 } }],
		["that is none", { payment: { pr: "lnbcrt1" } }],
		["that is missing", { payment: {} }],
		["in place of which it refuses", { payment: { status: "ERROR", reason: "closed\u0007 today" } }],
	] as const)
		it(`threat 17: an invoice ${what} is not taken`, async () => {
			const said = await host(more as never).invoice();
			assert.ok(isProblem(said) && said.spent === "no" && !/\p{Cc}/u.test(said.detail));
		});

	for (const [what, request] of [
		["asks for a withdrawal instead", { tag: "withdrawRequest" }],
		["takes less", { maxSendable: 6_999_999 }],
		["takes more", { minSendable: 7_000_001 }],
		["counts in fractions", { minSendable: 0.5 }],
		["counts in numbers that were rounded", { maxSendable: 2 ** 60 }],
		["has no callback", { callback: "" }],
	] as const)
		it(`threat 18: a host that ${what} is asked no further`, async () => {
			const { asked, invoice } = host({ request });
			assert.ok(isProblem(await invoice()));
			assert.equal(asked.length, 1);
		});

	it("threat 18: nothing else that looks a little like one leaves the machine", async () => {
		const odd = [
			...[
				"",
				"@",
				"a@b",
				"a@localhost",
				"a@127.0.0.1",
				"a@[::1]",
				"a@example.com:8080",
				"a@example.com/x",
				"A@example.com",
			],
			...["..@example.com", ".@example.com", "a/b@example.com", "a%2f@example.com", "a@-x.com", "a b@example.com"],
			...[
				"a@b@example.com",
				`${"a".repeat(65)}@example.com`,
				`a@${"b.".repeat(200)}com`,
				"a@example.com\n",
				"a@exämple.com",
			],
		];
		for (const address of odd) {
			assert.equal(isLightningAddress(address), false, address);
			const { asked, invoice } = host();
			assert.ok(isProblem(await invoice(address)));
			assert.deepEqual(asked, []);
		}
		assert.equal(isLightningAddress("satoshi@example.com"), true);
	});
});

describe("the way to servers that strangers name", () => {
	/** A server on loopback, which counts who comes, and a way out that finds it under any name. */
	const around = async (
		listener: RequestListener,
		use: (way: { url: (path: string) => string; came: () => number; port: number }) => Promise<void>,
	) => {
		const server = createServer(listener);
		let came = 0;
		server.on("connection", () => came++);
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const { port } = server.address() as AddressInfo;
		try {
			await use({ url: (path) => `http://pay.example.com:${port}${path}`, came: () => came, port });
		} finally {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		}
	};
	const here = { mayAsk: () => true, mayConnect: () => true, resolve: async () => ["127.0.0.1"] };
	const refused = (said: unknown): said is Problem => isProblem(said) && said.problem === "malformed";

	it("brings JSON, also from where a redirect points to", () =>
		around(
			(request, answer) => {
				if (request.url === "/a") answer.writeHead(302, { location: "/b" }).end();
				else answer.end(JSON.stringify({ path: request.url }));
			},
			async ({ url }) => {
				const outside = openOutside(systemClock, here);
				assert.deepEqual(await outside.get(url("/a")), { json: { path: "/b" } });
				await outside.close();
			},
		));

	it("threat 15: goes to no address inside, however it is written, and not in the clear", () =>
		around(
			(_, answer) => answer.end("{}"),
			async ({ came, port }) => {
				// every name leads here, so that whoever is let through is seen to arrive
				const outside = openOutside(systemClock, { ...PUBLIC, resolve: here.resolve, mayConnect: () => true });
				for (const name of [
					...["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "192.168.1.1", "169.254.169.254"],
					...[
						"2130706433",
						"0x7f.1",
						"127.1",
						"0.0.0.0",
						"[fe80::1]",
						"[fd00::1]",
						"printer.local",
						"intranet",
						"100.64.0.1",
					],
				])
					assert.ok(refused(await outside.get(`https://${name}:${port}/`)), name);
				for (const url of [
					`http://pay.example.com:${port}/`,
					`https://user:word@pay.example.com:${port}/`,
					"file:///etc/passwd",
					"nonsense",
				])
					assert.ok(refused(await outside.get(url)), url);
				assert.equal(came(), 0);
				await outside.close();
			},
		));

	for (const [what, found] of [
		["a private address", ["127.0.0.1"]],
		["a private address among public ones", ["93.184.215.14", "127.0.0.1"]],
		["a link-local address of IPv6", ["fe80::1"]],
		["this machine in the dress of IPv6", ["::ffff:127.0.0.1"]],
		["nothing", []],
	] as const)
		it(`threat 15: a public name that DNS leads to ${what} is not connected to`, () =>
			around(
				(_, answer) => answer.end("{}"),
				async ({ came, port }) => {
					const outside = openOutside(systemClock, { ...PUBLIC, resolve: async () => found });
					assert.ok(refused(await outside.get(`https://pay.example.com:${port}/`)));
					assert.equal(came(), 0);
					await outside.close();
				},
			));

	it("threat 15: a redirect inside is not followed, and no redirect for ever", () => {
		let inside = 0;
		return around(
			(request, answer) => {
				if (request.url === "/inside") inside++;
				const location = request.url === "/loop" ? "/loop" : `http://127.0.0.1:${request.socket.localPort}/inside`;
				answer.writeHead(302, { location }).end();
			},
			async ({ url }) => {
				const mayAsk = (to: URL) => to.hostname === "pay.example.com";
				const outside = openOutside(systemClock, { ...here, mayAsk });
				assert.ok(refused(await outside.get(url("/a"))));
				assert.equal(inside, 0);
				const said = await outside.get(url("/loop"));
				assert.ok(isProblem(said) && said.problem === "unavailable");
				await outside.close();
			},
		);
	});

	it("threat 11: an answer without an end is left", () =>
		around(
			(_, answer) => {
				const more = () => {
					while (answer.writable && answer.write("x".repeat(65_536)));
				};
				answer.on("drain", more);
				more();
			},
			async ({ url }) => {
				const outside = openOutside(systemClock, here);
				const said = await outside.get(url("/"));
				assert.ok(isProblem(said) && /too long/.test(said.detail));
				await outside.close();
			},
		));
});
