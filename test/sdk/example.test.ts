import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseDollars } from "#contracts/amount";
import { createClient } from "#sdk/client";
import { startWorld, type World } from "#test/support/world";

let world: World;
before(async () => {
	world = await startWorld();
	await world.relay();
});
after(() => world.end());

test("twenty lines send a message to somebody who is offline, and pay for it", async () => {
	const url = world.market.url;
	const fund = (client: { market: Awaited<ReturnType<typeof createClient>>["market"] }) =>
		client.market.api.funding.play.mutate({ id: "example-money", amount: "1000000000" });
	const heard: string[] = [];
	const console = { log: (line: string) => heard.push(line) };

	// README: begin
	const bob = await createClient({ market: url });
	const card = await bob.card({ name: "Bob" }); // a link: show it, send it, print it as a QR code

	const alice = await createClient({ market: url, spendLimit: parseDollars("0.05") });
	await fund(alice);
	const { total } = await alice.estimate(card, "Good morning, Bob");
	const sent = await alice.send(card, "Good morning, Bob"); // resolves when the relay has it on disk
	console.log(`${sent.tick} for ${total} nano-dollars`);

	const read = new Promise<void>((resolve) => {
		bob.listen({
			text({ text }) {
				console.log(text);
				resolve();
			},
		});
	});
	await read;
	await alice.settle(); // signs exactly what was used; the rest of the money comes back
	await Promise.all([alice.close(), bob.close()]);
	// README: end

	assert.deepEqual(heard, [`sent for ${total} nano-dollars`, "Good morning, Bob"]);
});
