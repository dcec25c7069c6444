/** Putting money on one's account: what each rail takes, a deposit to pay, and waiting until it has come. */

import { type Amount, formatAmount, parseAmount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { plainDetail, problem } from "#contracts/problem";
import type { DepositJson, QuoteJson } from "./api.ts";
import type { Device } from "./device.ts";
import { askMarket, type MarketDoor } from "./door.ts";
import { FarelayError } from "./error.ts";

/** What a deposit costs on a rail. `units` and `fee` are what the rail counts in (`unit`): millisatoshi, cents, nano-dollars. */
export type FundingQuote = {
	readonly rail: string;
	readonly unit: QuoteJson["unit"];
	/** To be paid, its fee included. */
	readonly units: bigint;
	readonly fee: bigint;
	readonly feeIsAbout: boolean;
	/** What arrives on the balance, what the rail keeps, and what the market keeps by the rate. */
	readonly credited: Amount;
	readonly feeNanos: Amount;
	readonly spread: Amount;
	/** Where the rate comes from; undefined where dollars are paid. */
	readonly rateSays: string | undefined;
	/** Until when this holds, Unix milliseconds by the market's clock. */
	readonly untilMs: number;
};

/** A way to pay, or why it cannot be used for that much. */
export type FundingRail = {
	readonly rail: string;
	readonly quote: FundingQuote | undefined;
	readonly refused: string | undefined;
};

/** A deposit. `credited` is what came on the balance by it so far; undefined: nothing yet. */
export type Funding = {
	readonly id: string;
	readonly state: DepositJson["state"];
	readonly quote: FundingQuote;
	readonly startedMs: number;
	readonly payUntilMs: number;
	/** How to pay; undefined when nobody should (any more). */
	readonly pay: NonNullable<DepositJson["pay"]> | undefined;
	readonly credited: Amount | undefined;
	/** What the rail kept of it, in the quote's unit. */
	readonly fee: bigint | undefined;
	/** What was given back to the card, or is on its way there. */
	readonly refund: { readonly amount: Amount; readonly state: "sending" | "sent" | "failed" } | undefined;
	/** What is said of a deposit that comes every month; each month is a deposit of its own, `of` this one. */
	readonly monthly: FundingMonthly | undefined;
	readonly of: string | undefined;
	/** Until when who paid can take it back. */
	readonly backUntilMs: number | undefined;
	/** Why it ended. */
	readonly says: string | undefined;
};

/** How it stands with a deposit that comes every month: how often it came, and whether it is to end or has. */
export type FundingMonthly = {
	readonly months: number;
	/** The newest month could not be had yet; at `url`, where there is one, its payer can mend that. */
	readonly isFailing: boolean;
	readonly url: string | undefined;
	readonly isStopped: boolean;
	readonly isOver: boolean;
};

/** How often a waiting app asks. */
const ASK_MS = 1_000;
/** A market that cannot be asked for so long is down, and not starting anew. */
const FAILS_MAX = 60;
/** Random bytes in an id; behind the time, so that a list of deposits is in their order. */
const ID_BYTES = 8;

/** An account's deposits. Like the client's own, its promises reject with a `FarelayError`. */
export class Deposits {
	readonly #device: Device;
	readonly #market: MarketDoor;

	constructor(device: Device, market: MarketDoor) {
		this.#device = device;
		this.#market = market;
	}

	/** A new id: later ones sort behind. */
	newId(): string {
		const time = this.#device.nowMs().toString(36).padStart(9, "0");
		return `${time}-${toHex(this.#device.crypto.random(ID_BYTES))}`;
	}

	/** Every way to have so much on the balance, once or every month, with what it costs. */
	async rails(amount: Amount, monthly = false): Promise<FundingRail[]> {
		const asked = { amount: formatAmount(amount), monthly };
		const { rails } = await askMarket(this.#market, (api) => api.funding.rails.query(asked));
		return rails.map(({ rail, quote, refused }) => ({
			rail,
			quote: quote === null ? undefined : readQuote(quote),
			refused: refused === null ? undefined : plainDetail(refused),
		}));
	}

	/** Begins a deposit, once or every month. The same `id` again answers the same deposit: whoever heard no answer asks again by it. */
	async start(order: {
		readonly rail: string;
		readonly amount: Amount;
		readonly id?: string;
		readonly monthly?: boolean;
		/** The pool that it is for, instead of the balance. */
		readonly pool?: string | undefined;
	}): Promise<Funding> {
		const { rail, id = this.newId(), monthly = false, pool } = order;
		const amount = formatAmount(order.amount);
		const asked = { id, rail, amount, monthly, ...(pool !== undefined && { pool }) };
		return readDeposit(await askMarket(this.#market, (api) => api.funding.start.mutate(asked)));
	}

	/** Gives so much of a deposit back to the card that paid it, once: asking again answers what became of it. */
	async refund(id: string, amount: Amount): Promise<Funding> {
		return readDeposit(
			await askMarket(this.#market, (api) => api.funding.refund.mutate({ id, amount: formatAmount(amount) })),
		);
	}

	/** Ends what comes every month. */
	async stop(id: string): Promise<Funding> {
		return readDeposit(await askMarket(this.#market, (api) => api.funding.stop.mutate({ id })));
	}

	/** What became of a deposit. */
	async status(id: string): Promise<Funding> {
		return readDeposit(await askMarket(this.#market, (api) => api.funding.status.query({ id })));
	}

	/** The account's deposits by id; `after` is the last one seen. */
	async list(after?: string): Promise<Funding[]> {
		const { deposits } = await askMarket(this.#market, (api) =>
			api.funding.list.query(after === undefined ? {} : { after }),
		);
		return deposits.map(readDeposit);
	}

	/** Waits until a deposit is credited, has ended, should not be paid any more, or the signal says so; answers it as it is then. */
	async settled(id: string, signal?: AbortSignal): Promise<Funding> {
		for (let fails = 0; ; ) {
			let deposit: Funding | undefined;
			try {
				deposit = await this.status(id);
				fails = 0;
			} catch (error) {
				// a market that starts anew has everything that was written down: what was paid meanwhile is credited then
				fails += 1;
				if (!(error instanceof FarelayError) || !error.problem.retry || fails > FAILS_MAX || signal?.aborted)
					throw error;
			}
			if (deposit && (signal?.aborted || (deposit.state !== "waiting" && deposit.state !== "starting"))) return deposit;
			await new Promise<void>((resolve) => {
				const done = (): void => {
					cancel();
					signal?.removeEventListener("abort", done);
					resolve();
				};
				const cancel = this.#device.after(ASK_MS, done);
				signal?.addEventListener("abort", done);
			});
		}
	}
}

function readQuote(quote: QuoteJson): FundingQuote {
	return {
		rail: quote.rail,
		unit: quote.unit,
		units: units(quote.units),
		fee: units(quote.fee),
		feeIsAbout: quote.feeIsAbout,
		credited: money(quote.credited),
		feeNanos: money(quote.feeNanos),
		spread: money(quote.spread),
		rateSays: quote.rate?.says,
		untilMs: quote.untilMs,
	};
}

function readDeposit(deposit: DepositJson): Funding {
	const { id, state, quote, startedMs, payUntilMs, pay, came, says, monthly, of } = deposit;
	return {
		id: plainDetail(id),
		state,
		quote: readQuote(quote),
		startedMs,
		payUntilMs,
		pay: pay === null ? undefined : readPay(pay),
		credited: came === null ? undefined : money(came.credited),
		fee: came === null ? undefined : units(came.fee),
		refund: came?.refund ? { ...came.refund, amount: money(came.refund.amount) } : undefined,
		monthly: monthly ? { ...monthly, url: readLink(monthly.url) } : undefined,
		of: of ? plainDetail(of) : undefined,
		backUntilMs: came?.backUntilMs ?? undefined,
		says: says === null ? undefined : plainDetail(says),
	};
}

/** A market is not trusted with a terminal, nor with a link that is none of the web's. */
function readPay(pay: NonNullable<DepositJson["pay"]>): NonNullable<DepositJson["pay"]> {
	if (pay.kind === "nothing") return { kind: "nothing" };
	if (pay.kind === "invoice" && /^[a-z0-9]{1,8000}$/i.test(pay.invoice)) return pay;
	if (pay.kind === "link" && readLink(pay.url)) return pay;
	throw new FarelayError(problem("malformed", "The market's way to pay is none.", { spent: "no" }));
}

function readLink(url: string | null): string | undefined {
	return url !== null && /^https?:\/\/[!-~]{1,8000}$/.test(url) ? url : undefined;
}

function money(text: string): Amount {
	const nanos = parseAmount(text);
	if (nanos === undefined) throw new FarelayError(problem("malformed", "The market's amount is none."));
	return nanos;
}

/** What a rail counts in: of the same form as money, and as large at most. */
function units(text: string): bigint {
	return money(text);
}
