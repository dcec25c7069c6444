/**
 * What came to one's drawn home, signed for the market: one running total, over all senders, once a day at most and at a time by chance, and only when two
 * more MB came (PROTOCOL.md, section 20). The relay never sees it.
 */

import { toHex } from "#contracts/bytes";
import { isProblem, type Problem } from "#contracts/problem";
import { dayOf, megabytesOf, signReceived } from "#contracts/received";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { ask } from "./published.ts";
import { getJson, putJson } from "./storage.ts";

/** What totals are sent to: a market's door. One of a test's may have none, and then nothing is sent. */
export type TotalsMarket = {
	readonly url?: string;
	/** The market's root key, without asking for it where it is known. */
	readonly root?: () => Promise<Uint8Array | Problem>;
	readonly nowMs?: () => Promise<number>;
};

/** What is kept of a total, at `received/<relay hex>`. `said`: the highest that the market is known to know. */
type Row = {
	readonly bytes: string;
	readonly said: number;
	/** it began at what the market knew: before, another device of this account may have counted the same */
	readonly isBased: boolean;
	readonly dueMs: number;
};

const DAY_MS = 86_400_000;
const BYTES_PER_MB = 1_000_000n;

/** How often what was counted is written down. A crash loses so much at most, and counts nothing twice. */
const KEEP_MS = 10_000;

/** What has to have come since the last word: saying it takes 1.6 kB with HTTP's heads both ways, and must cost no thousandth of what it is about. */
const STEP_BYTES = 2n * BYTES_PER_MB;

/** When the market is asked again that did not answer. */
const AGAIN_MS = 3_600_000;

export class Totals {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly market: TotalsMarket;
	private relay: Relay | undefined;
	private row: Row | undefined;
	private uncounted = 0n;
	private changed = false;
	private keptMs = Number.NEGATIVE_INFINITY;
	private cancel: (() => void) | undefined;
	private saying: Promise<void> = Promise.resolve();

	constructor(device: Device, identity: Identity, market: TotalsMarket) {
		this.device = device;
		this.identity = identity;
		this.market = market;
	}

	/** Counts what comes at this relay from now on, and says so when it is time. Only one's drawn home is counted. */
	async begin(relay: Relay | undefined): Promise<void> {
		this.relay = relay;
		if (!relay) return;
		const begun: Row = { bytes: "0", said: 0, isBased: false, dueMs: this.device.nowMs() + this.byChance(DAY_MS) };
		this.row = (await getJson<Row>(this.device.storage, this.key(relay))) ?? begun;
		this.arm();
	}

	/** So many payload bytes opened, for the first time. */
	count(relay: Relay, bytes: number): void {
		if (!this.row || !this.relay || toHex(relay.key) !== toHex(this.relay.key)) return;
		this.uncounted += BigInt(bytes);
		this.changed = true;
	}

	/** The mailbox did not know this device: what came before, others counted, or nobody ever will. */
	forget(relay: Relay): void {
		if (this.row && this.relay && toHex(relay.key) === toHex(this.relay.key)) this.put({ ...this.row, isBased: false });
	}

	/** Makes what was counted last, from time to time; called where what was counted is made to last itself, so that it never counts again. */
	async settle(): Promise<undefined> {
		if (this.device.nowMs() - this.keptMs >= KEEP_MS) await this.keep();
	}

	/** Ends; what was counted is kept. */
	async close(): Promise<void> {
		this.cancel?.();
		this.cancel = undefined;
		await this.saying;
		await this.keep();
		this.row = undefined;
	}

	private key(relay: Relay): string {
		return `received/${toHex(relay.key)}`;
	}

	private put(row: Row): void {
		this.row = row;
		this.changed = true;
	}

	private async keep(): Promise<void> {
		if (!this.row || !this.relay || !this.changed) return;
		this.row = { ...this.row, bytes: (BigInt(this.row.bytes) + this.uncounted).toString() };
		this.uncounted = 0n;
		this.changed = false;
		this.keptMs = this.device.nowMs();
		await putJson(this.device.storage, this.key(this.relay), this.row);
	}

	/** A time below so long. */
	private byChance(spanMs: number): number {
		const [a = 0, b = 0, c = 0, d = 0] = this.device.crypto.random(4);
		return Math.floor((((a << 24) | (b << 16) | (c << 8) | d) >>> 0) * (spanMs / 2 ** 32));
	}

	private arm(): void {
		this.cancel?.();
		if (!this.row || !this.relay) return;
		const waitMs = Math.min(Math.max(this.row.dueMs - this.device.nowMs(), 0), 2 * DAY_MS);
		this.cancel = this.device.after(waitMs, () => {
			this.saying = this.say()
				// a storage that fails is told by whatever else needs it; another day is as good
				.catch(() => {})
				.finally(() => this.arm());
		});
	}

	/** Says the total, if it has another MB; and when it will be said next. */
	private async say(): Promise<void> {
		const { relay, row } = this;
		if (!relay || !row) return;
		const total = BigInt(row.bytes) + this.uncounted;
		const next = { dueMs: this.device.nowMs() + DAY_MS + this.byChance(DAY_MS / 2) };
		if (total - BigInt(row.said) * BYTES_PER_MB < STEP_BYTES) this.put({ ...row, ...next });
		else {
			const known = await this.post(relay, megabytesOf(total));
			if (known === undefined)
				this.put({ ...(this.row ?? row), dueMs: this.device.nowMs() + AGAIN_MS + this.byChance(AGAIN_MS) });
			else this.heard(known, next.dueMs);
		}
		await this.keep();
	}

	/** The market knows so much: what another device counted before this one was there is this one's too. */
	private heard(known: number, dueMs: number): void {
		const row = this.row as Row;
		const total = BigInt(row.bytes) + this.uncounted;
		const begins = !row.isBased && known > megabytesOf(total);
		if (begins) this.uncounted = 0n;
		const bytes = begins ? BigInt(known) * BYTES_PER_MB : BigInt(row.bytes);
		this.put({ bytes: bytes.toString(), said: Math.max(known, row.said), isBased: true, dueMs });
	}

	/** Posts a total; what the market knows then. Undefined when it did not take it now. */
	private async post(relay: Relay, megabytes: number): Promise<number | undefined> {
		const { url, root, nowMs } = this.market;
		const market = await root?.();
		if (url === undefined || !market || isProblem(market)) return undefined;
		const { crypto } = this.device;
		const { account } = this.identity;
		const once = (atMs: number) => {
			const total = { account: account.publicKey, relay: relay.key, day: dayOf(atMs), megabytes };
			return ask(this.device, `${url}/v1/received`, { received: toHex(signReceived(crypto, market, total, account)) });
		};
		let answer = await once(this.device.nowMs());
		// a clock that is days off: the market's own is asked for, which costs more bytes than the total
		if (isProblem(answer) && answer.problem === "clock" && nowMs) answer = await once(await nowMs());
		const known = (answer as { megabytes?: unknown } | null)?.megabytes;
		return Number.isSafeInteger(known) ? (known as number) : undefined;
	}
}
