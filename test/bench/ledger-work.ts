/**
 * What the ledger is measured with: tabs at some relays, and what their relays redeem, as `tab/redeem.ts` decides it; deposits, as single
 * transfers. All of it follows from numbers, so that two sides can be given the same work and be compared by what is in their files.
 */
import { hash } from "node:crypto";
import { amount, NOTHING } from "#contracts/amount";
import { fromHex } from "#contracts/bytes";
import { signGrant } from "#contracts/grant";
import { isProblem } from "#contracts/problem";
import { signReceipt } from "#contracts/redemption";
import { bill } from "#contracts/tab";
import { ownTranche } from "#contracts/tranche";
import { NO_TOTALS } from "#contracts/voucher";
import { crypto as native } from "#host/crypto";
import type { Change } from "#marketplace/ledger/book";
import { earnedAccount, holdAccount, payerAccount, WORLD_PLAY } from "#marketplace/ledger/chart";
import { move, reserve } from "#marketplace/ledger/post";
import { decideRedeem } from "#marketplace/tab/redeem";
import { type Tab, writeTab } from "#marketplace/tab/tab";

/** So many tabs, evenly at so many relays. Those of `some` redeem (all when it is left out): so many, from the first of them on. */
export type Town = {
	readonly tabs: number;
	readonly relays: number;
	readonly some?: { readonly first: number; readonly count: number };
};

/** A relay's batch (PROTOCOL.md, "Redemption"). */
export const BATCH = 300;

const NOW_MS = 1_760_000_000_000;
const CAP = amount(500_000_000n);
const TARIFF = { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) };
const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };
const key = (of: string) => hash("sha256", of, "hex");
const bytes = (hex: string) => fromHex(hex) as Uint8Array;
const online = native.keyPair(bytes(key("market")));
/** Signatures of the right length: what is measured only carries them. */
const crypto = { ...native, sign: (message: Uint8Array) => hash("sha512", message, "buffer") };

export const tabId = (i: number) => key(`tab ${i}`).slice(0, 32);
const accountKey = (i: number) => key(`account ${i}`);

function newTab({ relays }: Town, i: number): Tab {
	const [tab, account, relay] = [tabId(i), accountKey(i), key(`relay ${i % relays}`)];
	const terms = {
		market: online.publicKey,
		tab: bytes(tab),
		session: bytes(key(`session ${i}`)),
		relay: bytes(relay),
		cap: CAP,
		tariff: TARIFF,
		issuedAtMs: NOW_MS,
		expiresAtMs: NOW_MS + 604_800_000 - i,
		redeemByMs: NOW_MS + 691_200_000 - i,
	};
	return {
		version: 0,
		tab,
		account,
		relay,
		operator: key(`operator ${i % relays}`),
		state: "open",
		grant: signGrant(crypto, terms, online),
		fees: FEES,
		tranches: [ownTranche(CAP)],
		counted: undefined,
		reserved: bill(CAP, FEES).total,
		paid: NO_TOTALS,
		receipt: undefined,
		returned: undefined,
		fresh: NOTHING,
		late: NOTHING,
		waits: false,
		forfeited: NOTHING,
	};
}

/** A deposit of an account. */
function deposit(id: string, account: string, nanos: bigint): Change {
	const label = { id: `deposit:${id}`, cause: "Deposit of play money", atMs: NOW_MS };
	const part = (name: string) => [{ account: name, nanos: amount(nanos) }];
	return { transfer: move(label, part(WORLD_PLAY), part(payerAccount(account))) };
}

/** What opens all of a town's tabs, in calls. */
export function* openings(town: Town): Iterable<Change[]> {
	for (let first = 0; first < town.tabs; first += BATCH) {
		const count = Math.min(BATCH, town.tabs - first);
		yield Array.from({ length: count }, (_, n) => first + n).flatMap((i) => {
			const tab = newTab(town, i);
			const label = { id: `open:${tab.tab}`, cause: `Reserved for tab ${tab.tab} at relay ${tab.relay}`, atMs: NOW_MS };
			const from = [{ account: payerAccount(tab.account), nanos: tab.reserved }];
			const transfer = reserve(label, from, holdAccount(tab.tab));
			return [deposit(`for-${tab.tab}`, tab.account, tab.reserved), { transfer, rows: [writeTab(tab)] }];
		});
	}
}

/**
 * What relays redeem, a batch in a call, relay after relay: each goes through its tabs in an order that has nothing to do with when they were opened or
 * what they are called. `skip` leaves out as many calls, for a town where those were made before.
 */
export function redemptions(town: Town, calls: number, skip = 0): Change[][] {
	const { relays, some = { first: 0, count: town.tabs } } = town;
	const orders = Array.from({ length: relays }, (_, relay) =>
		Array.from({ length: some.count / relays }, (_, n) => some.first + n * relays + relay)
			.map((i) => ({ i, by: key(`order ${i}`) }))
			.sort((a, b) => (a.by < b.by ? -1 : 1)),
	);
	const known = new Map<number, Tab>();
	return Array.from({ length: skip + calls }, (_, call) => {
		const order = orders[call % relays] ?? [];
		const turn = Math.floor(call / relays) * BATCH;
		return Array.from({ length: BATCH }, (_, n) => {
			const { i } = order[(turn + n) % order.length] ?? { i: 0 };
			const tab = known.get(i) ?? { ...newTab(town, i), version: 1 };
			const { change, next } = redeem(tab, call + n);
			known.set(i, next);
			return change;
		});
	}).slice(skip);
}

/** The next redemption of a tab: something between one and two MB more, some of it kept for a while. */
function redeem(tab: Tab, salt: number): { change: Change; next: Tab } {
	const more = 1_000_000n + BigInt((salt * 7_919) % 1_000_000);
	const used = { bytes: tab.paid.bytes + more, byteSeconds: tab.paid.byteSeconds + more * 600n };
	const claim = { tab: tab.grant.tab, used, voucher: { ...used, nanos: CAP, signature: new Uint8Array(64) } };
	const redeemed = decideRedeem(tab, claim as never, NOW_MS, tab.grant.redeemByMs, (receipt) =>
		signReceipt(crypto, receipt, online),
	);
	if (isProblem(redeemed) || !redeemed.change) throw new Error("a redemption of the benchmark moves nothing");
	return { change: redeemed.change, next: { ...redeemed.tab, version: tab.version + 1 } };
}

/** Deposits, each in a call of its own, of accounts in an order that repeats late. */
export function deposits(accounts: number, calls: number): Change[][] {
	return Array.from({ length: calls }, (_, n) => [
		deposit(key(`deposit ${n}`), accountKey((n * 7_919) % accounts), BigInt(1 + n)),
	]);
}

/** How many changes calls hold. */
export const changesIn = (calls: readonly (readonly Change[])[]) => calls.reduce((sum, call) => sum + call.length, 0);

/** The account of who earns at a relay. */
export const operatorOf = ({ relays }: Town, relay: number) => earnedAccount(key(`operator ${relay % relays}`));
