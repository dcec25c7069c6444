import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { LIMIT } from "#contracts/limit";
import { isProblem } from "#contracts/problem";
import { signOpen } from "#contracts/tab";
import { price } from "#contracts/tariff";
import { ownTranche } from "#contracts/tranche";
import { crypto } from "#host/crypto";
import { keys, payload, RawClient, until } from "#test/support/rawclient";
import { until as eventually } from "#test/support/sdk";
import { type Resident, Town } from "#test/support/town";

const TTL_S = 3_600;
const SLICES = 64;
const MIB = SLICES * LIMIT.sliceBytes;

suite("threat 24: a voucher stands behind the sends that need it", () => {
	let town: Town;
	let alice: Resident;
	const clients: RawClient[] = [];

	before(async () => {
		town = await Town.open();
		alice = await town.person();
	});
	after(async () => {
		for (const client of clients) client.ws.terminate();
		await town.end();
	});

	async function connect(): Promise<RawClient> {
		const client = await RawClient.connect(town.relay.url, town.offer.key);
		clients.push(client);
		return client;
	}

	/** A tab of Alice's at the relay, granted by the market itself. */
	async function openTab() {
		const terms = await alice.market.terms();
		assert.ok(!isProblem(terms));
		const session = keys();
		const order = {
			market: terms.market,
			account: alice.identity.account.publicKey,
			tab: crypto.random(16),
			session: session.publicKey,
			relay: town.offer.key,
			cap: amount(10_000_000n),
			tariff: town.offer.tariff,
			fees: terms.fees,
			lifeMs: LIMIT.grantMsMax,
			tranches: [ownTranche(amount(10_000_000n))],
		};
		const grant = await alice.market.open(order, signOpen(crypto, order, alice.identity.account));
		assert.ok(!isProblem(grant));
		return { grant, session };
	}

	test("1 MiB pipelined behind its hello, with its voucher last, arrives whole, in order, and is paid for once", async () => {
		const mailbox = keys();
		const bob = await connect();
		bob.acks = true;
		bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
		await bob.listening();
		const { grant, session } = await openTab();
		const sender = await connect();
		const slices = Array.from({ length: SLICES }, (_, seq) => payload(LIMIT.sliceBytes, seq));
		const pipeline = () => {
			for (let seq = 0; seq < SLICES; seq += 2)
				sender.put(...[seq, seq + 1].map((at) => sender.sendFrame(1, at, slices[at] as Uint8Array)));
		};
		// nothing of an answer is waited for: hello, open, a mebibyte, its voucher, and the mebibyte again
		sender.put(sender.helloFrame({ grant, session }), sender.openFrame(1, mailbox.publicKey, TTL_S));
		pipeline();
		sender.put(sender.payFrame(MIB, TTL_S));
		pipeline();
		await sender.keptAll(SLICES);
		assert.equal(sender.closed, undefined);
		assert.deepEqual(sender.problems, []);
		assert.equal(sender.refused.size, SLICES, "the first time there was no voucher");
		assert.deepEqual(new Set(sender.refused.values()), new Set(["unpaid"]));
		await until("all of it", () => bob.deliveries.length >= SLICES || undefined);
		assert.deepEqual(
			bob.deliveries.map((delivery) => delivery.payload),
			slices,
			"each once, in order",
		);
		sender.askUsage();
		const { used } = await sender.usage();
		assert.equal(used.bytes, BigInt(MIB), "what was refused is not charged");
		const ask = price(grant.tariff, { bytes: BigInt(MIB), byteSeconds: BigInt(MIB * TTL_S) });
		assert.equal(used.nanos, ask);
		await eventually(async () => (await town.earned()) === ask, "the relay is paid", 20_000);
		const report = await town.audit();
		assert.ok(report.holds, report.findings.join("; "));
	});

	test("who goes on without a voucher is stopped at the bound, and nobody is charged", async () => {
		const { grant, session } = await openTab();
		const mailbox = keys();
		const bob = await connect();
		bob.put(bob.helloFrame(), bob.listenFrame(1, mailbox));
		await bob.listening();
		const mallory = await connect();
		mallory.put(mallory.helloFrame({ grant, session }), mallory.openFrame(1, mailbox.publicKey, TTL_S));
		const most = Math.ceil(LIMIT.unpaidBytesMax / LIMIT.sliceBytes) + 1;
		for (let seq = 0; seq < most; seq++) mallory.put(mallory.sendFrame(1, seq, payload(LIMIT.sliceBytes, seq)));
		await mallory.problem("unpaid");
		await mallory.gone();
		assert.equal(bob.deliveries.length, 0);
		mallory.ws.terminate();
		const metrics = await (await fetch(`http://127.0.0.1:${town.relay.port}/metrics`)).text();
		assert.match(metrics, /^farelay_relay_unredeemed_nanos 0$/m);
	});
});
