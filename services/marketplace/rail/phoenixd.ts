/**
 * Lightning by phoenixd, a node without a channel to look after: its HTTP API with a password, in whole satoshi. It keeps an id of ours with each
 * invoice and takes a payment hash once, but no fee ceiling: its fee is fixed and public, and held against the ceiling before anything is sent.
 */

import { Agent, WebSocket } from "undici";
import * as z from "zod";
import { isProblem, type Problem, plainDetail, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { isLoopback } from "#host/loopback";
import { type Answer, ask, parseJson } from "./ask.ts";
import { expectInvoice, type Invoice, type Network, proves, readInvoice } from "./bolt11.ts";
import { keepListening } from "./listen.ts";
import { outOfRange, unreachable, wholeMoney } from "./msat.ts";
import { makePaying } from "./paying.ts";
import type { DepositState, PaymentState, PayOrder, Rail, RailRange, Started, StartOrder, Way } from "./rail.ts";

/** Where it is, and what it may be used for. */
export type PhoenixdConfig = {
	/** like `http://127.0.0.1:9740`: on this machine, or over https */
	readonly url: string;
	readonly password: string;
	readonly network: Network;
	readonly ranges: Readonly<Record<Way, RailRange | undefined>>;
};

/** It is beside the market; an answer that takes longer is as good as lost. */
const ANSWER_MS_MAX = 15_000;
/** A payment answers when it has ended, which takes seconds or does not come. */
const PAY_MS_MAX = 90_000;
/** A payment has a kilobyte, a list of them for one id of ours hardly more. */
const ANSWER_BYTES_MAX = 200_000;
/** Payments wait for their end on a connection each. */
const CONNECTIONS_MAX = 64;
/** phoenixd's descriptions end here. */
const TEXT_CHARS_MAX = 128;
/** Nothing comes for an invoice that ended so long ago: what was held back at its end is there or gone by then. */
const ENDED_AFTER_MS = 600_000;
/** phoenixd does not say that it refuses an invoice that has ended; no connection keeps an order for an hour, though. */
const ABSENT_AFTER_MS = 3_600_000;

/** What it takes for sending, as its makers publish it: 4 satoshi and 0.4 %. */
const FEE_MSAT = 4_000n;
const FEE_PPM = 4_000n;
const SAT = 1_000n;

const feeOf = (amountMsat: bigint): bigint => FEE_MSAT + (amountMsat * FEE_PPM + 999_999n) / 1_000_000n;

const created = z.object({ paymentHash: z.string(), serialized: z.string() });
const incoming = z.object({
	paymentHash: z.string(),
	invoice: z.string(),
	isPaid: z.boolean(),
	receivedSat: wholeMoney,
	/** in millisatoshi */
	fees: wholeMoney,
	completedAt: z.int().optional(),
});
const outgoing = z.object({
	paymentHash: z.string(),
	preimage: z.string().optional(),
	fees: wholeMoney,
	/** set when it ended, well or not */
	completedAt: z.int().optional(),
});
const notPaid = z.object({ reason: z.string() });
const event = z.object({ type: z.literal("payment_received"), paymentHash: z.string().regex(/^[0-9a-f]{64}$/) });

/** Opens the engine; asks it nothing yet. */
export function openPhoenixd(config: PhoenixdConfig, { clock }: { readonly clock: Clock }): Rail | Problem {
	const url = URL.parse(config.url);
	if (!url || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))))
		return problem("usage", "phoenixd's address must be an URL on this machine, or https.");
	const base = url.href.replace(/\/$/, "");
	const authorization = `Basic ${Buffer.from(`:${config.password}`).toString("base64")}`;
	const dispatcher = new Agent({ connections: CONNECTIONS_MAX, headersTimeout: 0, bodyTimeout: 0 });
	const once = (path: string, form?: Record<string, string>, msMax = ANSWER_MS_MAX) =>
		ask(
			{ clock, dispatcher },
			{
				url: `${base}${path}`,
				headers: { authorization, "content-type": "application/x-www-form-urlencoded" },
				msMax,
				bytesMax: ANSWER_BYTES_MAX,
				...(form ? { method: "POST" as const, body: new URLSearchParams(form).toString() } : {}),
			},
		);
	const closing = new AbortController();
	/** Deposits that are being begun: the same one twice at once would be asked for twice. */
	const starting = new Map<string, Promise<Started | Problem>>();

	const started = (text: string, { amount }: StartOrder): Started | Problem => {
		const invoice = expectInvoice(text, { network: config.network, amountMsat: wholeSat(amount) });
		if (isProblem(invoice)) return problem("conflict", `This deposit was begun otherwise before. ${invoice.detail}`);
		return {
			reference: invoice.paymentHash,
			pay: { kind: "invoice", invoice: invoice.text },
			expiresAtMs: invoice.expiresAtMs,
		};
	};

	const start = async (order: StartOrder): Promise<Started | Problem> => {
		const known = await once(`/payments/incoming?all=true&externalId=${encodeURIComponent(order.id)}`);
		if ("lost" in known) return unreachable("phoenixd", known.lost);
		const [before] = z.array(incoming).safeParse(known.json).data ?? [];
		if (before) return started(before.invoice, order);
		if (known.status !== 200) return odd(known);
		const expiryS = Math.ceil((order.expiresAtMs - clock.nowMs()) / 1_000);
		if (expiryS <= 0) return problem("malformed", "A deposit cannot begin after its end.");
		const said = await once("/createinvoice", {
			description: order.text.slice(0, TEXT_CHARS_MAX),
			amountSat: String(wholeSat(order.amount) / SAT),
			expirySeconds: String(expiryS),
			externalId: order.id,
		});
		if ("lost" in said) return unreachable("phoenixd", said.lost);
		const read = created.safeParse(said.json);
		return read.success ? started(read.data.serialized, order) : odd(said);
	};

	const deposit = async (reference: string): Promise<DepositState | Problem> => {
		if (!/^[0-9a-f]{64}$/.test(reference)) return { state: "absent" };
		const said = await once(`/payments/incoming/${reference}`);
		if ("lost" in said) return unreachable("phoenixd", said.lost);
		if (said.status === 404) return { state: "absent" };
		const read = incoming.safeParse(said.json);
		if (!read.success || read.data.paymentHash !== reference) return odd(said);
		const { isPaid, receivedSat, fees, completedAt, invoice } = read.data;
		if (!isPaid) {
			const asked = readInvoice(invoice);
			if (isProblem(asked)) return odd(said);
			return { state: asked.expiresAtMs + ENDED_AFTER_MS < clock.nowMs() ? "ended" : "waiting" };
		}
		// what a new channel cost was taken from what came
		return { state: "paid", amount: receivedSat * SAT + fees, fee: fees, atMs: completedAt ?? clock.nowMs() };
	};

	const find = async (invoice: Invoice, { amount }: PayOrder): Promise<PaymentState | "none" | Problem> => {
		const said = await once(`/payments/outgoingbyhash/${invoice.paymentHash}`);
		if ("lost" in said) return unreachable("phoenixd", said.lost);
		if (said.status === 404) return "none";
		const read = outgoing.safeParse(said.json);
		if (said.status !== 200 || !read.success || read.data.paymentHash !== invoice.paymentHash) return odd(said);
		const { preimage, fees, completedAt } = read.data;
		if (completedAt === undefined) return { state: "sending" };
		// "isPaid" was told of failed payments too, in some versions: only the proof counts
		if (preimage === undefined) return { state: "failed", why: "phoenixd could not send it" };
		if (!proves(preimage, invoice.paymentHash))
			return { state: "unknown", why: "phoenixd says that it was paid and cannot prove it" };
		return { state: "sent", amount, fee: fees, proof: preimage, atMs: completedAt };
	};

	const paying = makePaying(
		{
			network: config.network,
			range: config.ranges.out,
			absentAfterMs: ABSENT_AFTER_MS,
			find,
			send: async (invoice, order) => {
				const fee = feeOf(order.amount);
				if (fee > order.feeMax)
					return { refused: `phoenixd takes ${fee} msat for it, and ${order.feeMax} msat are allowed` };
				const free = invoice.amountMsat === undefined;
				if (free && order.amount % SAT !== 0n) return { refused: "phoenixd sends whole satoshi only" };
				const form = { invoice: invoice.text, ...(free ? { amountSat: String(order.amount / SAT) } : {}) };
				const said = await once("/payinvoice", form, PAY_MS_MAX);
				if ("lost" in said) return { state: "unknown", why: said.lost };
				const reason = notPaid.safeParse(said.json).data?.reason;
				if (reason !== undefined) return { refused: `phoenixd: ${plainDetail(reason)}` };
				if (said.status >= 400 && said.status < 500) return { refused: odd(said).detail };
				// whatever else it says, what it has under the hash is asked next
				return { state: "unknown", why: "phoenixd did not say how it ended" };
			},
		},
		clock,
	);

	return {
		name: "lightning-phoenixd",
		world: "world:lightning",
		unit: "msat",
		ranges: config.ranges,
		quote: async (way, amount) =>
			outOfRange(config.ranges[way], amount) ?? { fee: way === "in" ? 0n : feeOf(amount), isAbout: false },
		start: async (order) => {
			const range = outOfRange(config.ranges.in, order.amount);
			if (range) return range;
			const other = starting.get(order.id);
			if (other) {
				await other;
				return start(order);
			}
			const now = start(order).finally(() => starting.delete(order.id));
			starting.set(order.id, now);
			return now;
		},
		onEvent: (hint) =>
			keepListening(clock, (signal) => {
				const socket = new WebSocket(`${base.replace(/^http/, "ws")}/websocket`, {
					headers: { authorization },
					dispatcher,
				});
				const stop = () => socket.close();
				let heard = false;
				return new Promise((resolve) => {
					for (const end of [signal, closing.signal]) end.addEventListener("abort", stop, { once: true });
					socket.addEventListener("message", ({ data }) => {
						const read = event.safeParse(typeof data === "string" ? parseJson(data) : undefined);
						if (!read.success) return;
						heard = true;
						hint(read.data.paymentHash);
					});
					socket.addEventListener("error", () => {});
					socket.addEventListener("close", () => {
						for (const end of [signal, closing.signal]) end.removeEventListener("abort", stop);
						resolve(heard);
					});
				});
			}),
		deposit,
		...paying,
		balance: async () => {
			const said = await once("/getbalance");
			if ("lost" in said) return unreachable("phoenixd", said.lost);
			const read = z.object({ balanceSat: wholeMoney }).safeParse(said.json);
			return read.success ? { spendable: read.data.balanceSat * SAT, pending: 0n } : odd(said);
		},
		check: async () => {
			const said = await once("/getinfo");
			if ("lost" in said) return unreachable("phoenixd", said.lost);
			const read = z.object({ chain: z.string() }).safeParse(said.json);
			if (!read.success) return odd(said);
			const network = read.data.chain === "mainnet" ? "bitcoin" : read.data.chain.replace(/^testnet\d$/, "testnet");
			if (network === config.network) return undefined;
			return problem("usage", `phoenixd is on ${plainDetail(network)}, and the market is set to ${config.network}.`);
		},
		close: async () => {
			closing.abort();
			await dispatcher.destroy();
		},
	};
}

/** It asks for whole satoshi: the next one above, so that a deposit is never less than was wanted. */
function wholeSat(amountMsat: bigint): bigint {
	return ((amountMsat + SAT - 1n) / SAT) * SAT;
}

/** An answer that is not as documented; its words are left out, for phoenixd repeats what it was asked. */
function odd(said: Answer): Problem {
	const says =
		said.status === 401 ? "the password is not the one that it wants" : `an answer with status ${said.status}`;
	return problem("unavailable", `phoenixd refused: ${says}.`, { spent: "no" });
}
