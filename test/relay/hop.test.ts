import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { advance, cursor, FRAME, mailFrame } from "#contracts/frame";
import type { ProblemCode } from "#contracts/problem";
import { rangesOf } from "#contracts/ranges";
import { systemClock } from "#host/clock";
import { openSilentLog } from "#host/log";
import type { RouteTerms } from "#relay/session/far";
import { Tag } from "#relay/tag/dedupe";
import {
	HOP,
	readHopRoute,
	writeHopAnswers,
	writeHopFilled,
	writeHopGaps,
	writeHopKnown,
	writeHopNumber,
	writeHopWord,
} from "#relay/workers/hop";
import { NearLink } from "#relay/workers/link";
import { Pipe } from "#relay/workers/pipe";
import { payload, until } from "#test/support/rawclient";

/** The other worker, as the test plays it: what came, and the socket to answer on. */
type Other = {
	readonly link: NearLink;
	readonly frames: { type: number; body: Uint8Array }[];
	socket: Socket;
	readonly server: Server;
};

async function linkTo(t: TestContext): Promise<Other> {
	const folder = await mkdtemp(join(tmpdir(), "farelay-hop-"));
	const path = join(folder, "1.sock");
	const other = { frames: [] } as unknown as { -readonly [name in keyof Other]: Other[name] };
	other.server = createServer((socket) => {
		other.socket = socket;
		let rest = Buffer.alloc(0);
		socket.on("error", () => {});
		socket.on("data", (more: Buffer) => {
			rest = Buffer.concat([rest, more]);
			const c = cursor();
			while (advance(rest, c)) other.frames.push({ type: c.type, body: new Uint8Array(rest.subarray(c.start, c.end)) });
			rest = rest.subarray(c.next);
		});
	});
	other.server.listen(path);
	await once(other.server, "listening");
	const tags = { mark: () => {}, known: () => undefined } as never;
	const hello = { secret: new Uint8Array(32), worker: 0 };
	other.link = new NearLink({ path, hello, tags, clock: systemClock, log: openSilentLog() });
	t.after(async () => {
		other.link.stop();
		other.socket?.destroy();
		other.server.close();
		await rm(folder, { recursive: true, force: true });
	});
	await until("the hello", () => other.frames.some(({ type }) => type === HOP.hello) || undefined);
	return other;
}

/** Who sends and who pays, with what became of each copy. */
function payer() {
	const fate = {
		settled: 0,
		refunded: 0,
		kept: [] as number[],
		passed: [] as number[],
		refused: [] as [ProblemCode, number][],
	};
	const tag = new Tag("00".repeat(16), { ranges: [], prints: new Map() });
	tag.answers = {
		kept: (seq) => void fate.kept.push(seq),
		passed: (seq) => void fate.passed.push(seq),
		refused: (code, seq) => void fate.refused.push([code, seq]),
	};
	const tab = {
		settle: (size: number) => {
			fate.settled += size;
		},
		refund: (size: number) => {
			fate.refunded += size;
		},
	};
	const terms = { tab, tag, mailbox: "ab".repeat(32), ttlS: 60, tokenHash: undefined } as unknown as RouteTerms;
	return { fate, terms, tag };
}

suite("the hop between two workers (docs/decisions/workers.md)", () => {
	test("hands over nothing before the other worker is ready, and then in order with what it needs to know", async (t) => {
		const other = await linkTo(t);
		assert.equal(other.link.up, false);
		other.socket.write(writeHopWord(HOP.ready));
		await until("ready", () => other.link.up || undefined);
		const { terms, tag } = payer();
		const route = other.link.open(terms);
		for (const seq of [0, 1, 2]) {
			tag.accept(seq, 1);
			route.hand(seq, 100 + seq);
			const frame = mailFrame(FRAME.send, route.number, seq, payload(100 + seq));
			other.link.pass(frame, 0, frame.length);
		}
		await until("the copies", () => other.frames.length === 5 || undefined);
		assert.deepEqual(
			other.frames.map(({ type }) => type),
			[HOP.hello, HOP.route, HOP.copy, HOP.copy, HOP.copy],
		);
		assert.equal(readHopRoute(other.frames[1]?.body ?? new Uint8Array()).resolve, false);
	});

	test("makes senders wait beyond its window, until half of it is taken or the other worker is gone", async (t) => {
		const other = await linkTo(t);
		other.socket.write(writeHopWord(HOP.ready));
		await until("ready", () => other.link.up || undefined);
		const fill = () => {
			let bytes = 0;
			for (const frame = mailFrame(FRAME.send, 1, 0, payload(60_000)); !other.link.congestion; bytes += frame.length) {
				assert(bytes < 5 * 1024 * 1024, "a window has an end");
				other.link.pass(frame, 0, frame.length);
			}
			return bytes;
		};
		const bytes = fill();
		let relieved = 0;
		const wait = () => void other.link.congestion?.then(() => relieved++);
		wait();
		other.socket.write(writeHopNumber(HOP.taken, 1_000_000));
		other.socket.write(writeHopNumber(HOP.taken, bytes - 1_000_000));
		await until("room", () => relieved === 1 || undefined);
		assert.equal(other.link.congestion, undefined);
		fill();
		wait();
		other.socket.destroy();
		await until("the end of waiting", () => relieved === 2 || undefined);
		assert.equal(other.link.up, false);
	});

	test("answers each copy once, whatever the order of the answers: earned, taken back, or known and not charged again", async (t) => {
		const other = await linkTo(t);
		other.socket.write(writeHopWord(HOP.ready));
		await until("ready", () => other.link.up || undefined);
		const { fate, terms, tag } = payer();
		const route = other.link.open(terms);
		for (let seq = 0; seq < 40; seq++) {
			tag.accept(seq, 1);
			route.hand(seq, 10);
		}
		const say = (kind: Parameters<typeof writeHopAnswers>[1], code: ProblemCode, ...seqs: number[]) => {
			for (const frame of writeHopAnswers(route.number, kind, code, rangesOf(seqs))) other.socket.write(frame);
		};
		say("kept", "internal", 30, 31, 5);
		say("refused", "mailbox-full", 0);
		say("known", "internal", 2);
		// said twice: nothing is earned or taken back twice
		say("kept", "internal", 30, 31, 5, 2, 0);
		say("kept", "internal", ...Array.from({ length: 40 }, (_, seq) => seq));
		await other.link.settled();
		assert.deepEqual(fate.refused, [["mailbox-full", 0]]);
		assert.equal(fate.settled, 380);
		assert.equal(fate.refunded, 20);
		assert.deepEqual(
			[...fate.kept].sort((a, b) => a - b),
			Array.from({ length: 39 }, (_, i) => i + 1),
		);
		route.close();
		await until("the route to be left", () => other.frames.some(({ type }) => type === HOP.leave) || undefined);
	});

	test("threat 13: what was under way when the other worker died stays charged until its disk has said what it knows", async (t) => {
		const other = await linkTo(t);
		other.socket.write(writeHopWord(HOP.ready));
		await until("ready", () => other.link.up || undefined);
		const { fate, terms, tag } = payer();
		const route = other.link.open(terms);
		for (let seq = 0; seq < 4; seq++) {
			tag.accept(seq, 1);
			route.hand(seq, 10);
		}
		other.frames.length = 0;
		other.socket.destroy();
		await until("the link to be down", () => !other.link.up || undefined);
		assert.deepEqual([fate.settled, fate.refunded], [0, 0]);
		await until("the link again", () => other.frames.some(({ type }) => type === HOP.hello) || undefined);
		other.socket.write(writeHopWord(HOP.ready));
		await until("the route again", () => other.frames.find(({ type }) => type === HOP.route));
		const again = other.frames.find(({ type }) => type === HOP.route)?.body ?? new Uint8Array();
		assert.equal(readHopRoute(again).resolve, true);
		tag.accept(9, 1);
		route.hand(9, 10);
		for (const frame of writeHopKnown(route.number, rangesOf([0, 2, 77]))) other.socket.write(frame);
		await until("answers", () => fate.refused.length === 2 || undefined);
		assert.deepEqual(fate.kept, [0, 2]);
		assert.deepEqual(fate.refused, [
			["disk", 1],
			["disk", 3],
		]);
		assert.deepEqual([fate.settled, fate.refunded], [20, 20]);
		for (const frame of writeHopAnswers(route.number, "kept", "internal", rangesOf([9]))) other.socket.write(frame);
		await other.link.settled();
		assert.equal(fate.settled, 30, "what was handed over since is not decided by what was known before");
	});

	test("reads whole frames out of whatever pieces they come in", () => {
		const sent = Array.from(
			{ length: 300 },
			(_, i) => [0, 1, 60, 127, 128, 2_000, 16_383, 16_384, 61_000][i % 9] as number,
		).map((size, i) => mailFrame(FRAME.send, i, size, payload(size)));
		const all = Buffer.concat(sent);
		for (const most of [1, 7, 1_000, 65_536, all.length]) {
			const socket = new EventEmitter();
			const came: Uint8Array[] = [];
			const take = (bytes: Uint8Array): number => {
				const c = cursor();
				while (advance(bytes, c)) came.push(bytes.slice(c.at, c.end));
				return c.next;
			};
			const closed: unknown[] = [];
			const pipe = new Pipe(socket as Socket, { take, turn: () => {}, closed: (error) => closed.push(error) });
			// one byte at a time for a part is as good as for all
			const end = most === 1 ? 20_000 : all.length;
			for (let at = 0; at < end; ) {
				const next = Math.min(end, at + (most === 1 ? 1 : 1 + Math.floor(Math.random() * most)));
				socket.emit("data", new Uint8Array(all.subarray(at, next)));
				at = next;
			}
			assert(pipe);
			assert.deepEqual(Buffer.concat(came), all.subarray(0, Buffer.concat(came).length));
			if (most > 1) assert.equal(came.length, sent.length);
			assert.deepEqual(closed, []);
		}
	});

	test("ends a link that says what no link says", async (t) => {
		const other = await linkTo(t);
		for (const nonsense of [writeHopGaps("00"), Buffer.from([99, 0]), Buffer.from([HOP.taken, 1, 0])]) {
			const { socket } = other;
			socket.write(nonsense);
			if (nonsense[0] === HOP.gaps) continue;
			await once(socket, "close");
			await until("another", () => (other.socket !== socket && !other.socket.destroyed) || undefined);
		}
		assert.deepEqual([...writeHopFilled("00".repeat(16), [])], []);
	});
});
