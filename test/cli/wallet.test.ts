import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { openWalletDoor } from "#box/lightning/door";
import type { Hub } from "#box/lightning/hub";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openSilentLog } from "#host/log";
import { hubAt } from "#test/support/hub";
import { assertRefused, Place } from "#test/support/process";

suite("farelay wallet", () => {
	let place: Place;
	let hub: Hub;
	let close: () => void;
	const wallet = (...words: string[]) => place.run(["wallet", ...words, "--data", place.path("box")]);
	const asJson = (...words: string[]) => place.done(["wallet", ...words, "--data", place.path("box")]);

	before(async () => {
		place = await Place.open();
		const folder = place.path("box", "lightning");
		hub = await hubAt(folder, systemClock);
		const door = await openWalletDoor(hub, { folder, clock: systemClock, log: openSilentLog() });
		assert(!isProblem(door));
		close = () => door.close();
	});
	after(async () => {
		close();
		await hub.stop();
		await place.end();
	});

	test("says what each wallet has, and that it is worth nothing", async () => {
		const { code, out } = await wallet();
		assert.equal(code, 0);
		assert.match(out, /no worth\.\n {2}payer +can pay \d+ satoshi\n {2}operator +can pay \d+ satoshi\n$/);
	});

	test("pays an invoice once, as a deposit is paid, and says by which hash", async () => {
		const order = { id: "deposit", msat: 12_345n, text: "a deposit", expiresAtMs: Date.now() + 60_000 };
		const made = hub.wallets.market.invoice(order);
		assert(!isProblem(made));
		const { paid } = await asJson("pay", made.invoice);
		assert.deepEqual(paid, { paymentHash: made.hash, msat: "12345", feeMsat: "0" });
		assert.equal(hub.wallets.market.incoming(made.hash)?.state, "done");
		const again = await wallet("pay", made.invoice);
		assertRefused(again, 1, "conflict");
		assert.match(again.err, /Nothing was paid: .* paid already/);
	});

	test("makes an invoice for a payout, which the operator's wallet is paid by", async () => {
		const { code, out } = await wallet("invoice", "2.5");
		assert.equal(code, 0);
		const invoice = out.trim();
		assert.match(invoice, /^lnbcrt25n1[a-z0-9]+$/);
		hub.wallets.market.send({ id: "payout", invoice, msat: 2_500n, feeMsatMax: 0n });
		assert.equal((await hub.wallets.market.over("payout", 10_000))?.state, "done");
	});

	test("what is no invoice, no amount and no box is refused plainly; the door is its owner's alone", async () => {
		assertRefused(await wallet("pay", "lnbcrt1nonsense"), 1, "conflict");
		for (const words of [["pay"], ["invoice", "1.2345"]]) assertRefused(await wallet(...words), 2, "usage");
		assertRefused(await wallet("pay", "x", "--wallet", "market"), 2, "usage");
		assertRefused(await place.run(["wallet", "--data", place.path("nowhere")]), 3, "unavailable");
		assert.equal((await stat(place.path("box", "lightning", "operator.sock"))).mode & 0o777, 0o600);
	});
});
