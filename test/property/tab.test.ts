/** Any order of open, voucher, redeem, close, sweep, doing again, racing and reopening keeps the book whole and loses no nano. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { amount } from "#contracts/amount";
import type { Grant } from "#contracts/grant";
import { type KeyPair, sessionKey } from "#contracts/identity";
import { signListing } from "#contracts/listing";
import { isProblem } from "#contracts/problem";
import { signUsage } from "#contracts/redemption";
import { bill, type OpenOrder, signClose, signOpen } from "#contracts/tab";
import { NO_TRAFFIC, price, type Traffic, within } from "#contracts/tariff";
import { ownTranche } from "#contracts/tranche";
import { signVoucher } from "#contracts/voucher";
import { makeHealth } from "#host/health";
import { openSilentLog } from "#host/log";
import { openMemoryBoard } from "#marketplace/board/memory";
import { type Cards, makeCards } from "#marketplace/card/cards";
import { openSqlitePlaces } from "#marketplace/card/sqlite";
import { openCommons } from "#marketplace/commons/commons";
import { fundPlay } from "#marketplace/funding/play";
import { Carried } from "#marketplace/home/totals";
import { type Keys, openKeys } from "#marketplace/keys/keys";
import type { Book } from "#marketplace/ledger/book";
import { COMMONS, earnedAccount, holdAccount, MARKET_FEES, payerAccount } from "#marketplace/ledger/chart";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { openSqliteBook } from "#marketplace/ledger/sqlite";
import { makeListings } from "#marketplace/listing/listings";
import type { Market } from "#marketplace/market";
import { makeMetrics } from "#marketplace/metrics";
import { RULES } from "#marketplace/sponsor/rules";
import { sourcesOf } from "#marketplace/sponsor/sources";
import { Turns } from "#marketplace/sponsor/turns";
import { redeemBatch } from "#marketplace/tab/batch";
import { checkTabs } from "#marketplace/tab/check";
import { sweep } from "#marketplace/tab/sweep";
import { closeTab, openTab, tabOf } from "#marketplace/tab/tabs";
import { makeOblivious } from "#marketplace/token/oblivious";
import { type HeldClock, heldClock } from "#test/support/clock";
import { DoubleLightning } from "#test/support/doublerail";
import { crypto, DAY_MS, fine, toHex } from "#test/support/market";

const FUNDED = 100_000n;
// rates and prices that leave a fraction nearly every time
const FEES = { marketPpm: 20_300, solidarityPpm: 17_777 };
const TARIFF = { sendPerMb: amount(333_333n), storePerMbDay: amount(77_777n) };
const metrics = makeMetrics(async () => 0);

type Slot = { grant: Grant; fees: typeof FEES; signed: Traffic; acknowledged: Traffic };

const step = fc.oneof(
	fc.record({ do: fc.constant("open" as const), slot: fc.nat(3), cap: fc.bigInt(1n, 60_000n), again: fc.boolean() }),
	fc.record({ do: fc.constant("sign" as const), slot: fc.nat(3), bytes: fc.nat(40_000), ttlS: fc.nat(90_000) }),
	fc.record({
		do: fc.constant("redeem" as const),
		slot: fc.nat(3),
		parts: fc.array(fc.nat(100), { minLength: 1, maxLength: 4 }),
	}),
	fc.record({ do: fc.constant("redeem" as const), slot: fc.nat(3), parts: fc.constant([100]) }),
	fc.record({ do: fc.constant("close" as const), slot: fc.nat(3), final: fc.boolean() }),
	fc.record({ do: fc.constant("pass" as const), hours: fc.constantFrom(1, 5, 30, 60) }),
	fc.record({ do: fc.constant("sweep" as const) }),
	fc.record({ do: fc.constant("reopen" as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Some steps that happen at once, as from several connections. */
const plan = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 3, maxLength: 14 });

describe("tabs", () => {
	let keys: Keys;
	let folder: string;
	let cards: Cards;
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-tabs-"));
		keys = fine(await openKeys(crypto, join(folder, "keys"), heldClock().nowMs()));
		cards = makeCards(crypto, fine(await openSqlitePlaces(join(folder, "cards.db"))));
	});
	after(async () => {
		await cards.close();
		await rm(folder, { recursive: true, force: true });
	});

	class World {
		readonly clock: HeldClock = heldClock();
		readonly seed = crypto.random(32);
		readonly payer: KeyPair = crypto.keyPair(this.seed);
		readonly relay: KeyPair = crypto.keyPair(crypto.random(32));
		readonly operator = crypto.random(32);
		readonly slots = new Map<number, Slot>();
		readonly ended: Slot[] = [];
		market!: Market;
		readonly openBook: (again: boolean) => Promise<Book>;

		constructor(openBook: (again: boolean) => Promise<Book>) {
			this.openBook = openBook;
		}

		async up(again = false): Promise<void> {
			const book = await this.openBook(again);
			const board = openMemoryBoard();
			const listings = makeListings({ crypto, clock: this.clock, board, market: keys.market, privateRelays: true });
			const operators = { of: async () => assert.fail(), look: async () => {}, count: async () => assert.fail() };
			const commons = await openCommons({ book, clock: this.clock }, FEES.solidarityPpm);
			this.market = {
				crypto,
				clock: this.clock,
				log: openSilentLog(),
				book,
				keys,
				oblivious: makeOblivious(new Uint8Array(32), keys.market),
				board,
				listings,
				cards,
				outages: { all: () => [], see: () => {}, mark: async () => {} },
				metrics,
				health: makeHealth(),
				fees: FEES,
				rules: RULES,
				commons,
				sources: sourcesOf({ book, operators, frozen: new Set(), commons, fees: FEES, rules: RULES }),
				carried: new Carried(),
				turns: new Turns(),
				capMax: amount(1_000_000n),
				frozen: new Set(),
				desk: [],
				operators,
				play: true,
				rails: [],
				lightning: new DoubleLightning(),
				payouts: {
					advance: () => assert.fail("nothing is paid out here"),
					round: async () => 0,
					stop: async () => {},
				},
				journal: { append: async () => undefined, since: () => [], covers: () => true, close: async () => {} },
				restoring: { span: undefined, isHeld: () => false, release: async () => {} },
				rates: { now: async () => assert.fail("nothing is exchanged here") },
				proofs: {
					run: async () => assert.fail("nothing is committed to here"),
					newest: () => undefined,
					after: async () => [],
					prove: () => assert.fail("nothing is proven here"),
					halt: () => {},
					close: async () => {},
				},
			};
		}

		async list(): Promise<void> {
			const issuedAtMs = this.clock.nowMs();
			const offer = {
				...{
					market: keys.market,
					relay: this.relay.publicKey,
					operator: this.operator,
					url: "ws://a.b",
					country: "KE",
				},
				...{ bandwidthMbps: 1, storageGb: 1, trafficCapGb: 0, tariff: TARIFF },
				...{ takes: true, storageLeftGb: 1, trafficLeftGb: 0 },
			};
			const times = { issuedAtMs, validUntilMs: issuedAtMs + 60_000 };
			const { bytes } = signListing(crypto, { ...offer, ...times }, this.relay);
			fine(await this.market.listings.take(bytes, issuedAtMs));
		}

		async run(asked: Step): Promise<void> {
			if (asked.do === "open") return this.open(asked.slot, asked.cap, asked.again);
			if (asked.do === "sweep") return void (await sweep(this.market));
			if (asked.do === "pass") return this.clock.advance(asked.hours * 3_600_000);
			if (asked.do === "reopen") return;
			const slot = this.slots.get(asked.slot);
			if (!slot) return;
			if (asked.do === "sign") this.sign(slot, asked.bytes, asked.ttlS);
			else if (asked.do === "redeem") await this.redeem(slot, asked.parts);
			else await this.close(slot, asked.final);
		}

		async open(n: number, cap: bigint, again: boolean): Promise<void> {
			await this.list();
			const tab = crypto.random(16);
			const order: OpenOrder = {
				...{ market: keys.market, account: this.payer.publicKey, tab, relay: this.relay.publicKey },
				...{
					session: sessionKey(crypto, this.seed, tab).publicKey,
					cap: amount(cap),
					tariff: TARIFF,
					fees: FEES,
					lifeMs: DAY_MS,
					tranches: [ownTranche(amount(cap))],
				},
			};
			const signature = signOpen(crypto, order, this.payer);
			const asked = again ? [order, order] : [order];
			const opened = await Promise.all(asked.map((one) => openTab(this.market, one, signature)));
			const [first, second] = opened;
			assert(first && (second === undefined || isProblem(first) === isProblem(second)), "one order, two answers");
			// the clock may pass the listing's end while the order is under way
			if (isProblem(first)) return assert(["balance-short", "not-found"].includes(first.problem), first.problem);
			if (second && !isProblem(second)) assert.deepEqual(second.grant.bytes, first.grant.bytes);
			const before = this.slots.get(n);
			if (before) this.ended.push(before);
			this.slots.set(n, { grant: first.grant, fees: FEES, signed: NO_TRAFFIC, acknowledged: NO_TRAFFIC });
		}

		/** The account signs for more, as far as the cap goes. */
		sign(slot: Slot, bytes: number, ttlS: number): void {
			const more = {
				bytes: slot.signed.bytes + BigInt(bytes),
				byteSeconds: slot.signed.byteSeconds + BigInt(bytes) * BigInt(ttlS),
			};
			if (this.voucher(slot, more)) slot.signed = more;
		}

		voucher(slot: Slot, total: Traffic) {
			const signed = signVoucher(crypto, slot.grant, total, sessionKey(crypto, this.seed, slot.grant.tab).secretKey);
			return isProblem(signed) ? undefined : signed;
		}

		/** The relay claims parts of what was signed, rising or falling, in one batch. */
		async redeem(slot: Slot, parts: readonly number[]): Promise<void> {
			const voucher = this.voucher(slot, slot.signed);
			assert(voucher);
			const claims = parts.map((part) => ({
				tab: slot.grant.tab,
				voucher,
				used: {
					bytes: (slot.signed.bytes * BigInt(part)) / 100n,
					byteSeconds: (slot.signed.byteSeconds * BigInt(part)) / 100n,
				},
			}));
			const relay = this.relay.publicKey;
			const { results } = await redeemBatch(this.market, { relay, atMs: this.clock.nowMs(), claims });
			for (const [i, result] of results.entries()) {
				const { used } = claims[i] as (typeof claims)[number];
				if (!isProblem(result)) {
					if (within(slot.acknowledged, used)) slot.acknowledged = used;
				} else assert(["tab-finished", "redeem-late", "conflict", "too-many"].includes(result.problem), result.problem);
			}
		}

		async close(slot: Slot, final: boolean): Promise<void> {
			const signature = signClose(crypto, keys.market, slot.grant.tab, this.payer);
			const order = { account: this.payer.publicKey, tab: slot.grant.tab, signature };
			const voucher = this.voucher(slot, slot.signed);
			assert(voucher);
			const usage = signUsage(crypto, slot.grant, slot.signed, true, this.clock.nowMs(), this.relay.secretKey).bytes;
			const bytes = new Uint8Array(88);
			const view = new DataView(bytes.buffer);
			[voucher.bytes, voucher.byteSeconds, voucher.nanos].forEach((total, i) => {
				view.setBigUint64(i * 8, total, true);
			});
			bytes.set(voucher.signature, 24);
			const done = await closeTab(
				this.market,
				final ? { ...order, final: { usage, voucher: bytes } } : order,
				toHex(this.payer.publicKey),
			);
			if (isProblem(done)) assert(["redeem-late", "conflict", "too-many"].includes(done.problem), done.problem);
		}

		/** What must hold at any moment. */
		async check(): Promise<void> {
			const { book } = this.market;
			const report = await book.audit([checkTabs]);
			assert.deepEqual(report.findings, []);
			let [asks, spent, held] = [0n, 0n, 0n];
			for (const slot of [...this.slots.values(), ...this.ended]) {
				const tab = await tabOf(this.market, toHex(slot.grant.tab));
				assert(tab);
				assert(within(tab.paid, slot.signed), "paid more than was signed");
				assert(within(slot.acknowledged, tab.paid), "what was acknowledged is there");
				assert.equal(price(TARIFF, tab.paid), tab.paid.nanos);
				asks += tab.paid.nanos;
				spent += bill(tab.paid.nanos, FEES).total;
				held += await book.balance(holdAccount(tab.tab));
			}
			const [payer = 0n, earned = 0n, fee = 0n, commons = 0n] = await book.balances([
				payerAccount(toHex(this.payer.publicKey)),
				earnedAccount(toHex(this.operator)),
				MARKET_FEES,
				COMMONS,
			]);
			assert.equal(earned, asks, "the operator has its whole ask");
			assert.equal(earned + fee + commons, spent, "fees are the bills' and nothing more");
			assert.equal(payer + held + spent, FUNDED, "no nano is lost");
		}
	}

	async function live(world: World, steps: Step[][]): Promise<void> {
		await world.up();
		try {
			await play(world, steps);
		} finally {
			await world.market.book.close();
		}
	}

	async function play(world: World, steps: Step[][]): Promise<void> {
		fine(await fundPlay(world.market, toHex(world.payer.publicKey), "first", amount(FUNDED)));
		for (const together of steps) {
			await Promise.all(together.map((one) => world.run(one)));
			if (together.some((one) => one.do === "reopen")) await world.up(true);
			await world.check();
		}
		await world.clock.advance(3 * DAY_MS);
		await sweep(world.market);
		await world.check();
		for (const { grant } of [...world.slots.values(), ...world.ended])
			assert.equal(await world.market.book.balance(holdAccount(toHex(grant.tab))), 0n, "nothing stays on hold");
	}

	it("keep the book in memory whole", async () => {
		await fc.assert(
			fc.asyncProperty(plan, async (steps) => {
				const book = openMemoryBook();
				await live(new World(async () => book), steps);
			}),
			{
				numRuns: 150,
				// found once: a redemption that a closing beats finds its hold empty, and must look again instead of saying "short"
				examples: [
					[
						[
							[{ do: "open", slot: 0, cap: 2n, again: false }],
							[{ do: "sign", slot: 0, bytes: 3, ttlS: 1 }],
							[
								{ do: "redeem", slot: 0, parts: [34] },
								{ do: "close", slot: 0, final: true },
							],
						],
					],
				],
			},
		);
	});

	it("keep the book on SQLite whole, closed and opened again in between", async () => {
		let run = 0;
		await fc.assert(
			fc.asyncProperty(plan, async (steps) => {
				run += 1;
				const path = join(folder, `ledger-${run}.db`);
				let book: Book | undefined;
				const world = new World(async () => {
					await book?.close();
					book = fine(await openSqliteBook({ path }));
					return book;
				});
				await live(world, steps);
			}),
			{ numRuns: 8 },
		);
	});
});
