/**
 * Lightning by a wallet that somebody else runs, over Nostr Wallet Connect (NIP-47). The wallet takes no fee ceiling and no id of ours, and a request
 * may be lost on its way there or back: so small amounts only, a budget at the wallet, and what was not answered is unknown until the wallet says.
 */

import { type Nip47Transaction, Nip47WalletError, NWCClient } from "@getalby/sdk/nwc";
import * as z from "zod";
import { isProblem, type Problem, plainDetail, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { isLoopback } from "#host/loopback";
import { parseJson } from "./ask.ts";
import { expectInvoice, type Invoice, type Network, proves } from "./bolt11.ts";
import { keepListening } from "./listen.ts";
import { outOfRange, routingCeiling, unreachable, wholeMoney } from "./msat.ts";
import { makePaying, type Refused } from "./paying.ts";
import type { DepositState, PaymentState, PayOrder, Rail, RailRange, Started, StartOrder, Way } from "./rail.ts";

/** Which wallet, and what it may be used for. */
export type NwcConfig = {
	/** `nostr+walletconnect://...`: whoever has it can spend the wallet's budget */
	readonly connection: string;
	readonly network: Network;
	readonly ranges: Readonly<Record<Way, RailRange | undefined>>;
};

/** Deposits that were begun are remembered for this many, so that the same one is not begun twice; the wallet keeps no id of ours. */
const STARTED_MAX = 10_000;

/** Nothing comes for an invoice that ended so long ago: what was held back at its end is there or gone by then. */
const ENDED_AFTER_MS = 600_000;

/**
 * So long after its invoice's end a payment that the wallet does not have is none. A request may wait at a Nostr relay for ever, but payers do not begin, and
 * payees do not take, what has ended; and what was held on its way by then, unlisted, is over: a route lasts at most 2,016 blocks (BOLT 4), two weeks, and a
 * week more for slow ones.
 */
const ABSENT_AFTER_MS = 21 * 86_400_000;

/** Codes of NIP-47 that say that the wallet did not begin. `PAYMENT_FAILED` is none of them: wallets say it of time-outs, and of what was paid before. */
const NOT_BEGUN = [
	"INSUFFICIENT_BALANCE",
	"QUOTA_EXCEEDED",
	"RATE_LIMITED",
	"RESTRICTED",
	"UNAUTHORIZED",
	"NOT_IMPLEMENTED",
];

const transaction = z.object({
	type: z.enum(["incoming", "outgoing"]),
	state: z.string().optional(),
	payment_hash: z.string(),
	preimage: z.string().nullish(),
	amount: wholeMoney,
	fees_paid: wholeMoney.nullish(),
	settled_at: z.int().nullish(),
	expires_at: z.int().nullish(),
});
type Transaction = z.infer<typeof transaction>;

/** What the wallet must be able to do. */
const METHODS = ["make_invoice", "lookup_invoice", "pay_invoice"] as const;

/** What a wallet answers, as far as its client builds on it: an error is a code and a text that a terminal can show. */
const answer = z.looseObject({
	error: z
		.object({ code: z.string().max(64), message: z.string().transform(plainDetail) })
		.nullish()
		.catch({ code: "OTHER", message: "an error that cannot be read" }),
});

/** The client, which would otherwise end the process when a wallet answers something that does not decrypt, is no object, or holds an error of another form. */
class Client extends NWCClient {
	override async decrypt(pubkey: string, content: string): Promise<string> {
		const text = await super.decrypt(pubkey, content).catch(() => "");
		const read = answer.safeParse(parseJson(text));
		return read.success ? JSON.stringify(read.data) : "";
	}
}

/** Opens the engine; asks the wallet nothing yet. */
export function openNwc(config: NwcConfig, { clock }: { readonly clock: Clock }): Rail | Problem {
	const client = clientOf(config.connection);
	if (isProblem(client)) return client;
	const closing = new AbortController();

	/** What the wallet has under a hash; "none" when it says that it has nothing. */
	const lookup = async (hash: string): Promise<Transaction | "none" | Problem> => {
		let said: Nip47Transaction;
		try {
			said = await client.lookupInvoice({ payment_hash: hash });
		} catch (error) {
			return error instanceof Nip47WalletError && error.code === "NOT_FOUND"
				? "none"
				: unreachable("The wallet", whyOf(error));
		}
		const read = transaction.safeParse(said);
		if (read.success && read.data.payment_hash === hash) return read.data;
		return unreachable("The wallet", "its answer cannot be read");
	};

	const begun = new Map<string, { readonly amount: bigint; readonly started: Promise<Started | Problem> }>();
	const begin = async (order: StartOrder): Promise<Started | Problem> => {
		const expiry = Math.ceil((order.expiresAtMs - clock.nowMs()) / 1_000);
		if (expiry <= 0) return problem("malformed", "A deposit cannot begin after its end.");
		try {
			const made = await client.makeInvoice({ amount: jsonOf(order.amount), description: order.text, expiry });
			const expected = { network: config.network, amountMsat: order.amount };
			const invoice = expectInvoice(String(made.invoice), expected);
			if (isProblem(invoice))
				return unreachable("The wallet", `it gave an invoice for something else. ${invoice.detail}`);
			return {
				reference: invoice.paymentHash,
				pay: { kind: "invoice", invoice: invoice.text },
				expiresAtMs: invoice.expiresAtMs,
			};
		} catch (error) {
			return unreachable("The wallet", whyOf(error));
		}
	};
	const start = async (order: StartOrder): Promise<Started | Problem> => {
		const range = outOfRange(config.ranges.in, order.amount);
		if (range) return range;
		const before = begun.get(order.id);
		if (before && before.amount !== order.amount)
			return problem("conflict", "This deposit was begun with another amount before.");
		if (before) return before.started;
		const started = begin(order);
		begun.set(order.id, { amount: order.amount, started });
		const [oldest] = begun.keys();
		if (begun.size > STARTED_MAX && oldest !== undefined) begun.delete(oldest);
		// nobody has seen an invoice that did not come: another one may be asked for
		if (isProblem(await started)) begun.delete(order.id);
		return started;
	};

	const deposit = async (reference: string): Promise<DepositState | Problem> => {
		if (!/^[0-9a-f]{64}$/.test(reference)) return { state: "absent" };
		const found = await lookup(reference);
		if (isProblem(found)) return found;
		if (found === "none" || found.type !== "incoming") return { state: "absent" };
		const { state, amount, settled_at, expires_at } = found;
		if (settledOf(found)) return { state: "paid", amount, fee: 0n, atMs: (settled_at ?? 0) * 1_000 || clock.nowMs() };
		const over = expires_at != null && expires_at * 1_000 + ENDED_AFTER_MS < clock.nowMs();
		return { state: state === "failed" || state === "expired" || over ? "ended" : "waiting" };
	};

	const find = async (invoice: Invoice, { amount }: PayOrder): Promise<PaymentState | "none" | Problem> => {
		const found = await lookup(invoice.paymentHash);
		if (isProblem(found) || found === "none") return found;
		if (found.type !== "outgoing") return { state: "failed", why: "it is an invoice of the market's own wallet" };
		if (found.state === "failed") return { state: "failed", why: "the wallet could not send it" };
		if (!settledOf(found)) return { state: "sending" };
		const { preimage, fees_paid, settled_at } = found;
		if (!proves(preimage, invoice.paymentHash))
			return { state: "unknown", why: "the wallet says that it was paid and cannot prove it" };
		const atMs = (settled_at ?? 0) * 1_000 || clock.nowMs();
		return { state: "sent", amount, fee: fees_paid ?? 0n, proof: preimage, atMs };
	};

	const send = async (invoice: Invoice, order: PayOrder): Promise<PaymentState | Refused> => {
		const amount = invoice.amountMsat === undefined ? { amount: jsonOf(order.amount) } : {};
		try {
			await client.payInvoice({ invoice: invoice.text, ...amount });
		} catch (error) {
			if (error instanceof Nip47WalletError && NOT_BEGUN.includes(error.code))
				return { refused: `the wallet refused: ${whyOf(error)}` };
			return { state: "unknown", why: `the wallet did not say how it ended: ${whyOf(error)}` };
		}
		// its answer names no time and perhaps no fee: what it has under the hash does
		return { state: "unknown", why: "the wallet paid and did not prove it" };
	};

	return {
		name: "lightning-nwc",
		world: "world:lightning",
		unit: "msat",
		ranges: config.ranges,
		quote: async (way, amount) =>
			outOfRange(config.ranges[way], amount) ??
			(way === "in" ? { fee: 0n, isAbout: false } : { fee: routingCeiling(amount), isAbout: false }),
		start,
		onEvent: (hint) =>
			keepListening(clock, async (signal) => {
				const over = AbortSignal.any([signal, closing.signal]);
				const stop = await client
					.subscribeNotifications(
						({ notification }) => {
							const { payment_hash } = notification as { payment_hash?: unknown };
							if (typeof payment_hash === "string") hint(payment_hash);
						},
						["payment_received"],
					)
					.catch(() => undefined);
				if (!stop) return false;
				// from here on the client connects again by itself
				if (!over.aborted) await new Promise((resolve) => over.addEventListener("abort", resolve, { once: true }));
				stop();
				return true;
			}),
		deposit,
		...makePaying(
			{ network: config.network, range: config.ranges.out, absentAfterMs: ABSENT_AFTER_MS, find, send },
			clock,
		),
		balance: async () => {
			try {
				const read = wholeMoney.safeParse((await client.getBalance()).balance);
				return read.success
					? { spendable: read.data, pending: 0n }
					: unreachable("The wallet", "its balance cannot be read");
			} catch (error) {
				return unreachable("The wallet", whyOf(error));
			}
		},
		check: async () => {
			try {
				const { network, methods } = await client.getInfo();
				const named = network === "mainnet" ? "bitcoin" : network;
				if (named !== config.network)
					return problem(
						"usage",
						plainDetail(`The wallet is on ${named}, and the market is set to ${config.network}.`),
					);
				const missing = METHODS.find((method) => !methods.includes(method));
				if (missing) return problem("usage", `The wallet's connection does not allow ${missing}.`);
				if (!methods.includes("get_budget")) return undefined;
				if ("total_budget" in (await client.getBudget())) return undefined;
				return problem(
					"usage",
					"The wallet's connection has no budget: whoever steals it can spend everything. Set one.",
				);
			} catch (error) {
				return unreachable("The wallet", whyOf(error));
			}
		},
		close: async () => {
			closing.abort();
			client.close();
		},
	};
}

/** The client of a connection; its secret is repeated nowhere. */
function clientOf(connection: string): Client | Problem {
	try {
		const { relayUrls } = NWCClient.parseWalletConnectUrl(connection, true);
		for (const each of relayUrls) {
			const url = new URL(each);
			if (url.protocol === "wss:" || (url.protocol === "ws:" && isLoopback(url.hostname))) continue;
			return problem("usage", "The wallet's connection names a Nostr relay that is not wss://.");
		}
		return new Client({ nostrWalletConnectUrl: connection, requireSecret: true });
	} catch {
		return problem(
			"usage",
			"The wallet's connection must be like nostr+walletconnect://KEY?relay=wss://...&secret=...",
		);
	}
}

/** Millisatoshi as the package wants them: JSON's numbers, exact as far as the rail's ranges go by far. */
function jsonOf(msat: bigint): number {
	if (msat <= 0n || msat > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError("not an amount of millisatoshi");
	return Number(msat);
}

/** Whether a transaction is over and done; older wallets tell it by its time alone. */
function settledOf({ state, settled_at }: Transaction): boolean {
	return state === undefined ? settled_at != null && settled_at > 0 : state === "settled";
}

/** An error by its code, and the wallet's own words for it, without anything that could be a key. */
function whyOf(error: unknown): string {
	const code = error instanceof Error && "code" in error ? String(error.code) : "no answer";
	const says = error instanceof Nip47WalletError ? ` (${error.message.replaceAll(/[0-9a-f]{32,}/gi, "(hex)")})` : "";
	return plainDetail(`${code}${says}`);
}
