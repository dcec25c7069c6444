/**
 * Sending as a person means it: a text or a file to the owner of a card, priced and limited before anything moves, kept through
 * restarts until it is answered, by the card's second home where the first refuses (PROTOCOL.md, "Sending").
 */

import { same } from "#contracts/bytes";
import type { Card, Home } from "#contracts/card";
import { BODY_BYTES_MAX, MESSAGE, sealedBytes } from "#contracts/envelope";
import { KEY_BYTES } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, type ProblemCode, problem } from "#contracts/problem";
import { size } from "#contracts/ranges";
import { traffic } from "#contracts/tariff";
import type { Relay } from "./card.ts";
import {
	CHUNK_CONTENT_BYTES,
	chunkCount,
	FILE_NAME_BYTES_MAX,
	fileName,
	STREAM_BYTES,
	writeManifest,
} from "./chunk.ts";
import type { Device } from "./device.ts";
import { chunksSealedBytes, type FileSource, hashFile } from "./file.ts";
import type { Identity } from "./identity.ts";
import {
	dropLetter,
	type FileProgress,
	type Letter,
	readLetters,
	type Waiting,
	waitingOf,
	writeLetter,
} from "./letter.ts";
import { MOVED, Moves, type Newer } from "./moving.ts";
import type { Answer } from "./parcel.ts";
import type { Plan } from "./plan.ts";
import { seal } from "./seal.ts";
import { type Cost, costOf, type Spending } from "./spending.ts";
import { checkAgain, type Held, streamFile } from "./stream.ts";
import type { Wallet } from "./wallet.ts";

export type SendOptions = {
	/** How long it is kept for the reader, in seconds; 0 for live only. */
	readonly ttlS?: number | undefined;
	/** A file's bytes that are kept at the relay so far. */
	readonly progress?: ((keptBytes: number) => void) | undefined;
	/** Called once it is known what it costs, before anything is sent. */
	readonly priced?: ((cost: Cost) => void) | undefined;
};

/** It is at the relay, on disk or with the reader (`sent`), or was handed to a reader live (`passed`); the id is what receipts name. */
export type Sent = { readonly id: Uint8Array; readonly tick: "sent" | "passed"; readonly cost: Cost };

/** Refusals of one home that say nothing about the other. */
const ELSEWHERE: readonly ProblemCode[] = [
	"mailbox-unknown",
	"mailbox-full",
	"disk",
	"relay-paused",
	"relay-full",
	"gone",
	"not-found",
	"relay-dishonest",
	"signature-bad",
	"unpaid",
	"grant-unknown-market",
];

type Todo = { letter: Letter; source?: FileSource | undefined; held: Held; options: SendOptions };

const text = new TextEncoder();

export class Outbox {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly wallet: Wallet;
	private readonly spending: Spending;
	private readonly over: (waiting: Waiting) => void;
	private readonly newer: Newer;
	readonly moves: Moves;

	/** `over` is told what waited until its end; `newer` knows where somebody has moved to. */
	constructor(
		device: Device,
		identity: Identity,
		wallet: Wallet,
		spending: Spending,
		over: (waiting: Waiting) => void = () => {},
		newer: Newer = async () => undefined,
	) {
		this.device = device;
		this.identity = identity;
		this.wallet = wallet;
		this.spending = spending;
		this.over = over;
		this.newer = newer;
		this.moves = new Moves(newer);
	}

	/** What a payload of so many sealed bytes costs at a home. */
	async price(home: Home, sealed: number, ttlS: number): Promise<Cost | Problem> {
		const rates = await this.wallet.rates({ key: home.relay, url: home.url });
		return isProblem(rates) ? rates : costOf(rates.tariff, rates.fees, traffic(sealed, ttlS));
	}

	/** What sending something costs, before it is sent. */
	async estimate(card: Card, what: string | FileSource, ttlS: number): Promise<Cost | Problem> {
		const home = card.homes[0] as Home;
		if (typeof what === "string") return this.price(home, sealedBytes(text.encode(what).length), ttlS);
		const name = text.encode(fileName(what.name)).length;
		return this.price(home, sealedBytes(MANIFEST_BYTES + name) + chunksSealedBytes(what.sizeBytes), ttlS);
	}

	/** Sends bytes of one kind to the owner of a card, as one sealed message. */
	async send(card: Card, kind: number, body: Uint8Array, options: SendOptions): Promise<Sent | Problem> {
		const wrong = this.refuse(card, options.ttlS);
		if (wrong) return wrong;
		if (body.length > BODY_BYTES_MAX)
			return problem("usage", `A message is at most ${BODY_BYTES_MAX} bytes; send it as a file.`);
		const ttlS = options.ttlS ?? LIMIT.ttlSDefault;
		const letter = this.write(card, 0, kind, body, ttlS);
		const answer = await this.dispatch({ letter, held: new Map(), options });
		const second = isProblem(answer) && ELSEWHERE.includes(answer.problem) && card.homes.length > 1;
		// Sealed anew, because a seal names its mailbox, but under the same id: whoever reads both sees one message.
		const again = (to: Card, home: number) =>
			this.dispatch({ letter: this.write(to, home, kind, body, ttlS, letter.id), held: new Map(), options });
		const last = second ? await again(card, 1) : answer;
		const moved = await this.movedTo(card, last);
		return moved ? again(moved, 0) : last;
	}

	/** The card to use instead, where a refusal may come of a move. */
	private async movedTo(card: Card, answer: Sent | Problem): Promise<Card | undefined> {
		if (!isProblem(answer) || !MOVED.includes(answer.problem)) return undefined;
		const newer = await this.newer(card);
		return newer && !this.refuse(newer, undefined) ? newer : undefined;
	}

	/** Sends a file; goes on where an earlier attempt at the same file to the same person stopped. */
	async sendFile(card: Card, source: FileSource, options: SendOptions): Promise<Sent | Problem> {
		const wrong = this.refuse(card, options.ttlS);
		if (wrong) return wrong;
		const name = shortened(fileName(source.name));
		for (const letter of await this.waiting()) {
			const { file } = letter;
			if (!file || !same(letter.card.identity, card.identity) || file.manifest.name !== name) continue;
			const held = await checkAgain(this.device, source, file);
			if (!isProblem(held)) return this.dispatch({ letter, source, held, options });
			if (held.problem !== "file-changed") return held;
		}
		const hash = await hashFile(this.device.sodium, source);
		if (isProblem(hash)) return hash;
		const manifest = {
			stream: this.device.crypto.random(STREAM_BYTES),
			key: this.device.crypto.random(KEY_BYTES),
			sizeBytes: source.sizeBytes,
			hash,
			chunkBytes: CHUNK_CONTENT_BYTES,
			count: chunkCount(source.sizeBytes),
			name,
		};
		const file: FileProgress = { manifest, announced: false, kept: [], sentTo: 0 };
		const sealed = this.write(card, 0, MESSAGE.file, writeManifest(manifest), options.ttlS ?? LIMIT.ttlSDefault);
		const answer = await this.dispatch({ letter: { ...sealed, file }, source, held: new Map(), options });
		const moved = await this.movedTo(card, answer);
		if (!moved) return answer;
		await dropLetter(this.device, sealed.id);
		return this.sendFile(moved, source, options);
	}

	/** Goes on with one unfinished file by its message id; `file-changed` when the source is not that file any more. */
	async resumeFile(id: Uint8Array, source: FileSource, options: SendOptions): Promise<Sent | Problem> {
		const letter = (await this.waiting()).find((waiting) => same(waiting.id, id));
		if (!letter?.file) return problem("not-found", "No unfinished file has that id.");
		const held = await checkAgain(this.device, source, letter.file);
		return isProblem(held) ? held : this.dispatch({ letter, source, held, options });
	}

	/** What waits, of earlier processes too. What is past its TTL is dropped and told: nobody expects it any more. */
	async waiting(): Promise<Letter[]> {
		const letters: Letter[] = [];
		for (const letter of await readLetters(this.device)) {
			const waiting = waitingOf(letter);
			if (waiting.endsAtMs > this.device.nowMs()) letters.push(letter);
			else {
				await dropLetter(this.device, letter.id);
				this.over(waiting);
			}
		}
		return letters;
	}

	/** Sends what an earlier process left: messages, not files, which need their source. */
	async resume(): Promise<{ readonly id: Uint8Array; readonly answer: Sent | Problem }[]> {
		const left = (await this.waiting()).filter(({ file }) => !file);
		return Promise.all(
			left.map(async (letter) => ({
				id: letter.id,
				answer: await this.dispatch({ letter, held: new Map(), options: {} }),
			})),
		);
	}

	private refuse(card: Card, ttlS: number | undefined): Problem | undefined {
		if (card.expiresAtMs <= this.device.nowMs()) return problem("usage", "The card has expired; ask for a new one.");
		if (ttlS !== undefined && (!Number.isInteger(ttlS) || ttlS < 0)) return problem("usage", "A TTL is whole seconds.");
		return ttlS !== undefined && ttlS > LIMIT.ttlSMax ? problem("ttl-too-long") : undefined;
	}

	private write(card: Card, home: number, kind: number, body: Uint8Array, ttlS: number, id?: Uint8Array): Letter {
		const atMs = this.device.nowMs();
		const to = { mailbox: (card.homes[home] as Home).mailbox, seal: card.seal };
		const sealed = seal(this.device, { kind, body, atMs, ...(id && { id }) }, to, this.identity);
		return { ...sealed, card, home, ttlS, atMs, file: undefined };
	}

	private async dispatch(todo: Todo): Promise<Sent | Problem> {
		const { letter, options } = todo;
		const home = letter.card.homes[letter.home] as Home;
		const relay: Relay = { key: home.relay, url: home.url };
		const rates = await this.wallet.rates(relay);
		const left = () => traffic(leftBytes(letter), letter.ttlS);
		const cost = isProblem(rates) ? rates : costOf(rates.tariff, rates.fees, left());
		if (isProblem(rates) || isProblem(cost)) return cost as Problem;
		options.priced?.(cost);
		const refusal = await this.spending.take(cost.total);
		if (refusal) return refusal;
		// Live-only things are worth nothing later: only what is kept for its reader is kept here too.
		if (letter.ttlS > 0) await writeLetter(this.device, letter);
		const plan: Plan = { ask: cost.ask, rates };
		const answer = await this.carry(todo, relay, home, plan);
		this.wallet.plans.delete(relay, plan);
		if (isProblem(answer)) {
			const unspent = costOf(rates.tariff, rates.fees, left());
			if (!isProblem(unspent)) await this.spending.giveBack(unspent.total);
			// What can succeed later stays; the rest would only be refused again.
			if (!answer.retry && !letter.file) await dropLetter(this.device, letter.id);
			return answer;
		}
		await dropLetter(this.device, letter.id);
		return { id: letter.id, tick: answer === "kept" ? "sent" : "passed", cost };
	}

	private async carry({ letter, source, held, options }: Todo, relay: Relay, home: Home, plan: Plan): Promise<Answer> {
		const sender = await this.wallet.sender(relay, plan);
		if (isProblem(sender)) return sender;
		const { file } = letter;
		const post = (payload: Uint8Array) =>
			sender.post({ mailbox: home.mailbox, token: letter.card.token, ttlS: letter.ttlS, payload });
		if (!file || !source) {
			const watch = this.moves.watch(letter);
			const moved = watch.moved.then((why) => {
				sender.recall(letter.payload);
				return why;
			});
			return Promise.race([post(letter.payload), moved]).finally(() => watch.end());
		}
		let announced: Answer = "kept";
		let streamed: Promise<Problem | undefined> = Promise.resolve(undefined);
		const announcing = file.announced ? Promise.resolve("kept" as const) : post(letter.payload);
		const save = () => writeLetter(this.device, letter);
		const progress = (bytes: number) => options.progress?.(bytes);
		streamed = streamFile(this.device, source, file, held, { post, save, progress });
		announced = await announcing;
		if (!isProblem(announced)) file.announced = true;
		const refusal = await streamed;
		await save();
		return isProblem(announced) ? announced : (refusal ?? announced);
	}
}

/** A manifest's body without its name. */
const MANIFEST_BYTES = 16 + 32 + 8 + 32 + 4 + 4 + 2;

/** Sealed bytes of a letter that are still to be sent. */
function leftBytes({ payload, file }: Letter): number {
	if (!file) return payload.length;
	const chunks = chunksSealedBytes(file.manifest.sizeBytes) - size(file.kept) * LIMIT.sliceBytes;
	return Math.max(chunks, 0) + (file.announced ? 0 : payload.length);
}

/** A name cut to what a manifest takes, at a whole character. */
function shortened(name: string): string {
	let cut = name;
	while (text.encode(cut).length > FILE_NAME_BYTES_MAX) cut = [...cut].slice(0, -1).join("");
	return cut;
}
