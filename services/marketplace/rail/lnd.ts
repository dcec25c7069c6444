/**
 * Lightning by an LND node of the market's own, over its REST API: a macaroon and a TLS certificate from files, plain HTTP, streams as lines of
 * JSON. LND knows every invoice and every payment by its hash, which makes both ways safe to repeat: a deposit's preimage follows from its
 * id, so it can be begun once only, and a payment of a hash that LND has, under way or done, is not begun again.
 */

import { readFile } from "node:fs/promises";
import { Agent } from "undici";
import * as z from "zod";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { isLoopback } from "#host/loopback";
import { type Answer, ask, askLines, type Lost } from "./ask.ts";
import { expectInvoice, type Invoice, type Network } from "./bolt11.ts";
import { keepListening } from "./listen.ts";
import { depositOf, lndInvoice, paymentOf, refusalOf, resultOf } from "./lnd-answers.ts";
import { outOfRange, routingCeiling, unreachable } from "./msat.ts";
import { makePaying } from "./paying.ts";
import { preimageOf } from "./preimage.ts";
import type { DepositState, PaymentState, PayOrder, Rail, RailRange, Started, StartOrder, Way } from "./rail.ts";

/** Where the node is and what it may be used for. */
export type LndConfig = {
	/** like `https://127.0.0.1:8080` */
	readonly url: string;
	/** rights: info:read invoices:read invoices:write offchain:read offchain:write */
	readonly macaroonPath: string;
	/** the node's own certificate; undefined: one that this machine's authorities know */
	readonly certPath: string | undefined;
	readonly network: Network;
	readonly ranges: Readonly<Record<Way, RailRange | undefined>>;
	/** how long LND looks for a way; what is under way by then goes on */
	readonly payMsMax: number;
};

/** What the engine needs besides. */
export type LndDeps = {
	readonly clock: Clock;
	/** what preimages are derived from: stays the same for good, and secret */
	readonly preimageKey: Uint8Array;
};

/** Node and market are beside each other; an answer that takes longer is as good as lost. */
const ANSWER_MS_MAX = 15_000;

/** An invoice with route hints or a payment of many parts has tens of kilobytes. */
const ANSWER_BYTES_MAX = 1_000_000;

/** Payments wait for their end on a connection each; beyond this many the next one queues. */
const CONNECTIONS_MAX = 64;

/** An order that LND does not have cannot begin later once the invoice has ended for this long, whatever the two clocks say. */
const ABSENT_AFTER_MS = 120_000;

const infoOf = z.object({
	synced_to_chain: z.boolean(),
	num_active_channels: z.int(),
	chains: z.array(z.object({ network: z.string() })),
});
const balanceOf = z.object({
	local_balance: z.object({ msat: z.string() }),
	unsettled_local_balance: z.object({ msat: z.string() }),
	pending_open_local_balance: z.object({ msat: z.string() }),
});

/** Opens the engine; asks the node nothing yet ({@link Rail.check} does). */
export async function openLnd(config: LndConfig, deps: LndDeps): Promise<Rail | Problem> {
	const url = URL.parse(config.url);
	if (!url || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))))
		return problem("usage", "LND's address must be an https URL, like https://127.0.0.1:8080.");
	const macaroon = await bytesOf(config.macaroonPath);
	if (isProblem(macaroon)) return macaroon;
	const certificate = config.certPath === undefined ? undefined : await bytesOf(config.certPath);
	if (isProblem(certificate)) return certificate;
	const { clock } = deps;
	const dispatcher = new Agent({
		connections: CONNECTIONS_MAX,
		// a payment's and a stream's first word may take long: `ask` and `askLines` have ends of their own
		headersTimeout: 0,
		bodyTimeout: 0,
		connect: { timeout: ANSWER_MS_MAX, ...(certificate ? { ca: certificate } : {}) },
	});
	const line = { clock, dispatcher };
	const base = url.href.replace(/\/$/, "");
	const to = (path: string, body?: unknown) => ({
		url: `${base}${path}`,
		headers: { "grpc-metadata-macaroon": macaroon.toString("hex"), "content-type": "application/json" },
		bytesMax: ANSWER_BYTES_MAX,
		...(body === undefined ? {} : { method: "POST" as const, body: JSON.stringify(body) }),
	});
	const once = (path: string, body?: unknown) => ask(line, { ...to(path, body), msMax: ANSWER_MS_MAX });
	const closing = new AbortController();

	/** The first line of a stream that `wanted` takes; what LND says instead when it refuses; or nothing in time. */
	const first = async (
		asked: ReturnType<typeof to>,
		msMax: number,
		wanted: (result: unknown) => boolean,
	): Promise<{ readonly result: unknown } | { readonly refused: string; readonly notFound: boolean } | Lost> => {
		const late = new AbortController();
		const cancel = clock.after(msMax, () => late.abort());
		let found: { result: unknown } | { refused: string; notFound: boolean } | undefined;
		const end = await askLines(line, asked, AbortSignal.any([late.signal, closing.signal]), (json) => {
			const result = resultOf(json);
			const refused = result === undefined ? refusalOf(json) : undefined;
			if (refused) found = { refused: refused.says, notFound: refused.notFound };
			else if (result !== undefined && wanted(result)) found = { result };
			return found !== undefined;
		});
		cancel();
		return found ?? ("lost" in end ? end : { lost: "LND's answer ended early" });
	};

	const lookup = async (reference: string) => {
		if (!/^[0-9a-f]{64}$/.test(reference)) return "absent" as const;
		const said = await once(`/v1/invoice/${reference}`);
		if ("lost" in said) return unreachable("LND", said.lost);
		const refused = said.status === 200 ? undefined : refusalOf(said.json);
		if (refused?.notFound) return "absent" as const;
		const read = lndInvoice.safeParse(said.json);
		return read.success && read.data.r_hash === reference ? read.data : odd(said);
	};

	const started = (text: string, order: StartOrder): Started | Problem => {
		const invoice = expectInvoice(text, { network: config.network, amountMsat: order.amount });
		if (isProblem(invoice)) return problem("conflict", `This deposit was begun otherwise before. ${invoice.detail}`);
		return {
			reference: invoice.paymentHash,
			pay: { kind: "invoice", invoice: invoice.text },
			expiresAtMs: invoice.expiresAtMs,
		};
	};

	/** What LND says of a payment by its hash; "none" when it has none. */
	const track = async (invoice: Invoice, { amount }: PayOrder): Promise<PaymentState | "none" | Problem> => {
		// base64 for URLs, and LND wants its padding too
		const hash = Buffer.from(invoice.paymentHash, "hex").toString("base64url");
		const said = await first(to(`/v2/router/track/${hash}=`), ANSWER_MS_MAX, () => true);
		if ("lost" in said) return unreachable("LND", said.lost);
		if ("result" in said) return paymentOf(said.result, invoice, amount);
		return said.notFound ? "none" : problem("unavailable", `LND did not say: ${said.refused}`);
	};

	const paying = makePaying(
		{
			network: config.network,
			range: config.ranges.out,
			absentAfterMs: ABSENT_AFTER_MS,
			find: track,
			send: async (invoice, order) => {
				const asked = to("/v2/router/send", {
					payment_request: invoice.text,
					...(invoice.amountMsat === undefined ? { amt_msat: String(order.amount) } : {}),
					fee_limit_msat: String(order.feeMax),
					timeout_seconds: Math.ceil(config.payMsMax / 1_000),
					no_inflight_updates: true,
				});
				const said = await first(asked, config.payMsMax + ANSWER_MS_MAX, () => true);
				if ("result" in said) return paymentOf(said.result, invoice, order.amount);
				return "refused" in said ? said : { state: "unknown", why: said.lost };
			},
		},
		clock,
	);

	return {
		name: "lightning-lnd",
		world: "world:lightning",
		unit: "msat",
		ranges: config.ranges,
		quote: async (way, amount) =>
			outOfRange(config.ranges[way], amount) ??
			(way === "in" ? { fee: 0n, isAbout: false } : { fee: routingCeiling(amount), isAbout: true }),
		start: async (order) => {
			const range = outOfRange(config.ranges.in, order.amount);
			if (range) return range;
			const { preimage, hash } = preimageOf(deps.preimageKey, order.id);
			const before = await lookup(hash);
			if (isProblem(before)) return before;
			if (before !== "absent") return started(before.payment_request, order);
			const expiryS = Math.ceil((order.expiresAtMs - clock.nowMs()) / 1_000);
			if (expiryS <= 0) return problem("malformed", "A deposit cannot begin after its end.");
			const said = await once("/v1/invoices", {
				r_preimage: preimage.toString("base64"),
				memo: order.text,
				value_msat: String(order.amount),
				expiry: String(expiryS),
			});
			if ("lost" in said) return unreachable("LND", said.lost);
			const read = z.object({ payment_request: z.string() }).safeParse(said.json);
			if (said.status === 200 && read.success) return started(read.data.payment_request, order);
			// another request for the same deposit was faster
			const now = await lookup(hash);
			if (isProblem(now)) return now;
			return now === "absent" ? odd(said) : started(now.payment_request, order);
		},
		onEvent: (hint) => {
			let settleIndex = "0";
			return keepListening(clock, async (signal) => {
				let heard = false;
				const stream = to(`/v1/invoices/subscribe?settle_index=${settleIndex}`);
				await askLines(line, stream, AbortSignal.any([signal, closing.signal]), (json) => {
					const read = lndInvoice.safeParse(resultOf(json));
					if (!read.success) return false;
					heard = true;
					// from here on after a break: what was settled meanwhile is told then
					if (read.data.state === "SETTLED") settleIndex = read.data.settle_index;
					hint(read.data.r_hash);
					return false;
				});
				return heard;
			});
		},
		deposit: async (reference): Promise<DepositState | Problem> => {
			const found = await lookup(reference);
			if (isProblem(found)) return found;
			return found === "absent" ? { state: "absent" } : depositOf(found);
		},
		...paying,
		balance: async () => {
			const said = await once("/v1/balance/channels");
			if ("lost" in said) return unreachable("LND", said.lost);
			const read = balanceOf.safeParse(said.json);
			if (!read.success) return odd(said);
			const { local_balance, unsettled_local_balance, pending_open_local_balance } = read.data;
			return {
				spendable: BigInt(local_balance.msat),
				pending: BigInt(unsettled_local_balance.msat) + BigInt(pending_open_local_balance.msat),
			};
		},
		check: async () => {
			const said = await once("/v1/getinfo");
			if ("lost" in said) return unreachable("LND", said.lost);
			const read = infoOf.safeParse(said.json);
			if (!read.success) return odd(said);
			const { chains, synced_to_chain, num_active_channels } = read.data;
			const network = chains[0]?.network;
			if (network !== config.network)
				return problem("usage", `LND is on ${network ?? "no network"}, and the market is set to ${config.network}.`);
			if (!synced_to_chain) return problem("unavailable", "LND has not caught up with the chain yet.", { spent: "no" });
			if (num_active_channels === 0)
				return problem("unavailable", "LND has no active channel: nothing can come or go.", { spent: "no" });
			return undefined;
		},
		close: async () => {
			closing.abort();
			await dispatcher.destroy();
		},
	};
}

/** An answer that is not as documented: LND's own refusal, or its status. Nothing moved by what asks like this. */
function odd(said: Answer): Problem {
	const says = refusalOf(said.json)?.says ?? `an answer with status ${said.status} that cannot be read`;
	return problem("unavailable", `LND refused: ${says}`, { spent: "no" });
}

async function bytesOf(path: string): Promise<Buffer | Problem> {
	try {
		return await readFile(path);
	} catch (error) {
		const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
		return problem("file-unreadable", `The file ${path} cannot be read (${code}).`);
	}
}
