import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { toHex } from "#contracts/bytes";
import { LIMIT } from "#contracts/limit";
import { crypto } from "#host/crypto";
import { openMemoryMailStore } from "#relay/mailbox/memory";
import type { MailStore } from "#relay/mailbox/store";
import { mail } from "#test/acceptance/mailstore";
import { DEVICE, keys, payload, until } from "#test/support/rawclient";
import { startTestRelay } from "#test/support/relay";

suite("PROTOCOL: Reading much that waits", () => {
	test("10,000 mails are read in pages, and live traffic is answered between them", async (t) => {
		const store = openMemoryMailStore();
		const events: ("page" | "live")[] = [];
		const watched: MailStore = {
			...store,
			state: (mailbox) => store.state(mailbox),
			read: async (...asked) => {
				const [, , , , countMax, bytesMax] = asked;
				assert(
					countMax <= 256 && bytesMax <= 256 * 1024,
					"a page that holds the writer for longer than others may wait",
				);
				events.push("page");
				const page = await store.read(...asked);
				assert(page.length <= 256);
				// as from another thread: what else came meanwhile is worked on first
				await new Promise((resolve) => setImmediate(resolve));
				return page;
			},
		};
		const relay = await startTestRelay(t, {}, { store: watched });
		const mailbox = keys();
		const id = toHex(mailbox.publicKey);
		await store.visit(id, toHex(DEVICE), undefined, Date.now());
		const expiresAtMs = Date.now() + 3_600_000;
		const waiting = Array.from({ length: 10_000 }, (_, i) => mail(i + 1, { mailbox: id, expiresAtMs }));
		await store.keep(waiting);

		const [token, open] = [crypto.random(16), keys()];
		const carol = await relay.listener(open, 1, token);
		const alice = await relay.sender();
		alice.put(alice.payFrame(1_000_000, 0), alice.openFrame(1, open.publicKey, 0, token));
		await until("the credit", () => alice.credits[0]);

		const bob = await relay.reader();
		bob.put(bob.listenFrame(1, mailbox));
		let [acked, sent] = [0, 0];
		await until("all that waits", () => {
			const { length } = bob.deliveries;
			if (length > acked) bob.ack([acked + 1, length]);
			acked = length;
			if (carol.deliveries.length === sent) {
				if (sent > 0) events.push("live");
				alice.put(alice.sendFrame(1, sent++, payload(100)));
			}
			return acked === waiting.length || undefined;
		});
		const alone = Math.max(
			...events
				.join(" ")
				.split("live")
				.map((pages) => pages.split("page").length - 1),
		);
		const window = LIMIT.windowFrames / 256;
		assert(alone <= 4 * window, `${alone} pages were read while nobody else was served`);
		await until("the acks", () => store.state(id)?.messages === 0 || undefined);
	});
});
