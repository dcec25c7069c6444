/**
 * The main job, done as people would do it: a deposit over Lightning, a file sent sealed to someone who is offline, kept by a relay, fetched, opened and
 * checked; paid for by vouchers, redeemed, settled, and paid out over Lightning. Everything goes through the SDK, the market's API and the relay's own
 * `/metrics`; nothing here reaches into a service.
 */

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Amount, add, formatAmount, NOTHING, parseAmount } from "#contracts/amount";
import { same, toHex } from "#contracts/bytes";
import { writeDispute } from "#contracts/dispute";
import { marketKeyOf } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { bill } from "#contracts/tab";
import { writeVoucher } from "#contracts/voucher";
import { type DiskSource, diskSink } from "#host/diskfile";
import type { Client } from "#sdk/client";
import { attempt } from "#sdk/door";
import { FarelayError, orThrow } from "#sdk/error";
import type { RelayOffer } from "#sdk/market";
import type { Settlement } from "#sdk/wallet";
import type { Box } from "./box.ts";
import { type Deposited, fundByLightning, fundByPlay } from "./deposit.ts";
import { type PaidOut, payOut } from "./payout.ts";
import { deliverSponsored, type Sponsored } from "./sponsored.ts";

/** What somebody who watches is told. */
export type Teller = {
	/** A step has begun. */
	step(text: string): void;
	/** How far it is. */
	progress(label: string, total: number): { to(done: number): void; end(): void };
};

/** What the job came to. */
export type Outcome = {
	readonly relay: RelayOffer;
	/** how the sender's money came in and the operator's went out; undefined with play money, and a payout where nothing to speak of was earned */
	readonly deposit: Deposited | undefined;
	readonly payout: PaidOut | undefined;
	/** the second delivery, which a pool paid for */
	readonly sponsored: Sponsored;
	readonly sha256: { readonly sent: string; readonly received: string };
	readonly bytes: { readonly payload: number; readonly sealed: bigint; readonly received: number };
	readonly nanos: Readonly<Record<"payer" | "operator" | "marketFee" | "commons" | "returned" | "reserved", Amount>>;
	readonly vouchers: { readonly signed: number; readonly accepted: number; readonly redeemed: number };
	readonly balance: { readonly before: Amount; readonly after: Amount };
	/** Where the received file and the dispute file are. */
	readonly received: string;
	readonly dispute: string;
};

/** How long a relay may take to hand in its till. */
const REDEEM_MS_MAX = 20_000;
const POLL_MS = 100;
/** Tabs or lines asked for at once: the most that the market gives. */
const PAGE = 200;

/** Does the job once; a problem says what failed. */
export async function doJob(box: Box, file: DiskSource, tell: Teller): Promise<Outcome | Problem> {
	const [sender, reader] = await Promise.all([box.person("sender"), box.person("reader")]);
	try {
		return await carry(box, { sender, reader, file }, tell);
	} catch (error) {
		if (error instanceof FarelayError) return error.problem;
		throw error;
	} finally {
		await Promise.all([sender.close(), reader.close()]);
	}
}

type Cast = { readonly sender: Client; readonly reader: Client; readonly file: DiskSource };

async function carry(box: Box, { sender, reader, file }: Cast, tell: Teller): Promise<Outcome | Problem> {
	const [relay] = await sender.relays();
	const operator = box.relays.find(({ url }) => url === relay?.url)?.operator;
	if (!relay || !operator) return problem("not-found", "No relay is listed.");

	tell.step("The reader makes a card, gives it to the sender, and goes offline.");
	const card = await reader.card({ relay, name: "reader" });
	await reader.close();

	const deposit = box.lightning ? await fundByLightning(box.lightning, sender, tell.step) : await fundByPlay(sender);
	if (isProblem(deposit)) return deposit;
	const before = await sender.balance();
	const vouchersBefore = await vouchersAt(relay);
	const cost = await sender.estimate(card, file);
	tell.step(`The sender asks what it costs: ${cost.sealedBytes} bytes sealed, ${say(cost.total)} with fees.`);
	const sending = tell.progress("sending", file.sizeBytes);
	const going = sender.send(card, file, { progress: (bytes) => sending.to(bytes) });
	const { id } = await going.finally(() => sending.end());
	tell.step("All of it is kept by the relay. The relay hands in its vouchers.");
	const redeemed = await untilRedeemed(sender, cost.ask);
	if (isProblem(redeemed)) return redeemed;

	tell.step("The sender closes the tab; what was reserved and not spent comes back.");
	const settled = await sender.settle();
	const money = await settle(sender, settled);
	if (isProblem(money)) return money;
	const accepted = (await vouchersAt(relay)) - vouchersBefore;
	const signed = settled.reduce((sum, { vouchersSigned }) => sum + vouchersSigned, 0);

	tell.step("The reader comes back, fetches the file, opens it and checks it.");
	const got = await fetchFile(box, file, id, tell);
	if (isProblem(got)) return got;
	const sha256 = { sent: await sha256Of(file), received: got.sha256 };
	if (sha256.sent !== sha256.received) return problem("seal-broken", "What arrived is not what was sent.");
	const dispute = await keepDispute(box, sender, settled);
	if (isProblem(dispute)) return dispute;
	const payout = box.lightning && (await payOut(box.lightning, operator, tell.step));
	if (isProblem(payout)) return payout;
	tell.step("Now a second delivery, by somebody who has no money.");
	const sponsored = await deliverSponsored(box, relay, tell.step);
	if (isProblem(sponsored)) return sponsored;
	return {
		relay,
		deposit,
		payout,
		sponsored,
		sha256,
		bytes: { payload: file.sizeBytes, sealed: money.sealed, received: got.bytes },
		nanos: money.nanos,
		vouchers: { signed, accepted, redeemed: await redemptionsOf(operator, settled) },
		balance: { before, after: await sender.balance() },
		received: got.path,
		dispute,
	};
}

const say = (nanos: Amount) => `${formatAmount(nanos)} nano-dollars`;

/** The vouchers that a relay has counted since it started, as its `/metrics` says. */
async function vouchersAt(relay: RelayOffer): Promise<number> {
	const url = new URL("/metrics", relay.url.replace(/^ws/, "http"));
	const text = await (await fetch(url)).text();
	return Number(/^farelay_relay_vouchers_total (\d+)/m.exec(text)?.[1] ?? 0);
}

async function liveTabsOf(client: Client) {
	return orThrow(await attempt(() => client.market.api.tab.list.query({ live: true }))).tabs;
}

/** The tabs of these ids, closed or not, among however many a box that is used for long has had. */
async function tabsOf(client: Client, ids: ReadonlySet<string>) {
	const tabs: Awaited<ReturnType<typeof liveTabsOf>> = [];
	for (let after: string | undefined; ; ) {
		const cursor = after;
		const page = orThrow(await attempt(() => client.market.api.tab.list.query({ after: cursor, limit: PAGE })));
		tabs.push(...page.tabs.filter(({ tab }) => ids.has(tab)));
		if (page.next === null) return tabs;
		after = page.next;
	}
}

/** Waits until the relay has redeemed what was sent. A nano less may be owed: the estimate is rounded up by itself. */
async function untilRedeemed(sender: Client, ask: Amount): Promise<Problem | undefined> {
	const deadline = performance.now() + REDEEM_MS_MAX;
	while (performance.now() < deadline) {
		const open = (await liveTabsOf(sender)).filter(({ state }) => state === "open");
		const paid = open.reduce((sum, tab) => sum + BigInt(tab.paid.nanos), 0n);
		if (paid + BigInt(open.length) >= ask) return undefined;
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
	return problem("redemption-unconfirmed", "The relay did not redeem its vouchers in time.");
}

/** What the closed tabs came to, as the market has it, held against what both ends signed. */
async function settle(sender: Client, settled: readonly Settlement[]) {
	const ids = new Set(settled.map(({ grant }) => toHex(grant.tab)));
	const tabs = (await tabsOf(sender, ids)).filter(({ state }) => state === "closed");
	const failed = settled.find(({ agreement, closed }) => !agreement || isProblem(closed));
	if (failed || tabs.length !== settled.length || tabs.length === 0)
		return failed?.dispute ?? problem("unavailable", "The tab was not closed in agreement.");
	const total = (nanos: (tab: (typeof tabs)[number]) => string | null) =>
		tabs.reduce((sum, tab) => add(sum, parseAmount(nanos(tab)) ?? NOTHING), NOTHING);
	const operator = total(({ paid }) => paid.nanos);
	const marketFee = total(({ paid }) => paid.marketFee);
	const commons = total(({ paid }) => paid.solidarityFee);
	const agreed = settled.map(({ agreement, fees }) => bill(agreement?.usage.used.nanos ?? NOTHING, fees).total);
	const payer = add(...agreed);
	if (payer !== add(operator, marketFee, commons))
		return problem("conflict", "The market charged another amount than both ends signed.", { spent: "yes" });
	return {
		sealed: settled.reduce((sum, { agreement }) => sum + (agreement?.usage.used.bytes ?? 0n), 0n),
		nanos: {
			payer,
			operator,
			marketFee,
			commons,
			returned: total(({ returned }) => returned),
			reserved: total(({ reserved }) => reserved),
		},
	};
}

/** Redemptions of these tabs in the operator's statement. */
async function redemptionsOf(operator: Client, settled: readonly Settlement[]): Promise<number> {
	const ids = settled.map(({ grant }) => `redeem:${toHex(grant.tab)}:`);
	let count = 0;
	for (let after: number | null = 0; after !== null; ) {
		const cursor: number = after;
		const page = orThrow(
			await attempt(() => operator.market.api.account.statement.query({ after: cursor, limit: PAGE })),
		);
		count += page.lines.filter(({ id }) => ids.some((tab) => id.startsWith(tab))).length;
		after = page.next;
	}
	return count;
}

/** The reader, started anew, takes what waits. */
/** Fetches the file of a message; others, which a run that was killed had sent, are received as well. */
async function fetchFile(box: Box, file: DiskSource, id: Uint8Array, tell: Teller) {
	const reader = await box.person("reader");
	const done = Promise.withResolvers<{ path: string; sha256: string; bytes: number } | Problem>();
	const fetching = tell.progress("receiving", file.sizeBytes);
	let path = () => "";
	try {
		await reader.listen({
			async file(coming) {
				const sink = await diskSink(join(box.data, "received"), coming.stream, coming.name);
				if (same(coming.id, id)) path = () => sink.path;
				return sink;
			},
			progress: (coming, bytes) => same(coming.id, id) && fetching.to(bytes),
			async received(came) {
				if (same(came.id, id)) done.resolve({ path: path(), sha256: await sha256At(path()), bytes: came.sizeBytes });
			},
			failed: (coming, why) => same(coming.id, id) && done.resolve(why),
		});
		return await done.promise;
	} finally {
		fetching.end();
		await reader.close();
	}
}

async function sha256At(path: string): Promise<string> {
	const { createReadStream } = await import("node:fs");
	const hash = createHash("sha256");
	for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
	return hash.digest("hex");
}

/** How much of a file is read at once. */
const READ_BYTES = 1 << 20;

async function sha256Of(file: DiskSource): Promise<string> {
	const hash = createHash("sha256");
	for (let at = 0; at < file.sizeBytes; at += READ_BYTES)
		hash.update(await file.read(at, Math.min(READ_BYTES, file.sizeBytes - at)));
	return hash.digest("hex");
}

/** Writes the dispute file of the last tab: grant, voucher, the relay's count and the market's receipt. */
async function keepDispute(box: Box, sender: Client, settled: readonly Settlement[]): Promise<string | Problem> {
	const last = settled.at(-1);
	const terms = await sender.market.terms();
	if (isProblem(terms)) return terms;
	if (!last?.agreement || isProblem(last.closed)) return problem("unavailable", "The tab was not closed in agreement.");
	const { grant, agreement, closed, signed } = last;
	const { crypto } = sender.device;
	const grantKey = marketKeyOf(crypto, terms.keys, grant.keyId, grant.issuedAtMs);
	const receiptKey = closed.receipt && marketKeyOf(crypto, terms.keys, closed.receipt.keyId, closed.receipt.atMs);
	if (!grantKey) return problem("grant-unknown-market");
	const voucher = signed && signed.nanos > agreement.voucher.nanos ? signed : agreement.voucher;
	const text = writeDispute({
		grantKey: grantKey.bytes,
		grant: grant.bytes,
		voucher: writeVoucher(voucher),
		usage: agreement.usage.bytes,
		...(closed.receipt && receiptKey && { receipt: { bytes: closed.receipt.bytes, key: receiptKey.bytes } }),
	});
	const path = join(box.data, `dispute-${toHex(grant.tab)}.json`);
	await writeFile(path, text, { mode: 0o600 });
	return path;
}
