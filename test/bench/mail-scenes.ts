/**
 * What happens to others while a relay gives back, or drops, much that it kept: each scene measures somebody's live traffic first without
 * and then with it. A process of its own, for the generator's core. Reads a job from stdin.
 */

import { text } from "node:stream/consumers";
import { setTimeout as after } from "node:timers/promises";
import { toHex } from "#contracts/bytes";
import { writeListen, writeRangesFrame } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { signListen } from "#contracts/handshake";
import { tokenHash } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { crypto } from "#host/crypto";
import type { Lane } from "./generator.ts";
import { bytes, greet, openLanes, type RelayJob, unexpected, walk } from "./relay-lanes.ts";
import { message } from "./wire.ts";

/** What to do. */
export type SceneJob = {
	readonly scene: "resume" | "expire";
	readonly port: number;
	readonly relay: string;
	readonly tabs: RelayJob["tabs"];
	/** Mails that wait, of 1 KiB each, and in how many mailboxes so many each. */
	readonly mails: number;
	readonly mailboxes: number;
	/** How long others are watched without it. */
	readonly calmMs: number;
};

/** What others saw, in milliseconds, and how long it took. */
export type Scene = {
	readonly calm: { readonly p99: number; readonly max: number };
	readonly during: { readonly p99: number; readonly max: number };
	readonly seconds: number;
};

const SIZE = 1024;
/** Senders of live traffic: each sends one payload of 1 KiB every 2 ms, unless its last is still on its way. */
const LIVE = 4;
const EVERY_MS = 2;
/** Long enough for all of them to be there before the first is over. */
const EXPIRES_S = 6;
const PATIENCE_MS = 60_000;

const job = JSON.parse(await text(process.stdin)) as SceneJob;
const { port, relay, tabs } = job;

/** Sends so many mails to each mailbox and waits until all are kept. */
async function fill(ttlS: number): Promise<string[]> {
	const mailboxes = Array.from({ length: job.mailboxes }, () => toHex(crypto.random(32)));
	const left = mailboxes.map(() => job.mails);
	const flying = mailboxes.map(() => 0);
	const done = Promise.withResolvers<void>();
	const more: RelayJob = {
		relay,
		tabs: tabs.slice(LIVE),
		ttlS,
		recipients: 1,
		messageBytes: 0,
		nobodyReads: true,
		mailboxes,
	};
	let lanes: Lane[] = [];
	const send = (i: number) => {
		for (let sent = 1; sent > 0 && (left[i] as number) > 0; ) {
			sent = lanes[i]?.send(Math.min(left[i] as number, 512 - (flying[i] as number))) ?? 0;
			left[i] = (left[i] as number) - sent;
			flying[i] = (flying[i] as number) + sent;
		}
	};
	lanes = await openLanes({ ...plain, pairs: job.mailboxes, more }, (i, kept) => {
		flying[i] = (flying[i] as number) - kept;
		send(i);
		if (left.every((n) => n === 0) && flying.every((n) => n === 0)) done.resolve();
	});
	for (const i of lanes.keys()) send(i);
	await done.promise;
	for (const lane of lanes) lane.socket.destroy();
	return mailboxes;
}

const plain = { lanes: "", port, size: SIZE, warmMs: 0, measureMs: 0 };

/** Live traffic at a steady pace; `take` gives how long each payload took since it was last asked. */
async function others(nobodyReads: boolean) {
	const took: number[] = [];
	const sentAt = new Float64Array(LIVE);
	const more: RelayJob = {
		relay,
		tabs: tabs.slice(0, LIVE),
		ttlS: LIMIT.ttlSDefault,
		recipients: 1,
		messageBytes: 0,
		nobodyReads,
	};
	const lanes = await openLanes({ ...plain, pairs: LIVE, more }, (i, arrived) => {
		if (arrived === 0) return;
		took.push(performance.now() - (sentAt[i] as number));
		sentAt[i] = 0;
	});
	setInterval(() => {
		for (const [i, lane] of lanes.entries())
			if (sentAt[i] === 0) {
				sentAt[i] = performance.now();
				if (lane.send(1) === 0) sentAt[i] = 0;
			}
	}, EVERY_MS);
	return {
		take() {
			// what is still on its way has waited too
			const now = performance.now();
			const waits = [...took.splice(0), ...[...sentAt].filter((at) => at > 0).map((at) => now - at)].sort(
				(a, b) => a - b,
			);
			if (waits.length === 0) throw new Error("nothing live arrived");
			return { p99: waits[Math.floor(waits.length * 0.99)] as number, max: waits[waits.length - 1] as number };
		},
	};
}

/** Reads all that waits in a mailbox, acknowledging it as it comes. */
async function resume(seed: string): Promise<void> {
	const keys = crypto.keyPair(bytes(seed));
	const session = crypto.keyPair(crypto.random(32));
	const key = bytes(relay);
	const { socket, hash } = await greet(port, key, session, keys.publicKey);
	const hashed = tokenHash(crypto, crypto.random(16));
	const scope = {
		relay: key,
		helloHash: hash,
		session: session.publicKey,
		mailbox: keys.publicKey,
		device: new Uint8Array(16).fill(1),
		tokenHash: hashed,
	};
	const all = Promise.withResolvers<void>();
	let [count, from, to] = [0, 0, 0];
	walk(socket, {
		deliver(_first, _last, _size, number) {
			if (from === 0) from = number;
			to = number;
			count++;
		},
		other(type, body) {
			if (type !== FRAME.listening && type !== FRAME.welcome && type !== FRAME.devices) unexpected(type, body);
		},
	});
	socket.on("data", () => {
		if (from > 0) socket.write(message(writeRangesFrame(FRAME.ack, [[from, to]])));
		from = 0;
		if (count >= job.mails) all.resolve();
	});
	const signature = signListen(crypto, scope, keys.secretKey);
	socket.write(message(writeListen({ handle: 1, ...scope, signature })));
	await all.promise;
	socket.destroy();
}

/** How many mails the relay has dropped because their time was over, as it tells its owner. */
async function expired(): Promise<number> {
	const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
	const count = /^farelay_relay_dropped_total\{reason="expired"\} (\d+)/m.exec(page);
	if (!count) throw new Error("the relay does not say how much it dropped");
	return Number(count[1]);
}

async function resuming(): Promise<Scene> {
	const mailboxes = await fill(LIMIT.ttlSDefault);
	const live = await others(false);
	await after(job.calmMs / 4);
	live.take();
	process.stdout.write("FILLED\n");
	await after(job.calmMs);
	const calm = live.take();
	process.stdout.write("CALM\n");
	const began = performance.now();
	for (const mailbox of mailboxes) await resume(mailbox);
	const seconds = (performance.now() - began) / 1000 / mailboxes.length;
	return { calm, during: live.take(), seconds };
}

async function expiring(): Promise<Scene> {
	const live = await others(true);
	await fill(EXPIRES_S);
	const filled = performance.now();
	live.take();
	process.stdout.write("FILLED\n");
	let calm = { p99: 0, max: 0 };
	let began = 0;
	const wanted = job.mails * job.mailboxes;
	for (let gone = 0; gone < wanted; ) {
		if (performance.now() - filled > PATIENCE_MS) throw new Error(`only ${gone} of ${wanted} were dropped`);
		await after(100);
		gone = await expired();
		if (began > 0) continue;
		if (gone === 0 && performance.now() - filled < job.calmMs) continue;
		// asked before anything is over: from here on others are watched with it
		if (calm.max === 0) {
			calm = live.take();
			process.stdout.write("CALM\n");
		}
		if (gone > 0) began = performance.now();
	}
	return { calm, during: live.take(), seconds: (performance.now() - began) / 1000 };
}

// Nothing that arrived wrong, and no connection that broke, may turn into a figure.
process.on("uncaughtException", (error) => {
	console.error(`scene: ${error.message}`);
	process.exit(1);
});
if ((await expired()) > 0) throw new Error("something was dropped before it began");
const scene = await (job.scene === "resume" ? resuming() : expiring());
process.stdout.write(`${JSON.stringify(scene)}\n`, () => process.exit(0));
