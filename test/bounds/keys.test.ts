import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME } from "#contracts/frame";
import { crypto } from "#host/crypto";
import { keys, payload, until } from "#test/support/rawclient";
import { besiege, inWaves, Siege } from "./siege.ts";

suite("threats 7, 11 and 12 at full size: fresh keys, deaf readers, tags", () => {
	test("threat 7: a thousand fresh keys take nothing unpaid, counted in bytes that the relay wrote", async (t) => {
		const siege = await Siege.begin(t);
		const mailbox = keys();
		const bob = await siege.listener(mailbox);
		let refused = 0;
		let told = 0;
		await besiege(t, siege, async () => {
			await inWaves(1_000, 50, async () => {
				const client = await siege.sender();
				const sends = [0, 1, 2, 3, 4].map((seq) => client.sendFrame(1, seq, payload(12_000, seq)));
				client.put(client.openFrame(1, mailbox.publicKey, 3_600), ...sends);
				await until("five refusals", () => client.refused.size === 5);
				refused += [...client.refused.values()].filter((code) => code === "unpaid").length;
				told += client.messages.reduce((sum, bytes) => sum + bytes, 0);
				client.ws.terminate();
			});
		});
		assert.equal(refused, 5_000);
		assert.equal(bob.deliveries.length, 0);
		const pairBytes = (await siege.metric("copies_live_total")) + (await siege.metric("copies_disk_total"));
		assert.equal(
			(await siege.metric("live_bytes_total")) + (await siege.metric("disk_bytes_total")),
			pairBytes * 1_000,
		);
		t.diagnostic(`60 MB were sent unpaid: no byte was forwarded or kept; the senders were answered ${told} bytes`);
	});

	test("a reader that never reads costs its window and what its socket may leave unsent", async (t) => {
		const siege = await Siege.begin(t);
		const deaf = 64;
		const mailboxes = Array.from({ length: deaf * 2 }, () => keys());
		const owner = async (from: number): Promise<void> => {
			const client = await siege.reader();
			for (let i = 0; i < 16; i++) client.put(client.listenFrame(i, mailboxes[from + i] ?? keys()));
			await client.listening(15);
			await client.end();
		};
		for (let from = 0; from < deaf * 2; from += 16) await owner(from);
		const alice = await siege.sender();
		alice.put(alice.payFrame(1_000_000_000, 3_600));
		for (const [i, mailbox] of mailboxes.entries()) alice.put(alice.openFrame(i, mailbox.publicKey, 3_600));
		let seq = 0;
		let most = 0;
		/** 2.4 MB for each of so many mailboxes. */
		const flood = async (from: number): Promise<void> => {
			for (let round = 0; round < 40; round++) {
				for (let i = 0; i < deaf; i++) alice.put(alice.sendFrame(from + i, seq++, payload(60_000, i)));
				await alice.keptAll(Math.max(0, seq - deaf * 20));
				most = Math.max(most, siege.rssMib);
			}
			await alice.keptAll(seq);
		};
		// what the same mail makes a process take where nobody listens is not the readers'
		await flood(deaf);
		const readers = await inWaves(deaf, 8, async (i) => {
			const bob = await siege.reader();
			bob.put(bob.listenFrame(1, mailboxes[i] ?? keys()));
			await bob.listening();
			bob.ws.pause();
			return bob;
		});
		const pair = await siege.pair();
		await pair.write(Promise.resolve());
		const [before, peak] = [siege.rssMib, most];
		const served = await pair.write(flood(0), 60_000);
		assert.equal(alice.refused.size, 0, "what deaf readers gave back was too much for the disk");
		const each = (siege.rssMib - before) / deaf;
		t.diagnostic(
			`${deaf} deaf readers and 154 MB for them: ${each.toFixed(2)} MiB each; at most ${most.toFixed(0)} MiB in all, ${peak.toFixed(0)} where nobody listened; the pair's p99 ${served.p99Ms} ms`,
		);
		// 1.25 MiB by their bounds; the rest is what the process itself takes on the way, shared among few
		assert(each <= 2, `${each} MiB each`);
		for (const bob of readers) bob.ws.terminate();
	});

	test("three thousand tags with as many gaps as they may have cost what their bounds say", async (t) => {
		const siege = await Siege.begin(t);
		const mailbox = keys();
		const bob = await siege.reader();
		const token = crypto.random(16);
		bob.put(bob.listenFrame(1, mailbox, token));
		await bob.listening();
		bob.ws.on("message", () => {
			bob.frames.length = 0;
		});
		await besiege(t, siege, async () => {
			const before = siege.rssMib;
			await inWaves(3_000, 8, async () => {
				const session = keys();
				const grant = siege.market.grant(siege.publicKey, session.publicKey, { cap: 1_000n });
				const client = await siege.sender(undefined, { grant, session });
				client.put(client.payFrame(300, 60), client.openFrame(1, mailbox.publicKey, 0, token));
				// a number apart each: as many gaps as a tag may have, for a few nano-dollars
				client.put(...Array.from({ length: 257 }, (_, i) => client.sendFrame(1, 2 * i, payload(1, i))));
				await until(
					"all to be passed on, or not",
					() => client.numbers(FRAME.passed).size + client.refused.size >= 257,
					60_000,
				);
				client.ws.terminate();
			});
			const grown = siege.rssMib - before;
			t.diagnostic(
				`3,000 tags with 257 gaps each: ${grown.toFixed(0)} MiB more, ${await siege.metric("tags")} tags in memory`,
			);
			// with their tabs, till rows and connections; at 50 KiB each, as it once was, the tags alone came to 150
			assert(grown < 160, `${grown} MiB`);
		});
	});
});
