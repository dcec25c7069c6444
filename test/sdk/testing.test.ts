import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { suite, test } from "node:test";
import { diskFile, folderStorage, intoFolder } from "#node/app";
import { until } from "#test/support/sdk";
import { startTestMarket } from "#testing/market";

const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("farelay-test-"));

suite("a market for tests of apps", () => {
	test("people by name write to each other; a relay that is away comes back with what it kept; nothing is left behind", async () => {
		const before = await folders();
		const market = await startTestMarket({ relays: 2 });
		try {
			const [alice, bob] = [await market.person("alice"), await market.person("bob")];
			assert.equal(await market.person("alice"), alice, "the same person under the same name");
			assert.equal(await alice.balance(), 10_000_000_000n);
			assert.equal((await alice.relays()).length, 2);
			const [relay] = market.relays;
			assert.ok(relay);
			const card = await bob.card({ relay });
			assert.equal((await alice.send(card, "kept while Bob is away")).tick, "sent");
			await relay.stop();
			await relay.start();
			const texts: string[] = [];
			await bob.listen({ text: ({ text }) => void texts.push(text) });
			await until(() => texts.length === 1, "what was kept arrives");

			await alice.close();
			const again = await market.person("alice", {});
			assert.equal(again.account, alice.account, "her app was started again");
			await again.settle();
			assert.ok((await again.balance()) < 10_000_000_000n, "and she was given no more");
			assert.equal(await (await market.person("pauper", { dollars: 0n as never })).balance(), 0n);
		} finally {
			await market.close();
		}
		assert.deepEqual(
			(await folders()).filter((name) => !before.includes(name)),
			[],
		);
	});

	test("an app on Node keeps its state in a folder, and sends and takes files of a disk", async () => {
		const market = await startTestMarket();
		const { mkdtemp, readFile, rm, writeFile } = await import("node:fs/promises");
		const place = await mkdtemp(`${tmpdir()}/farelay-app-`);
		try {
			await writeFile(`${place}/rain.csv`, "12 mm\n");
			const bob = await market.person("bob", { storage: folderStorage(`${place}/bob`) });
			const alice = await market.person("alice");
			const file = await diskFile(`${place}/rain.csv`);
			await alice.send(await bob.card(), file);
			await file.close();
			const paths: string[] = [];
			await bob.listen({
				async file(coming) {
					const arrival = await intoFolder(`${place}/received`, coming);
					paths.push(arrival.path);
					return arrival;
				},
				received: ({ name }) => void paths.push(name),
			});
			await until(() => paths.length === 2, "the file arrives");
			assert.equal(await readFile(paths[0] as string, "utf8"), "12 mm\n");
			assert.ok(existsSync(`${place}/bob/seed`));
			await assert.rejects(diskFile(`${place}/nothing`), { name: "FarelayError" });
		} finally {
			await market.close();
			await rm(place, { recursive: true, force: true });
		}
	});

	test("a number of relays that makes no sense is refused in words", async () => {
		await assert.rejects(startTestMarket({ relays: 99 }), /0 to 8 relays/);
	});
});
