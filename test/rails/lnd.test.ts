import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { readInvoice } from "#marketplace/rail/bolt11";
import { type LndConfig, openLnd } from "#marketplace/rail/lnd";
import type { PayOrder, Rail } from "#marketplace/rail/rail";
import { fundingAcceptance } from "#test/acceptance/funding";
import { type RailBench, railAcceptance } from "#test/acceptance/rail";
import { type Member, Network, until } from "#test/rails/network";
import { programs } from "#test/rails/programs";
import type { Json } from "#test/support/lnd/node";
import { fine } from "#test/support/market";

const RANGE = { min: 1_000n, max: 2_000_000_000n };

describe("Lightning by LND, real nodes on a chain of their own", () => {
	let network: Network;
	let market: Member;
	let hub: Member;
	let operator: Member;
	const rails: Rail[] = [];
	const key = randomBytes(32);
	before(async () => {
		network = await Network.open(await programs(), ["market", "hub", "operator"]);
		const [first, second, third] = network.members;
		assert.ok(first && second && third);
		[market, hub, operator] = [first, second, third];
	});
	after(async () => {
		for (const rail of rails) await rail.close();
		await network?.close();
	});

	const config = (more: Partial<LndConfig> = {}): LndConfig => ({
		url: market.lnd.url,
		macaroonPath: market.lnd.macaroonPath,
		certPath: market.lnd.certPath,
		network: "simnet",
		ranges: { in: RANGE, out: RANGE },
		payMsMax: 20_000,
		...more,
	});
	const open = async (more: Partial<LndConfig> = {}) => {
		const rail = fine(await openLnd(config(more), { clock: systemClock, preimageKey: key }));
		rails.push(rail);
		return rail;
	};
	/** All that the market's node has, once nothing is under way any more. */
	const settled = async (rail: Rail): Promise<bigint> => {
		await until("nothing is under way", async () => {
			const { channels } = await market.lnd.call("/v1/channels");
			return (channels as Json[]).every((each) => (each.pending_htlcs as Json[]).length === 0);
		});
		const { spendable, pending } = fine((await rail.balance()) ?? assert.fail("no balance"));
		return spendable + pending;
	};
	const order = (to: string, amount: bigint, feeMax = 50_000n): PayOrder => ({
		id: randomBytes(16).toString("hex"),
		to,
		amount,
		feeMax,
	});
	/** What the operator's node has got for an invoice of its own. */
	const arrived = async (to: string) => {
		const { paymentHash } = fine(readInvoice(to));
		const found = await operator.lnd.call(`/v1/invoice/${paymentHash}`);
		return BigInt(String(found.amt_paid_msat));
	};

	const bench = async (): Promise<RailBench> => ({
		rail: await open(),
		amounts: { in: 20_000_000n, out: 7_654_321n },
		feeMax: 50_000n,
		nowMs: () => Date.now(),
		payIn: async ({ pay }) => {
			assert.ok(pay.kind === "invoice");
			await operator.lnd.pay(pay.invoice);
		},
		destination: (amount) => operator.lnd.invoice(amount),
		arrived,
		nowhere: [
			// of this network and of others, complete and not
			(await operator.lnd.invoice(1_000_000n)).slice(0, -1),
			await market.lnd.invoice(7_654_321n, "the market's own"),
			await operator.lnd.invoice(7_654_322n, "another amount"),
			"lnbc1",
			"operator@example.org",
		],
		strange: createHash("sha256").update("strange").digest("hex"),
		close: async () => {},
	});
	railAcceptance("of LND, over a hub that takes a fee", bench);
	fundingAcceptance("of LND", bench);

	it("a fee ceiling is a ceiling: below the hub's fee nothing leaves, at the fee it does", async () => {
		const rail = await open();
		const before = await settled(rail);
		const to = await operator.lnd.invoice(10_000_000n);
		const low = await rail.pay(order(to, 10_000_000n, 1_009n));
		assert.deepEqual(low, { state: "failed", why: "there is no way to the receiver within the fee ceiling" });
		assert.equal(await settled(rail), before);
		assert.equal(await arrived(to), 0n);
		const second = await operator.lnd.invoice(10_000_000n);
		const sent = await rail.pay(order(second, 10_000_000n, 1_010n));
		assert.ok(sent.state === "sent");
		assert.equal(sent.fee, 1_010n);
	});

	it("threat 17: the market does not pay itself, and says that nothing left", async () => {
		const rail = await open();
		const started = fine(
			await rail.start({ id: "self", amount: 5_000_000n, text: "", expiresAtMs: Date.now() + 60_000 }),
		);
		assert.ok(started.pay.kind === "invoice");
		const said = await rail.pay(order(started.pay.invoice, 5_000_000n));
		assert.equal(said.state, "failed");
		assert.deepEqual(await rail.deposit(started.reference), { state: "waiting" });
	});

	it("threat 17: an invoice without an amount takes what was ordered, and one that has ended takes nothing", async () => {
		const rail = await open();
		const free = await operator.lnd.invoice(undefined);
		const sent = await rail.pay(order(free, 3_000_001n));
		assert.ok(sent.state === "sent" && sent.amount === 3_000_001n);
		assert.equal(await arrived(free), 3_000_001n);
		const brief = await operator.lnd.invoice(1_000_000n, "brief", 11);
		await until("the invoice is about to end", async () => fine(readInvoice(brief)).expiresAtMs - 10_000 < Date.now());
		assert.deepEqual(await rail.pay(order(brief, 1_000_000n)), { state: "failed", why: "the invoice has ended" });
	});

	it("threat 17: a deposit that nobody paid in time has ended, and its invoice cannot be paid any more", async () => {
		const rail = await open();
		const asked = { id: "late", amount: 2_000_000n, text: "", expiresAtMs: Date.now() + 2_000 };
		const { reference, pay } = fine(await rail.start(asked));
		await until("it has ended", async () => fine(await rail.deposit(reference)).state === "ended");
		assert.ok(pay.kind === "invoice");
		const invoice = pay.invoice;
		await assert.rejects(operator.lnd.pay(invoice));
		assert.deepEqual(await rail.deposit(reference), { state: "ended" });
	});

	it("the same deposit with another amount is refused", async () => {
		const rail = await open();
		const asked = { id: "changed", amount: 2_000_000n, text: "", expiresAtMs: Date.now() + 60_000 };
		fine(await rail.start(asked));
		const said = await rail.start({ ...asked, amount: 2_000_001n });
		assert.ok(isProblem(said) && said.problem === "conflict");
	});

	for (const [name, settles] of [
		["arrives all the same", true],
		["comes back", false],
	] as const)
		it(`threat 19: LND dies in the middle of a payment that ${name}: unknown first, then found by its hash`, async () => {
			const rail = await open();
			const preimage = randomBytes(32);
			const hash = createHash("sha256").update(preimage).digest();
			const held = await operator.lnd.call("/v2/invoices/hodl", {
				hash: hash.toString("base64"),
				value_msat: "4000000",
				expiry: "3600",
			});
			const asked = order(String(held.payment_request), 4_000_000n);
			const before = await settled(rail);
			const paying = rail.pay(asked);
			const state = async () => (await operator.lnd.call(`/v1/invoice/${hash.toString("hex")}`)).state;
			await until("the money is held at the other end", async () => (await state()) === "ACCEPTED");
			assert.deepEqual(await rail.payment(asked), { state: "sending" });
			await market.kill();
			const said = await paying;
			assert.equal(said.state, "unknown");
			assert.ok(isProblem(await rail.payment(asked)));
			// meanwhile the other end decides
			if (settles) await operator.lnd.call("/v2/invoices/settle", { preimage: preimage.toString("base64") });
			else await operator.lnd.call("/v2/invoices/cancel", { payment_hash: hash.toString("base64") });
			await market.start();
			await until("LND knows what became of it", async () => {
				const found = fine(await rail.payment(asked));
				assert.notEqual(found.state, "absent");
				return found.state === "sent" || found.state === "failed";
			});
			const found = fine(await rail.payment(asked));
			assert.equal(found.state, settles ? "sent" : "failed");
			// asked to pay once more, it says the same of a payment that was made
			if (settles) assert.deepEqual(await rail.pay(asked), found);
			const cost = found.state === "sent" ? found.amount + found.fee : 0n;
			await until("the balance is right again", async () => (await settled(rail)) === before - cost);
			await until("it is well again", async () => (await rail.check()) === undefined);
		});

	it("hints come again after LND was away", async () => {
		const rail = await open();
		const hints: string[] = [];
		const cancel = rail.onEvent((reference) => hints.push(reference));
		await market.kill();
		await market.start();
		await until("it is well again", async () => (await rail.check()) === undefined);
		await until("a hint", async () => {
			const id = randomBytes(8).toString("hex");
			const { pay, reference } = fine(
				await rail.start({ id, amount: 1_000_000n, text: "", expiresAtMs: Date.now() + 60_000 }),
			);
			assert.ok(pay.kind === "invoice");
			await operator.lnd.pay(pay.invoice);
			return hints.includes(reference);
		});
		cancel();
	});

	it("refuses a node that shows another certificate, a macaroon that is not its own, and another network", async () => {
		const other = await (await open({ certPath: hub.lnd.certPath })).check();
		assert.ok(isProblem(other) && /connection failed/.test(other.detail));
		const macaroonPath = join(market.lnd.macaroonPath, "..", "mine.macaroon");
		const bytes = Buffer.from(readFileSync(market.lnd.macaroonPath));
		bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
		await writeFile(macaroonPath, bytes);
		const forged = await (await open({ macaroonPath })).check();
		assert.ok(isProblem(forged) && /refused/.test(forged.detail), JSON.stringify(forged));
		assert.ok(!JSON.stringify(forged).includes(bytes.toString("hex").slice(0, 32)));
		const wrong = await (await open({ network: "bitcoin" })).check();
		assert.ok(isProblem(wrong) && /simnet/.test(wrong.detail));
	});
});
