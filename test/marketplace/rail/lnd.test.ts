import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { openLnd } from "#marketplace/rail/lnd";
import { openPreimageKey, preimageOf } from "#marketplace/rail/preimage";
import type { Rail } from "#marketplace/rail/rail";
import { heldClock } from "#test/support/clock";
import { payout, storyClock, storyRail, tell } from "#test/support/lnd/story";
import { play, type Tape, type Twist } from "#test/support/lnd/tape";
import { fine } from "#test/support/market";
import { until } from "#test/support/rawclient";

const tape = JSON.parse(readFileSync(join(import.meta.dirname, "../../fixtures/lnd.json"), "utf8")) as Tape;
const SECRET = "5ec2e7".repeat(20);

describe("the rail of LND, on a tape of what LND answered", () => {
	let folder: string;
	let macaroonPath: string;
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-lnd-"));
		macaroonPath = join(folder, "macaroon");
		await writeFile(macaroonPath, Buffer.from(SECRET, "hex"));
	});
	after(() => rm(folder, { recursive: true, force: true }));

	const played = async <T>(twist: Twist | undefined, use: (rail: Rail, tape: { odd: string[] }) => Promise<T>) => {
		const server = await play(tape, twist);
		const rail = await storyRail(
			server.url,
			macaroonPath,
			storyClock(() => tape.atMs),
		);
		try {
			return await use(rail, server);
		} finally {
			await rail.close();
			await server.close();
		}
	};
	/** Changes what comes back for one path, in the lines of a stream or in the answer itself. */
	const changed =
		(path: string, change: (json: Record<string, unknown>) => unknown): Twist =>
		(exchange) =>
			exchange.path.startsWith(path)
				? {
						...exchange,
						lines: exchange.lines.map((line) => {
							const { result } = line as { result?: Record<string, unknown> };
							return result ? { result: change(result) } : change(line as Record<string, unknown>);
						}),
					}
				: exchange;
	const good = () => payout(tape.facts.good, 3_000_000n);

	it("tells the whole story of the real node again", async () => {
		const server = await play(tape);
		const clock = { nowMs: tape.atMs };
		const rail = await storyRail(
			server.url,
			macaroonPath,
			storyClock(() => clock.nowMs),
		);
		await tell(rail, clock, tape.facts, async () => {}, {});
		await rail.close();
		await server.close();
		assert.deepEqual(server.odd, []);
		for (const each of server.headers) assert.equal(each["grpc-metadata-macaroon"], SECRET);
	});

	for (const [lie, change] of [
		["without a proof", { payment_preimage: "00".repeat(32) }],
		["with no proof at all", { payment_preimage: "" }],
		["of another amount", { value_msat: "2999999" }],
		["of another payment", { payment_hash: "11".repeat(32) }],
		["with a fee that is no whole number", { fee_msat: 0.5 }],
		["with a fee below nothing", { fee_msat: "-1" }],
		["in a state that nobody knows", { status: "DONE" }],
	] as const)
		it(`threat 19: a success ${lie} is not one, and nothing is paid again: it is unknown`, () =>
			played(
				changed("/v2/router", (json) => ({ ...json, ...change })),
				async (rail) => {
					assert.equal((await rail.pay(good())).state, "unknown");
					assert.equal(fine(await rail.payment(good())).state, "unknown");
				},
			));

	it("threat 19: an answer that is lost after the payment left is found by its hash", () => {
		let sends = 0;
		return played(
			({ path, ...more }) => {
				if (path === "/v2/router/send") sends++;
				return path === "/v2/router/send" ? "cut" : { path, ...more };
			},
			async (rail) => {
				// as the tape has it: the first time that LND is asked about it, it has nothing yet
				const first = await rail.pay(good());
				assert.deepEqual([first.state, sends], ["unknown", 1]);
				assert.equal(fine(await rail.payment(good())).state, "sent");
			},
		);
	});

	it("threat 19: with every answer lost it is unknown, and asking is a problem that says so", () =>
		played(
			() => "cut",
			async (rail) => {
				assert.equal((await rail.pay(good())).state, "unknown");
				const asked = await rail.payment(good());
				assert.ok(isProblem(asked) && asked.problem === "unavailable" && asked.retry);
				assert.ok(isProblem(await rail.balance()));
				assert.ok(isProblem(await rail.check()));
				const order = { id: "x", amount: 1_000n, text: "", expiresAtMs: tape.atMs + 60_000 };
				const begun = await rail.start(order);
				assert.ok(isProblem(begun) && begun.spent === "no");
			},
		));

	it("threat 16: a deposit is what LND says of its own hash, and nothing else", () => {
		const found = tape.exchanges.find(({ path, status }) => path.startsWith("/v1/invoice/") && status === 200);
		assert.ok(found);
		const line = found.lines[0] as object;
		const reference = found.path.split("/").at(-1) ?? "";
		const other = { ...line, r_hash: Buffer.alloc(32, 1).toString("base64"), state: "SETTLED" };
		return played(
			(exchange) => ({ ...exchange, status: 200, lines: [other] }),
			async (rail) => assert.ok(isProblem(await rail.deposit(reference))),
		);
	});

	it("threat 16: an invoice for another network or amount than was asked for is not handed to a payer", () =>
		played(
			changed("/v1/invoices", (json) => ({ ...json, payment_request: tape.facts.good })),
			async (rail) => {
				const order = { id: "first", amount: 5_000_000n, text: "Farelay", expiresAtMs: tape.atMs + 600_000 };
				assert.ok(isProblem(await rail.start(order)));
			},
		));

	/** A rail before a server of its own. */
	const facing = async (
		listener: RequestListener,
		use: (rail: Rail, clock: ReturnType<typeof heldClock>) => Promise<void>,
	) => {
		const server = createServer(listener);
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const clock = heldClock(tape.atMs);
		const rail = await storyRail(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, macaroonPath, clock);
		try {
			await use(rail, clock);
		} finally {
			await rail.close();
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		}
	};

	it("a node that never answers is given up after a while", async () => {
		let asked = 0;
		await facing(
			(request, answer) => {
				asked++;
				if (!request.url?.startsWith("/v2/router/track")) return;
				answer.writeHead(404).end(JSON.stringify({ error: { code: 5, message: "payment isn't initiated" } }));
			},
			async (rail, clock) => {
				const checking = rail.check();
				await until("it is asked", () => asked === 1);
				await clock.advance(15_000);
				const said = await checking;
				assert.ok(isProblem(said) && /no answer within 15000 ms/.test(said.detail));
				const paying = rail.pay(good());
				await until("it is looked up", () => asked >= 2);
				await until("it is told", () => asked >= 3);
				await clock.advance(35_000);
				await until("it is looked up again", () => asked >= 4);
				assert.equal((await paying).state, "unknown");
			},
		);
	});

	it("a node that never ends its answer, or sends us elsewhere with our macaroon, gets nowhere", async () => {
		let elsewhere = 0;
		await facing(
			(request, answer) => {
				if (request.url === "/elsewhere") elsewhere++;
				if (request.url === "/v1/getinfo") return void answer.writeHead(307, { location: "/elsewhere" }).end();
				answer.writeHead(200);
				const more = () => {
					while (answer.writable && answer.write("x".repeat(65_536)));
				};
				answer.on("drain", more);
				more();
			},
			async (rail) => {
				assert.ok(isProblem(await rail.check()));
				const said = await rail.balance();
				assert.ok(isProblem(said) && /too long/.test(said.detail));
				assert.equal((await rail.pay(good())).state, "unknown");
				assert.equal(elsewhere, 0);
			},
		);
	});

	it("threat 22: no refusal and no reason has the macaroon in it", async () => {
		const said: unknown[] = [];
		const echo: RequestListener = (request, answer) =>
			void answer
				.writeHead(500)
				.end(JSON.stringify({ code: 2, message: `bad macaroon ${request.headers["grpc-metadata-macaroon"]}` }));
		await facing(echo, async (rail) => {
			said.push(await rail.check(), await rail.pay(good()), await rail.payment(good()), await rail.balance());
		});
		assert.ok(said.every((each) => !JSON.stringify(each).includes(SECRET.slice(0, 24))));
		assert.match(JSON.stringify(said), /bad macaroon/);
	});

	it("is not opened without its files, nor over a connection that others can read", async () => {
		const config = {
			url: "https://127.0.0.1:1",
			macaroonPath,
			certPath: undefined,
			network: "regtest" as const,
			ranges: { in: undefined, out: undefined },
			payMsMax: 1_000,
		};
		const deps = { clock: heldClock(), preimageKey: new Uint8Array(32) };
		for (const url of ["http://lnd.example.org:8080", "ftp://127.0.0.1", "127.0.0.1:8080", ""])
			assert.equal(((await openLnd({ ...config, url }, deps)) as { problem?: string }).problem, "usage", url);
		for (const paths of [{ macaroonPath: join(folder, "none") }, { certPath: join(folder, "none") }]) {
			const said = await openLnd({ ...config, ...paths }, deps);
			assert.ok(isProblem(said) && said.problem === "file-unreadable" && said.detail.includes(join(folder, "none")));
		}
	});

	it("a deposit's preimage is the same for ever, another for each id and each market, and not guessed from its hash", async () => {
		const path = join(folder, "keys", "preimages.json");
		const key = fine(await openPreimageKey(path));
		assert.deepEqual(Buffer.from(fine(await openPreimageKey(path))), Buffer.from(key));
		assert.deepEqual(preimageOf(key, "a"), preimageOf(key, "a"));
		assert.notEqual(preimageOf(key, "a").hash, preimageOf(key, "b").hash);
		assert.notEqual(preimageOf(key, "a").hash, preimageOf(new Uint8Array(32), "a").hash);
		await writeFile(path, "{}");
		const said = await openPreimageKey(path);
		assert.ok(isProblem(said) && said.problem === "data-corrupt");
	});
});
