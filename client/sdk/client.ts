/**
 * The SDK's front: one object that sends and reads for one account. Its promises reject with {@link FarelayError} for every
 * expected refusal; whatever else they reject with is a bug.
 */

import type { Amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import type { Card } from "#contracts/card";
import { MESSAGE } from "#contracts/envelope";
import { LIMIT } from "#contracts/limit";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Traffic } from "#contracts/tariff";
import { AtMarket } from "./atmarket.ts";
import { Contacts } from "./contacts.ts";
import { type Device, device as deviceOf } from "./device.ts";
import { type MarketDoor, marketDoor } from "./door.ts";
import { orThrow } from "./error.ts";
import { type FileSource, sourceOf } from "./file.ts";
import type { Settlement } from "./finish.ts";
import type { Drawn } from "./home.ts";
import { Household, type MailboxDevice } from "./household.ts";
import { createIdentity, exportIdentity, type Identity, identityOf } from "./identity.ts";
import type { Handlers } from "./incoming.ts";
import { type Waiting, waitingOf } from "./letter.ts";
import type { Market, RelayOffer } from "./market.ts";
import {
	type CardOptions,
	type ClientOptions,
	type ClientSendOptions,
	isMany,
	type Outcome,
	type Sendable,
	type Tick,
	type Whom,
} from "./options.ts";
import { Outbox, type SendOptions, type Sent } from "./outbox.ts";
import { OwnCard } from "./owncard.ts";
import { payerOf } from "./payer.ts";
import { Reading } from "./reading.ts";
import type { Clocks } from "./session.ts";
import { type Cost, Spending } from "./spending.ts";
import { getJson, memoryStorage, putJson } from "./storage.ts";
import { Ticks } from "./ticks.ts";
import { Wallet } from "./wallet.ts";

export type { CardOptions, ClientOptions, ClientSendOptions, Outcome, Sendable, Tick, Whom };

const text = new TextEncoder();

/** Makes a client. Loads libsodium, finds or makes the account; opens no connection yet. */
export async function createClient(options: ClientOptions): Promise<Client> {
	const storage = options.storage ?? memoryStorage();
	const device = await deviceOf({ ...options.device, storage });
	const stored = fromHex(await getJson(storage, "seed"));
	const seed = options.seed ?? stored;
	const identity = seed ? identityOf(device, seed) : createIdentity(device);
	if (!seed) await putJson(storage, "seed", toHex(identity.seed));
	const { url, key } = typeof options.market === "string" ? { url: options.market, key: undefined } : options.market;
	const market = marketDoor(device, identity, url, fromHex(key), options.appPass);
	return new Client(device, identity, market, options);
}

export class Client extends AtMarket {
	readonly identity: Identity;
	readonly device: Device;
	private readonly options: Omit<ClientOptions, "market">;
	private readonly clocks: Clocks = new Map();
	private readonly reading: Reading;
	private readonly spending: Spending;
	private readonly wallet: Wallet;
	private readonly outbox: Outbox;
	private readonly contacts: Contacts;
	private readonly ownCard: OwnCard;
	private readonly ticks = new Ticks();
	private readonly household: Household;

	/** Use {@link createClient}; a test hands in a market of its own. */
	constructor(
		device: Device,
		identity: Identity,
		market: Market | MarketDoor,
		options: Omit<ClientOptions, "market"> = {},
	) {
		super(device, identity, market as MarketDoor);
		this.device = device;
		this.identity = identity;
		this.options = options;
		this.reading = new Reading(device, identity, this.clocks, this.market);
		this.spending = new Spending(device, options.spendLimit);
		const payer = payerOf(device, identity, market, options.payer);
		this.wallet = new Wallet(payer.device, payer.identity, payer.market, this.clocks, this.spending, {
			lost: (relay, lost: Traffic, total) => options.onLost?.(relay, lost, total),
			dishonest: (relay, why) => options.onDishonest?.(relay, why),
			problem: (relay, refusal) => {
				options.onProblem?.(refusal);
				if (refusal.problem === "unavailable") this.outbox.moves.unreachable(relay);
			},
		});
		this.household = new Household(device, identity, this.clocks);
		this.ownCard = new OwnCard(device, identity, this.market, this.clocks);
		this.contacts = new Contacts(device, (refusal) => options.onProblem?.(refusal));
		this.outbox = new Outbox(
			device,
			identity,
			this.wallet,
			this.spending,
			(waiting) => options.onOver?.(waiting),
			(card) => this.contacts.newer(card),
		);
	}

	/** The account: its public key in hex. */
	get account(): string {
		return toHex(this.identity.account.publicKey);
	}

	/** The account's secret as a line to write down. Whoever has it has the money and the mail. */
	exportSeed(): string {
		return exportIdentity(this.device, this.identity);
	}

	/** What can be spent now. */
	async balance(): Promise<Amount> {
		return orThrow(await this.market.balance());
	}

	/** Listed relays, cheapest first. */
	async relays(): Promise<RelayOffer[]> {
		return orThrow(await this.market.relays());
	}

	/** The most to spend in a day, fees included; undefined for no limit. */
	spendLimit(limit: Amount | undefined): void {
		this.spending.setLimit(limit);
	}

	/** What today came to so far, fees included. */
	spentToday(): Promise<Amount> {
		return this.spending.spentToday();
	}

	/** One's contact card as a link. Gives the mailbox a home at the relays named, or at the cheapest. */
	async card(options: CardOptions = {}): Promise<string> {
		return orThrow(await this.ownCard.link(options));
	}

	/**
	 * Lets the market keep one's card, sealed, and answers a link that stays the same when the card changes. It is said again by
	 * {@link listen}, and by {@link card} when the relays change.
	 */
	async publishCard(options: CardOptions = {}): Promise<string> {
		return orThrow(await this.ownCard.publish(options));
	}

	/** Asks the market for a home, mail to which funds pay for, and moves there unless relays were chosen; `again` for another one. */
	async home({ again = false }: { readonly again?: boolean } = {}): Promise<Drawn> {
		return orThrow(await this.ownCard.draw(again));
	}

	/** Takes the published card back: its link finds nothing any more. Whoever has the card in hand can go on using it. */
	async unpublishCard(): Promise<void> {
		orThrow(await this.ownCard.withdraw());
	}

	/** Remembers a person's card: receipts go to people one has a card of. */
	async know(card: Card): Promise<void> {
		await this.contacts.know(card);
	}

	/** The card that a link stands for: the one in it, or the newest that is published there. Without the market the one in hand. */
	async resolve(link: string): Promise<Card> {
		return orThrow(await this.contacts.resolve(link));
	}

	/** What sending something to somebody or to several costs, before it is sent: sealed bytes of all copies, the ask, and the total with both fees. */
	async estimate(to: Whom | readonly Whom[], what: Sendable, { ttlS = LIMIT.ttlSDefault } = {}): Promise<Cost> {
		return orThrow(await this.outbox.estimate(orThrow(await this.contacts.of(to)), sourceOf(what), ttlS));
	}

	/**
	 * Sends a text or a file. Resolves when it is at the relay for good; until then it waits, through restarts too. Rejects
	 * when it was refused: nothing of it is charged but what was kept before. What was refused for now, and what was under way
	 * when the client closed, still waits ({@link waiting}) until its TTL is over: {@link resume} sends it, and not a second `send`.
	 */
	async send(to: Whom, what: Sendable, options?: ClientSendOptions): Promise<Sent>;
	/**
	 * Sends it to several people: a file is sealed and uploaded once for all who are at one relay, and each has a copy of their own, which
	 * is priced, kept and refused by itself. Resolves with what became of each, in order; rejects only where nothing was tried.
	 */
	async send(to: readonly Whom[], what: Sendable, options?: ClientSendOptions): Promise<Outcome[]>;
	async send(to: Whom | readonly Whom[], what: Sendable, options: ClientSendOptions = {}): Promise<Sent | Outcome[]> {
		const named = orThrow(await this.contacts.of(to));
		const cards = await Promise.all(named.map((card) => this.contacts.know(card)));
		for (const { identity } of cards) options.tick?.("waiting", identity);
		const thing = sourceOf(what);
		const answers =
			typeof thing === "string"
				? await this.outbox.send(cards, MESSAGE.text, text.encode(thing), options)
				: await this.outbox.sendFile(cards, thing, options);
		const outcomes = cards.map(({ identity }, i) => ({ to: identity, answer: answers[i] as Sent | Problem }));
		for (const { to, answer } of outcomes)
			if (options.tick && !isProblem(answer))
				this.ticks.follow(toHex(answer.id), answer.tick, (tick) => options.tick?.(tick, to));
		return isMany(to) ? outcomes : orThrow(answers[0] as Sent | Problem);
	}

	/** Goes on with an unfinished file by its id. Rejects with `file-changed` when the source is not that file any more. */
	async resumeFile(id: Uint8Array, source: FileSource | Blob, options: SendOptions = {}): Promise<Sent> {
		return orThrow(await this.outbox.resumeFile(id, sourceOf(source) as FileSource, options));
	}

	/** What waits to be sent, oldest first. */
	async waiting(): Promise<Waiting[]> {
		return (await this.outbox.waiting()).map(waitingOf);
	}

	/**
	 * Sends again what an earlier process left unanswered; files wait for {@link send} or {@link resumeFile} with their source.
	 * `refused` is told what could not be sent: it waits on if its problem says so.
	 */
	async resume(refused?: (id: Uint8Array, why: Problem) => void): Promise<Sent[]> {
		const sent: Sent[] = [];
		for (const { id, answer } of await this.outbox.resume())
			if (isProblem(answer)) refused?.(id, answer);
			else sent.push(answer);
		return sent;
	}

	/** Reads one's mailboxes until {@link close}. */
	async listen(handlers: Handlers): Promise<void> {
		const homes = orThrow(await this.ownCard.homes());
		const unrenewed = () => this.options.onProblem?.(problem("unavailable", "The published card is not renewed."));
		this.ownCard.renew().then((refusal) => refusal && unrenewed(), unrenewed);
		const all: Handlers = {
			...handlers,
			problem: handlers.problem ?? this.options.onProblem ?? (() => {}),
			receipt: async (from, ids) => {
				for (const id of ids) this.ticks.delivered(toHex(id));
				await handlers.receipt?.(from, ids);
			},
		};
		const lost = () => this.options.onProblem?.(problem("disk", "A receipt could not be sent."));
		const arrived = (from: Uint8Array, id: Uint8Array) => void this.acknowledge(from, id).catch(lost);
		await this.reading.open(homes, all, arrived);
	}

	/** The devices that read one's mailboxes, and when each was last there. */
	async devices(): Promise<MailboxDevice[]> {
		return orThrow(await this.household.list(orThrow(await this.ownCard.homes()).read, this.reading.inboxes));
	}

	/** Gives a device up, as one that was lost: nothing is kept for it any more. Who has the account's seed can read again all the same. */
	async forgetDevice(device: MailboxDevice): Promise<void> {
		orThrow(await this.household.forget(device, this.reading.inboxes));
	}

	/** A paid receipt, where that is wished for and the sender's card is known. Failing costs nobody anything. */
	private async acknowledge(from: Uint8Array, id: Uint8Array): Promise<void> {
		if (!this.options.receipts) return;
		const card = await this.contacts.known(from);
		const [sent] = card ? await this.outbox.send([card], MESSAGE.receipt, id, {}) : [];
		if (isProblem(sent)) this.options.onProblem?.(sent);
	}

	/** Says that the app went into the background (or came back): connections that nothing goes over are closed after 10 s, and mail waits. */
	async background(on = true): Promise<void> {
		this.reading.background(on);
		await this.wallet.background(on);
	}

	/** Tries again at once, as when a network came back or changed. */
	async hurry(): Promise<void> {
		this.reading.hurry();
		await this.wallet.hurry();
	}

	/**
	 * Ends every tab in agreement with its relay: what is not spent comes back at once. Says for each how it ended. What is under way is
	 * waited for until a relay has answered nothing for `silentMs`; then it waits on ({@link waiting}), for another tab.
	 */
	settle({ silentMs }: { readonly silentMs?: number } = {}): Promise<Settlement[]> {
		return this.wallet.settle(silentMs);
	}

	/** Stops reading and sending. Tabs stay open for the next start; {@link settle} first to get their money back. */
	async close(): Promise<void> {
		await this.reading.close();
		await this.wallet.close();
	}
}
