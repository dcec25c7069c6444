/** The vectors of what is signed: keys, certificates, grants, vouchers, redemption, orders, listings, hellos, dispute files. */
import { amount } from "#contracts/amount";
import { readBill } from "#contracts/bill";
import { domain, join, toHex } from "#contracts/bytes";
import { deviceAt, signForget, verifyForget } from "#contracts/device";
import { type DisputeParts, readDispute, verdictLines, writeDispute } from "#contracts/dispute";
import { admitGrant, CURRENCY, GRANT_BYTES, readGrant, signGrant, verifyGrant } from "#contracts/grant";
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
import { type Crypto, hashFor, keyId, mailboxKey, sealSeed, sessionKey, signFor, tokenHash } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isRelayUrl, readListing, signListing } from "#contracts/listing";
import {
	type MarketInfo,
	readKeyEnd,
	readMarketInfo,
	readMarketKey,
	signKeyEnd,
	signMarketKey,
} from "#contracts/market";
import { isProblem } from "#contracts/problem";
import {
	readBatch,
	readClaim,
	readReceipt,
	readRedeemAnswer,
	readUsage,
	signBatch,
	signUsage,
	writeClaim,
} from "#contracts/redemption";
import { type OpenOrder, signClose, signOpen, verifyClose, verifyOpen } from "#contracts/tab";
import type { Tranche } from "#contracts/tranche";
import { readVoucher, verifyVoucher, voucherBody, writeVoucher } from "#contracts/voucher";
import {
	DAY_MS,
	flip,
	HOUR_MS,
	must,
	NOW_MS,
	patch,
	resign,
	seed,
	shown,
	u64,
	type World,
	world,
} from "#test/contracts/world";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";

const text = new TextEncoder();

/** The order of Ed25519's group: adding it to a signature's second half gives another that careless code accepts. */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

function addOrder(signature: Uint8Array): Uint8Array {
	const changed = signature.slice();
	let carry = ORDER;
	for (let i = 32; i < 64; i++) {
		carry += BigInt(changed[i] as number);
		changed[i] = Number(carry & 255n);
		carry >>= 8n;
	}
	return changed;
}

export function identityVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const message = text.encode("one sealed payload");
	const { publicKey, secretKey } = crypto.keyPair(seed(4));
	const signature = crypto.sign(message, secretKey);
	const zeroKey = new Uint8Array(32);
	const one = Uint8Array.from([1, ...new Uint8Array(31)]);
	const edge: [string, Uint8Array, Uint8Array, Uint8Array][] = [
		["as signed", signature, message, publicKey],
		["an empty message, as signed", crypto.sign(new Uint8Array(0), secretKey), new Uint8Array(0), publicKey],
		["a signature of 63 bytes", signature.slice(0, 63), message, publicKey],
		["a signature of 65 bytes", join(signature, Uint8Array.of(0)), message, publicKey],
		["no signature", new Uint8Array(0), message, publicKey],
		["a key of 31 bytes", signature, message, publicKey.slice(0, 31)],
		["a key of 33 bytes", signature, message, join(publicKey, Uint8Array.of(0))],
		["no key", signature, message, new Uint8Array(0)],
		["a signature of zeros", new Uint8Array(64), message, publicKey],
		["a bit of R changed", flip(signature, 0), message, publicKey],
		["a bit of S changed", flip(signature, 32), message, publicKey],
		["the group's order added to S", addOrder(signature), message, publicKey],
		["another message", signature, text.encode("one sealed paylaod"), publicKey],
		["another key", signature, message, w.other.publicKey],
		["a key of zeros (small order)", new Uint8Array(64), message, zeroKey],
		["the neutral element as key and R", join(one, new Uint8Array(32)), message, one],
		["a key that is no point", signature, message, new Uint8Array(32).fill(0xff)],
		["the secret key as the key", signature, message, secretKey],
	];
	return {
		contract: "identity",
		section: "Keys",
		domain: accepted("voucher", { what: "voucher", bytes: domain("voucher") }),
		keys: [1, 2, 3, 4].map((byte) =>
			accepted(`seed of ${byte}s`, {
				seed: seed(byte),
				...crypto.keyPair(seed(byte)),
				keyId: keyId(crypto, crypto.keyPair(seed(byte)).publicKey),
			}),
		),
		derived: [
			accepted("session key of a tab", { accountSeed: seed(4), tab: w.tab, ...sessionKey(crypto, seed(4), w.tab) }),
			accepted("mailbox key at a relay", {
				accountSeed: seed(4),
				relay: w.relay.publicKey,
				...mailboxKey(crypto, seed(4), w.relay.publicKey),
			}),
			accepted("device of an installation at a relay", {
				install: seed(5),
				relay: w.relay.publicKey,
				device: deviceAt(crypto, seed(5), w.relay.publicKey),
			}),
			accepted("seed of the sealing key", { accountSeed: seed(4), sealSeed: sealSeed(crypto, seed(4)) }),
			accepted("hash of a card's token", { token: w.token, hash: tokenHash(crypto, w.token) }),
		],
		hash: [
			accepted("nothing", { message: new Uint8Array(0), hash: crypto.hash(new Uint8Array(0)) }),
			accepted("without a key", { message, hash: crypto.hash(message) }),
			accepted("with a key", { message, key: seed(1), hash: crypto.hash(message, seed(1)) }),
			accepted("for a purpose", { what: "claims", message, hash: hashFor(crypto, "claims", message) }),
		],
		sign: accepted("for a purpose", {
			what: "voucher",
			message,
			secretKey,
			signature: signFor(crypto, "voucher", message, secretKey),
		}),
		verify: edge.map(([name, sig, msg, key]) =>
			accepted(name, { signature: sig, message: msg, publicKey: key, good: crypto.verify(sig, msg, key) }),
		),
	};
}

export function marketVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const cert = w.marketKey.bytes;
	const again = (at: number, over: Uint8Array) => resign(crypto, "market-key", patch(cert, at, over), w.root.secretKey);
	const bad: [string, Uint8Array][] = [
		...lengths(cert),
		["ends as it begins", again(72, u64(NOW_MS - DAY_MS))],
		["lives a millisecond over 30 days", again(72, u64(NOW_MS + 29 * DAY_MS + 1))],
		["begins at 2^53", again(64, u64(2n ** 53n))],
		["another key", patch(cert, 32, w.other.publicKey)],
		["signed by another root", resign(crypto, "market-key", cert, w.other.secretKey)],
		["signed for another purpose", resign(crypto, "grant", cert, w.root.secretKey)],
		["a bit of the signature changed", flip(cert, 143)],
	];
	const end = signKeyEnd(crypto, w.root, w.online.publicKey, NOW_MS);
	const badEnd: [string, Uint8Array][] = [
		...lengths(end.bytes),
		["of another key", patch(end.bytes, 32, w.other.publicKey)],
		["an hour later", patch(end.bytes, 64, u64(NOW_MS + HOUR_MS))],
		["at 2^53", resign(crypto, "market-key-end", patch(end.bytes, 64, u64(2n ** 53n)), w.root.secretKey)],
		["signed by the key itself", resign(crypto, "market-key-end", end.bytes, w.online.secretKey)],
		["signed for another purpose", resign(crypto, "market-key", end.bytes, w.root.secretKey)],
	];
	const foreignEnd = signKeyEnd(crypto, w.other, w.online.publicKey, NOW_MS);
	const info: MarketInfo = {
		protocol: "farelay/1",
		market: toHex(w.root.publicKey),
		keys: [toHex(w.nextMarketKey.bytes), toHex(cert)],
		ended: [toHex(end.bytes)],
		fees: { marketPpm: 20_000, solidarityPpm: 20_000 },
		limits: { grantMsMax: LIMIT.grantMsMax, redeemGraceMs: LIMIT.redeemGraceMs, batchVouchersMax: 300 },
		rails: ["play"],
		head: { key: toHex(cert), commitment: "01" },
		restored: { fromMs: NOW_MS - DAY_MS, atMs: NOW_MS },
		nowMs: NOW_MS,
	};
	const foreign = signMarketKey(crypto, w.other, w.online.publicKey, NOW_MS, NOW_MS + DAY_MS);
	const badInfo: [string, unknown][] = [
		["null", null],
		["a list", []],
		["text", "farelay/1"],
		["another protocol", { ...info, protocol: "farelay/2" }],
		["a market in capitals", { ...info, market: info.market.toUpperCase() }],
		["no keys", { ...info, keys: [] }],
		["seventeen keys", { ...info, keys: Array(17).fill(info.keys[0]) }],
		["keys as an object", { ...info, keys: { length: 1, 0: info.keys[0] } }],
		["a key of another root", { ...info, keys: [toHex(foreign.bytes)] }],
		["an end by another root", { ...info, ended: [toHex(foreignEnd.bytes)] }],
		["an end that is none", { ...info, ended: ["00"] }],
		["ends as text", { ...info, ended: toHex(end.bytes) }],
		["seventeen ends", { ...info, ended: Array(17).fill(toHex(end.bytes)) }],
		["a span that ends before it begins", { ...info, restored: { fromMs: 2, atMs: 1 } }],
		["a span as text", { ...info, restored: "yesterday" }],
		["no fees", { ...info, fees: null }],
		["a fee as text", { ...info, fees: { ...info.fees, marketPpm: "20000" } }],
		["a fee of more than all", { ...info, fees: { ...info.fees, marketPpm: 1_000_001 } }],
		["a negative fee", { ...info, fees: { ...info.fees, solidarityPpm: -1 } }],
		["half a part per million", { ...info, fees: { ...info.fees, solidarityPpm: 0.5 } }],
		["no limits", { ...info, limits: null }],
		["a limit left out", { ...info, limits: { ...info.limits, batchVouchersMax: undefined } }],
		["rails as text", { ...info, rails: "play" }],
		["a rail that is no name", { ...info, rails: ["Play money"] }],
		["a rail in a list", { ...info, rails: [["play"]] }],
		["seventeen rails", { ...info, rails: Array(17).fill("play") }],
		["a newest commitment as text", { ...info, head: "01" }],
		["a newest commitment without its key", { ...info, head: { commitment: "01" } }],
		["a newest commitment of 2,049 bytes", { ...info, head: { ...info.head, commitment: "01".repeat(2_049) } }],
		["a time before 1970", { ...info, nowMs: -1 }],
		["a time with a fraction", { ...info, nowMs: 0.5 }],
	];
	const read = readMarketInfo(crypto, info);
	return {
		contract: "market",
		section: "The market's keys",
		certificate: accepted("an online key for 30 days", {
			market: w.root.publicKey,
			rootSecretKey: w.root.secretKey,
			key: w.online.publicKey,
			fromMs: w.marketKey.fromMs,
			untilMs: w.marketKey.untilMs,
			bytes: cert,
		}),
		certificateRefused: bad.map(([name, bytes]) => refused(name, bytes, readMarketKey(crypto, bytes))),
		end: accepted("the end of that key", {
			market: w.root.publicKey,
			rootSecretKey: w.root.secretKey,
			key: w.online.publicKey,
			endedAtMs: NOW_MS,
			bytes: end.bytes,
		}),
		endRefused: badEnd.map(([name, bytes]) => refused(name, bytes, readKeyEnd(crypto, bytes))),
		info: accepted("a market's description", { json: info, keys: isProblem(read) ? read : read.keys.length }),
		infoRefused: badInfo.map(([name, json]) => refused(name, { json }, readMarketInfo(crypto, json))),
	};
}

/** All that a relay checks of a grant. */
function checkGrant(crypto: Crypto, w: World, bytes: Uint8Array, nowMs = NOW_MS) {
	const grant = readGrant(bytes);
	if (isProblem(grant)) return grant;
	return verifyGrant(crypto, grant, w.keys) ?? admitGrant(grant, w.relay.publicKey, nowMs) ?? grant;
}

export function grantVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const { bytes } = w.grant;
	const again = (at: number, over: Uint8Array, secretKey = w.online.secretKey) =>
		resign(crypto, "grant", patch(bytes, at, over), secretKey);
	const otherMarket = signMarketKey(crypto, w.other, w.online.publicKey, NOW_MS - DAY_MS, NOW_MS + DAY_MS);
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["version 2", again(0, Uint8Array.of(2))],
		["another market", again(1, otherMarket.market)],
		["a key id that nobody has", again(33, new Uint8Array(8))],
		["another currency", again(41, text.encode("nEUR"))],
		["another relay", again(93, w.other.publicKey)],
		["a cap of $1,000,000 and a nano-dollar", again(125, u64(LIMIT.capNanosMax + 1n))],
		["a cap of 2^63", again(125, u64(2n ** 63n))],
		["sendPerMb of $1,000 and a nano-dollar", again(133, u64(LIMIT.priceNanosMax + 1n))],
		["storePerMbDay of $1,000 and a nano-dollar", again(141, u64(LIMIT.priceNanosMax + 1n))],
		["storePerMbDay of 2^63", again(141, u64(2n ** 63n))],
		["issued at 2^53", again(149, u64(2n ** 53n))],
		["issued before its key's life", again(149, join(u64(NOW_MS - DAY_MS - 1), u64(NOW_MS + DAY_MS)))],
		["expires as it is issued", again(157, u64(NOW_MS))],
		["lives a millisecond over seven days", again(157, u64(NOW_MS + 7 * DAY_MS + 1))],
		["redeemed by before it expires", again(165, u64(NOW_MS + 7 * DAY_MS - 1))],
		["signed by another key", resign(crypto, "grant", bytes, w.other.secretKey)],
		["signed for another purpose", resign(crypto, "receipt", bytes, w.online.secretKey)],
		["a bit of the tab changed", flip(bytes, 45)],
		["a bit of the signature changed", flip(bytes, GRANT_BYTES - 1)],
	];
	const end = w.terms.expiresAtMs - LIMIT.grantEndMarginMs;
	const most = {
		...w.terms,
		cap: amount(LIMIT.capNanosMax),
		tariff: { sendPerMb: amount(LIMIT.priceNanosMax), storePerMbDay: amount(0n) },
	};
	return {
		contract: "grant",
		section: "Grant",
		currency: toHex(CURRENCY),
		onlineSecretKey: toHex(w.online.secretKey),
		certificates: w.keys.map((key) => toHex(key.bytes)),
		relay: toHex(w.relay.publicKey),
		nowMs: NOW_MS,
		grants: [
			accepted("a week at the default tariff", { terms: w.terms, keyId: w.grant.keyId, bytes }),
			accepted("the highest cap and price", { terms: most, bytes: signGrant(crypto, most, w.online).bytes }),
		],
		grantsRefused: bad.map(([name, changed]) => refused(name, changed, checkGrant(crypto, w, changed))),
		admitted: accepted("a millisecond before its last two minutes", {
			nowMs: end - 1,
			tab: (checkGrant(crypto, w, bytes, end - 1) as { tab: Uint8Array }).tab,
		}),
		admittedRefused: [refused("at its last two minutes", { nowMs: end }, checkGrant(crypto, w, bytes, end))],
	};
}

export function voucherVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const bytes = writeVoucher(w.voucher);
	const check = (changed: Uint8Array) => {
		const voucher = readVoucher(changed);
		return isProblem(voucher) ? voucher : verifyVoucher(crypto, w.terms, voucher);
	};
	const signedOver = (terms: typeof w.terms) =>
		patch(bytes, 24, signFor(crypto, "voucher", voucherBody(terms, w.voucher), w.session.secretKey));
	const pounds = voucherBody(w.terms, w.voucher);
	pounds.set(text.encode("nGBP"), 80);
	const rich = { ...w.terms, cap: amount(LIMIT.capNanosMax) };
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["nanos one less", patch(bytes, 16, u64(w.voucher.nanos - 1n))],
		["nanos one more", patch(bytes, 16, u64(w.voucher.nanos + 1n))],
		["nanos of 2^63", patch(bytes, 16, u64(2n ** 63n))],
		["a byte more for the same money", patch(bytes, 0, u64(w.voucher.bytes + 2n))],
		["over the cap", writeVoucher(w.sign(20_000_001n, 0n, rich))],
		["for another market", signedOver({ ...w.terms, market: w.other.publicKey })],
		["for another relay", signedOver({ ...w.terms, relay: w.other.publicKey })],
		["for another tab", signedOver({ ...w.terms, tab: new Uint8Array(16) })],
		["in another currency", patch(bytes, 24, signFor(crypto, "voucher", pounds, w.session.secretKey))],
		[
			"signed by another session key",
			patch(bytes, 24, signFor(crypto, "voucher", voucherBody(w.terms, w.voucher), w.other.secretKey)),
		],
		[
			"signed for another purpose",
			patch(bytes, 24, signFor(crypto, "usage", voucherBody(w.terms, w.voucher), w.session.secretKey)),
		],
		["a bit of the signature changed", flip(bytes, 87)],
	];
	return {
		contract: "voucher",
		section: "Voucher",
		terms: shown(w.terms),
		sessionSecretKey: toHex(w.session.secretKey),
		vouchers: [w.voucher, w.sign(0n, 0n), w.sign(1n, 0n), w.sign(20_000_000n, 0n)].map((voucher) =>
			accepted(`${voucher.bytes} bytes, ${voucher.byteSeconds} byte-seconds`, {
				...voucher,
				signed: voucherBody(w.terms, voucher),
				bytes: writeVoucher(voucher),
				totals: { bytes: voucher.bytes, byteSeconds: voucher.byteSeconds, nanos: voucher.nanos },
			}),
		),
		vouchersRefused: bad.map(([name, changed]) => refused(name, changed, check(changed))),
	};
}

export function redemptionVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const claim = { tab: w.tab, voucher: w.voucher, used: w.used };
	const line = writeClaim(claim);
	const batch = signBatch(crypto, w.root.publicKey, w.relay, NOW_MS, [claim, { ...claim, tab: new Uint8Array(16) }]);
	const read = (json: unknown, nowMs = NOW_MS) => readBatch(crypto, json, w.root.publicKey, nowMs);
	const many = (count: number) => signBatch(crypto, w.root.publicKey, w.relay, NOW_MS, Array(count).fill(claim));
	const badBatch: [string, unknown][] = [
		["null", null],
		["no claims", { ...batch, claims: undefined }],
		["claims as an object", { ...batch, claims: { length: 1 } }],
		["301 claims", many(301)],
		["a market in capitals", { ...batch, market: batch.market.toUpperCase() }],
		["another market", signBatch(crypto, w.other.publicKey, w.relay, NOW_MS, [claim])],
		["a relay that is null", { ...batch, relay: null }],
		["another relay's name", { ...batch, relay: toHex(w.other.publicKey) }],
		["a time as text", { ...batch, atMs: `${NOW_MS}` }],
		["a time with a fraction", { ...batch, atMs: NOW_MS + 0.5 }],
		["another time", { ...batch, atMs: NOW_MS + 1 }],
		["a time that is negative", { ...batch, atMs: -1 }],
		["a claim that is a number", { ...batch, claims: [1] }],
		["a claim one byte short", { ...batch, claims: batch.claims.map((hex) => hex.slice(2)) }],
		["claims in another order", { ...batch, claims: batch.claims.toReversed() }],
		["a claim left out", { ...batch, claims: batch.claims.slice(1) }],
		["a claim twice", { ...batch, claims: [...batch.claims, batch.claims[0]] }],
		["a signature one byte short", { ...batch, signature: batch.signature.slice(2) }],
		[
			"a bit of the signature changed",
			{ ...batch, signature: `${batch.signature.slice(0, -1)}${batch.signature.endsWith("0") ? 1 : 0}` },
		],
	];
	const { bytes: receipt } = w.receipt;
	const badReceipt: [string, Uint8Array][] = [
		...lengths(receipt),
		["nanos of 2^63", resign(crypto, "receipt", patch(receipt, 136, u64(2n ** 63n)), w.nextOnline.secretKey)],
		["at 2^53", resign(crypto, "receipt", patch(receipt, 144, u64(2n ** 53n)), w.nextOnline.secretKey)],
		["before its key's life", resign(crypto, "receipt", patch(receipt, 144, u64(NOW_MS - 1)), w.nextOnline.secretKey)],
		["another market", resign(crypto, "receipt", patch(receipt, 0, w.other.publicKey), w.nextOnline.secretKey)],
		[
			"a key id that nobody has",
			resign(crypto, "receipt", patch(receipt, 32, new Uint8Array(8)), w.nextOnline.secretKey),
		],
		["signed by another key", resign(crypto, "receipt", receipt, w.online.secretKey)],
		["signed for another purpose", resign(crypto, "grant", receipt, w.nextOnline.secretKey)],
		["a bit of the operator changed", flip(receipt, 88)],
	];
	const usage = w.usage.bytes;
	const scope = join(w.root.publicKey, w.relay.publicKey);
	const usageAgain = (at: number, over: Uint8Array) =>
		resign(crypto, "usage", patch(usage, at, over), w.relay.secretKey, scope);
	const rich = { ...w.terms, cap: amount(LIMIT.capNanosMax) };
	const badUsage: [string, Uint8Array][] = [
		...lengths(usage),
		["another tab", usageAgain(0, new Uint8Array(16))],
		["nanos one more", usageAgain(32, u64(w.usage.used.nanos + 1n))],
		["nanos of 2^63", usageAgain(32, u64(2n ** 63n))],
		[
			"over the cap",
			signUsage(crypto, rich, { bytes: 20_000_001n, byteSeconds: 0n }, true, NOW_MS, w.relay.secretKey).bytes,
		],
		["final 2", usageAgain(40, Uint8Array.of(2))],
		["at 2^53", usageAgain(41, u64(2n ** 53n))],
		[
			"signed for another market",
			resign(crypto, "usage", usage, w.relay.secretKey, join(w.other.publicKey, w.relay.publicKey)),
		],
		[
			"signed for another relay",
			resign(crypto, "usage", usage, w.relay.secretKey, join(w.root.publicKey, w.other.publicKey)),
		],
		["signed by another relay", resign(crypto, "usage", usage, w.other.secretKey, scope)],
		["a bit of the signature changed", flip(usage, 112)],
	];
	const result = { moved: "507000", receipt: toHex(receipt) };
	const refusal = { problem: "redeem-late", retry: false, spent: "no", detail: "Too late." };
	const badAnswer: [string, unknown][] = [
		["null", null],
		["results as an object", { results: { length: 2 } }],
		["a result too few", { results: [result] }],
		["a result that is null", { results: [result, null] }],
		["a result that is text", { results: [result, "507000"] }],
		["moved as a number", { results: [result, { ...result, moved: 507000 }] }],
		["moved below zero", { results: [result, { ...result, moved: "-1" }] }],
		["a receipt one byte short", { results: [result, { ...result, receipt: result.receipt.slice(2) }] }],
		["a refusal with an unknown code", { results: [result, { ...refusal, problem: "toString" }] }],
		["a refusal without its detail", { results: [result, { ...refusal, detail: undefined }] }],
	];
	const badClaim: [string, Uint8Array][] = [
		...lengths(line),
		["a voucher of 2^63 nano-dollars", patch(line, 32, u64(2n ** 63n))],
	];
	return {
		contract: "redemption",
		section: "Redemption",
		terms: shown(w.terms),
		certificates: w.keys.map((key) => toHex(key.bytes)),
		relaySecretKey: toHex(w.relay.secretKey),
		onlineSecretKey: toHex(w.nextOnline.secretKey),
		nowMs: NOW_MS,
		claim: accepted("used less than the voucher permits", { ...claim, voucher: writeVoucher(w.voucher), bytes: line }),
		claimRefused: badClaim.map(([name, bytes]) => refused(name, bytes, readClaim(bytes))),
		batches: [
			accepted("two claims", { json: batch, claims: must(read(batch)).claims.length }),
			accepted("ten minutes old", {
				json: batch,
				nowMs: NOW_MS + LIMIT.requestAgeMsMax,
				claims: must(read(batch, NOW_MS + LIMIT.requestAgeMsMax)).claims.length,
			}),
		],
		batchesRefused: [
			...badBatch.map(([name, json]) =>
				refused(name, { json: name === "301 claims" ? "the same claim 301 times" : json }, read(json)),
			),
			refused(
				"a millisecond over ten minutes old",
				{ json: batch, nowMs: NOW_MS + LIMIT.requestAgeMsMax + 1 },
				read(batch, NOW_MS + LIMIT.requestAgeMsMax + 1),
			),
			refused(
				"a millisecond over ten minutes early",
				{ json: batch, nowMs: NOW_MS - LIMIT.requestAgeMsMax - 1 },
				read(batch, NOW_MS - LIMIT.requestAgeMsMax - 1),
			),
		],
		answer: accepted("paid and refused", {
			json: { results: [result, refusal] },
			reads: readRedeemAnswer({ results: [result, refusal] }, 2),
		}),
		answerRefused: badAnswer.map(([name, json]) => refused(name, { json, count: 2 }, readRedeemAnswer(json, 2))),
		receipt: accepted("half of it paid", { ...w.receipt }),
		receiptRefused: badReceipt.map(([name, bytes]) => refused(name, bytes, readReceipt(crypto, bytes, w.keys))),
		usage: [
			accepted("final", { ...w.usage }),
			accepted("not final", { ...signUsage(crypto, w.terms, w.used, false, NOW_MS, w.relay.secretKey) }),
		],
		usageRefused: badUsage.map(([name, bytes]) => refused(name, bytes, readUsage(crypto, bytes, w.terms))),
	};
}

export function tabVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const signature = signOpen(crypto, w.order, w.account);
	const close = signClose(crypto, w.root.publicKey, w.tab, w.account);
	const [pool, commons, own] = w.order.tranches as [Tranche, Tranche, Tranche];
	const bad: [string, OpenOrder][] = [
		["another market", { ...w.order, market: w.other.publicKey }],
		["another account", { ...w.order, account: w.other.publicKey }],
		["another tab", { ...w.order, tab: new Uint8Array(16) }],
		["another session key", { ...w.order, session: w.other.publicKey }],
		["another relay", { ...w.order, relay: w.other.publicKey }],
		["another cap", { ...w.order, cap: amount(10_000_001n) }],
		["another price of sending", { ...w.order, tariff: { ...w.tariff, sendPerMb: amount(500_001n) } }],
		["another price of keeping", { ...w.order, tariff: { ...w.tariff, storePerMbDay: amount(1_001n) } }],
		["another market fee", { ...w.order, fees: { ...w.order.fees, marketPpm: 20_001 } }],
		["another solidarity fee", { ...w.order, fees: { ...w.order.fees, solidarityPpm: 20_001 } }],
		["another life", { ...w.order, lifeMs: w.order.lifeMs - 1 }],
		["a pool that pays a part", { ...w.order, tranches: [{ ...pool, payerPpm: 1 }, commons, own] }],
		["another pool", { ...w.order, tranches: [{ ...pool, pool: new Uint8Array(16).fill(1) }, commons, own] }],
		["a pool of no id", { ...w.order, tranches: [{ ...pool, pool: new Uint8Array(16) }, commons, own] }],
		["the commons before a pool", { ...w.order, tranches: [commons, pool, own] }],
		[
			"a pool twice",
			{
				...w.order,
				tranches: [
					{ ...pool, cap: own.cap },
					{ ...pool, cap: amount(7_000_000n) },
				],
			},
		],
		["no tranches", { ...w.order, tranches: [] }],
		["all its own", { ...w.order, tranches: [{ ...own, cap: w.order.cap }] }],
	];
	const { bytes } = w.bill;
	const again = (at: number, over: Uint8Array) =>
		resign(crypto, "bill", patch(bytes, at, over), w.nextOnline.secretKey);
	const badBill: [string, Uint8Array][] = [
		...lengths(bytes),
		["an ask of a nano more", again(160, u64(w.bill.bill.ask + 1n))],
		["a market fee of a nano more", again(168, u64(w.bill.bill.marketFee + 1n))],
		["a solidarity fee of a nano more", again(176, u64(w.bill.bill.solidarityFee + 1n))],
		["a payer's part of a nano more", again(184, u64(w.bill.bill.payer + 1n))],
		["a nano less of the commons", again(192, u64(w.bill.bill.commons - 1n))],
		["a nano less of pools", again(200, u64(w.bill.bill.pools - 1n))],
		["traffic over the cap", again(144, u64(2n ** 60n))],
		["before its key's life", again(208, u64(NOW_MS - 1))],
		["five tranches", again(216, new Uint8Array([5]))],
		["a tranche of no kind", again(217, new Uint8Array([4]))],
		["a pool of no id", again(218, new Uint8Array(16))],
		["a cap of 2^63", again(234, u64(2n ** 63n))],
		["another market", again(0, w.other.publicKey)],
		["signed by another key", resign(crypto, "bill", bytes, w.online.secretKey)],
		["signed for another purpose", resign(crypto, "receipt", bytes, w.nextOnline.secretKey)],
		["a bit of the account changed", flip(bytes, 56)],
	];
	return {
		contract: "tab",
		section: "Tab",
		accountSecretKey: toHex(w.account.secretKey),
		open: accepted("a week, two fees of 2 %, paid by a pool, the commons and the payer", {
			order: w.order,
			signature,
			good: verifyOpen(crypto, w.order, signature),
		}),
		bill: accepted("of a pool, the commons and the payer", { ...w.bill }),
		billRefused: badBill.map(([name, bad]) => refused(name, bad, readBill(crypto, bad, w.keys))),
		openRefused: bad.map(([name, order]) => refused(name, { order, signature }, verifyOpen(crypto, order, signature))),
		close: accepted("a tab", { market: w.root.publicKey, account: w.account.publicKey, tab: w.tab, signature: close }),
		closeRefused: [
			refused(
				"another market",
				{ market: w.other.publicKey, account: w.account.publicKey, tab: w.tab, signature: close },
				verifyClose(crypto, w.other.publicKey, w.account.publicKey, w.tab, close),
			),
			refused(
				"another account",
				{ market: w.root.publicKey, account: w.other.publicKey, tab: w.tab, signature: close },
				verifyClose(crypto, w.root.publicKey, w.other.publicKey, w.tab, close),
			),
			refused(
				"another tab",
				{ market: w.root.publicKey, account: w.account.publicKey, tab: new Uint8Array(16), signature: close },
				verifyClose(crypto, w.root.publicKey, w.account.publicKey, new Uint8Array(16), close),
			),
		],
	};
}

export function listingVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const { bytes } = w.listing;
	const urlBytes = w.offer.url.length;
	const at = {
		url: 99,
		country: 99 + urlBytes,
		takes: 99 + urlBytes + 14,
		storageLeft: 99 + urlBytes + 15,
		trafficLeft: 99 + urlBytes + 19,
		send: 99 + urlBytes + 23,
		store: 99 + urlBytes + 31,
		until: 99 + urlBytes + 47,
	};
	const again = (offset: number, over: Uint8Array) =>
		resign(crypto, "listing", patch(bytes, offset, over), w.relay.secretKey);
	const withUrl = (url: string) => signListing(crypto, { ...w.offer, url }, w.relay).bytes;
	const long = `wss://relay.example/${"a".repeat(236)}`;
	const bad: [string, Uint8Array][] = [
		...lengths(bytes),
		["version 2", again(0, Uint8Array.of(2))],
		["a URL of 257 bytes", withUrl(`${long}a`)],
		["a URL that is no UTF-8", again(at.url, Uint8Array.of(0xff))],
		["a byte order mark before the URL", again(at.url, text.encode("\ufeffws"))],
		["a country in small letters", again(at.country, text.encode("ke"))],
		["a country of digits", again(at.country, text.encode("K1"))],
		["takes neither something nor nothing", again(at.takes, Uint8Array.of(2))],
		["more storage left than there is", again(at.storageLeft, Uint8Array.of(51, 0, 0, 0))],
		["more traffic left than the cap", again(at.trafficLeft, Uint8Array.of(0xd1, 7, 0, 0))],
		["a price of sending of $1,000 and a nano-dollar", again(at.send, u64(LIMIT.priceNanosMax + 1n))],
		["a price of sending of 2^63", again(at.send, u64(2n ** 63n))],
		["a price of keeping of $1,000 and a nano-dollar", again(at.store, u64(LIMIT.priceNanosMax + 1n))],
		["ends as it begins", again(at.until, u64(NOW_MS))],
		["valid for a millisecond over 15 minutes", again(at.until, u64(NOW_MS + LIMIT.listingMsMax + 1))],
		["signed by another relay", resign(crypto, "listing", bytes, w.other.secretKey)],
		["signed for another purpose", resign(crypto, "grant", bytes, w.relay.secretKey)],
		["a bit of the operator changed", flip(bytes, 65)],
	];
	const urls = [
		"ws://127.0.0.1:8080",
		"ws://127.0.0.1:8080/",
		"wss://relay.example",
		"wss://relay.example/a/b",
		"ws://[::1]:9000",
		long,
	];
	const badUrls = [
		"",
		"ws://",
		"http://relay.example",
		"WSS://relay.example",
		"wss://Relay.example",
		"wss://relay.example:443",
		"ws://relay.example:80",
		"wss://u:p@relay.example",
		"wss://@relay.example",
		"wss://relay.example/?",
		"wss://relay.example/?a=b",
		"wss://relay.example/#",
		"wss://relay.example/#a",
		"wss://relay.example/a/../b",
		"wss://relay.example\\a",
		"wss://relay.example/ a",
		" wss://relay.example",
		"wss://relay.example\n",
		"wss://r\u00e9lay.example",
		"wss://127.1",
		"wss://relay.example:99999",
		`${long}a`,
	];
	return {
		contract: "listing",
		section: "Listing",
		relaySecretKey: toHex(w.relay.secretKey),
		listings: [
			accepted("in Kenya", { offer: w.offer, bytes, reads: (readListing(crypto, bytes) as { url: string }).url }),
			accepted("takes nothing new", {
				bytes: again(at.takes, Uint8Array.of(0)),
				reads: (readListing(crypto, again(at.takes, Uint8Array.of(0))) as { url: string }).url,
			}),
			accepted("a URL of 256 bytes", {
				bytes: withUrl(long),
				reads: (readListing(crypto, withUrl(long)) as { url: string }).url,
			}),
		],
		listingsRefused: bad.map(([name, changed]) => refused(name, changed, readListing(crypto, changed))),
		urls: urls.map((url) => accepted(url.slice(0, 40), { url, good: isRelayUrl(url) })),
		urlsRefused: badUrls.map((url) => refused(JSON.stringify(url).slice(0, 40), { url }, isRelayUrl(url) || undefined)),
	};
}

export function handshakeVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const said = { tag: w.tag, atMs: NOW_MS, nonce: w.nonce };
	const hello = signHello(crypto, { ...said, grant: w.grant.bytes }, w.relay.publicKey, w.session);
	const reading = signHello(crypto, said, w.relay.publicKey, w.other);
	const check = (bytes: Uint8Array) => {
		const read = readHello(bytes);
		return isProblem(read) ? read : verifyHello(crypto, read, w.relay.publicKey);
	};
	const helloAgain = (at: number, over: Uint8Array) =>
		resign(crypto, "hello", patch(hello, at, over), w.session.secretKey, w.relay.publicKey);
	const badHello: [string, Uint8Array][] = [
		...lengths(hello),
		...lengths(reading).map(([name, bytes]): [string, Uint8Array] => [`reading only: ${name}`, bytes]),
		["version 2", helloAgain(0, Uint8Array.of(2))],
		["flags 2", helloAgain(1, Uint8Array.of(2))],
		["flags 0 with a grant", helloAgain(1, Uint8Array.of(0))],
		["at 2^53", helloAgain(18, u64(2n ** 53n))],
		["a grant of version 2", helloAgain(42, Uint8Array.of(2))],
		["for another relay", signHello(crypto, { ...said, grant: w.grant.bytes }, w.other.publicKey, w.session)],
		["signed by another key", resign(crypto, "hello", hello, w.other.secretKey, w.relay.publicKey)],
		["signed for another purpose", resign(crypto, "listen", hello, w.session.secretKey, w.relay.publicKey)],
		["a bit of the tag changed", flip(hello, 2)],
		["a bit of the nonce changed", flip(hello, 26)],
		["a bit of the grant changed", flip(hello, 42 + 45)],
	];
	const limits = {
		messageBytesMax: LIMIT.messageBytesMax,
		stepBytesMax: LIMIT.stepBytesMax,
		idleMs: LIMIT.idleMs,
		ttlSMax: LIMIT.ttlSMax,
	};
	const hash = helloHash(crypto, hello);
	const welcomes = {
		"a session that only reads": { helloHash: hash, atMs: NOW_MS, tab: undefined, ...limits },
		"a tab without a voucher": { helloHash: hash, atMs: NOW_MS, tab: { used: w.used, voucher: undefined }, ...limits },
		"a tab with its newest voucher": {
			helloHash: hash,
			atMs: NOW_MS,
			tab: { used: w.used, voucher: w.voucher },
			...limits,
		},
		"the strictest bounds": {
			helloHash: hash,
			atMs: NOW_MS,
			tab: undefined,
			messageBytesMax: 61_452,
			stepBytesMax: 61_440,
			idleMs: 1,
			ttlSMax: 0,
		},
	};
	const welcome = signWelcome(crypto, welcomes["a tab with its newest voucher"], w.relay);
	const welcomeAgain = (at: number, over: Uint8Array) =>
		resign(crypto, "welcome", patch(welcome, at, over), w.relay.secretKey, w.relay.publicKey);
	const end = welcome.length - 64;
	const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
	const badWelcome: [string, Uint8Array][] = [
		...lengths(welcome),
		["another hello's", welcomeAgain(0, flip(hash, 0))],
		["at 2^53", welcomeAgain(32, u64(2n ** 53n))],
		["flags 3", welcomeAgain(40, Uint8Array.of(3))],
		["flags 1 with a voucher", welcomeAgain(40, Uint8Array.of(1))],
		["a voucher of 2^63 nano-dollars", welcomeAgain(41 + 16 + 16, u64(2n ** 63n))],
		["messages of 64 KiB and a byte", welcomeAgain(end - 16, u32(LIMIT.messageBytesMax + 1))],
		["messages that hold no payload", welcomeAgain(end - 16, u32(61_451))],
		["a step of 1 MiB and a byte", welcomeAgain(end - 12, u32(LIMIT.stepBytesMax + 1))],
		["a step that covers no payload", welcomeAgain(end - 12, u32(61_439))],
		["no time to be idle", welcomeAgain(end - 8, u32(0))],
		["a TTL of 30 days and a second", welcomeAgain(end - 4, u32(LIMIT.ttlSMax + 1))],
		["signed by another relay", resign(crypto, "welcome", welcome, w.other.secretKey, w.relay.publicKey)],
		["signed under another relay's name", resign(crypto, "welcome", welcome, w.relay.secretKey, w.other.publicKey)],
		["a bit of the used bytes changed", flip(welcome, 41)],
	];
	const clock = signClock(crypto, hello, NOW_MS + HOUR_MS, w.relay).slice(2);
	const badClock: [string, Uint8Array][] = [
		...lengths(clock),
		["another hello's", resign(crypto, "clock", flip(clock, 0), w.relay.secretKey, w.relay.publicKey)],
		["at 2^53", resign(crypto, "clock", patch(clock, 32, u64(2n ** 53n)), w.relay.secretKey, w.relay.publicKey)],
		["signed by another relay", resign(crypto, "clock", clock, w.other.secretKey, w.relay.publicKey)],
		["a bit of the time changed", flip(clock, 32)],
	];
	const scope = {
		relay: w.relay.publicKey,
		helloHash: hash,
		session: w.session.publicKey,
		mailbox: w.mailbox.publicKey,
		device: w.device,
		tokenHash: tokenHash(crypto, w.token),
	};
	const listen = signListen(crypto, scope, w.mailbox.secretKey);
	const badListen: [string, typeof scope][] = [
		["at another relay", { ...scope, relay: w.other.publicKey }],
		["after another hello", { ...scope, helloHash: flip(hash, 0) }],
		["in another session", { ...scope, session: w.other.publicKey }],
		["of another mailbox", { ...scope, mailbox: w.other.publicKey }],
		["by another device", { ...scope, device: new Uint8Array(16) }],
		["with another token", { ...scope, tokenHash: new Uint8Array(32) }],
	];
	const { tokenHash: _token, ...giveUp } = scope;
	const forget = signForget(crypto, giveUp, w.mailbox.secretKey);
	const badForget: [string, typeof giveUp][] = [
		["at another relay", { ...giveUp, relay: w.other.publicKey }],
		["after another hello", { ...giveUp, helloHash: flip(hash, 0) }],
		["in another session", { ...giveUp, session: w.other.publicKey }],
		["of another mailbox", { ...giveUp, mailbox: w.other.publicKey }],
		["of another device", { ...giveUp, device: new Uint8Array(16) }],
	];
	const renewal = { relay: w.relay.publicKey, helloHash: hash, grant: w.grant.bytes };
	const renew = signRenew(crypto, renewal, w.session.secretKey);
	const badRenew: [string, typeof renewal][] = [
		["at another relay", { ...renewal, relay: w.other.publicKey }],
		["after another hello", { ...renewal, helloHash: flip(hash, 0) }],
		["with another grant", { ...renewal, grant: flip(w.grant.bytes, 45) }],
	];
	return {
		contract: "handshake",
		section: "Hello",
		relay: toHex(w.relay.publicKey),
		relaySecretKey: toHex(w.relay.secretKey),
		hellos: [
			accepted("with a grant", {
				...said,
				grant: w.grant.bytes,
				sessionSecretKey: w.session.secretKey,
				bytes: hello,
				hash,
				good: check(hello),
			}),
			accepted("only to read", {
				...said,
				sessionSecretKey: w.other.secretKey,
				bytes: reading,
				hash: helloHash(crypto, reading),
				good: check(reading),
			}),
		],
		hellosRefused: badHello.map(([name, bytes]) => refused(name, bytes, check(bytes))),
		welcomes: Object.entries(welcomes).map(([name, value]) => {
			const bytes = signWelcome(crypto, value, w.relay);
			return accepted(name, { reads: readWelcome(crypto, bytes, w.relay.publicKey, hello), bytes });
		}),
		welcomesRefused: badWelcome.map(([name, bytes]) =>
			refused(name, bytes, readWelcome(crypto, bytes, w.relay.publicKey, hello)),
		),
		clock: accepted("an hour on", { atMs: readClock(crypto, clock, w.relay.publicKey, hello), bytes: clock }),
		clockRefused: badClock.map(([name, bytes]) =>
			refused(name, bytes, readClock(crypto, bytes, w.relay.publicKey, hello)),
		),
		listen: accepted("signed by the mailbox key", {
			...scope,
			mailboxSecretKey: w.mailbox.secretKey,
			signature: listen,
			good: verifyListen(crypto, scope, listen),
		}),
		listenRefused: badListen.map(([name, other]) =>
			refused(name, { ...other, signature: listen }, verifyListen(crypto, other, listen)),
		),
		forget: accepted("signed by the mailbox key", {
			...giveUp,
			mailboxSecretKey: w.mailbox.secretKey,
			signature: forget,
			good: verifyForget(crypto, giveUp, forget),
		}),
		forgetRefused: [
			...badForget.map(([name, other]) =>
				refused(name, { ...other, signature: forget }, verifyForget(crypto, other, forget)),
			),
			refused("a listen's signature", { ...giveUp, signature: listen }, verifyForget(crypto, giveUp, listen)),
		],
		renew: accepted("signed by the new grant's session key", {
			...renewal,
			session: w.session.publicKey,
			signature: renew,
			good: verifyRenew(crypto, renewal, renew, w.session.publicKey),
		}),
		renewRefused: [
			...badRenew.map(([name, other]) =>
				refused(
					name,
					{ ...other, session: w.session.publicKey, signature: renew },
					verifyRenew(crypto, other, renew, w.session.publicKey),
				),
			),
			refused(
				"by another session key",
				{ ...renewal, session: w.other.publicKey, signature: renew },
				verifyRenew(crypto, renewal, renew, w.other.publicKey),
			),
		],
	};
}

export function disputeVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const { usage: _usage, receipt: _receipt, ...bare } = w.dispute;
	const all: [string, DisputeParts][] = [
		["grant and voucher", bare],
		["with a usage statement", { ...bare, usage: w.dispute.usage }],
		["with a receipt", { ...bare, receipt: w.dispute.receipt }],
		["with both", w.dispute],
	];
	const whole = writeDispute(w.dispute);
	const otherTab = { ...w.terms, tab: new Uint8Array(16) };
	const bad: [string, string][] = [
		["nothing", ""],
		["no newline at the end", whole.slice(0, -1)],
		["two newlines at the end", `${whole}\n`],
		["a space", whole.replace(",", ", ")],
		["capitals", whole.replace(/[a-f](?=[^"]*",)/, (letter) => letter.toUpperCase())],
		["another order", whole.replace(/("usage":"[^"]*"),("receipt":"[^"]*")/, "$2,$1")],
		["a field more", whole.replace("}", ',"note":"x"}')],
		["a receipt without its key", whole.replace(/"receiptKey":"[^"]*"/, '"receiptKey":null')],
		["another online key's certificate", writeDispute({ ...w.dispute, grantKey: w.nextMarketKey.bytes })],
		["a certificate that no root signed", writeDispute({ ...w.dispute, grantKey: flip(w.marketKey.bytes, 143) })],
		["another tab's grant", writeDispute({ ...w.dispute, grant: signGrant(crypto, otherTab, w.online).bytes })],
		["a grant that no key signed", writeDispute({ ...w.dispute, grant: flip(w.grant.bytes, 236) })],
		["another tab's voucher", writeDispute({ ...w.dispute, voucher: writeVoucher(w.sign(2n, 0n, otherTab)) })],
		[
			"another tab's usage statement",
			writeDispute({ ...w.dispute, usage: signUsage(crypto, otherTab, w.used, true, NOW_MS, w.relay.secretKey).bytes }),
		],
		[
			"a receipt with another key's certificate",
			writeDispute({ ...w.dispute, receipt: { ...w.dispute.receipt, key: w.marketKey.bytes } }),
		],
		[
			"a receipt whose certificate no root signed",
			writeDispute({ ...w.dispute, receipt: { ...w.dispute.receipt, key: flip(w.nextMarketKey.bytes, 143) } }),
		],
		[
			"another tab's receipt",
			writeDispute({
				...w.dispute,
				receipt: {
					...w.dispute.receipt,
					bytes: resign(crypto, "receipt", patch(w.receipt.bytes, 40, new Uint8Array(16)), w.nextOnline.secretKey),
				},
			}),
		],
		[
			"another relay's receipt",
			writeDispute({
				...w.dispute,
				receipt: {
					...w.dispute.receipt,
					bytes: resign(crypto, "receipt", patch(w.receipt.bytes, 56, w.other.publicKey), w.nextOnline.secretKey),
				},
			}),
		],
		[
			"a receipt whose money is not the price",
			writeDispute({
				...w.dispute,
				receipt: {
					...w.dispute.receipt,
					bytes: resign(crypto, "receipt", patch(w.receipt.bytes, 136, u64(507_001n)), w.nextOnline.secretKey),
				},
			}),
		],
	];
	const shownFailure = (name: string, file: string, market: Uint8Array) => {
		const answer = readDispute(crypto, file, market);
		return { ...(refused(name, { file }, answer) as object), check: isProblem(answer) ? answer.check : "" };
	};
	return {
		contract: "dispute",
		section: "Dispute file",
		market: toHex(w.root.publicKey),
		files: all.map(([name, parts]) => {
			const verdict = readDispute(crypto, writeDispute(parts), w.root.publicKey);
			if (isProblem(verdict)) throw new Error(name);
			return accepted(name, {
				file: writeDispute(parts),
				owed: verdict.owed,
				exact: verdict.exact,
				says: verdictLines(verdict),
			});
		}),
		filesRefused: bad.map(([name, file]) => shownFailure(name, file, w.root.publicKey)),
		otherMarket: shownFailure("pinned to another market", whole, w.other.publicKey),
	};
}
