/**
 * Sending as a person means it: a text or a file to the owner of a card, priced and limited before anything moves, kept through
 * restarts until it is answered, by the card's second home where the first refuses (PROTOCOL.md, "Sending").
 */

import { fromHex, same, toHex } from "#contracts/bytes";
import type { Card, Home } from "#contracts/card";
import { BODY_BYTES_MAX, sealedBytes } from "#contracts/envelope";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, type ProblemCode, problem } from "#contracts/problem";
import { type Traffic, traffic } from "#contracts/tariff";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import { alone, Dispatch, type SendOptions, type Sent, sumOf, type Todo } from "./dispatch.ts";
import { chunksSealedBytes, type FileSource, hashFile } from "./file.ts";
import type { Identity } from "./identity.ts";
import {
	dropLetter,
	type FileLetter,
	isFileLetter,
	type Letter,
	readLetters,
	type Waiting,
	waitingOf,
} from "./letter.ts";
import { MOVED, Moves, type Newer } from "./moving.ts";
import { type Cost, costOf, type Spending } from "./spending.ts";
import { checkAgain, type Held, NOTHING_HELD } from "./stream.ts";
import type { Wallet } from "./wallet.ts";
import { manifestBytes, newManifest, sentName, writeFileLetter, writeMessageLetter } from "./writing.ts";

export type { SendOptions, Sent };

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

const text = new TextEncoder();

export class Outbox {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly wallet: Wallet;
	private readonly dispatch: Dispatch;
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
		this.over = over;
		this.newer = newer;
		this.moves = new Moves(newer);
		this.dispatch = new Dispatch(device, wallet, spending, this.moves);
	}

	/** What sending something to these people costs, before it is sent: a copy for each. */
	async estimate(cards: readonly Card[], what: string | FileSource, ttlS: number): Promise<Cost | Problem> {
		const isText = typeof what === "string";
		const letterBytes = sealedBytes(isText ? text.encode(what).length : manifestBytes(sentName(what)));
		const copy = traffic(letterBytes + (isText ? 0 : chunksSealedBytes(what.sizeBytes)), ttlS);
		const known = new Map<string, Cost | Problem>();
		const costs: Cost[] = [];
		for (const { homes } of cards) {
			const { relay, url } = homes[0] as Home;
			const cost = known.get(toHex(relay)) ?? (await this.price({ key: relay, url }, copy));
			if (isProblem(cost)) return cost;
			known.set(toHex(relay), cost);
			costs.push(cost);
		}
		return sumOf(costs);
	}

	private async price(relay: Relay, copy: Traffic): Promise<Cost | Problem> {
		const rates = await this.wallet.rates(relay);
		return isProblem(rates) ? rates : costOf(rates, copy);
	}

	/** Sends bytes of one kind to the owners of cards, to each as a sealed message of their own. What became of each, in order. */
	async send(
		cards: readonly Card[],
		kind: number,
		body: Uint8Array,
		options: SendOptions,
	): Promise<(Sent | Problem)[]> {
		const ttlS = options.ttlS ?? LIMIT.ttlSDefault;
		const long =
			body.length > BODY_BYTES_MAX
				? problem("usage", `A message is at most ${BODY_BYTES_MAX} bytes; send it as a file.`)
				: undefined;
		const write = (to: Card, home: number, id?: Uint8Array) =>
			writeMessageLetter(this.device, this.identity, { card: to, home, ttlS }, { kind, body, ...(id && { id }) });
		const letters = cards.map((card) => this.refuse(card, options.ttlS) ?? long ?? write(card, 0));
		const answers = await this.dispatch.send(letters.filter(isLetter).map(alone), options);
		return Promise.all(
			letters.map(async (letter) => {
				if (!isLetter(letter)) return letter;
				const { card, id } = letter;
				const answer = answers.get(letter) as Sent | Problem;
				const second = isProblem(answer) && ELSEWHERE.includes(answer.problem) && card.homes.length > 1;
				// Sealed anew, because a seal names its mailbox, but under the same id: whoever reads both sees one message.
				const again = async (to: Card, home: number) => {
					const sealed = write(to, home, id);
					return (await this.dispatch.send([alone(sealed)], options)).get(sealed) as Sent | Problem;
				};
				const last = second ? await again(card, 1) : answer;
				const moved = await this.movedTo(card, last);
				return moved ? again(moved, 0) : last;
			}),
		);
	}

	/** The card to use instead, where a refusal may come of a move. */
	private async movedTo(card: Card, answer: Sent | Problem): Promise<Card | undefined> {
		if (!isProblem(answer) || !MOVED.includes(answer.problem)) return undefined;
		const newer = await this.newer(card);
		return newer && !this.refuse(newer, undefined) ? newer : undefined;
	}

	/**
	 * Sends a file to the owners of cards, sealed once for all who are at one relay; goes on where an earlier attempt at the same file to
	 * the same person stopped. What became of each, in order.
	 */
	async sendFile(cards: readonly Card[], source: FileSource, options: SendOptions): Promise<(Sent | Problem)[]> {
		const answers: (Sent | Problem | undefined)[] = cards.map((card) => this.refuse(card, options.ttlS));
		const letters: (Letter | undefined)[] = cards.map(() => undefined);
		const left = () => cards.flatMap((_, i) => (answers[i] || letters[i] ? [] : [i]));
		const todos: Todo[] = [];
		const name = sentName(source);
		for (const group of await this.unfinished()) {
			if (group[0]?.file.manifest.name !== name) continue;
			const mine = group.filter(({ card }) => left().some((i) => same((cards[i] as Card).identity, card.identity)));
			if (mine.length === 0) continue;
			const held = await checkAgain(this.device, source, group);
			if (isProblem(held) && held.problem === "file-changed") continue;
			for (const letter of mine) {
				const i = left().find((i) => same((cards[i] as Card).identity, letter.card.identity));
				if (i === undefined) continue;
				if (isProblem(held)) answers[i] = held;
				else letters[i] = letter;
			}
			if (isProblem(held)) continue;
			todos.push(todoOf(mine, group, source, held));
			for (const { to, id } of group.flatMap(({ file }) => file.done)) {
				const i = left().find((i) => toHex((cards[i] as Card).identity) === to);
				if (i !== undefined) answers[i] = { id: fromHex(id) as Uint8Array, tick: "sent", cost: sumOf([]) };
			}
		}
		const begun = new Set(letters);
		const hash = left().length > 0 ? await hashFile(this.device.sodium, source) : problem("usage");
		for (const some of byRelay(left(), cards)) {
			const manifest = isProblem(hash) ? undefined : newManifest(this.device, source, hash);
			for (const i of some) {
				const to = { card: cards[i] as Card, home: 0, ttlS: options.ttlS ?? LIMIT.ttlSDefault };
				if (manifest) letters[i] = writeFileLetter(this.device, this.identity, to, manifest);
				else answers[i] = hash as Problem;
			}
			if (manifest) todos.push({ letters: some.map((i) => letters[i] as Letter), source, held: NOTHING_HELD });
		}
		const sent = await this.dispatch.send(todos, options);
		return Promise.all(
			cards.map(async (card, i) => {
				const letter = letters[i];
				if (!letter) return answers[i] as Problem;
				const answer = sent.get(letter) as Sent | Problem;
				const moved = begun.has(letter) ? undefined : await this.movedTo(card, answer);
				if (!moved) return answer;
				await dropLetter(this.device, letter.id);
				return (await this.sendFile([moved], source, options))[0] as Sent | Problem;
			}),
		);
	}

	/** Goes on with one unfinished file by its message id; `file-changed` when the source is not that file any more. */
	async resumeFile(id: Uint8Array, source: FileSource, options: SendOptions): Promise<Sent | Problem> {
		for (const group of await this.unfinished()) {
			const letter = group.find((one) => same(one.id, id));
			if (!letter) continue;
			const held = await checkAgain(this.device, source, group);
			if (isProblem(held)) return held;
			const answers = await this.dispatch.send([todoOf([letter], group, source, held)], options);
			return answers.get(letter) as Sent | Problem;
		}
		return problem("not-found", "No unfinished file has that id.");
	}

	/** Files that wait to go on: those with one manifest together. */
	private async unfinished(): Promise<FileLetter[][]> {
		const groups = new Map<string, FileLetter[]>();
		for (const letter of (await this.waiting()).filter(isFileLetter)) {
			const stream = toHex(letter.file.manifest.stream);
			groups.set(stream, [...(groups.get(stream) ?? []), letter]);
		}
		return [...groups.values()];
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
				answer: (await this.dispatch.send([alone(letter)], {})).get(letter) as Sent | Problem,
			})),
		);
	}

	private refuse(card: Card, ttlS: number | undefined): Problem | undefined {
		if (card.expiresAtMs <= this.device.nowMs()) return problem("usage", "The card has expired; ask for a new one.");
		if (ttlS !== undefined && (!Number.isInteger(ttlS) || ttlS < 0)) return problem("usage", "A TTL is whole seconds.");
		return ttlS !== undefined && ttlS > LIMIT.ttlSMax ? problem("ttl-too-long") : undefined;
	}
}

function isLetter(letter: Letter | Problem): letter is Letter {
	return !isProblem(letter);
}

/** Some letters of a file, with those of the same manifest that are not to go on now. */
function todoOf(letters: readonly FileLetter[], group: readonly FileLetter[], source: FileSource, held: Held): Todo {
	return { letters, source, held, others: group.filter((one) => !letters.includes(one)) };
}

/** Places in a list of cards by the relay of their first home, at most a fan's copies together. */
function byRelay(places: readonly number[], cards: readonly Card[]): number[][] {
	const groups = new Map<string, number[][]>();
	for (const i of places) {
		const key = toHex(((cards[i] as Card).homes[0] as Home).relay);
		const all = groups.get(key) ?? [];
		const last = all.at(-1);
		if (last && last.length < LIMIT.fanCopiesMax) last.push(i);
		else all.push([i]);
		groups.set(key, all);
	}
	return [...groups.values()].flat();
}
