/** Drawn homes and readers' totals at a market's door: what is asked, signed, sent again, made up and raced for (threats 1, 4 and 21). */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { dayOf, type Received, signReceived } from "#contracts/received";
import { openMemoryBoard } from "#marketplace/board/memory";
import { HOME_RULES } from "#marketplace/home/room";
import { roomOf } from "#marketplace/home/totals";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { heldClock } from "#test/support/clock";
import { carried, crypto, DAY_MS, Person, startTestMarket, type TestMarket, TestRelay } from "#test/support/market";

const MB = 1_000_000n;

describe("homes and totals at a market", () => {
	const book = openMemoryBook();
	let market: TestMarket;
	let relays: TestRelay[];
	const byKey = (id: string | undefined) => relays.find((relay) => relay.id === id) as TestRelay;

	beforeEach(async () => {
		market = await startTestMarket({});
		relays = Array.from({ length: 6 }, () => new TestRelay(market));
		for (const relay of relays) await relay.list();
	});
	afterEach(() => market.end());

	/** Somebody who paid a relay for so many bytes. */
	async function payer(relay: TestRelay, bytes = 6n * MB, person = new Person(market)): Promise<Person> {
		await person.fund(50_000_000n);
		const grant = await person.open({ relay: relay.key.publicKey, cap: amount(10_000_000n) });
		const used = carried(bytes);
		await relay.redeem({ tab: grant.tab, used, voucher: person.voucher(grant, used) } as never);
		return person;
	}

	async function say(person: Person, change: Partial<Received> & { readonly relay: Uint8Array; megabytes: number }) {
		const said = { account: person.account.publicKey, day: dayOf(market.clock.nowMs()), ...change };
		const received = Buffer.from(signReceived(crypto, market.market, said, person.account)).toString("hex");
		const response = await relays[0]?.post("/v1/received", { received });
		return (await response?.json()) as { megabytes?: number; problem?: string };
	}

	it("x", async () => {
		const alice = await payer(relays[0] as TestRelay);
		const answer = await alice.client.home.draw.mutate({});
		console.log(answer);
		const home = byKey(answer.home?.relay);
		console.log(await say(alice, { relay: home.key.publicKey, megabytes: 3 }), await alice.client.home.get.query());
		void [assert, book, fromHex, HOME_RULES, roomOf, DAY_MS, openMemoryBoard, heldClock];
	});
});
