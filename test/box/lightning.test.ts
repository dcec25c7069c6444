import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Hub, openHub } from "#box/lightning/hub";
import { LIGHTNING_RAIL, makeLightningRail } from "#box/lightning/rail";
import type { Payment } from "#box/lightning/store";
import type { Wallet } from "#box/lightning/wallet";
import { isProblem, type Problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { openSilentLog } from "#host/log";
import type { Rail } from "#marketplace/rail/rail";
import { fundingAcceptance } from "#test/acceptance/funding";
import { railAcceptance } from "#test/acceptance/rail";
import { type HeldClock, heldClock } from "#test/support/clock";
import { FOREIGN, hubAt, hubBench, hubFolder } from "#test/support/hub";

/** Longer than any payment here takes, on the machine's own clock. */
const PATIENCE_MS = 20_000;
const HOUR_MS = 3_600_000;

const bench = () => hubBench(async (hub) => ({ rail: makeLightningRail(hub), close: async () => {} }));
railAcceptance("of the box's own Lightning", bench);
fundingAcceptance("of the box's own Lightning", bench);

describe("the box's own Lightning", () => {
	let folder: Awaited<ReturnType<typeof hubFolder>>;
	let clock: HeldClock;
	let hub: Hub;
	let rail: Rail;
	let count = 0;
	const fresh = () => `order-${count++}`;

	before(async () => {
		folder = await hubFolder();
		// wall time and timers are the test's; what LDK waits for are its own turns
		clock = heldClock(Date.UTC(2026, 5, 1));
		hub = await hubAt(folder.path, clock);
	});
	beforeEach(() => {
		rail = makeLightningRail(hub);
	});
	after(async () => {
		await hub.stop();
		await folder.remove();
	});

	async function start(amount: bigint, ms = HOUR_MS) {
		const started = await rail.start({ id: fresh(), amount, text: "a deposit", expiresAtMs: clock.nowMs() + ms });
		assert(!isProblem(started), JSON.stringify(started));
		assert(started.pay.kind === "invoice");
		return { reference: started.reference, invoice: started.pay.invoice };
	}
	/** Pays and waits for the end, in turns: the held clock's deadlines never come. */
	async function pay(wallet: Wallet, invoice: string, feeMsatMax = 10_000n): Promise<Payment> {
		const id = fresh();
		wallet.send({ id, invoice, feeMsatMax });
		const payment = await wallet.over(id, PATIENCE_MS);
		assert(payment, "the payment is over");
		return payment;
	}
	function invoiceOf(wallet: Wallet, msat: bigint): Payment {
		const made = wallet.invoice({ id: fresh(), msat, text: "a payout", expiresAtMs: clock.nowMs() + HOUR_MS });
		assert(!isProblem(made));
		return made;
	}
	async function restart(): Promise<void> {
		await hub.stop();
		hub = await hubAt(folder.path, clock);
		rail = makeLightningRail(hub);
	}
	/** The balance once it is this: the last words about a payment are said after both sides know of it. */
	async function becomes(spendable: bigint): Promise<void> {
		const deadline = performance.now() + PATIENCE_MS;
		for (let found = await spendableNow(); found !== spendable; found = await spendableNow()) {
			assert(performance.now() < deadline, `${found} msat, not ${spendable}`);
			await new Promise(setImmediate);
		}
	}
	async function spendableNow(): Promise<bigint> {
		const balance = await rail.balance();
		assert(balance && !isProblem(balance));
		assert.equal(balance.pending, 0n);
		return balance.spendable;
	}
	const stateOf = async (reference: string) => {
		const found = await rail.deposit(reference);
		assert(!isProblem(found), "it could be asked");
		return found;
	};

	it("a deposit is a BOLT11 invoice; once the payer's wallet has paid it, a hint comes and the rail says what came", async () => {
		assert.equal(rail.name, LIGHTNING_RAIL);
		const before = await spendableNow();
		const { reference, invoice } = await start(5_000_000n);
		assert.match(invoice, /^lnbcrt50u1/);
		assert.deepEqual(await stateOf(reference), { state: "waiting" });
		const hints: string[] = [];
		const cancel = rail.onEvent((hint) => hints.push(hint));
		const paid = await pay(hub.wallets.payer, invoice);
		assert.equal(paid.state, "done");
		assert.equal(paid.hash, reference);
		cancel();
		assert(hints.includes(reference));
		assert.deepEqual(await stateOf(reference), { state: "paid", amount: 5_000_000n, fee: 0n, atMs: clock.nowMs() });
		assert.deepEqual(await stateOf("00".repeat(32)), { state: "absent" });
		await becomes(before + 5_000_000n);
	});

	it("threat 16: the same order is the same invoice, and an invoice is paid once, whoever pays it again and however late", async () => {
		const order = { id: fresh(), amount: 40_000n, text: "twice", expiresAtMs: clock.nowMs() + HOUR_MS };
		const [first, again] = [await rail.start(order), await rail.start(order)];
		assert(!isProblem(first) && first.pay.kind === "invoice");
		assert.deepEqual(again, first);
		const other = await rail.start({ ...order, amount: 50_000n });
		assert(isProblem(other) && other.problem === "conflict");
		const before = await spendableNow();
		assert.equal((await pay(hub.wallets.payer, first.pay.invoice)).state, "done");
		assert.match((await pay(hub.wallets.payer, first.pay.invoice)).says, /paid already/);
		await becomes(before + 40_000n);
		assert.equal((await pay(hub.wallets.operator, first.pay.invoice)).state, "failed", "a second payer");
		// LDK forgets what is over in eight ticks
		for (let minute = 0; minute < 10; minute++) await clock.advance(60_000);
		await restart();
		assert.match((await pay(hub.wallets.payer, first.pay.invoice)).says, /paid already/);
		assert.equal((await pay(hub.wallets.operator, first.pay.invoice)).state, "failed", "a second payer, later");
		await becomes(before + 40_000n);
	});

	it("threat 16: an invoice whose time has passed is not paid, and one that was told to have ended never will be", async () => {
		const late = await start(1_000n, 60_000);
		await clock.advance(61_000);
		assert.match((await pay(hub.wallets.payer, late.invoice)).says, /expired/);
		assert.deepEqual(await stateOf(late.reference), { state: "ended" });
		// a payer whose clock is wrong
		clock.jump(-HOUR_MS);
		assert.equal((await pay(hub.wallets.payer, late.invoice)).state, "failed");
		assert.deepEqual(await stateOf(late.reference), { state: "ended" });
		clock.jump(HOUR_MS);
	});

	it("threat 19: a payout is one payment, however often it is asked for, at once or after a restart", async () => {
		const { invoice, hash } = invoiceOf(hub.wallets.operator, 2_500n);
		const order = { id: fresh(), to: invoice, amount: 2_500n, feeMax: 100n };
		assert.deepEqual(await rail.payment(order), { state: "absent" });
		const before = await spendableNow();
		const answers = await Promise.all([rail.pay(order), rail.pay(order), rail.pay(order)]);
		const [answer] = answers;
		assert(answer?.state === "sent");
		assert.equal(answer.amount, 2_500n);
		assert.equal(answer.fee, 0n);
		assert.deepEqual(answers, [answer, answer, answer]);
		assert.equal(
			createHash("sha256").update(Buffer.from(answer.proof, "hex")).digest("hex"),
			hash,
			"the preimage proves it",
		);
		await restart();
		assert.deepEqual(await rail.pay(order), answer);
		assert.deepEqual(await rail.payment(order), answer);
		const other = await rail.pay({ ...order, id: fresh() });
		assert(other.state === "failed");
		assert.match(other.why, /paid already/);
		assert.equal(hub.wallets.operator.incoming(hash)?.state, "done");
		await becomes(before - 2_500n);
	});

	it("a payout that cannot be is refused for certain: another amount, no invoice, more than the channel has, too late", async () => {
		const before = await spendableNow();
		const { invoice } = invoiceOf(hub.wallets.operator, 2_500n);
		const refused = async (to: string, amount: bigint) => {
			const order = { id: fresh(), to, amount, feeMax: 100n };
			const answer = await rail.pay(order);
			assert(answer.state === "failed", JSON.stringify(answer));
			assert.deepEqual(await rail.payment(order), answer, "and stays refused");
			return answer.why;
		};
		assert.match(await refused(invoice, 2_501n), /another amount/);
		assert.match(await refused("lnbcrt1nonsense", 1n), /not a Lightning invoice/);
		// the channel has room for two of the largest, and not for a third
		for (let i = 0; i < 2; i++) {
			const { invoice: most } = invoiceOf(hub.wallets.operator, 5_000_000_000n);
			assert.equal((await rail.pay({ id: fresh(), to: most, amount: 5_000_000_000n, feeMax: 0n })).state, "sent");
		}
		const { invoice: more } = invoiceOf(hub.wallets.operator, 5_000_000_000n);
		assert.match(await refused(more, 5_000_000_000n), /no way to it/);
		for (let i = 0; i < 2; i++) {
			const { invoice: back } = await start(5_000_000_000n);
			assert.equal((await pay(hub.wallets.operator, back)).state, "done");
		}
		await clock.advance(HOUR_MS + 1_000);
		assert.match(await refused(invoice, 2_500n), /expired/);
		await becomes(before);
	});

	it("it refuses anything but regtest: to start, to open a file, to pay", async () => {
		const open = (data: string, network: string) =>
			openHub({ data, clock: systemClock, log: openSilentLog(), random: crypto.random, network });
		for (const network of ["bitcoin", "mainnet", "testnet", "signet", ""]) {
			const refused = await open(folder.path, network);
			assert(isProblem(refused) && refused.problem === "usage", network);
			assert.match(refused.detail, /regtest alone/);
		}
		const other = await hubFolder();
		await (await hubAt(other.path, systemClock)).stop();
		const file = new DatabaseSync(join(other.path, "lightning.db"));
		file.exec("UPDATE world SET network = 'bitcoin'");
		file.close();
		const foreign = await open(other.path, "regtest");
		assert(isProblem(foreign) && foreign.problem === "usage");
		assert.match(foreign.detail, /network bitcoin/);
		await other.remove();
		for (const invoice of FOREIGN) {
			const paid = hub.wallets.payer.send({ id: fresh(), invoice, feeMsatMax: 0n });
			assert.equal(paid.state, "failed");
			assert.match(paid.says, /another network/);
		}
	});

	it("what its channels were opened with is told apart, after a restart and where no note of it was kept", async () => {
		const stake = hub.stakeMsat;
		assert.equal(stake, 15_680_000_000n);
		await pay(hub.wallets.payer, (await start(70_000n)).invoice);
		await rail.pay({ id: fresh(), to: invoiceOf(hub.wallets.operator, 20_000n).invoice, amount: 20_000n, feeMax: 0n });
		const spendable = await spendableNow();
		await restart();
		assert.equal(hub.stakeMsat, stake);
		const note = async (msat: string) => {
			await hub.stop();
			const file = new DatabaseSync(join(folder.path, "lightning.db"));
			file.exec(`UPDATE world SET stake_msat = ${msat}`);
			file.close();
			hub = await hubAt(folder.path, clock);
			rail = makeLightningRail(hub);
		};
		// once written down it is not reckoned again: what goes missing would seem never to have been there
		await note(`${stake + 5n}`);
		assert.equal(hub.stakeMsat, stake + 5n);
		await note("NULL");
		assert.deepEqual(await rail.balance(), { spendable, pending: 0n, stake });
	});

	it("what is kept survives a restart: channels, what was paid, what still can be", async () => {
		const [paid, waiting] = [await start(7_000n), await start(8_000n)];
		const before = await spendableNow();
		await pay(hub.wallets.payer, paid.invoice);
		await restart();
		assert.equal(await rail.check(), undefined);
		await becomes(before + 7_000n);
		assert.equal((await stateOf(paid.reference)).state, "paid");
		assert.equal((await pay(hub.wallets.payer, waiting.invoice)).state, "done");
		assert.equal((await stateOf(waiting.reference)).state, "paid");
	});

	it("nodes that are stopped answer problems, and a payout that cannot be asked about is unknown, never failed", async () => {
		await hub.stop();
		const closed: (Problem | undefined | object)[] = [await rail.check(), await rail.deposit("00".repeat(32))];
		closed.push(await rail.balance(), await rail.payment({ id: "x", to: "y", amount: 1n, feeMax: 0n }));
		for (const answer of closed) assert(isProblem(answer) && answer.problem === "unavailable", JSON.stringify(answer));
		const paid = await rail.pay({ id: fresh(), to: "lnbcrt1nonsense", amount: 1n, feeMax: 0n });
		assert.equal(paid.state, "unknown");
		hub = await hubAt(folder.path, clock);
	});
});
