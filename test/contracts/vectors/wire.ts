/** The vectors of what is not signed: integers, amounts, prices, ranges, frames, problems. */
import {
	AMOUNT_MAX,
	amount,
	formatAmount,
	formatDollars,
	NOTHING,
	parseAmount,
	parseDollars,
	portion,
} from "#contracts/amount";
import { fromHex, Reader, toHex, Writer } from "#contracts/bytes";
import {
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
	writeCredited,
	writeEmpty,
	writeListen,
	writeListening,
	writeOpen,
	writePing,
	writePong,
	writeProblem,
	writeRangesFrame,
	writeRefused,
	writeRenew,
	writeUsageFrame,
	writeVoucherFrame,
	writeWindow,
} from "#contracts/control";
import { readDevices, readForget, writeDevices, writeForget } from "#contracts/device";
import { type Fan, readFan, sendsOf, writeFan } from "#contracts/fan";
import { advance, cursor, FRAME, frame, mailFrame, rewriteToDeliver } from "#contracts/frame";
import type { Crypto } from "#contracts/identity";
import { tokenHash } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { PROBLEMS, problem, problemOfJson, problemOfWire } from "#contracts/problem";
import { type Range, readRanges, writeRanges } from "#contracts/ranges";
import { bill } from "#contracts/tab";
import { price, type Tariff } from "#contracts/tariff";
import { readVoucher, writeVoucher } from "#contracts/voucher";
import { NOW_MS, patch, u64, world } from "#test/contracts/world";
import { accepted, lengths, refused, type VectorFile } from "./case.ts";

const U64_MAX = 2n ** 64n - 1n;

/** A problem that was read is a value, not a refusal: packed, so that it cannot be taken for one. */
function packed(said: unknown): { said: unknown } | undefined {
	return said === undefined ? undefined : { said };
}

/** Reads a problem's body, packed. */
function readProblemBody(bytes: Uint8Array): unknown {
	return packed(readProblem(bytes));
}

/** The body of a frame that stands alone in its message. */
function body(whole: Uint8Array): Uint8Array {
	const c = cursor();
	if (!advance(whole, c) || c.next !== whole.length) throw new Error("not one frame");
	return whole.slice(c.start, c.end);
}

export function bytesVectors(): VectorFile {
	const varint = (bytes: Uint8Array) => {
		const reader = new Reader(bytes);
		const value = reader.varint();
		return reader.done ? value : undefined;
	};
	const count = (bytes: Uint8Array) => {
		const reader = new Reader(bytes);
		const value = reader.count();
		return reader.done ? value : undefined;
	};
	const varints = [0, 1, 127, 128, 300, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, 4_294_967_295];
	const bad: [string, number[]][] = [
		["no bytes", []],
		["goes on and ends", [0x80]],
		["zero in two bytes", [0x80, 0x00]],
		["127 in two bytes", [0xff, 0x00]],
		["128 in three bytes", [0x80, 0x81, 0x00]],
		["2^32", [0x80, 0x80, 0x80, 0x80, 0x10]],
		["six bytes", [0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
		["a byte left over", [0x01, 0x01]],
	];
	const hexes: unknown[] = ["0", "0A", "0g", " 00", "00 ", "00\n", "0x00", "é0", null, 0, [], {}];
	return {
		contract: "bytes",
		section: "Encoding",
		varint: varints.map((value) => accepted(`${value}`, { value, bytes: new Writer().varint(value).finish() })),
		varintRefused: bad.map(([name, list]) => refused(name, Uint8Array.from(list), varint(Uint8Array.from(list)))),
		u64: [0n, 1n, 256n, 2n ** 53n - 1n, 2n ** 63n, U64_MAX].map((value) =>
			accepted(`${value}`, { value, bytes: new Writer().u64(value).finish() }),
		),
		timeRefused: [
			refused("2^53", u64(2n ** 53n), count(u64(2n ** 53n))),
			refused("2^64-1", u64(U64_MAX), count(u64(U64_MAX))),
		],
		hexRefused: hexes.map((hex) => refused(JSON.stringify(hex), { hex }, fromHex(hex))),
	};
}

export function amountVectors(): VectorFile {
	const json = ["0", "1", "1000", "9007199254740993", AMOUNT_MAX.toString()];
	const jsonBad: unknown[] = [
		"",
		"-1",
		"-0",
		"+1",
		"01",
		"00",
		"1.0",
		"1e3",
		" 1",
		"1 ",
		"1\n",
		"0x10",
		"１",
		"9223372036854775808",
		"10000000000000000000",
		"1".repeat(400),
		"NaN",
		"Infinity",
		"null",
		0,
		1,
		-1,
		1.5,
		null,
		true,
		[],
		["1"],
		{},
	];
	const dollars = ["0", "5", "$5", "0.25", "1.000000001", "0.000000001", "9223372036.854775807", "007"];
	const dollarsBad = [
		"",
		"$",
		"-5",
		".5",
		"5.",
		"1.0000000001",
		"1,000",
		"1e3",
		" 5",
		"5 ",
		"$$5",
		"9223372036.854775808",
		"99999999999",
	];
	const portions: [bigint, number][] = [
		[0n, 20_000],
		[49n, 20_000],
		[50n, 20_000],
		[99n, 20_000],
		[100n, 20_000],
		[AMOUNT_MAX, 1_000_000],
		[AMOUNT_MAX, 0],
		[1n, 999_999],
	];
	return {
		contract: "amount",
		section: "Encoding",
		max: AMOUNT_MAX.toString(),
		json: json.map((text) => accepted(text, { text, nanos: parseAmount(text) })),
		jsonRefused: jsonBad.map((text) => refused(JSON.stringify(text).slice(0, 40), { text }, parseAmount(text))),
		dollars: dollars.map((text) => {
			const nanos = parseDollars(text) ?? NOTHING;
			return accepted(text, { text, nanos: formatAmount(nanos), written: formatDollars(nanos) });
		}),
		dollarsRefused: dollarsBad.map((text) => refused(JSON.stringify(text), { text }, parseDollars(text))),
		portion: portions.map(([of, ratePpm]) =>
			accepted(`${ratePpm} ppm of ${of}`, { of, ratePpm, nanos: portion(amount(of), ratePpm) }),
		),
	};
}

export function tariffVectors(): VectorFile {
	const tariffs: Record<string, Tariff> = {
		default: { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) },
		free: { sendPerMb: NOTHING, storePerMbDay: NOTHING },
		least: { sendPerMb: amount(1n), storePerMbDay: amount(1n) },
		highest: { sendPerMb: amount(LIMIT.priceNanosMax), storePerMbDay: amount(LIMIT.priceNanosMax) },
	};
	const cases: [string, bigint, bigint][] = [
		["default", 0n, 0n],
		["default", 1n, 0n],
		["default", 2n, 0n],
		["default", 3n, 0n],
		["default", 1_000_000n, 0n],
		["default", 1_000_000n, 86_400_000_000n],
		["default", 1_000_001n, 1_000_001n * 604_800n],
		["default", 5_000_000n, 5_000_000n * 604_800n],
		["free", U64_MAX, U64_MAX],
		["least", 0n, 1n],
		["least", 1_000_000n, 0n],
		["least", 1_000_001n, 0n],
		["least", 0n, 86_400_000_000n],
		["least", 0n, 86_400_000_001n],
		["least", 500_000n, 43_200_000_000n],
		["least", 500_000n, 43_200_000_001n],
		["least", U64_MAX, U64_MAX],
		["highest", 9_223_372_036_854n, 0n],
	];
	const over: [string, bigint, bigint][] = [
		["highest", 9_223_372_036_855n, 0n],
		["highest", U64_MAX, U64_MAX],
		["default", U64_MAX + 1n, 0n],
		["default", 0n, U64_MAX + 1n],
		["free", U64_MAX + 1n, 0n],
		["default", -1n, 0n],
		["default", 0n, -1n],
	];
	const input = (name: string, bytes: bigint, byteSeconds: bigint) => ({ tariff: tariffs[name], bytes, byteSeconds });
	return {
		contract: "tariff",
		section: "Price",
		price: cases.map(([name, bytes, byteSeconds]) =>
			accepted(`${name}: ${bytes}, ${byteSeconds}`, {
				...input(name, bytes, byteSeconds),
				nanos: price(tariffs[name] as Tariff, { bytes, byteSeconds }),
			}),
		),
		priceRefused: over.map(([name, bytes, byteSeconds]) =>
			refused(
				`${name}: ${bytes}, ${byteSeconds}`,
				input(name, bytes, byteSeconds),
				price(tariffs[name] as Tariff, { bytes, byteSeconds }),
			),
		),
		bill: [
			[0n, 20_000, 20_000],
			[49n, 20_000, 20_000],
			[50n, 20_000, 99_999],
			[1_014_000n, 20_000, 20_000],
			[LIMIT.capNanosMax, 1_000_000, 1_000_000],
		].map(([ask, marketPpm, solidarityPpm]) => {
			const fees = { marketPpm: Number(marketPpm), solidarityPpm: Number(solidarityPpm) };
			return accepted(`${ask} at ${marketPpm} and ${solidarityPpm} ppm`, {
				fees,
				...bill(amount(BigInt(ask as bigint)), fees),
			});
		}),
	};
}

export function rangesVectors(): VectorFile {
	const write = (ranges: readonly Range[]) => writeRanges(new Writer(), ranges).finish();
	const read = (bytes: Uint8Array) => {
		const reader = new Reader(bytes);
		const ranges = readRanges(reader);
		return reader.done ? ranges : undefined;
	};
	const most = Array.from({ length: LIMIT.rangesMax }, (_, i): Range => [i * 2, i * 2]);
	const sets: [string, Range[]][] = [
		["none", []],
		["zero", [[0, 0]]],
		["one to nine", [[1, 9]]],
		["two that leave one out", [[0, 4], [6, 6]]], // biome-ignore format: one line
		["the last number", [[4_294_967_295, 4_294_967_295]]],
		["every number", [[0, 4_294_967_295]]],
		["gaps of two bytes", [[200, 500], [1_000, 20_000]]], // biome-ignore format: one line
	];
	const bad: [string, number[]][] = [
		["no bytes", []],
		["a range too few", [2, 0, 0]],
		["touching ranges", [2, 0, 0, 0, 0]],
		["past 2^32-1", [1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]],
		["second past 2^32-1", [2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 0]],
		["count not minimal", [0x81, 0x00, 0, 0]],
		["a byte left over", [1, 0, 0, 0]],
	];
	const tooMany = write([...most, [LIMIT.rangesMax * 2, LIMIT.rangesMax * 2]]);
	return {
		contract: "ranges",
		section: "Ranges",
		ranges: sets.map(([name, ranges]) => accepted(name, { ranges, bytes: write(ranges) })),
		rangesRefused: [
			...bad.map(([name, list]) => refused(name, Uint8Array.from(list), read(Uint8Array.from(list)))),
			refused("1,025 ranges", tooMany, read(tooMany)),
		],
		most: accepted("1,024 ranges: every second number from 0", { bytes: write(most), read: read(write(most))?.length }),
	};
}

export function frameVectors(): VectorFile {
	const walk = (message: Uint8Array) => {
		const c = cursor();
		const frames: { type: number; body: Uint8Array }[] = [];
		while (advance(message, c)) frames.push({ type: c.type, body: message.slice(c.start, c.end) });
		return c.next === message.length ? frames : undefined;
	};
	const of = (length: number) => new Uint8Array(length).fill(0x5a);
	const messages: [string, Uint8Array][] = [
		["an empty message", of(0)],
		["an empty body", frame(FRAME.finish, of(0))],
		["two frames", new Uint8Array([...frame(FRAME.ping, of(4)), ...frame(FRAME.usageRequest, of(0))])],
		["a type of a later version", frame(63, of(1))],
	];
	const heads = [0, 127, 128, 16_383, 16_384, 61_448].map((length) => {
		const whole = frame(FRAME.send, of(length));
		return accepted(`a body of ${length}`, { type: FRAME.send, length, head: whole.slice(0, whole.length - length) });
	});
	const bad: [string, number[]][] = [
		["a type alone", [3]],
		["a length that goes on and ends", [3, 0x80]],
		["a length that goes on twice and ends", [3, 0x80, 0x80]],
		["a length of zero in two bytes", [3, 0x80, 0x00]],
		["a length of 128 in three bytes", [3, 0x80, 0x81, 0x00, ...Array(128).fill(0)]],
		["a length of four bytes", [3, 0x80, 0x80, 0x80, 0x01]],
		["a body one byte short", [3, 2, 0]],
		["a body of 2 MiB that is not there", [3, 0xff, 0xff, 0x7f]],
		["a good frame and half of one", [9, 0, 3]],
	];
	const send = mailFrame(FRAME.send, 7, 42, of(3));
	const fans: [string, Fan][] = [
		["three copies", { seq: 42, handles: [7, 0, 0xffffffff], payload: of(3) }],
		["one copy", { seq: 42, handles: [7], payload: of(3) }],
		["one handle twice: two copies", { seq: 42, handles: [7, 7], payload: of(3) }],
		["up to the last number", { seq: 0xfffffffe, handles: [7, 8], payload: of(3) }],
	];
	const fan = body(writeFan({ seq: 42, handles: [7, 8], payload: of(3) }));
	const badFans: [string, Uint8Array][] = [
		...lengths(fan).slice(0, 1),
		["a count alone", Uint8Array.of(0)],
		["no payload", fan.slice(0, -3)],
		["fewer handles than its count", patch(fan, 0, Uint8Array.of(2))],
		["a count of 256 and two handles", patch(fan, 0, Uint8Array.of(255))],
		["numbers past 2^32-1", patch(fan, 1, new Uint8Array(4).fill(0xff))],
		["a payload of 61,441 bytes", new Uint8Array([...fan.slice(0, 13), ...of(61_441)])],
	];
	const deliver = send.slice();
	const c = cursor();
	advance(deliver, c);
	rewriteToDeliver(deliver, c, 0xffffffff, 1);
	return {
		contract: "frame",
		section: "Frames",
		types: FRAME,
		heads,
		messages: messages.map(([name, message]) => accepted(name, { bytes: message, frames: walk(message) })),
		messagesRefused: bad.map(([name, list]) => refused(name, Uint8Array.from(list), walk(Uint8Array.from(list)))),
		send: accepted("handle 7, seq 42", { handle: 7, seq: 42, payload: of(3), bytes: send }),
		fans: fans.map(([name, fan]) => accepted(name, { ...fan, bytes: writeFan(fan), means: sendsOf(fan) })),
		fanBodiesRefused: badFans.map(([name, bytes]) => refused(name, bytes, readFan(bytes))),
		deliver: accepted("the same, rewritten in place", {
			handle: 0xffffffff,
			number: 1,
			payload: of(3),
			bytes: deliver,
		}),
	};
}

export function controlVectors(crypto: Crypto): VectorFile {
	const w = world(crypto);
	const open = { handle: 7, ttlS: 604_800, mailbox: w.mailbox.publicKey, token: w.token };
	const stranger = { handle: 0xffffffff, ttlS: 0, mailbox: w.mailbox.publicKey };
	const listen = {
		handle: 1,
		mailbox: w.mailbox.publicKey,
		device: w.device,
		tokenHash: tokenHash(crypto, w.token),
		signature: new Uint8Array(64).fill(0xee),
	};
	const listening = { handle: 1, waiting: 3, waitingBytes: 49_152, droppedTtl: 2, droppedQuota: 1, fresh: false };
	const forget = { handle: 1, device: w.device, signature: new Uint8Array(64).fill(0xee) };
	const devices = {
		handle: 1,
		devices: [
			{ device: w.device, seenMs: NOW_MS },
			{ device: new Uint8Array(16), seenMs: 0 },
		],
	};
	const renew = { grant: w.grant.bytes, final: w.voucher, signature: new Uint8Array(64).fill(0xee) };
	const refusal = { code: "unpaid" as const, ranges: [[5, 9]] as Range[] };
	const ping = { mark: 0x01020304, nextMs: 120_000 };
	const window = { frames: 16, bytes: 65_536 };
	const said = problem("draining", "Back in a moment.", { retryAfterMs: 1_500 });
	const fixed: [string, Uint8Array, (body: Uint8Array) => unknown][] = [
		["open", writeOpen(open), readOpen],
		["listen", writeListen(listen), readListen],
		["listening", writeListening(listening), readListening],
		["forget", writeForget(forget), readForget],
		["devices", writeDevices(devices), readDevices],
		["renew", writeRenew(renew), readRenew],
		["credited", writeCredited(1_014_000n), readCredited],
		["ping", writePing(ping), readPing],
		["pong", writePong(ping.mark), readPong],
		["window", writeWindow(window), readWindow],
		["problem", writeProblem(FRAME.problem, said), readProblemBody],
		["refused", writeRefused(refusal), readRefused],
		["ack", writeRangesFrame(FRAME.ack, [[1, 9]]), readRangesBody],
	];
	const wrong: [string, Uint8Array, (body: Uint8Array) => unknown][] = [
		[
			"listening with more bytes than a number holds",
			patch(body(writeListening(listening)), 8, u64(2n ** 53n)),
			readListening,
		],
		["listening with fresh 2", patch(body(writeListening(listening)), 24, Uint8Array.of(2)), readListening],
		["devices with nine of them", new Uint8Array([...new Uint8Array(4), 9, ...new Uint8Array(9 * 24)]), readDevices],
		["devices with one seen at 2^53", patch(body(writeDevices(devices)), 21, u64(2n ** 53n)), readDevices],
		["renew with a voucher of 2^63 nano-dollars", patch(body(writeRenew(renew)), 237 + 16, u64(2n ** 63n)), readRenew],
		["problem with retry 2", patch(body(writeProblem(FRAME.problem, said)), 1, Uint8Array.of(2)), readProblemBody],
		["problem with spent 3", patch(body(writeProblem(FRAME.problem, said)), 2, Uint8Array.of(3)), readProblemBody],
		[
			"problem with a detail of 513 bytes",
			new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0x01, 0x02, ...new Uint8Array(513).fill(0x61)]),
			readProblemBody,
		],
	];
	const later = patch(body(writeProblem(FRAME.problem, said)), 0, Uint8Array.of(255));
	return {
		contract: "control",
		section: "Frames",
		frames: [
			accepted("open", { ...open, bytes: writeOpen(open) }),
			accepted("open by a stranger, live only", { ...stranger, bytes: writeOpen(stranger) }),
			accepted("voucher", { voucher: writeVoucher(w.voucher), bytes: writeVoucherFrame(w.voucher) }),
			accepted("listen", { ...listen, bytes: writeListen(listen) }),
			accepted("listening", { ...listening, bytes: writeListening(listening) }),
			accepted("listening of a new device", {
				...listening,
				fresh: true,
				bytes: writeListening({ ...listening, fresh: true }),
			}),
			accepted("forget", { ...forget, bytes: writeForget(forget) }),
			accepted("devices", { ...devices, bytes: writeDevices(devices) }),
			accepted("devices, none", { handle: 2, devices: [], bytes: writeDevices({ handle: 2, devices: [] }) }),
			accepted("ack", { ranges: [[1, 9]], bytes: writeRangesFrame(FRAME.ack, [[1, 9]]) }),
			accepted("kept", { ranges: [[0, 0]], bytes: writeRangesFrame(FRAME.kept, [[0, 0]]) }),
			accepted("passed", { ranges: [], bytes: writeRangesFrame(FRAME.passed, []) }),
			accepted("renew", { ...renew, final: writeVoucher(renew.final), bytes: writeRenew(renew) }),
			accepted("finish", { bytes: writeEmpty(FRAME.finish) }),
			accepted("usage request", { bytes: writeEmpty(FRAME.usageRequest) }),
			accepted("usage", { usage: w.usage.bytes, bytes: writeUsageFrame(w.usage.bytes) }),
			accepted("refused", { ...refusal, bytes: writeRefused(refusal) }),
			accepted("credited", { nanos: 1_014_000n, bytes: writeCredited(1_014_000n) }),
			accepted("ping", { ...ping, bytes: writePing(ping) }),
			accepted("pong", { mark: ping.mark, bytes: writePong(ping.mark) }),
			accepted("window", { window, bytes: writeWindow(window) }),
			accepted("a window that pauses", {
				window: { frames: 0, bytes: 0 },
				bytes: writeWindow({ frames: 0, bytes: 0 }),
			}),
			accepted("problem", { says: { ...said }, bytes: writeProblem(FRAME.problem, said) }),
			accepted("bye", { says: { ...said }, bytes: writeProblem(FRAME.bye, said) }),
		],
		bodiesRefused: [
			...fixed.flatMap(([name, whole, read]) =>
				lengths(body(whole)).map(([what, bytes]) => refused(`${name}: ${what}`, bytes, read(bytes))),
			),
			...wrong.map(([name, bytes, read]) => refused(name, bytes, read(bytes))),
		],
		laterProblem: accepted("a code of a later version reads as internal", {
			bytes: later,
			reads: readProblem(later)?.problem,
		}),
		voucherRefused: lengths(writeVoucher(w.voucher)).map(([what, bytes]) => refused(what, bytes, readVoucher(bytes))),
	};
}

export function problemVectors(): VectorFile {
	const sound = { problem: "unpaid", retry: true, spent: "no", detail: "Pay first." };
	const bad: [string, unknown][] = [
		["null", null],
		["text", "unpaid"],
		["a list", [sound]],
		["no code", { ...sound, problem: undefined }],
		["an unknown code", { ...sound, problem: "no-such-problem" }],
		["an inherited name", { ...sound, problem: "constructor" }],
		["the prototype's name", { ...sound, problem: "__proto__" }],
		["a code in a list", { ...sound, problem: ["unpaid"] }],
		["retry as a number", { ...sound, retry: 1 }],
		["an unknown spent", { ...sound, spent: "maybe" }],
		["a detail that is none", { ...sound, detail: { toString: "x" } }],
		["a negative wait", { ...sound, retryAfterMs: -1 }],
		["a wait of half a millisecond", { ...sound, retryAfterMs: 0.5 }],
		["a wait in words", { ...sound, retryAfterMs: "1" }],
	];
	return {
		contract: "problem",
		section: "Problems",
		table: "contracts/problem.json",
		wire: Object.entries(PROBLEMS).map(([code, kind]) =>
			accepted(code, { wire: kind.wire, byte: toHex(Uint8Array.of(kind.wire)), reads: problemOfWire(kind.wire) }),
		),
		unknownWire: accepted("a byte that no code has", { wire: 255, reads: problemOfWire(255) }),
		json: [
			accepted("without a wait", { json: { ...sound, is: undefined }, detail: problemOfJson(sound)?.detail }),
			accepted("with a wait and a control character", {
				json: { ...sound, detail: "a\u001b[2Jb", retryAfterMs: 5 },
				detail: problemOfJson({ ...sound, detail: "a\u001b[2Jb", retryAfterMs: 5 })?.detail,
			}),
		],
		jsonRefused: bad.map(([name, json]) => refused(name, { json }, packed(problemOfJson(json)))),
	};
}
