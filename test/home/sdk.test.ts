/** A drawn home as a client has it: it moves there, counts what came, signs it seldom and once, and costs next to nothing (PROTOCOL.md, section 20). */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { suite, test } from "node:test";
import { same } from "#contracts/bytes";
import { dayOf, readReceived } from "#contracts/received";
import { crypto } from "#host/crypto";
import { type Client, createClient } from "#sdk/client";
import { type Device, device } from "#sdk/device";
import { bytesSink, bytesSource } from "#sdk/file";
import { identityOf } from "#sdk/identity";
import { memoryStorage, type Storage } from "#sdk/storage";
import { Totals } from "#sdk/totals";
import { until } from "#test/support/sdk";
import { startTestMarket } from "#testing/market";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MB = 1_000_000;

/** Timers that are hours away are kept for the story to run; others run as they do. */
function heldBack() {
	const late: { dueMs: number; run: () => void }[] = [];
	let aheadMs = 0;
	const nowMs = () => Date.now() + aheadMs;
	return {
		late,
		nowMs,
		/** So much later: what became due runs. */
		pass(ms: number) {
			aheadMs += ms;
			for (const timer of [...late])
				if (timer.dueMs <= nowMs()) {
					late.splice(late.indexOf(timer), 1);
					timer.run();
				}
		},
		after(delayMs: number, run: () => void): () => void {
			const timer = { dueMs: nowMs() + delayMs, run };
			if (delayMs > HOUR_MS / 2) late.push(timer);
			const real = delayMs > HOUR_MS / 2 ? undefined : setTimeout(run, delayMs);
			return () => {
				clearTimeout(real);
				if (late.includes(timer)) late.splice(late.indexOf(timer), 1);
			};
		},
	};
}

/** A market's door that takes totals as the real one does. */
class Door {
	readonly root = crypto.random(32);
	readonly posts: { day: number; megabytes: number }[] = [];
	known = 0;
	away = false;
	clockMs: () => number = Date.now;

	fetch: typeof fetch = async (_url, init) => {
		if (this.away) throw new TypeError("no network");
		const { received } = JSON.parse(String(init?.body)) as { received: string };
		const said = readReceived(crypto, this.root, Uint8Array.from(Buffer.from(received, "hex")));
		assert.ok(!("problem" in said), "signed for this market");
		if (said.day !== dayOf(this.clockMs()))
			return Response.json({ problem: "clock", retry: true, spent: "no", detail: "" });
		this.posts.push({ day: said.day, megabytes: said.megabytes });
		this.known = Math.max(this.known, said.megabytes);
		return Response.json({ megabytes: this.known });
	};
}

const RELAY = { key: crypto.random(32), url: "ws://127.0.0.1:1" };
const SEED = crypto.random(32);

/** One device of an account, on its own storage and time. */
async function phone(door: Door, storage: Storage = memoryStorage(), time = heldBack()) {
	const parts: Device = await device({ storage, crypto, after: time.after, nowMs: time.nowMs, fetch: door.fetch });
	const market = { url: "http://market", root: async () => door.root, nowMs: async () => door.clockMs() };
	const totals = new Totals(parts, identityOf(parts, SEED), market);
	door.clockMs = time.nowMs;
	await totals.begin(RELAY);
	const quiet = async () => {
		for (let i = 0; i < 20; i++) await new Promise(setImmediate);
	};
	return {
		totals,
		time,
		storage,
		async days(count: number) {
			for (let i = 0; i < count; i++) {
				time.pass(DAY_MS);
				await quiet();
			}
		},
	};
}

suite("what came to a drawn home, signed", () => {
	test("is said within a day, then at most once a day, and not at all where there are not two more MB", async () => {
		const door = new Door();
		const alice = await phone(door);
		const said = () => door.posts.map(({ megabytes }) => megabytes);
		alice.totals.count(RELAY, 2 * MB - 1);
		await alice.days(3);
		assert.deepEqual(said(), []);
		alice.totals.count(RELAY, 2);
		await alice.days(2);
		assert.deepEqual(said(), [3], "rounded up");
		await alice.days(9);
		assert.deepEqual(said(), [3], "what was said is not said again");
		alice.totals.count(RELAY, 3 * MB);
		await alice.days(3);
		assert.deepEqual(said(), [3, 6]);
		for (let day = 0; day < 20; day++) {
			alice.totals.count(RELAY, 5 * MB);
			await alice.days(1);
		}
		const days = door.posts.map(({ day }) => day);
		assert.equal(new Set(days).size, days.length, "no day has two");
		await alice.totals.close();
	});

	test("at times by chance: two people who began together do not say it together", async () => {
		const times = new Set<number>();
		for (let i = 0; i < 8; i++) {
			const { time, totals } = await phone(new Door());
			times.add(Math.round((time.late[0]?.dueMs ?? 0) / 60_000));
			await totals.close();
		}
		assert.ok(times.size > 4, `${times.size}`);
	});

	test("survives a restart, and counts only what comes to the home that was drawn", async () => {
		const door = new Door();
		const first = await phone(door);
		first.totals.count(RELAY, 3 * MB);
		first.totals.count({ key: crypto.random(32), url: "ws://127.0.0.1:2" }, 9 * MB);
		await first.totals.close();
		const again = await phone(door, first.storage, first.time);
		again.totals.count(RELAY, 2 * MB);
		await again.days(1);
		assert.equal(door.known, 5);
		await again.totals.close();
	});

	test("of two devices that read the same mail is the highest and no sum; a new one begins at what the market knows", async () => {
		const door = new Door();
		const old = await phone(door);
		old.totals.count(RELAY, 40 * MB);
		await old.days(1);
		const fresh = await phone(door, memoryStorage(), old.time);
		for (const one of [old, fresh]) one.totals.count(RELAY, 5 * MB);
		await old.days(2);
		assert.equal(door.known, 45);
		for (const one of [old, fresh]) one.totals.count(RELAY, 10 * MB);
		await old.days(2);
		assert.ok(
			door.posts.some(({ megabytes }) => megabytes === 55) && door.posts.every(({ megabytes }) => megabytes <= 55),
		);
		// the old one is lost; the new one goes on from what was known
		await old.totals.close();
		fresh.totals.count(RELAY, 10 * MB);
		await fresh.days(3);
		assert.ok(door.known > 55 && door.known <= 65, `${door.known}`);
		await fresh.totals.close();
	});

	test("of a device that was away for so long that the mailbox forgot it begins anew, too, and never counts twice", async () => {
		const door = new Door();
		const alice = await phone(door);
		alice.totals.count(RELAY, 5 * MB);
		await alice.days(1);
		door.known = 300;
		alice.totals.forget(RELAY);
		alice.totals.count(RELAY, 7 * MB);
		await alice.days(2);
		assert.equal(door.known, 300);
		alice.totals.count(RELAY, 2 * MB);
		await alice.days(2);
		assert.equal(door.known, 302);
		await alice.totals.close();
	});

	test("waits while the market is away, and goes by the market's day where the device's clock is days off", async () => {
		const door = new Door();
		const alice = await phone(door);
		alice.totals.count(RELAY, 4 * MB);
		door.away = true;
		await alice.days(3);
		door.away = false;
		door.clockMs = () => alice.time.nowMs() + 400 * DAY_MS;
		await alice.days(1);
		assert.equal(door.known, 4);
		await alice.totals.close();
	});
});

suite("a drawn home", () => {
	test("is moved to by whoever qualifies: the card names it, what comes there opens and is signed for, and a thousandth of the bytes is more than that costs", async () => {
		const market = await startTestMarket({ relays: 2 });
		const counted = await proxied(market.url);
		const time = heldBack();
		let opened: Client | undefined;
		try {
			const [alice, carol] = [await market.person("alice"), await market.person("carol")];
			const bob = await createClient({ market: counted.url, device: { after: time.after, nowMs: time.nowMs } });
			opened = bob;
			assert.equal((await bob.home()).why, "not-yet");
			const before = await bob.resolve(await bob.card());
			await bob.market.api.funding.play.mutate({ id: "begin", amount: "1000000000" });
			await bob.send(await carol.card(), bytesSource("big.bin", new Uint8Array(6 * MB)));
			await bob.settle();
			const drawn = await bob.home();
			assert.ok(drawn.relay, drawn.why);
			const card = await bob.card();
			assert.ok(same((await bob.resolve(card)).homes[0]?.relay as Uint8Array, drawn.relay.key));
			assert.ok(before.homes.length === 1);

			let came = 0;
			const received = ({ sizeBytes }: { sizeBytes: number }) => {
				came += sizeBytes;
			};
			await bob.listen({ file: ({ sizeBytes }) => bytesSink(sizeBytes), received });
			await alice.send(card, bytesSource("film.bin", new Uint8Array(2 * MB)));
			await until(() => came === 2 * MB, "the file is there");
			// whoever writes by an old card still reaches them: the old relay is read too
			await until(async () => (await bob.devices()).length > 0, "reads");
			const start = counted.bytes();
			time.pass(DAY_MS);
			const known = async () => (await bob.market.api.home.get.query()).received.megabytes;
			await until(() => counted.posts() === 1, "the total is said");
			await until(() => counted.bytes() > start, "bytes went");
			await new Promise((resolve) => setTimeout(resolve, 50));
			const cost = counted.bytes() - start;
			assert.ok(cost <= (2 * MB) / 1_000, `${cost} bytes for ${2 * MB}`);
			assert.ok((await known()) >= 2);
		} finally {
			await opened?.close();
			await counted.close();
			await market.close();
		}
	});
});

/** A way to a market that counts what goes over it, in both directions. */
async function proxied(url: string) {
	const { hostname, port } = new URL(url);
	let bytes = 0;
	let posts = 0;
	const sockets = new Set<{ destroy(): void }>();
	const server = createServer((near) => {
		const far = connect(Number(port), hostname);
		for (const [from, to] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(from);
			from.on("data", (data) => {
				bytes += data.length;
				if (from === near && data.includes("/v1/received")) posts += 1;
			});
			from.pipe(to);
			from.on("error", () => to.destroy());
		}
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port: own } = server.address() as { port: number };
	return {
		url: `http://127.0.0.1:${own}`,
		bytes: () => bytes,
		posts: () => posts,
		close: () =>
			new Promise<void>((resolve) => {
				for (const socket of sockets) socket.destroy();
				server.close(() => resolve());
			}),
	};
}
