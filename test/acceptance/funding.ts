/** What must be true of deposits on every rail, told on the bench that the rail's own acceptance suite uses. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openSilentLog } from "#host/log";
import { type Deposit, depositKey } from "#marketplace/funding/deposit";
import { creditFor } from "#marketplace/funding/exchange";
import { depositOf, type FundingMarket, startDeposit } from "#marketplace/funding/start";
import { openWatch, type Watch } from "#marketplace/funding/watch";
import { freshAccount, payerAccount } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import type { Rail } from "#marketplace/rail/rail";
import { crypto, fine } from "#test/support/market";
import { heldRates } from "#test/support/rail";
import type { RailBench } from "./rail.ts";

const ADA = "a1".repeat(32);
const RESERVE = 1_000_000_000_000n;
/** How long a payment may take to arrive. */
const ARRIVE_MS_MAX = 30_000;

/** The suite. `open` starts the rail and its other end once. */
export function fundingAcceptance(name: string, open: () => Promise<RailBench>): void {
	describe(`deposits by the rail ${name}`, () => {
		const book = openMemoryBook();
		const rates = heldRates();
		let bench: RailBench;
		let rail: Rail & { hint(reference: string): void };
		let market: FundingMarket;
		let watch: Watch;

		before(async () => {
			bench = await open();
			rail = hinted(bench.rail);
			// cards are taken only where somebody stands in for what is taken back
			const reserve = [
				{ account: "world:card", nanos: -RESERVE },
				{ account: "risk", nanos: RESERVE },
			];
			await book.apply([{ transfer: { id: "reserve", cause: "A reserve", atMs: 1, entries: reserve } }]);
			await comeUp();
		});
		after(async () => {
			await watch?.close();
			await bench?.close();
			assert.deepEqual((await book.audit()).findings, []);
		});

		async function comeUp(): Promise<void> {
			const clock = { ...systemClock, nowMs: () => bench.nowMs() };
			market = { book, clock, crypto, log: openSilentLog(), rails: [rail], rates };
			watch = openWatch(market);
		}
		async function begun(id: string): Promise<Deposit & { reference: string; pay: object }> {
			const asked = creditFor(rail.unit, bench.amounts.in, rates.rate)?.credited;
			assert(asked);
			const { reference, pay, ...deposit } = fine(await startDeposit(market, ADA, { id, rail: rail.name, asked }));
			assert(reference && pay);
			return { ...deposit, reference, pay };
		}
		const pay = async (deposit: Awaited<ReturnType<typeof begun>>): Promise<void> =>
			bench.payIn?.({ reference: deposit.reference, pay: deposit.pay, expiresAtMs: deposit.payUntilMs });
		const hint = async (reference: string): Promise<void> => {
			for (let i = 0; i < 5; i++) rail.hint(reference);
			await watch.idle();
		};
		const now = async (id: string) => (await depositOf(market, depositKey(ADA, id))) ?? assert.fail(`no deposit ${id}`);
		const held = async () => {
			const [own = 0n, fresh = 0n] = await book.balances([payerAccount(ADA), freshAccount(ADA)]);
			return own + fresh;
		};
		async function credited(deposit: { readonly key: string; readonly reference: string }): Promise<Deposit> {
			const end = performance.now() + ARRIVE_MS_MAX;
			for (;;) {
				await hint(deposit.reference);
				const seen = await now(deposit.key.slice(ADA.length + 1));
				if (seen.state === "credited") return seen;
				if (performance.now() > end) assert.fail(`never credited: ${seen.state}`);
				await new Promise((resolve) => setTimeout(resolve, 20));
			}
		}

		it("come every month by a rail that can have that, and by another it is refused before it hears of it", async () => {
			const asked = creditFor(rail.unit, bench.amounts.in, rates.rate)?.credited;
			assert(asked);
			const begun = await startDeposit(market, ADA, { id: "monthly", rail: rail.name, asked, monthly: true });
			if (rail.monthly) assert.equal(fine(begun).state, "waiting");
			else assert(isProblem(begun) && begun.problem === "rail-closed" && /every month/.test(begun.detail));
		});

		it("threat 16: credit what the rail says came, once, however often and wrongly it hints", async () => {
			const [transfers, before] = [await book.count(), await held()];
			const deposit = await begun("one");
			if (bench.payIn) {
				await hint(deposit.reference);
				await hint(bench.strange);
				assert.equal(await held(), before, "a hint brings nothing");
			}
			await pay(deposit);
			const seen = await credited(deposit);
			await hint(deposit.reference);
			const said = fine(await bench.rail.deposit(deposit.reference));
			assert(said.state === "paid");
			assert.deepEqual([seen.came?.units, seen.came?.fee], [said.amount, said.fee]);
			assert.equal((await held()) - before, seen.came?.credited);
			assert((seen.came?.credited ?? 0n) >= deposit.quote.asked, "what was wanted has arrived");
			assert.equal(await book.count(), transfers + 1);
		});

		it("threat 16: go on after a restart, whenever it was paid and whoever asks again", async () => {
			const deposit = await begun("two");
			await watch.close();
			await pay(deposit);
			await comeUp();
			assert.equal((await begun("two")).reference, deposit.reference);
			await credited(deposit);
			const transfers = await book.count();
			await hint(deposit.reference);
			assert.equal(await book.count(), transfers);
		});

		it("threat 17: bring nothing where nothing was paid", async () => {
			if (!bench.payIn) return;
			const [transfers, deposit] = [await book.count(), await begun("three")];
			await hint(deposit.reference);
			await watch.round();
			assert.deepEqual([await book.count(), (await now("three")).state], [transfers, "waiting"]);
		});
	});
}

/** The same rail, which a story can have hint at whatever it likes. */
function hinted(rail: Rail): Rail & { hint(reference: string): void } {
	const hints = new Set<(reference: string) => void>();
	const own: Record<PropertyKey, unknown> = {
		hint: (reference: string) => hints.forEach((hint) => void hint(reference)),
		onEvent: (hint: (reference: string) => void) => {
			hints.add(hint);
			const cancel = rail.onEvent(hint);
			return () => {
				hints.delete(hint);
				cancel();
			};
		},
	};
	return new Proxy(rail, {
		get: (target, name) => {
			if (Object.hasOwn(own, name)) return own[name];
			const part: unknown = Reflect.get(target, name);
			return typeof part === "function" ? part.bind(target) : part;
		},
	}) as Rail & { hint(reference: string): void };
}
