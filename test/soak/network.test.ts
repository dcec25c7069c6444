import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import { until } from "#test/support/sdk";
import { chanceOf } from "./chance.ts";
import { type Fault, Network } from "./network.ts";

/** A server that sends back what it gets, and one connection through a network with a fault of one's choice. */
suite("the soak's bad network", () => {
	let server: Server;
	const accepted: Socket[] = [];

	before(async () => {
		server = createServer((socket) => {
			accepted.push(socket);
			socket.on("error", () => {});
			socket.pipe(socket);
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
	});
	after(() => void server.close());

	async function through(fault: Fault, seed: number) {
		const network = await Network.open(chanceOf(seed));
		const address = server.address();
		network.target = typeof address === "object" && address ? address.port : undefined;
		const drawn = network.pass.bind(network);
		network.pass = (socket) => drawn(socket, fault);
		accepted.length = 0;
		const client = dial({ port: network.port, host: "127.0.0.1" });
		const got: Buffer[] = [];
		const end: { how?: string } = {};
		client.on("data", (chunk: Buffer) => void got.push(chunk));
		client.on("error", (error: NodeJS.ErrnoException) => {
			end.how = error.code ?? "error";
		});
		client.on("close", () => {
			end.how ??= "end";
		});
		await once(client, "connect");
		return { network, client, end, text: () => Buffer.concat(got).toString() };
	}

	/** Letters that come back in another order, or not all, are seen. */
	const letters = Array.from({ length: 8_000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");

	for (const fault of ["none", "delay", "slow"] as const)
		test(`${fault}: every byte arrives, in its order`, async () => {
			const { network, client, text } = await through(fault, 7);
			const beganMs = performance.now();
			for (let at = 0; at < letters.length; at += 1_000) client.write(letters.slice(at, at + 1_000));
			await until(() => text().length === letters.length, "all came back");
			assert.equal(text(), letters);
			const tookMs = performance.now() - beganMs;
			if (fault !== "none") assert.ok(tookMs > 10, `${tookMs} ms`);
			assert.equal(network.faults, fault === "none" ? 0 : 1);
			await network.close();
		});

	test("cut: the connection ends in the middle of what was sent, for both", async () => {
		const { network, client, end, text } = await through("cut", 3);
		while (end.how === undefined) {
			client.write(letters);
			await new Promise(setImmediate);
		}
		assert.ok(letters.repeat(20).startsWith(text()), "what came is a beginning");
		await until(() => accepted.every((socket) => socket.destroyed || socket.readableEnded), "the server learns of it");
		await network.close();
	});

	test("reset: both ends are told by a reset", async () => {
		const { network, client, end } = await through("reset", 3);
		while (end.how === undefined) {
			client.write(letters);
			await new Promise(setImmediate);
		}
		assert.match(end.how, /ECONNRESET|EPIPE/);
		await until(() => accepted.every((socket) => socket.destroyed), "the server learns of it");
		await network.close();
	});

	test("half-open: what is sent is swallowed, and at least one end is told nothing", async () => {
		for (const seed of [3, 4, 5, 6]) {
			const { network, client, end, text } = await through("half-open", seed);
			let [cameBytes, sameFor] = [-1, 0];
			while (sameFor < 50 && end.how === undefined) {
				client.write(letters.slice(0, 10_000));
				await new Promise((resolve) => setTimeout(resolve, 2));
				sameFor = text().length === cameBytes ? sameFor + 1 : 0;
				cameBytes = text().length;
			}
			const told = end.how !== undefined && accepted.every((socket) => socket.destroyed);
			assert.ok(!told, `with seed ${seed} both were told`);
			client.destroy();
			await network.close();
		}
	});

	test("the same seed draws the same faults", () => {
		const draws = (seed: number) => {
			const chance = chanceOf(seed);
			return Array.from({ length: 20 }, () => chance.whole(0, 1_000));
		};
		assert.deepEqual(draws(5), draws(5));
		assert.notDeepEqual(draws(5), draws(6));
	});
});
