/**
 * The marketplace over HTTP: its description at the well-known address, everything else by tRPC under the caller's own token.
 * The root key is pinned, given or taken at first use; whatever is signed is checked before it is believed.
 */

import { createTRPCClient, httpLink, TRPCClientError } from "@trpc/client";
import { type Amount, formatAmount, NOTHING, parseAmount } from "#contracts/amount";
import { readBill, type SignedBill } from "#contracts/bill";
import { fromHex, same, toHex } from "#contracts/bytes";
import { type Grant, readGrant } from "#contracts/grant";
import { headsName, keepHead } from "#contracts/heads";
import { KEY_BYTES, KEY_ID_BYTES, keyId } from "#contracts/identity";
import { isRelayUrl } from "#contracts/listing";
import { readMarketInfo } from "#contracts/market";
import { isProblem, type Problem, problem, problemOfJson } from "#contracts/problem";
import { REASONS } from "#contracts/reason";
import { type Receipt, readReceipt } from "#contracts/redemption";
import { areTranches, POOL_BYTES, type Tranche } from "#contracts/tranche";
import { writeVoucher } from "#contracts/voucher";
import type { AppRouter } from "#marketplace/api/router";
import type { MarketApi, TrancheJson } from "./api.ts";
import { AppPasses } from "./apppass.ts";
import type { Device } from "./device.ts";
import { orThrow } from "./error.ts";
import type { Drawn } from "./home.ts";
import type { Identity } from "./identity.ts";
import type { Market, MarketTerms, RelayOffer } from "./market.ts";
import type { ClientOptions } from "./options.ts";
import { getJson, putJson } from "./storage.ts";
import { signToken } from "./token.ts";

/** How long a market's description is believed without asking again. */
const TERMS_MS = 5 * 60_000;
/** How long a market may take to answer. */
const ANSWER_MS = 20_000;
const text = new TextEncoder();

/** The seam, and what only people's own clients ask: the typed tRPC client itself. */
export type MarketDoor = Market & {
	readonly api: MarketApi;
	/** The market's address, without a slash at the end. */
	readonly url: string;
	/** Unix milliseconds by the market's clock; by this device's where the market cannot be asked. */
	nowMs(): Promise<number>;
	/** The market's root key: the one that was pinned, asked for where none was. */
	root(): Promise<Uint8Array | Problem>;
	/** Asks for a home; `again` for another one than there is. */
	draw(again: boolean): Promise<Drawn | Problem>;
};

/** Opens the door to a market. `root` is its key if known (hex or bytes); otherwise the first answer is pinned in storage. */
export function marketDoor(
	device: Device,
	identity: Identity,
	url: string,
	root?: Uint8Array,
	appPass?: ClientOptions["appPass"],
): MarketDoor {
	const base = url.replace(/\/+$/, "");
	let known: { terms: MarketTerms; untilMs: number; aheadMs: number } | undefined;

	const appPasses = new AppPasses(device, identity, appPass);
	const fetchInTime: typeof fetch = (input, init) =>
		device.fetch(input, { ...init, signal: AbortSignal.timeout(ANSWER_MS) });

	const pinKey = `market/${toHex(device.crypto.hash(text.encode(base)).slice(0, 16))}`;
	const pinned = async () => root ?? fromHex(await getJson(device.storage, pinKey), KEY_BYTES);

	async function look(): Promise<NonNullable<typeof known> | Problem> {
		if (known && device.nowMs() < known.untilMs) return known;
		let json: unknown;
		let refusal: Problem | undefined;
		try {
			const answer = await fetchInTime(`${base}/.well-known/farelay.json`);
			json = await answer.json();
			refusal = problemOfJson(json);
		} catch {
			refusal = problem("unavailable", "The market could not be reached.", { spent: "no" });
		}
		// A description that was checked before is still true of the keys, which say themselves how long they live.
		if (refusal) return known ?? refusal;
		const read = readMarketInfo(device.crypto, json);
		if (isProblem(read)) return read;
		const before = await pinned();
		if (before && !same(before, read.market))
			return problem("grant-unknown-market", "This market shows another key than it had before; it is not used.");
		if (!before) await putJson(device.storage, pinKey, read.info.market);
		// kept for whoever wants to see later that the market's past is still the same
		const name = headsName(read.market);
		const kept = keepHead(device.crypto, await getJson(device.storage, name), read.info.head, read.market);
		if (kept) await putJson(device.storage, name, kept.heads);
		const terms = { market: read.market, keys: read.keys, fees: read.info.fees };
		known = { terms, untilMs: device.nowMs() + TERMS_MS, aheadMs: read.info.nowMs - device.nowMs() };
		return known;
	}

	/** Terms that know the key of this id: a market that changed its key in haste has said so since it was last looked at. */
	async function lookFor(id: Uint8Array): Promise<NonNullable<typeof known> | Problem> {
		const market = await look();
		if (isProblem(market) || market.terms.keys.some(({ key }) => same(keyId(device.crypto, key), id))) return market;
		known = undefined;
		return look();
	}

	const api: MarketApi = createTRPCClient<AppRouter>({
		links: [
			httpLink({
				url: `${base}/trpc`,
				fetch: fetchInTime as never,
				async headers() {
					const market = await look();
					if (isProblem(market)) return {};
					const nowMs = device.nowMs() + market.aheadMs;
					return { authorization: `Bearer ${signToken(device, identity.account, market.terms.market, nowMs)}` };
				},
			}),
		],
	});

	/** Asks for terms first, so that a market that cannot be reached or trusted is a problem of its own. */
	async function ask<Answer>(question: () => Promise<Answer>): Promise<Answer | Problem> {
		const market = await look();
		if (isProblem(market)) return market;
		const answer = await attempt(question);
		if (!isProblem(answer) || (answer.problem !== "clock" && answer.problem !== "conflict")) return answer;
		// The market's clock or its fees have moved on: the next look is a fresh one.
		known = undefined;
		if (answer.problem === "conflict") return answer;
		return attempt(question);
	}

	function grantOf(hex: string): Grant | undefined {
		const grant = readGrant(fromHex(hex) ?? new Uint8Array(0));
		return isProblem(grant) ? undefined : grant;
	}

	return {
		api,
		url: base,
		async nowMs() {
			const market = await look();
			return device.nowMs() + (isProblem(market) ? 0 : market.aheadMs);
		},
		async root() {
			const market = (await pinned()) ?? (await look());
			return market instanceof Uint8Array || isProblem(market) ? market : market.terms.market;
		},
		async draw(again) {
			const answer = await ask(() => api.home.draw.mutate({ again }));
			if (isProblem(answer)) return answer;
			const { home, why, received } = answer;
			const key = fromHex(home?.relay, KEY_BYTES);
			const url = home?.url ?? undefined;
			const relay = key && url !== undefined && isRelayUrl(url) ? { key, url } : undefined;
			const { drawnMs, againMs } = home ?? {};
			return { relay, why, drawnMs, againMs, megabytes: received.megabytes };
		},
		async terms() {
			const market = await look();
			return isProblem(market) ? market : market.terms;
		},
		async relays() {
			const answer = await ask(() => api.market.relays.query({}));
			if (isProblem(answer)) return answer;
			return answer.relays.flatMap((row): RelayOffer[] => {
				const key = fromHex(row.relay, KEY_BYTES);
				const sendPerMb = parseAmount(row.tariff.sendPerMb);
				const storePerMbDay = parseAmount(row.tariff.storePerMbDay);
				if (!key || sendPerMb === undefined || storePerMbDay === undefined) return [];
				if (!isRelayUrl(row.url) || !/^[A-Z]{2}$/.test(row.country)) return [];
				return [{ key, url: row.url, country: row.country, tariff: { sendPerMb, storePerMbDay } }];
			});
		},
		async balance() {
			const answer = await ask(() => api.account.balance.query());
			return isProblem(answer) ? answer : money(answer.balance);
		},
		async quote(relay, cap, tariff) {
			await appPasses.bring(api);
			const { sendPerMb, storePerMbDay } = tariff;
			const asked = { sendPerMb: formatAmount(sendPerMb), storePerMbDay: formatAmount(storePerMbDay) };
			const input = { relay: toHex(relay), cap: formatAmount(cap), tariff: asked };
			const answer = await ask(() => api.tab.quote.query(input));
			if (isProblem(answer)) return answer;
			const tranches = tranchesOf(answer.tranches);
			// only codes of the list are shown to anybody
			const reasons = answer.reasons.filter(({ code }) => Object.hasOwn(REASONS, code));
			return areTranches(tranches, cap)
				? { tranches, reasons }
				: problem("malformed", "The market's tranches are none.");
		},
		async open(order, signature) {
			const { sendPerMb, storePerMbDay } = order.tariff;
			const input = {
				tab: toHex(order.tab),
				session: toHex(order.session),
				relay: toHex(order.relay),
				cap: formatAmount(order.cap),
				tariff: { sendPerMb: formatAmount(sendPerMb), storePerMbDay: formatAmount(storePerMbDay) },
				fees: { ...order.fees },
				lifeMs: order.lifeMs,
				tranches: order.tranches.map(trancheJson),
				signature: toHex(signature),
			};
			const answer = await ask(() => api.tab.open.mutate(input));
			if (isProblem(answer)) return answer;
			const grant = grantOf(answer.grant);
			if (!grant) return problem("malformed", "The market's grant is none.");
			await lookFor(grant.keyId);
			return grant;
		},
		async close(tab, signature, final) {
			const voucher = final?.voucher && toHex(writeVoucher(final.voucher));
			const answer = await ask(() =>
				api.tab.close.mutate({
					tab: toHex(tab),
					signature: toHex(signature),
					...(final && { final: { usage: toHex(final.usage), ...(voucher !== undefined && { voucher }) } }),
				}),
			);
			if (isProblem(answer)) return answer;
			const returned = answer.returned === null ? undefined : money(answer.returned);
			const receipt = answer.receipt === null ? undefined : await checkReceipt(answer.receipt);
			if (isProblem(returned)) return returned;
			if (isProblem(receipt)) return receipt;
			const bill = await checkBill(answer.bill);
			return isProblem(bill) ? bill : { returned, receipt, bill };
		},
		async tabs() {
			const answer = await ask(() => api.tab.list.query({ live: true }));
			if (isProblem(answer)) return answer;
			const market = await look();
			if (isProblem(market)) return market;
			return answer.tabs.flatMap((row) => {
				const grant = row.state === "open" ? grantOf(row.grant) : undefined;
				return grant && same(grant.market, market.terms.market)
					? [{ grant, fees: row.fees, tranches: tranchesOf(row.tranches) }]
					: [];
			});
		},
	};

	async function checkBill(hex: string): Promise<SignedBill | Problem> {
		const bytes = fromHex(hex) ?? new Uint8Array(0);
		const market = await lookFor(bytes.subarray(KEY_BYTES, KEY_BYTES + KEY_ID_BYTES));
		return isProblem(market) ? market : readBill(device.crypto, bytes, market.terms.keys);
	}

	async function checkReceipt(hex: string): Promise<Receipt | Problem> {
		const bytes = fromHex(hex) ?? new Uint8Array(0);
		const market = await lookFor(bytes.subarray(KEY_BYTES, KEY_BYTES + KEY_ID_BYTES));
		return isProblem(market) ? market : readReceipt(device.crypto, bytes, market.terms.keys);
	}
}

function trancheJson({ fund, pool, cap, payerPpm }: Tranche): TrancheJson {
	return { fund, ...(pool && { pool: toHex(pool) }), cap: formatAmount(cap), payerPpm };
}

/** Tranches from JSON; one that is none makes them none that a tab may have. */
function tranchesOf(all: readonly TrancheJson[]): Tranche[] {
	return all.map(({ fund, pool, cap, payerPpm }) => {
		const id = fromHex(pool, POOL_BYTES);
		return { fund, ...(id && { pool: id }), cap: parseAmount(cap) ?? NOTHING, payerPpm };
	});
}

function money(text: string): Amount | Problem {
	return parseAmount(text) ?? problem("malformed", "The market's amount is none.");
}

/** What a tRPC call answered, or the problem that it carried. */
export async function attempt<Answer>(question: () => Promise<Answer>): Promise<Answer | Problem> {
	try {
		return await question();
	} catch (fault) {
		if (!(fault instanceof TRPCClientError)) throw fault;
		const carried = problemOfJson(fault.data?.problem);
		return carried ?? problem("unavailable", "The market could not be reached or did not answer.");
	}
}

/** Asks a market that is there, and the one it was: looked at first, so that nothing can have moved where it is not. @throws FarelayError */
export async function askMarket<Answer>(
	market: MarketDoor,
	question: (api: MarketApi) => Promise<Answer>,
): Promise<Answer> {
	const terms = await market.terms();
	return orThrow(isProblem(terms) ? terms : await attempt(() => question(market.api)));
}
