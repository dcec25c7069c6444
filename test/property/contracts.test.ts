/** What holds for any bytes, any numbers and any order: the wire's and money's own laws. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AMOUNT_MAX, amount, formatAmount, formatDollars, parseAmount, parseDollars, portion } from "#contracts/amount";
import { fromHex, Reader, toHex, Writer } from "#contracts/bytes";
import {
	RANGE_FRAME_BYTES_MAX,
	readCredited,
	readListen,
	readListening,
	readOpen,
	readPing,
	readPong,
	readProblem,
	readRangesBody,
	readRefused,
	readRenew,
	readWindow,
	writeListen,
	writeListening,
	writeOpen,
	writePing,
	writeProblem,
	writeRangeFrame,
	writeRangesFrame,
	writeRefused,
	writeRenew,
	writeWindow,
} from "#contracts/control";
import { readDevices, readForget, writeDevices, writeForget } from "#contracts/device";
import { readDispute } from "#contracts/dispute";
import { fanBytes, fanCopies, readFan, sendsOf, writeDeliverHead, writeFan } from "#contracts/fan";
import { advance, cursor, FRAME, frame, mailFrame, readU32, rewriteToDeliver, writeHead } from "#contracts/frame";
import { readGrant, verifyGrant } from "#contracts/grant";
import {
	helloHash,
	readClock,
	readHello,
	readWelcome,
	signClock,
	signHello,
	signWelcome,
	verifyHello,
} from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { readListing } from "#contracts/listing";
import { readMarketInfo, readMarketKey } from "#contracts/market";
import { isProblem, PROBLEMS, type ProblemCode, problem, problemOfJson } from "#contracts/problem";
import { each, has, include, type Range, rangesOf, readRanges, size, writeRanges } from "#contracts/ranges";
import {
	readBatch,
	readClaim,
	readReceipt,
	readRedeemAnswer,
	readUsage,
	signBatch,
	writeClaim,
} from "#contracts/redemption";
import { bill } from "#contracts/tab";
import { plus, price, within } from "#contracts/tariff";
import { advances, readVoucher, verifyVoucher, writeVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { must, NOW_MS, world } from "#test/contracts/world";

const w = world(crypto);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.nat({ max: 0xffffffff });
const bytes = (max = 600) => fc.uint8Array({ maxLength: max });
const nanos = fc.bigInt({ min: 0n, max: LIMIT.priceNanosMax }).map(amount);
const tariff = fc.record({ sendPerMb: nanos, storePerMbDay: nanos });
/** Traffic whose price at any tariff is an amount. */
const small = fc.bigInt({ min: 0n, max: 2n ** 39n });
const carried = fc.record({ bytes: small, byteSeconds: small });

const hello = signHello(
	crypto,
	{ tag: w.tag, atMs: NOW_MS, nonce: w.nonce, grant: w.grant.bytes },
	w.relay.publicKey,
	w.session,
);
const reading = signHello(crypto, { tag: w.tag, atMs: NOW_MS, nonce: w.nonce }, w.relay.publicKey, w.session);
/** Every reader of bytes that are signed: whole checks, so that a changed bit must be refused. */
const SIGNED: Record<string, { sound: Uint8Array; check: (body: Uint8Array) => unknown }> = {
	"market key": { sound: w.marketKey.bytes, check: (body) => readMarketKey(crypto, body) },
	grant: {
		sound: w.grant.bytes,
		check: (body) => {
			const grant = readGrant(body);
			return isProblem(grant) ? grant : (verifyGrant(crypto, grant, w.keys) ?? grant);
		},
	},
	voucher: {
		sound: writeVoucher(w.voucher),
		check: (body) => {
			const voucher = readVoucher(body);
			return isProblem(voucher) ? voucher : (verifyVoucher(crypto, w.terms, voucher) ?? voucher);
		},
	},
	usage: { sound: w.usage.bytes, check: (body) => readUsage(crypto, body, w.terms) },
	receipt: { sound: w.receipt.bytes, check: (body) => readReceipt(crypto, body, w.keys) },
	listing: { sound: w.listing.bytes, check: (body) => readListing(crypto, body) },
	hello: { sound: hello, check: checkHello },
	"hello to read": { sound: reading, check: checkHello },
	clock: {
		sound: signClock(crypto, hello, NOW_MS, w.relay).slice(2),
		check: (body) => readClock(crypto, body, w.relay.publicKey, hello),
	},
	welcome: {
		sound: signWelcome(
			crypto,
			{
				helloHash: helloHash(crypto, hello),
				atMs: NOW_MS,
				tab: { used: w.used, voucher: w.voucher },
				messageBytesMax: 65_536,
				stepBytesMax: 65_536,
				idleMs: 1_000,
				ttlSMax: 60,
			},
			w.relay,
		),
		check: (body) => readWelcome(crypto, body, w.relay.publicKey, hello),
	},
};

function checkHello(body: Uint8Array) {
	const read = readHello(body);
	if (isProblem(read)) return read;
	return verifyHello(crypto, read, w.relay.publicKey) ? read : problem("signature-bad");
}

/** Every reader of bodies that are not signed: total, and what they accept they accept whole. */
const PLAIN: Record<string, (body: Uint8Array) => unknown> = {
	open: readOpen,
	listen: readListen,
	listening: readListening,
	forget: readForget,
	devices: readDevices,
	renew: readRenew,
	ranges: readRangesBody,
	refused: readRefused,
	credited: readCredited,
	ping: readPing,
	pong: readPong,
	window: readWindow,
	fan: readFan,
	problem: readProblem,
	claim: readClaim,
};

test("a frame of one range is the same bytes written in place as built apart", () => {
	const range = fc.tuple(u32, u32).map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]);
	fc.assert(
		fc.property(range, fc.nat(20), ([first, last], at) => {
			const bytes = new Uint8Array(at + RANGE_FRAME_BYTES_MAX);
			const end = writeRangeFrame(bytes, at, FRAME.passed, first, last);
			assert.deepEqual(bytes.slice(at, end), writeRangesFrame(FRAME.passed, [[first, last]]));
		}),
	);
});

test("walking a message is total: any bytes are frames to the end or stop before it, and what was walked is what it was", () => {
	fc.assert(
		fc.property(bytes(), (message) => {
			const c = cursor();
			const parts: Uint8Array[] = [];
			while (advance(message, c)) parts.push(frame(c.type, message.subarray(c.start, c.end)));
			assert.ok(c.next <= message.length);
			assert.deepEqual(Buffer.concat(parts), Buffer.from(message.subarray(0, c.next)));
		}),
		{ numRuns: 2_000 },
	);
});

test("frames written back to back are walked as they were written, at every length", () => {
	const length = fc.oneof(
		fc.nat({ max: 300 }),
		fc.constantFrom(126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 20_000),
	);
	fc.assert(
		fc.property(fc.array(fc.tuple(fc.nat({ max: 255 }), length), { maxLength: 3 }), (frames) => {
			const message = Buffer.concat(frames.map(([type, size]) => frame(type, new Uint8Array(size).fill(type))));
			const c = cursor();
			for (const [type, size] of frames) {
				const from = c.next;
				assert.ok(advance(message, c));
				assert.deepEqual([c.type, c.end - c.start, c.at, c.next], [type, size, from, c.end]);
			}
			assert.equal(advance(message, c), false);
			assert.equal(c.next, message.length);
			for (let cut = 1; cut < Math.min(message.length, 20); cut++) {
				const short = message.subarray(0, message.length - cut);
				const d = cursor();
				while (advance(short, d));
				assert.ok(d.next <= short.length);
			}
		}),
		{ numRuns: 300 },
	);
});

test("a send becomes a delivery in place: same length, same payload, another handle and number", () => {
	const payload = fc.oneof(
		bytes(),
		fc.constantFrom(0, 119, 120, 16_375, 16_376, LIMIT.payloadBytesMax).map((n) => new Uint8Array(n)),
	);
	fc.assert(
		fc.property(u32, u32, u32, u32, payload, (handle, seq, reader, number, body) => {
			const message = mailFrame(FRAME.send, handle, seq, body);
			assert.ok(message.length - body.length <= 12);
			const c = cursor();
			assert.ok(advance(message, c));
			assert.deepEqual([c.type, readU32(message, c.start), readU32(message, c.start + 4)], [FRAME.send, handle, seq]);
			rewriteToDeliver(message, c, reader, number);
			assert.deepEqual(message, mailFrame(FRAME.deliver, reader, number, body));
		}),
		{ numRuns: 200 },
	);
	assert.throws(() => mailFrame(FRAME.send, 1, 1, new Uint8Array(LIMIT.payloadBytesMax + 1)), RangeError);
	assert.equal(writeHead(new Uint8Array(8), 2, 1, 5), 4);
});

test("a fan's bytes mean one thing: what is read is written back as it was, and its copies are its sends", () => {
	const fan = fc.record({
		seq: u32,
		handles: fc.array(u32, { minLength: 1, maxLength: LIMIT.fanCopiesMax }),
		payload: fc.uint8Array({ minLength: 1, maxLength: 500 }),
	});
	fc.assert(
		fc.property(fan, (drawn) => {
			const fan = { ...drawn };
			const { seq, handles, payload } = fan;
			if (seq + handles.length - 1 > 0xffffffff) {
				assert.throws(() => writeFan(fan), RangeError);
				return;
			}
			const whole = writeFan(fan);
			const c = cursor();
			assert.ok(advance(whole, c) && c.next === whole.length && c.type === FRAME.fan);
			assert.ok(whole.length <= fanBytes(handles.length, payload.length));
			assert.equal(fanCopies(whole, c), handles.length);
			assert.deepEqual(readFan(whole.slice(c.start, c.end)), fan);
			assert.equal(sendsOf(fan).length, handles.length);
			for (const [i, send] of sendsOf(fan).entries()) {
				const one = cursor();
				assert.ok(advance(send, one) && one.type === FRAME.send);
				assert.deepEqual([readU32(send, one.start), readU32(send, one.start + 4)], [handles[i], seq + i]);
				const head = new Uint8Array(16);
				const length = writeDeliverHead(head, 2, 7, i, payload.length);
				assert.deepEqual(
					Buffer.concat([head.subarray(2, 2 + length), payload]),
					Buffer.from(mailFrame(FRAME.deliver, 7, i, payload)),
				);
			}
		}),
		{ numRuns: 200 },
	);
	fc.assert(
		fc.property(bytes(), (body) => {
			const read = readFan(body);
			if (read) assert.deepEqual(writeFan(read).slice(-body.length), body);
		}),
		{ numRuns: 500 },
	);
	const largest = {
		seq: 1,
		handles: Array(LIMIT.fanCopiesMax).fill(1),
		payload: new Uint8Array(LIMIT.payloadBytesMax),
	};
	assert.ok(writeFan(largest).length <= LIMIT.messageBytesMax);
	for (const wrong of [{ handles: [] }, { handles: Array(257).fill(1) }, { payload: new Uint8Array(0) }])
		assert.throws(() => writeFan({ ...largest, ...wrong }), RangeError);
	assert.throws(() => writeFan({ ...largest, payload: new Uint8Array(LIMIT.payloadBytesMax + 1) }), RangeError);
});

test("every reader is total over any bytes", () => {
	const readers = [...Object.values(PLAIN), ...Object.values(SIGNED).map(({ check }) => check)];
	fc.assert(
		fc.property(bytes(), (body) => {
			for (const read of readers) read(body);
			readDispute(crypto, Buffer.from(body).toString("latin1"));
		}),
		{ numRuns: 500 },
	);
});

for (const [what, { sound, check }] of Object.entries(SIGNED))
	test(`a ${what} with any bit changed, cut or lengthened anywhere is refused`, () => {
		assert.ok(!isProblem(check(sound)));
		for (let at = 0; at < sound.length; at++) {
			const changed = sound.slice();
			changed[at] = (changed[at] as number) ^ (1 << (at % 8));
			assert.ok(isProblem(check(changed)), `byte ${at}`);
			assert.ok(isProblem(check(sound.slice(0, at))), `cut at ${at}`);
		}
		fc.assert(
			fc.property(fc.nat({ max: sound.length - 1 }), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, over) => {
				const changed = sound.slice();
				changed.set(over.subarray(0, sound.length - at), at);
				const same = Buffer.compare(changed, sound) === 0;
				assert.equal(isProblem(check(changed)), !same);
				assert.ok(isProblem(check(Uint8Array.from([...sound.subarray(0, at), ...over, ...sound.subarray(at)]))));
			}),
			{ numRuns: 50 },
		);
	});

test("a renewal's, listen's, open's, listening's and claim's bytes mean one thing: what is read is written back as it was", () => {
	const body = (whole: Uint8Array) => {
		const c = cursor();
		advance(whole, c);
		return whole.slice(c.start, c.end);
	};
	const back: [(bytes: Uint8Array) => unknown, (value: never) => Uint8Array, number][] = [
		[readOpen, (value) => body(writeOpen(value)), 56],
		[readListen, (value) => body(writeListen(value)), 148],
		[readListening, (value) => body(writeListening(value)), 25],
		[readForget, (value) => body(writeForget(value)), 84],
		[readDevices, (value) => body(writeDevices(value)), 5],
		[readDevices, (value) => body(writeDevices(value)), 29],
		[readRenew, (value) => body(writeRenew(value)), 389],
		[readPing, (value) => body(writePing(value)), 8],
		[readWindow, (value) => body(writeWindow(value)), 8],
		[readVoucher, writeVoucher, 88],
		[readClaim, writeClaim, 120],
	];
	for (const [read, write, length] of back)
		fc.assert(
			fc.property(fc.uint8Array({ minLength: length, maxLength: length }), (bytes) => {
				const value = read(bytes);
				if (value === undefined || isProblem(value)) return;
				assert.deepEqual(write(value as never), bytes);
			}),
			{ numRuns: 100 },
		);
});

test("a problem's frame comes back as it was said, bounded and without control characters", () => {
	const codes = fc.constantFrom(...(Object.keys(PROBLEMS) as ProblemCode[]));
	const spent = fc.constantFrom("no" as const, "yes" as const, "unknown" as const);
	const wait = fc.option(fc.integer({ min: 1, max: 0xffffffff }), { nil: undefined });
	fc.assert(
		fc.property(
			codes,
			fc.string({ unit: "binary", maxLength: 700 }),
			spent,
			wait,
			(code, detail, money, retryAfterMs) => {
				const said = problem(code, detail, { spent: money, ...(retryAfterMs ? { retryAfterMs } : {}) });
				const whole = writeProblem(FRAME.problem, said);
				const c = cursor();
				assert.ok(advance(whole, c) && c.end - c.start <= 9 + LIMIT.detailBytesMax);
				const read = readProblem(whole.slice(c.start, c.end));
				assert.ok(read);
				assert.deepEqual({ ...read, detail: "" }, { ...said, detail: "" });
				assert.doesNotMatch(read.detail, /\p{Cc}/u);
				assert.ok(!read.detail.includes("\ufffd") || detail.includes("\ufffd"), "cut between characters");
				const json = problemOfJson(JSON.parse(JSON.stringify(said)));
				assert.deepEqual({ ...json, detail: "" }, { ...said, detail: "" });
			},
		),
		{ numRuns: 300 },
	);
	const half = problem("internal", "x", { retryAfterMs: 0.5 });
	assert.equal(readProblem(writeProblem(FRAME.bye, half).slice(2))?.retryAfterMs, 1);
	const ever = problem("internal", "x", { retryAfterMs: Number.POSITIVE_INFINITY });
	assert.equal(readProblem(writeProblem(FRAME.bye, ever).slice(2))?.retryAfterMs, 0xffffffff);
});

test("readers of JSON are total over any value, and over sound ones with any field replaced", () => {
	const batch = signBatch(crypto, w.root.publicKey, w.relay, NOW_MS, [
		{ tab: w.tab, voucher: w.voucher, used: w.used },
	]);
	const info = {
		protocol: "farelay/1",
		market: toHex(w.root.publicKey),
		keys: [toHex(w.marketKey.bytes)],
		fees: { marketPpm: 0, solidarityPpm: 0 },
		limits: { grantMsMax: 1, redeemGraceMs: 1, batchVouchersMax: 1 },
		rails: ["play"],
		nowMs: 0,
	};
	const any = fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: false });
	const replaced = (sound: object) =>
		fc.tuple(fc.constantFrom(...Object.keys(sound)), any).map(([field, value]) => ({ ...sound, [field]: value }));
	assert.ok(!isProblem(readBatch(crypto, batch, w.root.publicKey, NOW_MS)) && !isProblem(readMarketInfo(crypto, info)));
	fc.assert(
		fc.property(fc.oneof(any, replaced(batch), replaced(info)), (json) => {
			readBatch(crypto, json, w.root.publicKey, NOW_MS);
			readMarketInfo(crypto, json);
			readRedeemAnswer(json, 1);
			readRedeemAnswer({ results: [json] }, 1);
			problemOfJson(json);
			parseAmount(json);
			fromHex(json);
		}),
		{ numRuns: 1_000 },
	);
});

test("a price never falls when traffic grows, and covering both totals covers the price", () => {
	fc.assert(
		fc.property(tariff, carried, carried, (ask, a, b) => {
			const more = plus(a, b);
			assert.ok(within(a, more));
			assert.ok((price(ask, a) ?? 0n) <= (price(ask, more) ?? -1n));
		}),
	);
});

test("however traffic is split, the sum of the parts' prices is never less than the price of the sum, nor a nano-dollar more each", () => {
	fc.assert(
		fc.property(tariff, fc.array(carried, { minLength: 1, maxLength: 8 }), (ask, parts) => {
			const total = parts.reduce(plus);
			const whole = must(price(ask, total));
			const apart = parts.reduce((sum, part) => sum + must(price(ask, part)), 0n);
			assert.ok(apart >= whole && apart - whole < BigInt(parts.length));
			// What cumulative vouchers move, step by step, comes to the price of the total exactly.
			let [sofar, moved] = [{ bytes: 0n, byteSeconds: 0n }, 0n];
			for (const part of parts) {
				const before = must(price(ask, sofar));
				sofar = plus(sofar, part);
				moved += must(price(ask, sofar)) - before;
			}
			assert.equal(moved, whole);
		}),
	);
});

test("a price is the exact quotient rounded up, for any u64 traffic", () => {
	const scale = 1_000_000n * 86_400n;
	fc.assert(
		fc.property(tariff, u64, u64, (ask, sent, stored) => {
			const exact = sent * ask.sendPerMb * 86_400n + stored * ask.storePerMbDay;
			const found = price(ask, { bytes: sent, byteSeconds: stored });
			if (found === undefined) assert.ok(exact > AMOUNT_MAX * scale);
			else assert.ok(found * scale >= exact && (found === 0n || (found - 1n) * scale < exact));
		}),
	);
});

test("totals advance one way only", () => {
	fc.assert(
		fc.property(carried, carried, (a, b) => {
			assert.ok(!(advances(a, b) && advances(b, a)) && !advances(a, a));
			const more = plus(a, b);
			assert.equal(advances(more, a), b.bytes > 0n || b.byteSeconds > 0n);
		}),
	);
});

test("a bill's parts sum to its total, and fees taken step by step come to the fee of the whole", () => {
	const rate = fc.nat({ max: 1_000_000 });
	const ask = fc.bigInt({ min: 0n, max: LIMIT.capNanosMax });
	fc.assert(
		fc.property(ask, fc.array(ask, { maxLength: 6 }), rate, rate, (whole, stops, marketPpm, solidarityPpm) => {
			const fees = { marketPpm, solidarityPpm };
			const found = bill(amount(whole), fees);
			assert.equal(found.total, found.ask + found.marketFee + found.solidarityFee);
			assert.equal(found.marketFee, (whole * BigInt(marketPpm)) / 1_000_000n);
			assert.equal(found.solidarityFee, (whole * BigInt(solidarityPpm)) / 1_000_000n);
			const steps = [...stops.filter((stop) => stop <= whole), whole].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
			let [before, taken] = [bill(amount(0n), fees), 0n];
			for (const step of steps) {
				const now = bill(amount(step), fees);
				assert.ok(now.marketFee >= before.marketFee && now.total <= found.total);
				taken += now.total - before.total;
				before = now;
			}
			assert.equal(taken, found.total);
		}),
	);
});

test("amounts and dollars are written and read back without losing a nano", () => {
	fc.assert(
		fc.property(fc.bigInt({ min: 0n, max: AMOUNT_MAX }), fc.nat({ max: 1_000_000 }), (value, ratePpm) => {
			const nanos = amount(value);
			assert.equal(parseAmount(formatAmount(nanos)), nanos);
			assert.equal(parseDollars(formatDollars(nanos)), nanos);
			assert.match(formatDollars(nanos), /^\$\d+\.\d\d(\d{0,6}[1-9])?$/);
			assert.equal(formatDollars(-nanos), `${nanos > 0n ? "-" : ""}${formatDollars(nanos)}`);
			assert.ok(portion(nanos, ratePpm) <= nanos);
		}),
	);
	fc.assert(
		fc.property(fc.string({ unit: "binary" }), (text) => {
			const nanos = parseAmount(text);
			assert.ok(nanos === undefined || formatAmount(nanos) === text);
		}),
	);
});

test("varints, integers and hex are written and read back, each in one form", () => {
	fc.assert(
		fc.property(u32, u64, bytes(40), (small, wide, rest) => {
			const written = new Writer(0)
				.varint(small)
				.u64(wide)
				.u32(small)
				.u16(small & 0xffff)
				.u8(small & 0xff)
				.put(rest)
				.finish();
			const reader = new Reader(written);
			assert.deepEqual(
				[reader.varint(), reader.u64(), reader.u32(), reader.u16(), reader.u8()],
				[small, wide, small, small & 0xffff, small & 0xff],
			);
			assert.deepEqual(reader.take(rest.length), rest);
			assert.ok(reader.done);
			assert.deepEqual(fromHex(toHex(rest)), rest);
			assert.equal(fromHex(toHex(rest), rest.length + 1), undefined);
		}),
	);
	fc.assert(
		fc.property(bytes(6), (found) => {
			const reader = new Reader(found);
			const value = reader.varint();
			if (reader.done) assert.deepEqual(new Writer().varint(value).finish(), found);
		}),
		{ numRuns: 2_000 },
	);
});

test("a number that does not fit its width is never written as another", () => {
	const odd = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-1, 0.5, 2 ** 32, 2 ** 53, Number.NaN));
	fc.assert(
		fc.property(odd, (value) => {
			for (const [width, write] of [
				[8, (writer: Writer) => writer.u8(value)],
				[16, (writer: Writer) => writer.u16(value)],
				[32, (writer: Writer) => writer.u32(value)],
				[32, (writer: Writer) => writer.varint(value)],
			] as const) {
				const fits = Number.isInteger(value) && value >= 0 && value < 2 ** width;
				if (fits) write(new Writer());
				else assert.throws(() => write(new Writer()), RangeError);
			}
		}),
	);
	for (const wide of [-1n, 2n ** 64n, 0.5]) assert.throws(() => new Writer().u64(wide), RangeError);
});

test("ranges hold what a plain set holds, whatever the order, and stay sorted, apart and canonical", () => {
	const near = fc.oneof(fc.nat({ max: 60 }), fc.constantFrom(0, 0xfffffffe, 0xffffffff));
	fc.assert(
		fc.property(fc.array(near, { maxLength: 80 }), (numbers) => {
			const ranges: Range[] = [];
			for (const number of numbers) include(ranges, number);
			const set = new Set(numbers);
			const sorted = [...set].sort((a, b) => a - b);
			assert.deepEqual([...each(ranges)], sorted);
			assert.deepEqual(rangesOf(numbers), ranges);
			assert.equal(size(ranges), set.size);
			for (let number = 0; number < 62; number++) assert.equal(has(ranges, number), set.has(number));
			assert.equal(has(ranges, 0xffffffff), set.has(0xffffffff));
			for (const [i, [first, last]] of ranges.entries()) {
				const next = ranges[i + 1];
				assert.ok(first <= last && (next === undefined || next[0] > last + 1));
			}
			const reader = new Reader(writeRanges(new Writer(), ranges).finish());
			assert.deepEqual(readRanges(reader), ranges);
			assert.ok(reader.done);
		}),
		{ numRuns: 500 },
	);
});

test("any bytes are one canonical set of ranges or none", () => {
	const likely = fc
		.array(fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 255 })), { maxLength: 24 })
		.map((list) => Uint8Array.from(list));
	fc.assert(
		fc.property(likely, (found) => {
			const ranges = readRangesBody(found);
			if (ranges) assert.deepEqual(writeRanges(new Writer(), ranges).finish(), found);
		}),
		{ numRuns: 3_000 },
	);
});

test("a refusal's ranges come back with their code", () => {
	fc.assert(
		fc.property(fc.uniqueArray(u32, { maxLength: 30 }), (numbers) => {
			const refused = { code: "unpaid" as const, ranges: rangesOf(numbers) };
			const whole = writeRefused(refused);
			const c = cursor();
			assert.ok(advance(whole, c));
			assert.deepEqual(readRefused(whole.slice(c.start, c.end)), refused);
		}),
	);
});
