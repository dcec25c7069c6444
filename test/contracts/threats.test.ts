/** What they will try against the contracts themselves, by the threats' numbers (SECURITY.md). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AMOUNT_MAX, amount, parseAmount, parseDollars, portion, toJson } from "#contracts/amount";
import { Reader, same, toHex } from "#contracts/bytes";
import { readProblem, readRenew, writeProblem, writeRenew, writeUsageFrame } from "#contracts/control";
import { signForget, verifyForget } from "#contracts/device";
import { advance, cursor, FRAME, frame } from "#contracts/frame";
import { admitGrant, type Grant, readGrant, signGrant, type Terms, verifyGrant } from "#contracts/grant";
import {
	helloHash,
	readClock,
	readHello,
	readWelcome,
	signClock,
	signHello,
	signListen,
	signRenew,
	signWelcome,
	verifyHello,
	verifyListen,
	verifyRenew,
} from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { readListing, signListing } from "#contracts/listing";
import { type KeyEnd, readMarketInfo, readMarketKey, signKeyEnd, signMarketKey, withEnds } from "#contracts/market";
import { isProblem, type Problem, problem, problemOfJson } from "#contracts/problem";
import { readBatch, readReceipt, readRedeemAnswer, readUsage, signBatch, signUsage } from "#contracts/redemption";
import { bill, isOpenOrder, type OpenOrder, signClose, signOpen, verifyClose, verifyOpen } from "#contracts/tab";
import { price, traffic, within } from "#contracts/tariff";
import { ownTranche } from "#contracts/tranche";
import { advances, NO_TOTALS, readVoucher, signVoucher, verifyVoucher, writeVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { flip, must, NOW_MS, patch, u64, world } from "#test/contracts/world";

const w = world(crypto);
const code = (answer: unknown): string | undefined => (isProblem(answer) ? (answer as Problem).problem : undefined);
const granted = (terms: Partial<Terms>): Grant => signGrant(crypto, { ...w.terms, ...terms }, w.online);

test("threat 1: a voucher for one market, relay, tab or session is worth nothing at another", () => {
	assert.equal(verifyVoucher(crypto, w.terms, w.voucher), undefined);
	const others: Partial<Terms>[] = [
		{ market: w.other.publicKey },
		{ relay: w.other.publicKey },
		{ tab: new Uint8Array(16) },
		{ session: w.other.publicKey },
	];
	for (const other of others)
		assert.equal(
			code(verifyVoucher(crypto, { ...w.terms, ...other }, w.voucher)),
			"signature-bad",
			Object.keys(other).join(),
		);
});

test("threat 1: a voucher's money is in its signed bytes, so it cannot be read in another currency or at another tariff", () => {
	const cheaper = { ...w.tariff, sendPerMb: amount(w.tariff.sendPerMb - 1n) };
	assert.equal(code(verifyVoucher(crypto, { ...w.terms, tariff: cheaper }, w.voucher)), "voucher-price");
	const dearer = { ...w.tariff, storePerMbDay: amount(w.tariff.storePerMbDay + 1n) };
	assert.equal(code(verifyVoucher(crypto, { ...w.terms, tariff: dearer }, w.voucher)), "voucher-price");
});

test("threat 1: a voucher at its tab's cap counts and one nano-dollar over it does not", () => {
	const cap = w.voucher.nanos;
	assert.equal(verifyVoucher(crypto, { ...w.terms, cap }, w.voucher), undefined);
	assert.equal(code(verifyVoucher(crypto, { ...w.terms, cap: amount(cap - 1n) }, w.voucher)), "voucher-over-cap");
	assert.ok(!isProblem(signVoucher(crypto, { ...w.terms, cap }, w.voucher, w.session.secretKey)));
	const over = signVoucher(crypto, { ...w.terms, cap: amount(cap - 1n) }, w.voucher, w.session.secretKey);
	assert.equal(code(over), "voucher-over-cap");
	const beyond = signVoucher(crypto, w.terms, { bytes: 2n ** 64n, byteSeconds: 0n }, w.session.secretKey);
	assert.equal(code(beyond), "voucher-over-cap");
});

test("threat 2: the same voucher or an older one does not advance, and one that takes anything back never does", () => {
	const at = (bytes: bigint, byteSeconds: bigint) => ({ bytes, byteSeconds });
	assert.ok(advances(at(1n, 0n), NO_TOTALS) && advances(at(0n, 1n), NO_TOTALS) && advances(at(6n, 5n), at(5n, 5n)));
	assert.ok(!advances(at(5n, 5n), at(5n, 5n)));
	assert.ok(!advances(at(4n, 5n), at(5n, 5n)) && !advances(at(5n, 4n), at(5n, 5n)));
	assert.ok(!advances(at(6n, 4n), at(5n, 5n)) && !advances(at(4n, 6n), at(5n, 5n)));
});

test("threat 6: a claim is within its voucher only if neither its bytes nor its byte-seconds go beyond", () => {
	const voucher = { bytes: 10n, byteSeconds: 100n };
	assert.ok(within({ bytes: 10n, byteSeconds: 100n }, voucher));
	assert.ok(!within({ bytes: 11n, byteSeconds: 0n }, voucher));
	assert.ok(!within({ bytes: 0n, byteSeconds: 101n }, voucher));
});

test("threat 6: a relay cannot state more usage than the tab's cap, another price, or another tab's", () => {
	const beyond = { bytes: 20_000_001n, byteSeconds: 0n };
	assert.throws(() => signUsage(crypto, w.terms, beyond, true, NOW_MS, w.relay.secretKey), RangeError);
	const most = signUsage(crypto, w.terms, { bytes: 20_000_000n, byteSeconds: 0n }, true, NOW_MS, w.relay.secretKey);
	assert.equal(most.used.nanos, w.terms.cap);
	assert.ok(!isProblem(readUsage(crypto, most.bytes, w.terms)));
	const lower = { ...w.terms, cap: amount(w.terms.cap - 1n) };
	assert.equal(code(readUsage(crypto, most.bytes, lower)), "voucher-price");
	const raised = { ...w.terms, tariff: { ...w.tariff, sendPerMb: amount(500_001n) } };
	assert.equal(code(readUsage(crypto, w.usage.bytes, raised)), "voucher-price");
	assert.equal(code(readUsage(crypto, w.usage.bytes, { ...w.terms, tab: new Uint8Array(16) })), "conflict");
});

test("threat 6: live mail is priced without storage", () => {
	assert.deepEqual(traffic(1_000, 0), { bytes: 1_000n, byteSeconds: 0n });
	assert.deepEqual(traffic(1_000, 60, 3), { bytes: 3_000n, byteSeconds: 180_000n });
});

test("threat 6: the signed order to open fixes tariff and fees: another of any field is not what the account signed", () => {
	const signature = signOpen(crypto, w.order, w.account);
	assert.ok(verifyOpen(crypto, w.order, signature));
	const fees = (marketPpm: number, solidarityPpm: number) => ({ ...w.order, fees: { marketPpm, solidarityPpm } });
	assert.ok(!verifyOpen(crypto, fees(20_001, 20_000), signature));
	assert.ok(!verifyOpen(crypto, fees(20_000, 20_001), signature));
	// A number that wraps to the same 32 bits is another rate.
	assert.ok(!verifyOpen(crypto, fees(20_000 + 2 ** 32, 20_000), signature));
	assert.ok(!verifyOpen(crypto, { ...w.order, lifeMs: w.order.lifeMs - 1 }, signature));
});

test("threat 9: nobody else closes a tab", () => {
	const signature = signClose(crypto, w.root.publicKey, w.tab, w.account);
	assert.ok(verifyClose(crypto, w.root.publicKey, w.account.publicKey, w.tab, signature));
	assert.ok(!verifyClose(crypto, w.root.publicKey, w.other.publicKey, w.tab, signature));
	assert.ok(!verifyClose(crypto, w.other.publicKey, w.account.publicKey, w.tab, signature));
	assert.ok(!verifyClose(crypto, w.root.publicKey, w.account.publicKey, new Uint8Array(16), signature));
	const byOther = signClose(crypto, w.root.publicKey, w.tab, w.other);
	assert.ok(!verifyClose(crypto, w.root.publicKey, w.account.publicKey, w.tab, byOther));
	for (const [market, account, tab] of [
		[new Uint8Array(31), w.account.publicKey, w.tab],
		[w.root.publicKey, new Uint8Array(33), w.tab],
		[w.root.publicKey, w.account.publicKey, new Uint8Array(0)],
	] as const)
		assert.equal(verifyClose(crypto, market, account, tab, signature), false);
});

test("threat 9: a hello or a renewal with another session key than the grant's is refused", () => {
	const said = { tag: w.tag, atMs: NOW_MS, nonce: w.nonce, grant: w.grant.bytes };
	const thief = signHello(crypto, said, w.relay.publicKey, w.other);
	assert.ok(!verifyHello(crypto, must(readHello(thief)), w.relay.publicKey));
	const scope = { relay: w.relay.publicKey, helloHash: helloHash(crypto, thief), grant: w.grant.bytes };
	assert.ok(!verifyRenew(crypto, scope, signRenew(crypto, scope, w.other.secretKey), w.session.publicKey));
	assert.ok(verifyRenew(crypto, scope, signRenew(crypto, scope, w.session.secretKey), w.session.publicKey));
});

test("threat 9: a grant is met until two minutes before its end and no longer", () => {
	const end = w.terms.expiresAtMs - LIMIT.grantEndMarginMs;
	assert.equal(admitGrant(w.terms, w.relay.publicKey, end - 1), undefined);
	assert.equal(code(admitGrant(w.terms, w.relay.publicKey, end)), "grant-expired");
	assert.equal(code(admitGrant(w.terms, w.other.publicKey, NOW_MS)), "grant-other-relay");
});

test("threat 9: a grant needs a key of its own market that was in its life when it signed", () => {
	assert.equal(verifyGrant(crypto, w.grant, w.keys), undefined);
	assert.equal(code(verifyGrant(crypto, w.grant, [])), "grant-unknown-market");
	assert.equal(code(verifyGrant(crypto, w.grant, [w.nextMarketKey])), "grant-unknown-market");
	const { fromMs, untilMs } = w.marketKey;
	const issued = (issuedAtMs: number) =>
		verifyGrant(
			crypto,
			must(readGrant(granted({ issuedAtMs, expiresAtMs: issuedAtMs + 1, redeemByMs: issuedAtMs + 1 }).bytes)),
			w.keys,
		);
	assert.equal(issued(fromMs), undefined);
	assert.equal(code(issued(fromMs - 1)), "grant-unknown-market");
	assert.equal(issued(untilMs - 1), undefined);
	assert.equal(code(issued(untilMs)), "grant-unknown-market");
	const borrowed = granted({ market: w.other.publicKey });
	assert.equal(code(verifyGrant(crypto, borrowed, w.keys)), "grant-unknown-market");
});

test("threat 10: a grant's fields at their bounds are read and beyond them are malformed", () => {
	const good: Partial<Terms>[] = [
		{ cap: amount(0n) },
		{ cap: amount(LIMIT.capNanosMax) },
		{ tariff: { sendPerMb: amount(LIMIT.priceNanosMax), storePerMbDay: amount(LIMIT.priceNanosMax) } },
		{ expiresAtMs: NOW_MS + 1, redeemByMs: NOW_MS + 1 },
		{ expiresAtMs: NOW_MS + LIMIT.grantMsMax, redeemByMs: NOW_MS + LIMIT.grantMsMax },
	];
	const bad: Partial<Terms>[] = [
		{ cap: amount(LIMIT.capNanosMax + 1n) },
		{ tariff: { ...w.tariff, sendPerMb: amount(LIMIT.priceNanosMax + 1n) } },
		{ tariff: { ...w.tariff, storePerMbDay: amount(LIMIT.priceNanosMax + 1n) } },
		{ expiresAtMs: NOW_MS, redeemByMs: NOW_MS },
		{ expiresAtMs: NOW_MS + LIMIT.grantMsMax + 1, redeemByMs: NOW_MS + LIMIT.grantMsMax + 1 },
		{ expiresAtMs: NOW_MS + 2, redeemByMs: NOW_MS + 1 },
	];
	for (const terms of good) assert.equal(code(readGrant(granted(terms).bytes)), undefined);
	for (const terms of bad) assert.equal(code(readGrant(granted(terms).bytes)), "malformed");
	for (const over of [AMOUNT_MAX + 1n, 2n ** 64n - 1n])
		for (const at of [125, 133, 141]) assert.equal(code(readGrant(patch(w.grant.bytes, at, u64(over)))), "malformed");
});

test("threat 10: a truncated grant or hello is malformed, not of another version; another version is", () => {
	assert.equal(code(readGrant(new Uint8Array(0))), "malformed");
	assert.equal(code(readGrant(w.grant.bytes.slice(0, 100))), "malformed");
	assert.equal(code(readGrant(patch(w.grant.bytes, 0, Uint8Array.of(2)))), "version-unknown");
	const hello = signHello(
		crypto,
		{ tag: w.tag, atMs: 0, nonce: w.nonce, grant: w.grant.bytes },
		w.relay.publicKey,
		w.session,
	);
	assert.equal(code(readHello(new Uint8Array(0))), "malformed");
	assert.equal(code(readHello(hello.slice(0, 60))), "malformed");
	assert.equal(code(readHello(patch(hello, 0, Uint8Array.of(0)))), "version-unknown");
	assert.equal(code(readListing(crypto, new Uint8Array(0))), "malformed");
});

test("threat 10: frames whose lengths lie allocate nothing and are refused", () => {
	const c = cursor();
	for (const bytes of [[3, 0xff, 0xff, 0x7f], [3, 0x80, 0x80, 0x80, 0x01], [3, 0x85, 0x00, 0, 0, 0, 0, 0], [3]]) {
		c.next = 0;
		assert.equal(advance(Uint8Array.from(bytes), c), false);
		assert.equal(c.next, 0);
	}
	assert.throws(() => frame(3, new Uint8Array(LIMIT.messageBytesMax - 3)), RangeError);
	assert.equal(frame(3, new Uint8Array(LIMIT.messageBytesMax - 4)).length, LIMIT.messageBytesMax);
});

test("threat 10: a length has at most three bytes, each needed, whatever stands behind it", () => {
	const walk = (head: number[], behind: number) => {
		const c = cursor();
		const message = new Uint8Array(head.length + behind);
		message.set(head);
		return advance(message, c) ? c.end - c.start : undefined;
	};
	assert.equal(walk([3, 0xff, 0xff, 0x7f], 2 ** 21), 2 ** 21 - 1);
	assert.equal(walk([3, 0x80, 0x80, 0x01], 2 ** 14), 2 ** 14);
	assert.equal(walk([3, 0x80, 0x80, 0x00], 2 ** 14), undefined);
	assert.equal(walk([3, 0x80, 0x80, 0x80, 0x01], 2 ** 22), undefined);
	assert.equal(walk([3, 0xff, 0x7f], 2 ** 14), 2 ** 14 - 1);
	assert.equal(walk([3, 0xff, 0x7f], 2 ** 14 - 2), undefined);
});

test("threat 10: a batch of any odd JSON is a refusal", () => {
	const batch = signBatch(crypto, w.root.publicKey, w.relay, NOW_MS, [
		{ tab: w.tab, voucher: w.voucher, used: w.used },
	]);
	const odd: unknown[] = [
		null,
		undefined,
		0,
		"",
		[],
		{},
		NaN,
		true,
		{ claims: null },
		{ ...batch, atMs: NaN },
		{ ...batch, atMs: -0.5 },
	];
	for (const [field] of Object.entries(batch))
		for (const value of [null, undefined, 0, -1, "", "x", [], {}, [null], { length: 1 }, "1e3"])
			odd.push({ ...batch, [field]: value });
	for (const json of odd) {
		const answer = readBatch(crypto, json, w.root.publicKey, NOW_MS);
		assert.ok(isProblem(answer), JSON.stringify(json));
	}
	assert.ok(!isProblem(readBatch(crypto, batch, w.root.publicKey, NOW_MS)));
});

test("threat 10: one claim that is none does not spoil the rest of its batch", () => {
	const claim = { tab: w.tab, voucher: w.voucher, used: w.used };
	const broken = { ...claim, voucher: { ...w.voucher, nanos: (AMOUNT_MAX + 1n) as typeof w.voucher.nanos } };
	const batch = must(
		readBatch(crypto, signBatch(crypto, w.root.publicKey, w.relay, NOW_MS, [broken, claim]), w.root.publicKey, NOW_MS),
	);
	assert.deepEqual(batch.claims.map(isProblem), [true, false]);
});

test("threat 10: a batch holds 300 claims, and is in time for ten minutes either way", () => {
	const claim = { tab: w.tab, voucher: w.voucher, used: w.used };
	const read = (count: number, nowMs = NOW_MS) =>
		readBatch(
			crypto,
			signBatch(crypto, w.root.publicKey, w.relay, NOW_MS, Array(count).fill(claim)),
			w.root.publicKey,
			nowMs,
		);
	assert.equal(must(read(300)).claims.length, 300);
	assert.equal(code(read(301)), "too-many");
	const first = signBatch(crypto, w.root.publicKey, w.relay, 0, [claim]);
	assert.equal(code(readBatch(crypto, first, w.root.publicKey, 0)), undefined);
	assert.equal(code(read(1, NOW_MS + LIMIT.requestAgeMsMax)), undefined);
	assert.equal(code(read(1, NOW_MS - LIMIT.requestAgeMsMax)), undefined);
	assert.equal(code(read(1, NOW_MS + LIMIT.requestAgeMsMax + 1)), "clock");
	assert.equal(code(read(1, NOW_MS - LIMIT.requestAgeMsMax - 1)), "clock");
});

test("threat 10: names that every object inherits are no problem codes", () => {
	for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"])
		assert.equal(isProblem(JSON.parse(`{"problem":"${name}","retry":false,"spent":"no","detail":""}`)), false, name);
});

test("threat 10: a refusal in JSON may say to come back at once, in a while or nothing, and never before", () => {
	const said = { problem: "draining", retry: true, spent: "no", detail: "" };
	assert.deepEqual(problemOfJson(said), said);
	for (const retryAfterMs of [0, 1, Number.MAX_SAFE_INTEGER])
		assert.deepEqual(problemOfJson({ ...said, retryAfterMs }), { ...said, retryAfterMs });
	for (const retryAfterMs of [-1, 0.5, 2 ** 53, Number.NaN, "1", null, {}])
		assert.equal(problemOfJson({ ...said, retryAfterMs }), undefined);
});

test("threat 10: an answer that brings more than was asked brings it no further", () => {
	const receipt = toHex(w.receipt.bytes);
	const json = JSON.parse(`{"results":[{"moved":"1","receipt":"${receipt}","extra":1,"__proto__":{"x":1}}],"more":2}`);
	assert.deepEqual(readRedeemAnswer(json, 1), { results: [{ moved: "1", receipt }] });
	const info = {
		protocol: "farelay/1",
		market: toHex(w.root.publicKey),
		keys: [toHex(w.marketKey.bytes)],
		ended: [],
		restored: null,
		fees: { marketPpm: 0, solidarityPpm: 1_000_000 },
		limits: { grantMsMax: 1, redeemGraceMs: 2, batchVouchersMax: 3 },
		rails: [],
		head: null,
		nowMs: 0,
	};
	const most = { ...info, keys: Array(16).fill(info.keys[0]), rails: Array(16).fill("play") };
	assert.equal(must(readMarketInfo(crypto, most)).keys.length, 16);
	const read = must(readMarketInfo(crypto, { ...info, more: 1, limits: { ...info.limits, more: 1 } }));
	assert.deepEqual(read.info, info);
	const { ended: _none, head: _nor, ...before } = info;
	const says = "a market from before there were ends and commitments";
	assert.deepEqual(must(readMarketInfo(crypto, before)).info, info, says);
	const head = { key: toHex(w.marketKey.bytes), commitment: "01".repeat(2_048) };
	assert.deepEqual(must(readMarketInfo(crypto, { ...info, head: { ...head, more: 1 } })).info.head, head);
});

test("what a key signed from its end on counts for nothing, and of several ends the earliest counts", () => {
	const end = (atMs: number, key = w.online.publicKey, root = w.root) => signKeyEnd(crypto, root, key, atMs);
	const at = w.grant.issuedAtMs;
	const verify = (...ends: KeyEnd[]) => code(verifyGrant(crypto, w.grant, withEnds(w.keys, ends)));
	assert.equal(verify(end(at)), "grant-unknown-market");
	assert.equal(verify(end(at + 1)), undefined);
	assert.equal(verify(end(at + 1), end(at)), "grant-unknown-market");
	assert.equal(verify(end(at), end(at + 1)), "grant-unknown-market");
	assert.equal(verify(end(at, w.other.publicKey)), undefined, "another key's");
	assert.equal(verify(end(at, w.online.publicKey, w.other)), undefined, "another root's word");
	assert.equal(verify(end(Number.MAX_SAFE_INTEGER)), undefined);
	const late = withEnds(w.keys, [end(Number.MAX_SAFE_INTEGER)]);
	const old = { ...w.grant, issuedAtMs: w.marketKey.untilMs };
	assert.equal(code(verifyGrant(crypto, old, late)), "grant-unknown-market", "an end makes no life longer");
});

test("threat 10: a problem's detail is cut between characters and a longer one than allowed is not read", () => {
	const detail = (text: string) => readProblem(writeProblem(FRAME.problem, problem("internal", text)).slice(3))?.detail;
	assert.equal(detail("a".repeat(512)), "a".repeat(512));
	assert.equal(detail("a".repeat(513)), "a".repeat(512));
	assert.equal(detail(`${"a".repeat(511)}\u00e9`), "a".repeat(511));
	assert.equal(detail(`${"a".repeat(510)}\u00e9`), `${"a".repeat(510)}\u00e9`);
	assert.equal(detail(`${"a".repeat(510)}\ud83d\ude00`), "a".repeat(510));
	assert.equal(detail(`${"a".repeat(509)}\u001b[2J`), `${"a".repeat(509)} [2`);
	assert.throws(() => writeUsageFrame(new Uint8Array(112)), RangeError);
});

test("threat 10: times go up to 2^53-1 and fixed bytes are compared whole", () => {
	assert.equal(new Reader(u64(2n ** 53n - 1n)).count(), 2 ** 53 - 1);
	const last = new Reader(u64(2n ** 53n - 1n));
	last.count();
	assert.ok(last.done);
	assert.ok(same(new Uint8Array(2), new Uint8Array(2)) && same(new Uint8Array(0), new Uint8Array(0)));
	assert.ok(!same(new Uint8Array(2), new Uint8Array(3)) && !same(new Uint8Array(3), new Uint8Array(2)));
	assert.equal(new Reader(Uint8Array.of(7, 1)).u16(), 263);
});

test("threat 18: an amount is a plain decimal string and nothing else", () => {
	for (const text of ["0", "1", AMOUNT_MAX.toString()]) assert.equal(parseAmount(text)?.toString(), text);
	const odd = [
		"-1",
		"-0",
		"+1",
		"01",
		"1.5",
		"1e3",
		"",
		" 1",
		"1 ",
		"0x1",
		"NaN",
		"Infinity",
		"١",
		(AMOUNT_MAX + 1n).toString(),
		"9".repeat(10_000),
	];
	for (const value of [...odd, 1, 1.5, -0, NaN, 1n, null, undefined, [], ["1"], { toString: () => "1" }])
		assert.equal(parseAmount(value), undefined);
	assert.equal(parseDollars("1e3"), undefined);
	assert.throws(() => amount(-1n), RangeError);
	assert.throws(() => amount(AMOUNT_MAX + 1n), RangeError);
	assert.throws(() => amount(1 as unknown as bigint), RangeError);
});

test("threat 18: as JSON an amount is a decimal string at whatever depth, and what is none stays as it is", () => {
	const json = toJson({ nanos: AMOUNT_MAX, of: [{ left: 0n }], count: 3, name: "3", none: null });
	assert.equal(json, '{"nanos":"9223372036854775807","of":[{"left":"0"}],"count":3,"name":"3","none":null}');
});

test("threat 18: a rate is a whole number of parts per million, at most all of it", () => {
	assert.equal(portion(amount(10n), 1_000_000), 10n);
	for (const rate of [-1, 0.5, 1_000_001, Number.NaN, Number.POSITIVE_INFINITY])
		assert.throws(() => portion(amount(10n), rate), RangeError);
});

test("threat 18: an order with an odd field is refused before its bytes are made, never an exception", () => {
	assert.ok(isOpenOrder(w.order));
	const order = (change: object) => ({ ...w.order, ...change }) as OpenOrder;
	const good = [
		order({ cap: amount(LIMIT.capNanosMax), tranches: [ownTranche(amount(LIMIT.capNanosMax))] }),
		order({ tranches: [ownTranche(w.order.cap)] }),
		order({ tranches: [{ fund: "commons", cap: w.order.cap, payerPpm: 0 }] }),
		order({ fees: { marketPpm: 0, solidarityPpm: 1_000_000 } }),
		order({ lifeMs: 1 }),
		order({ lifeMs: LIMIT.grantMsMax }),
	];
	for (const one of good) assert.ok(verifyOpen(crypto, one, signOpen(crypto, one, w.account)));
	const bad = [
		...["market", "account", "session", "relay"].flatMap((key) => [
			order({ [key]: new Uint8Array(31) }),
			order({ [key]: "00" }),
		]),
		order({ tab: new Uint8Array(15) }),
		order({ tab: Array(16).fill(0) }),
		order({ cap: amount(0n), tranches: [ownTranche(amount(0n))] }),
		order({ cap: -1n }),
		order({ cap: LIMIT.capNanosMax + 1n }),
		order({ cap: 1 }),
		order({ cap: "1" }),
		order({ tariff: { ...w.tariff, sendPerMb: -1n } }),
		order({ tariff: { ...w.tariff, sendPerMb: LIMIT.priceNanosMax + 1n } }),
		order({ tariff: { ...w.tariff, storePerMbDay: LIMIT.priceNanosMax + 1n } }),
		order({ tariff: { ...w.tariff, storePerMbDay: 2n ** 64n } }),
		...[-1, 0.5, NaN, Infinity, 1_000_001, 2 ** 32, "1"].flatMap((rate) => [
			order({ fees: { marketPpm: rate, solidarityPpm: 0 } }),
			order({ fees: { marketPpm: 0, solidarityPpm: rate } }),
		]),
		...[0, -1, 0.5, NaN, LIMIT.grantMsMax + 1, 2 ** 53, "1"].map((lifeMs) => order({ lifeMs })),
		...oddTranches().map((tranches) => order({ tranches })),
	];
	const signature = signOpen(crypto, w.order, w.account);
	for (const one of bad) {
		assert.equal(isOpenOrder(one), false);
		assert.equal(verifyOpen(crypto, one, signature), false);
	}
});

/** Tranches that no tab has: each sums to the cap, or would but for what is odd about it. */
function oddTranches(): unknown[] {
	const own = ownTranche(w.order.cap);
	const half = amount(w.order.cap / 2n);
	const pool = { fund: "pool", pool: new Uint8Array(16).fill(1), cap: half, payerPpm: 0 };
	const commons = { fund: "commons", cap: half, payerPpm: 5 };
	return [
		...[undefined, null, "own", {}, []],
		[ownTranche(half)],
		[ownTranche(amount(w.order.cap + 1n))],
		[ownTranche(half), ownTranche(half)],
		[commons, commons],
		[commons, pool],
		[ownTranche(half), commons],
		[pool, pool],
		[{ ...pool, pool: new Uint8Array(15) }, commons],
		[{ ...pool, pool: new Uint8Array(16) }, commons],
		[{ ...pool, pool: "01".repeat(16) }, commons],
		[{ fund: "pool", cap: w.order.cap, payerPpm: 0 }],
		[{ ...own, pool: pool.pool }],
		[{ ...own, payerPpm: 999_999 }],
		[{ ...own, fund: "mine" }],
		[{ ...own, cap: Number(own.cap) }],
		[
			{ ...own, cap: -1n },
			{ ...commons, cap: own.cap + 1n },
		],
		[{ ...commons, cap: 0n }, own],
		...[-1, 0.5, 1_000_001, Number.NaN, "1"].map((payerPpm) => [
			{ ...commons, payerPpm },
			{ ...own, cap: half },
		]),
		Array.from({ length: 5 }, (_, i) => ({
			...pool,
			pool: new Uint8Array(16).fill(i + 1),
			cap: amount(w.order.cap / 5n),
		})),
	];
}

test("threat 18: the bill of the highest cap with both fees at their most is still an amount", () => {
	const most = bill(amount(LIMIT.capNanosMax), { marketPpm: 1_000_000, solidarityPpm: 1_000_000 });
	assert.equal(most.total, LIMIT.capNanosMax * 3n);
});

test("threat 18: traffic at and beyond 64 bits has a price or none, never a wrong one", () => {
	const free = { sendPerMb: amount(0n), storePerMbDay: amount(0n) };
	const most = 2n ** 64n - 1n;
	assert.equal(price(free, { bytes: most, byteSeconds: most }), 0n);
	assert.equal(price(free, { bytes: most + 1n, byteSeconds: 0n }), undefined);
	assert.equal(price(free, { bytes: 0n, byteSeconds: most + 1n }), undefined);
	assert.equal(price(free, { bytes: -1n, byteSeconds: 0n }), undefined);
	assert.equal(price(free, { bytes: 0n, byteSeconds: -1n }), undefined);
	const dear = { sendPerMb: amount(LIMIT.priceNanosMax), storePerMbDay: amount(0n) };
	assert.equal(price(dear, { bytes: most, byteSeconds: 0n }), undefined);
});

test("threat 23: a hello, a listen, a welcome or a clock seen at one relay is worth nothing at another", () => {
	const hello = signHello(crypto, { tag: w.tag, atMs: NOW_MS, nonce: w.nonce }, w.relay.publicKey, w.session);
	const read = must(readHello(hello));
	assert.ok(verifyHello(crypto, read, w.relay.publicKey));
	assert.ok(!verifyHello(crypto, read, w.other.publicKey));
	const scope = {
		relay: w.relay.publicKey,
		helloHash: helloHash(crypto, hello),
		session: w.session.publicKey,
		mailbox: w.mailbox.publicKey,
		device: w.device,
		tokenHash: new Uint8Array(32),
	};
	const listen = signListen(crypto, scope, w.mailbox.secretKey);
	assert.ok(verifyListen(crypto, scope, listen));
	for (const change of [
		{ relay: w.other.publicKey },
		{ helloHash: new Uint8Array(32) },
		{ session: w.other.publicKey },
		{ mailbox: w.other.publicKey },
		{ device: new Uint8Array(16) },
		{ tokenHash: new Uint8Array(32).fill(1) },
	])
		assert.ok(!verifyListen(crypto, { ...scope, ...change }, listen), Object.keys(change).join());
	const forget = signForget(crypto, scope, w.mailbox.secretKey);
	assert.ok(verifyForget(crypto, scope, forget));
	assert.ok(!verifyForget(crypto, scope, listen) && !verifyListen(crypto, scope, forget), "neither is the other");
	for (const change of [
		{ relay: w.other.publicKey },
		{ helloHash: new Uint8Array(32) },
		{ session: w.other.publicKey },
		{ mailbox: w.other.publicKey },
		{ device: new Uint8Array(16) },
	])
		assert.ok(!verifyForget(crypto, { ...scope, ...change }, forget), Object.keys(change).join());
	const bounds = { messageBytesMax: 65_536, stepBytesMax: 65_536, idleMs: 1_000, ttlSMax: 60 };
	const welcome = signWelcome(crypto, { helloHash: scope.helloHash, atMs: NOW_MS, tab: undefined, ...bounds }, w.relay);
	assert.ok(!isProblem(readWelcome(crypto, welcome, w.relay.publicKey, hello)));
	assert.equal(code(readWelcome(crypto, welcome, w.other.publicKey, hello)), "signature-bad");
	assert.equal(code(readWelcome(crypto, welcome, w.relay.publicKey, flip(hello, 30))), "signature-bad");
	const clock = signClock(crypto, hello, NOW_MS, w.relay).slice(2);
	assert.equal(readClock(crypto, clock, w.relay.publicKey, hello), NOW_MS);
	assert.equal(code(readClock(crypto, clock, w.other.publicKey, hello)), "signature-bad");
	assert.equal(code(readClock(crypto, clock, w.relay.publicKey, flip(hello, 30))), "malformed");
});

test("threat 23: what is signed for one purpose serves no other", () => {
	const hello = signHello(
		crypto,
		{ tag: w.tag, atMs: NOW_MS, nonce: w.nonce, grant: w.grant.bytes },
		w.relay.publicKey,
		w.session,
	);
	const asVoucher = { ...w.voucher, signature: hello.slice(-64) };
	assert.equal(code(verifyVoucher(crypto, w.terms, asVoucher)), "signature-bad");
	const asReceipt = patch(w.receipt.bytes, w.receipt.bytes.length - 64, w.grant.bytes.slice(-64));
	assert.equal(code(readReceipt(crypto, asReceipt, w.keys)), "signature-bad");
});

test("threat 23: a relay's welcome cannot make a client pay further ahead than the protocol allows", () => {
	const hello = signHello(crypto, { tag: w.tag, atMs: NOW_MS, nonce: w.nonce }, w.relay.publicKey, w.session);
	const read = (change: object) => {
		const bounds = {
			messageBytesMax: LIMIT.messageBytesMax,
			stepBytesMax: LIMIT.stepBytesMax,
			idleMs: 1,
			ttlSMax: LIMIT.ttlSMax,
		};
		const said = { helloHash: helloHash(crypto, hello), atMs: NOW_MS, tab: undefined, ...bounds, ...change };
		return code(readWelcome(crypto, signWelcome(crypto, said, w.relay), w.relay.publicKey, hello));
	};
	const payload = LIMIT.payloadBytesMax;
	for (const good of [{}, { messageBytesMax: payload + 12 }, { stepBytesMax: payload }, { ttlSMax: 0 }])
		assert.equal(read(good), undefined);
	const bad = [
		{ messageBytesMax: LIMIT.messageBytesMax + 1 },
		{ messageBytesMax: payload + 11 },
		{ stepBytesMax: LIMIT.stepBytesMax + 1 },
		{ stepBytesMax: payload - 1 },
		{ idleMs: 0 },
		{ ttlSMax: LIMIT.ttlSMax + 1 },
	];
	for (const change of bad) assert.equal(read(change), "malformed", JSON.stringify(change));
});

test("a listing's URL, country, prices and times at their bounds are shown and beyond them are not", () => {
	const read = (change: object) =>
		code(readListing(crypto, signListing(crypto, { ...w.offer, ...change }, w.relay).bytes));
	const most = { sendPerMb: amount(LIMIT.priceNanosMax), storePerMbDay: amount(LIMIT.priceNanosMax) };
	for (const good of [
		{},
		{ tariff: most },
		{ validUntilMs: NOW_MS + LIMIT.listingMsMax },
		{ url: `ws://a/${"b".repeat(249)}` },
		{ validUntilMs: NOW_MS + 1 },
	])
		assert.equal(read(good), undefined, JSON.stringify(Object.keys(good)));
	for (const bad of [
		{ tariff: { ...most, sendPerMb: amount(LIMIT.priceNanosMax + 1n) } },
		{ tariff: { ...most, storePerMbDay: amount(LIMIT.priceNanosMax + 1n) } },
		{ validUntilMs: NOW_MS + LIMIT.listingMsMax + 1 },
		{ validUntilMs: NOW_MS },
		{ url: `ws://a/${"b".repeat(250)}` },
		{ url: "wss://u@relay.example/" },
		{ url: "wss://relay.example/?" },
		{ url: "wss://relay.example/#" },
		{ url: "https://relay.example/" },
		{ url: "" },
		{ country: "ke" },
		{ country: "K1" },
	])
		assert.equal(read(bad), "listing-invalid", Object.values(bad).join());
	assert.throws(() => signListing(crypto, { ...w.offer, country: "KEN" }, w.relay), RangeError);
});

test("a certificate lives at least a millisecond and at most 30 days", () => {
	const read = (lifeMs: number) =>
		code(readMarketKey(crypto, signMarketKey(crypto, w.root, w.online.publicKey, NOW_MS, NOW_MS + lifeMs).bytes));
	assert.equal(read(1), undefined);
	assert.equal(read(LIMIT.marketKeyMsMax), undefined);
	assert.equal(read(0), "malformed");
	assert.equal(read(LIMIT.marketKeyMsMax + 1), "malformed");
});

test("threat 24: a renewal travels whole: grant, final voucher and signature, or not at all", () => {
	const renew = { grant: w.grant.bytes, final: w.voucher, signature: new Uint8Array(64) };
	const whole = writeRenew(renew);
	const c = cursor();
	assert.ok(advance(whole, c));
	assert.deepEqual(readRenew(whole.slice(c.start, c.end)), renew);
	assert.equal(readRenew(whole.slice(c.start, c.end - 1)), undefined);
	assert.deepEqual(readVoucher(writeVoucher(w.voucher)), w.voucher);
});
