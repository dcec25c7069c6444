/**
 * A small relay that a test writes the part of: honest by default, with a line to change for each way in which a relay can be
 * bad or unlucky. Real WebSockets, no disk. The real relay has tests of its own; this one is for what it would never do.
 */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { toHex } from "#contracts/bytes";
import {
	readListen,
	readOpen,
	readRangesBody,
	writeListening,
	writePong,
	writeProblem,
	writeRangesFrame,
	writeRefused,
	writeUsageFrame,
} from "#contracts/control";
import { writeDevices } from "#contracts/device";
import { advance, cursor, FRAME, frame, MAIL_HEAD_BYTES, mailFrame, readU32 } from "#contracts/frame";
import type { Grant } from "#contracts/grant";
import {
	type Hello,
	helloHash,
	readHello,
	signClock,
	signWelcome,
	type TabState,
	verifyHello,
	verifyListen,
} from "#contracts/handshake";
import type { KeyPair } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type ProblemCode, problem } from "#contracts/problem";
import { each, rangesOf } from "#contracts/ranges";
import { signUsage } from "#contracts/redemption";
import { NO_TRAFFIC, plus, type Traffic, traffic, within } from "#contracts/tariff";
import { readVoucher, type Voucher, verifyVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";

type Tab = { grant: Grant; used: Traffic; voucher: Voucher | undefined };
type Box = { mail: { payload: Uint8Array; number: number }[]; reader: Peer | undefined };
type Send = { tag: string; seq: number; mailbox: string; payload: Uint8Array; ttlS: number };

/** What a test may change; everything is looked at when it is needed. */
export type Script = {
	/** How far its clock is ahead of this machine's. */
	clockAheadMs?: number;
	/** What the welcome says of a tab, instead of the truth. */
	state?: (truth: TabState, grant: Grant) => TabState;
	/** Bytes sent instead of a welcome. */
	welcome?: (hello: Hello) => Uint8Array | undefined;
	/** Whether a send is answered: not at all (`silence`: it is taken, `deaf`: it is not), with a refusal, or as it should be. */
	answer?: (send: Send, count: number) => "silence" | "deaf" | "hang-up" | ProblemCode | undefined;
	/** Whether the line is cut right behind an `unpaid`, before what stood behind it is answered. */
	cutAfterUnpaid?: () => boolean;
	/** What the final usage says, instead of the truth. */
	usage?: (truth: Traffic) => Traffic;
	/** Says `kept` and keeps nothing. */
	drops?: boolean;
	/** Runs after each message that was dealt with. */
	after?: (peer: WebSocket) => void;
};

export type ScriptedRelay = {
	readonly key: KeyPair;
	readonly url: string;
	readonly script: Script;
	readonly tabs: Map<string, Tab>;
	readonly boxes: Map<string, Box>;
	/** Every hello, voucher and send that came, in order. */
	readonly hellos: Hello[];
	readonly vouchers: Voucher[];
	readonly sends: Send[];
	/** Frame types of each message that came. */
	readonly messages: number[][];
	/** Forgets sockets as a crash does; `used := paid`. */
	crash(): void;
	/** Ends every connection. */
	hangUp(): void;
	close(): Promise<void>;
};

class Peer {
	hello: Hello | undefined;
	tab: Tab | undefined;
	readonly handles = new Map<number, { mailbox: string; ttlS: number }>();
	readonly delivered = new Map<number, { box: Box; payload: Uint8Array }>();
	numbers = 0;
	refusedFrom: number | undefined;
	/** After a hang-up nothing of what had come is dealt with. */
	gone = false;
	readonly socket: WebSocket;
	constructor(socket: WebSocket) {
		this.socket = socket;
	}
}

/** Starts one on a free port of the loopback interface. */
export async function scriptedRelay(script: Script = {}): Promise<ScriptedRelay> {
	const key = crypto.keyPair(crypto.random(32));
	const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "farelay.v1" });
	await once(server, "listening");
	const taken = new Map<string, string>();
	const relay: ScriptedRelay = {
		key,
		url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
		script,
		tabs: new Map(),
		boxes: new Map(),
		hellos: [],
		vouchers: [],
		sends: [],
		messages: [],
		crash() {
			for (const tab of relay.tabs.values()) tab.used = tab.voucher ?? NO_TRAFFIC;
			relay.hangUp();
		},
		hangUp() {
			for (const socket of server.clients) socket.terminate();
		},
		async close() {
			relay.hangUp();
			server.close();
			await once(server, "close");
		},
	};
	server.on("connection", (socket) => {
		const peer = new Peer(socket);
		socket.on("message", (data) => {
			const message = new Uint8Array(data as Buffer);
			const at = cursor();
			const types: number[] = [];
			relay.messages.push(types);
			while (!peer.gone && advance(message, at)) {
				types.push(at.type);
				take(relay, peer, taken, at.type, message.slice(at.start, at.end));
			}
			script.after?.(socket);
		});
		socket.on("close", () => {
			for (const box of relay.boxes.values()) if (box.reader === peer) box.reader = undefined;
		});
	});
	return relay;
}

function take(relay: ScriptedRelay, peer: Peer, taken: Map<string, string>, type: number, body: Uint8Array): void {
	if (type === FRAME.hello) hello(relay, peer, body);
	else if (!peer.hello) return;
	else if (type === FRAME.voucher) voucher(relay, peer, body);
	else if (type === FRAME.open) {
		const open = readOpen(body);
		if (open) peer.handles.set(open.handle, { mailbox: toHex(open.mailbox), ttlS: open.ttlS });
	} else if (type === FRAME.send) send(relay, peer, taken, body);
	else if (type === FRAME.listen) listen(relay, peer, body);
	else if (type === FRAME.ack) ack(peer, body);
	else if (type === FRAME.ping) peer.socket.send(writePong(readU32(body, 0)));
	else if (type === FRAME.finish && peer.tab) {
		const { grant, used } = peer.tab;
		const said = relay.script.usage?.(used) ?? used;
		peer.socket.send(writeUsageFrame(signUsage(crypto, grant, said, true, Date.now(), relay.key.secretKey).bytes));
	}
}

function hello(relay: ScriptedRelay, peer: Peer, body: Uint8Array): void {
	const { script, key } = relay;
	const read = readHello(body);
	if (isProblem(read) || !verifyHello(crypto, read, key.publicKey)) {
		peer.socket.send(writeProblem(FRAME.bye, isProblem(read) ? read : problem("signature-bad")));
		peer.socket.close();
		return;
	}
	relay.hellos.push(read);
	const atMs = Date.now() + (script.clockAheadMs ?? 0);
	if (Math.abs(read.atMs - atMs) > LIMIT.clockWindowMs) {
		peer.socket.send(signClock(crypto, body, atMs, key));
		peer.socket.close();
		return;
	}
	peer.hello = read;
	let tab: TabState | undefined;
	if (read.grant) {
		const name = toHex(read.grant.tab);
		peer.tab = relay.tabs.get(name) ?? { grant: read.grant, used: NO_TRAFFIC, voucher: undefined };
		relay.tabs.set(name, peer.tab);
		const truth = { used: peer.tab.used, voucher: peer.tab.voucher };
		tab = script.state?.(truth, read.grant) ?? truth;
	}
	const welcome = {
		helloHash: helloHash(crypto, body),
		atMs,
		tab,
		messageBytesMax: LIMIT.messageBytesMax,
		stepBytesMax: LIMIT.stepBytesMax,
		idleMs: LIMIT.idleMs,
		ttlSMax: LIMIT.ttlSMax,
	};
	peer.socket.send(script.welcome?.(read) ?? frame(FRAME.welcome, signWelcome(crypto, welcome, key)));
}

function voucher(relay: ScriptedRelay, peer: Peer, body: Uint8Array): void {
	const read = readVoucher(body);
	if (isProblem(read) || !peer.tab) return;
	const refused = verifyVoucher(crypto, peer.tab.grant, read);
	if (refused) {
		peer.socket.send(writeProblem(FRAME.problem, refused));
		return;
	}
	relay.vouchers.push(read);
	if (!peer.tab.voucher || within(peer.tab.voucher, read)) peer.tab.voucher = read;
}

function send(relay: ScriptedRelay, peer: Peer, taken: Map<string, string>, body: Uint8Array) {
	const { socket, tab, hello } = peer;
	const seq = readU32(body, 4);
	const payload = body.slice(MAIL_HEAD_BYTES);
	const handle = peer.handles.get(readU32(body, 0));
	const refuse = (code: ProblemCode) => socket.send(writeRefused({ code, ranges: [[seq, seq]] }));
	if (!handle || !tab || !hello) return refuse("handle-unknown");
	const tag = toHex(hello.tag);
	const name = `${tag} ${seq}`;
	const print = toHex(crypto.hash(payload));
	const before = taken.get(name);
	if (before !== undefined && before !== print) return refuse("seq-reused");
	if (before === undefined) {
		if (peer.refusedFrom !== undefined && seq > peer.refusedFrom) return refuse("unpaid");
		const used = plus(tab.used, traffic(payload.length, handle.ttlS));
		if (!tab.voucher || !within(used, tab.voucher)) {
			peer.refusedFrom ??= seq;
			refuse("unpaid");
			if (!relay.script.cutAfterUnpaid?.()) return;
			peer.gone = true;
			return socket.close();
		}
		const entry = { tag, seq, mailbox: handle.mailbox, payload, ttlS: handle.ttlS };
		relay.sends.push(entry);
		const answer = relay.script.answer?.(entry, relay.sends.length);
		if (answer === "hang-up") {
			peer.gone = true;
			return socket.terminate();
		}
		if (answer === "deaf") return;
		if (answer === "unpaid") peer.refusedFrom ??= seq;
		if (answer !== undefined && answer !== "silence") return refuse(answer);
		peer.refusedFrom = undefined;
		tab.used = used;
		taken.set(name, print);
		if (answer === "silence") return;
		if (!relay.script.drops) keep(relay, handle.mailbox, payload);
	}
	socket.send(writeRangesFrame(FRAME.kept, [[seq, seq]]));
}

function keep(relay: ScriptedRelay, mailbox: string, payload: Uint8Array): void {
	const box = relay.boxes.get(mailbox) ?? { mail: [], reader: undefined };
	relay.boxes.set(mailbox, box);
	box.mail.push({ payload, number: 0 });
	if (box.reader) deliver(box.reader, box, payload);
}

function deliver(reader: Peer, box: Box, payload: Uint8Array): void {
	const number = ++reader.numbers;
	reader.delivered.set(number, { box, payload });
	reader.socket.send(mailFrame(FRAME.deliver, 1, number, payload));
}

function listen(relay: ScriptedRelay, peer: Peer, body: Uint8Array): void {
	const read = readListen(body);
	if (!read || !peer.hello) return;
	const scope = {
		...read,
		relay: relay.key.publicKey,
		helloHash: helloHash(crypto, peer.hello.bytes),
		session: peer.hello.session,
	};
	if (!verifyListen(crypto, scope, read.signature)) {
		peer.socket.send(writeProblem(FRAME.bye, problem("signature-bad")));
		peer.socket.close();
		return;
	}
	const name = toHex(read.mailbox);
	const box = relay.boxes.get(name) ?? { mail: [], reader: undefined };
	relay.boxes.set(name, box);
	box.reader = peer;
	const waitingBytes = box.mail.reduce((sum, { payload }) => sum + payload.length, 0);
	peer.socket.send(
		writeListening({
			handle: read.handle,
			waiting: box.mail.length,
			waitingBytes,
			droppedTtl: 0,
			droppedQuota: 0,
			fresh: false,
		}),
	);
	peer.socket.send(writeDevices({ handle: read.handle, devices: [{ device: read.device, seenMs: 0 }] }));
	for (const { payload } of box.mail) deliver(peer, box, payload);
}

function ack(peer: Peer, body: Uint8Array): void {
	for (const number of each(rangesOf(each(readRangesBody(body) ?? [])))) {
		const found = peer.delivered.get(number);
		if (found) found.box.mail = found.box.mail.filter(({ payload }) => payload !== found.payload);
		peer.delivered.delete(number);
	}
}
