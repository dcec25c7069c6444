/** Makes the tape of LND's answers anew: `node test/rails/record.ts`. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readInvoice } from "#marketplace/rail/bolt11";
import { storyClock, storyRail, tell } from "#test/support/lnd/story";
import { record, type Tape } from "#test/support/lnd/tape";
import { fine } from "#test/support/market";
import { Network, until } from "./network.ts";
import { programs } from "./programs.ts";

const network = await Network.open(await programs(), ["market", "hub", "operator"]);
try {
	const [market, , operator] = network.members;
	assert.ok(market && operator);
	const preimage = randomBytes(32);
	const hash = createHash("sha256").update(preimage).digest("base64");
	const held = await operator.lnd.call("/v2/invoices/hodl", { hash, value_msat: "4000000", expiry: "3600" });
	const gone = await operator.lnd.invoice(3_000_000n);
	const hashOf = (invoice: string) => Buffer.from(fine(readInvoice(invoice)).paymentHash, "hex").toString("base64");
	await operator.lnd.call("/v2/invoices/cancel", { payment_hash: hashOf(gone) });
	const tape: Tape = {
		atMs: Date.now(),
		facts: {
			good: await operator.lnd.invoice(3_000_000n),
			free: await operator.lnd.invoice(undefined),
			low: await operator.lnd.invoice(3_000_000n),
			gone,
			own: await market.lnd.invoice(3_000_000n),
			held: String(held.payment_request),
			unused: await operator.lnd.invoice(1_000_000n),
		},
		exchanges: [],
	};
	const proxy = await record(market.lnd, tape);
	const clock = { nowMs: tape.atMs };
	const rail = await storyRail(
		proxy.url,
		market.lnd.macaroonPath,
		storyClock(() => clock.nowMs),
	);
	let paying: Promise<unknown> | undefined;
	const stateOf = async () => {
		const hex = Buffer.from(hash, "base64").toString("hex");
		return (await operator.lnd.call(`/v1/invoice/${hex}`)).state;
	};
	await tell(rail, clock, tape.facts, (_, does) => does(), {
		// the stream is open a moment after it was asked for
		listens: async () => {
			await until("it was asked for", async () => tape.exchanges.some(({ path }) => path.includes("/subscribe")));
			await new Promise((resolve) => setTimeout(resolve, 1_000));
		},
		pays: async (invoice) => void (await operator.lnd.pay(invoice)),
		cancels: async (reference) => {
			const payment_hash = Buffer.from(reference, "hex").toString("base64");
			await market.lnd.call("/v2/invoices/cancel", { payment_hash });
		},
		holds: async (invoice) => {
			paying = market.lnd.pay(invoice);
			await until("it is held", async () => (await stateOf()) === "ACCEPTED");
		},
		settles: async () => {
			await operator.lnd.call("/v2/invoices/settle", { preimage: preimage.toString("base64") });
			await paying;
		},
	});
	await rail.close();
	await proxy.close();
	const path = join(import.meta.dirname, "..", "fixtures", "lnd.json");
	await writeFile(path, `${JSON.stringify(tape, null, "\t")}\n`);
	console.log(`${tape.exchanges.length} exchanges are on the tape`);
} finally {
	await network.close();
}
