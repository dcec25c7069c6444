/**
 * Carries letters to their relays: priced and limited as one before anything moves, resting in the outbox until they are answered, and
 * what several people at one relay are to have uploaded once for all of them (PROTOCOL.md, "Sending").
 */

import { add } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import type { Home } from "#contracts/card";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem } from "#contracts/problem";
import { size } from "#contracts/ranges";
import { traffic } from "#contracts/tariff";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import { chunksSealedBytes, type FileSource } from "./file.ts";
import { dropLetter, type FileLetter, isFileLetter, type Letter, writeLetter } from "./letter.ts";
import type { Moves } from "./moving.ts";
import type { Answer } from "./parcel.ts";
import type { Plan, Rates } from "./plan.ts";
import type { Sender } from "./sender.ts";
import { type Cost, costOf, type Spending } from "./spending.ts";
import { type Held, NOTHING_HELD, streamFile } from "./stream.ts";
import type { Wallet } from "./wallet.ts";

export type SendOptions = {
	/** How long it is kept for the reader, in seconds; 0 for live only. */
	readonly ttlS?: number | undefined;
	/** A file's bytes that are kept at the relays so far, summed over all who are to have it. */
	readonly progress?: ((keptBytes: number) => void) | undefined;
	/** Called once it is known what it costs, everybody's copy together, before anything is sent. */
	readonly priced?: ((cost: Cost) => void) | undefined;
};

/** It is at the relay, on disk or with the reader (`sent`), or was handed to a reader live (`passed`); the id is what receipts name. */
export type Sent = { readonly id: Uint8Array; readonly tick: "sent" | "passed"; readonly cost: Cost };

/** Letters for one relay: one message, or one file for several people, who have one manifest. */
export type Todo = {
	readonly letters: readonly Letter[];
	readonly source?: FileSource | undefined;
	readonly held: Held;
	/** Letters with the same manifest that are not to go now. */
	readonly others?: readonly FileLetter[];
};

type Priced = Todo & { readonly relay: Relay; readonly rates: Rates; readonly costs: ReadonlyMap<Letter, Cost> };
/** What became of each letter. */
export type Answers = Map<Letter, Sent | Problem>;

/** A letter alone, that goes for the first time or needs no source. */
export function alone(letter: Letter): Todo {
	return { letters: [letter], held: NOTHING_HELD };
}

export class Dispatch {
	private readonly device: Device;
	private readonly wallet: Wallet;
	private readonly spending: Spending;
	private readonly moves: Moves;

	constructor(device: Device, wallet: Wallet, spending: Spending, moves: Moves) {
		this.device = device;
		this.wallet = wallet;
		this.spending = spending;
		this.moves = moves;
	}

	/** Sends it all, or nothing of it where it costs more than may be spent. A letter whose relay has no price is answered so, and the rest goes. */
	async send(todos: readonly Todo[], options: SendOptions): Promise<Answers> {
		const answers: Answers = new Map();
		const ready: Priced[] = [];
		for (const todo of todos) {
			const priced = await this.price(todo);
			if (!isProblem(priced)) ready.push(priced);
			else for (const letter of todo.letters) answers.set(letter, priced);
		}
		if (ready.length === 0) return answers;
		const cost = sumOf(ready.flatMap(({ costs }) => [...costs.values()]));
		options.priced?.(cost);
		const refusal = await this.spending.take(cost.payer);
		if (refusal) {
			for (const { letters } of ready) for (const letter of letters) answers.set(letter, refusal);
			return answers;
		}
		for (const { letters } of ready) await this.save(letters);
		let keptBytes = ready.reduce((sum, { letters }) => sum + letters.reduce((all, one) => all + keptOf(one), 0), 0);
		const progress = (moreBytes: number) => {
			keptBytes += moreBytes;
			options.progress?.(keptBytes);
		};
		await Promise.all(
			ready.map(async (priced) => {
				const said = await this.carry(priced, progress);
				await this.note(priced, said);
				for (const letter of priced.letters) answers.set(letter, await this.done(priced, letter, said(letter)));
			}),
		);
		return answers;
	}

	/** What each letter costs at its relay. */
	private async price(todo: Todo): Promise<Priced | Problem> {
		const home = homeOf(todo.letters[0] as Letter);
		const relay: Relay = { key: home.relay, url: home.url };
		const rates = await this.wallet.rates(relay);
		if (isProblem(rates)) return rates;
		const costs = new Map<Letter, Cost>();
		for (const letter of todo.letters) {
			const cost = leftCost(rates, letter);
			if (isProblem(cost)) return cost;
			costs.set(letter, cost);
		}
		return { ...todo, relay, rates, costs };
	}

	/** Live-only things are worth nothing later: only what is kept for its reader is kept here too. */
	private async save(letters: readonly Letter[]): Promise<void> {
		for (const letter of letters) if (letter.ttlS > 0) await writeLetter(this.device, letter);
	}

	/** Those of a file's letters that wait on remember who has it: sent again to all of them, it costs these nothing. */
	private async note({ letters, others = [] }: Priced, said: (letter: Letter) => Answer): Promise<void> {
		const files = letters.filter(isFileLetter);
		const done = files.filter((letter) => !isProblem(said(letter)));
		const left = [...files.filter((letter) => isProblem(said(letter))), ...others];
		if (done.length === 0 || left.length === 0) return;
		for (const { file } of left)
			file.done.push(...done.map(({ card, id }) => ({ to: toHex(card.identity), id: toHex(id) })));
		await this.save(left);
	}

	private async done({ rates, costs }: Priced, letter: Letter, answer: Answer): Promise<Sent | Problem> {
		if (!isProblem(answer)) {
			await dropLetter(this.device, letter.id);
			return { id: letter.id, tick: answer === "kept" ? "sent" : "passed", cost: costs.get(letter) as Cost };
		}
		const unspent = leftCost(rates, letter);
		if (!isProblem(unspent)) await this.spending.giveBack(unspent.payer);
		// What can succeed later stays; the rest would only be refused again.
		if (!answer.retry && !letter.file) await dropLetter(this.device, letter.id);
		return answer;
	}

	private async carry(todo: Priced, progress: (moreBytes: number) => void): Promise<(letter: Letter) => Answer> {
		const { relay, rates, costs, letters, source } = todo;
		const { ask, payer } = sumOf([...costs.values()]);
		const plan: Plan = { ask, rates, payer };
		const sender = await this.wallet.sender(relay, plan);
		if (isProblem(sender)) return () => sender;
		const files = source ? letters.filter(isFileLetter) : [];
		const answers = source
			? await this.file(sender, files, todo, source, progress)
			: new Map(await Promise.all(letters.map(async (one) => [one, await this.message(sender, one)] as const)));
		this.wallet.plans.delete(relay, plan);
		return (letter) => answers.get(letter as FileLetter) as Answer;
	}

	private message(sender: Sender, letter: Letter): Promise<Answer> {
		const watch = this.moves.watch(letter);
		const moved = watch.moved.then((why) => {
			sender.recall(letter.payload);
			return why;
		});
		return Promise.race([sender.post(parcelOf(letter, letter.payload)), moved]).finally(() => watch.end());
	}

	/** A file: to each its letter, to all its chunks. */
	private async file(
		sender: Sender,
		letters: readonly FileLetter[],
		{ held, others = [] }: Todo,
		source: FileSource,
		progress: (moreBytes: number) => void,
	): Promise<Map<FileLetter, Answer>> {
		const failed = new Map<FileLetter, Problem>();
		const announced = new Map<FileLetter, Answer>();
		const fresh = letters.filter(({ file }) => !file.announced);
		const posted = sender.postAll(fresh.map((letter) => parcelOf(letter, letter.payload)));
		const announcing = posted.map(async (answering, i) => {
			const letter = fresh[i] as FileLetter;
			const answer = await answering;
			announced.set(letter, answer);
			if (isProblem(answer)) failed.set(letter, answer);
			else letter.file.announced = true;
		});
		const refusal = await streamFile(this.device, source, letters, held, failed, {
			post: (payload, to) => sender.postAll(to.map((letter) => parcelOf(letter, payload))),
			save: () => this.save(letters),
			mark: (sentTo) => {
				for (const { file } of [...letters, ...others]) file.sentTo = Math.max(file.sentTo, sentTo);
				return this.save([...letters, ...others]);
			},
			progress,
		});
		await Promise.all(announcing);
		await this.save(letters);
		return new Map(letters.map((one) => [one, failed.get(one) ?? refusal ?? announced.get(one) ?? "kept"]));
	}
}

/** Costs together: each was rounded up for itself, as it may be charged for itself. */
export function sumOf(costs: readonly Cost[]): Cost {
	return {
		sealedBytes: costs.reduce((sum, { sealedBytes }) => sum + sealedBytes, 0n),
		ask: add(...costs.map(({ ask }) => ask)),
		total: add(...costs.map(({ total }) => total)),
		payer: add(...costs.map(({ payer }) => payer)),
		commons: add(...costs.map(({ commons }) => commons)),
		pools: add(...costs.map(({ pools }) => pools)),
		reasons: costs
			.flatMap(({ reasons }) => reasons)
			.filter((one, i, all) => all.findIndex(({ code, fund }) => code === one.code && fund === one.fund) === i),
	};
}

export function homeOf({ card, home }: Letter): Home {
	return card.homes[home] as Home;
}

function parcelOf(letter: Letter, payload: Uint8Array) {
	return { mailbox: homeOf(letter).mailbox, token: letter.card.token, ttlS: letter.ttlS, payload };
}

/** What is still to be sent of a letter costs. */
function leftCost(rates: Rates, letter: Letter): Cost | Problem {
	return costOf(rates, traffic(leftBytes(letter), letter.ttlS));
}

/** Sealed bytes of a letter that are still to be sent. */
function leftBytes({ payload, file }: Letter): number {
	if (!file) return payload.length;
	const chunks = chunksSealedBytes(file.manifest.sizeBytes) - size(file.kept) * LIMIT.sliceBytes;
	return Math.max(chunks, 0) + (file.announced ? 0 : payload.length);
}

/** A file's bytes that are kept at the relay already. */
function keptOf({ file }: Letter): number {
	return file ? Math.min(size(file.kept) * file.manifest.chunkBytes, file.manifest.sizeBytes) : 0;
}
