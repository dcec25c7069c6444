/** A market to test against: real HTTP on a free port, a folder of its own, time held; and the people, relays and operators who use it. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTRPCClient, httpLink, TRPCClientError } from "@trpc/client";
import { type Amount, amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { type Grant, readGrant } from "#contracts/grant";
import { type KeyPair, sessionKey } from "#contracts/identity";
import { type Offer, signListing } from "#contracts/listing";
import { isProblem, type Problem } from "#contracts/problem";
import { type Claim, type RedeemAnswer, signBatch, signUsage } from "#contracts/redemption";
import { type OpenOrder, signClose, signOpen } from "#contracts/tab";
import type { Tariff, Traffic } from "#contracts/tariff";
import { ownTranche } from "#contracts/tranche";
import { signVoucher, type Voucher, writeVoucher } from "#contracts/voucher";
import type { Clock } from "#host/clock";
import { crypto } from "#host/crypto";
import { type Log, openSilentLog } from "#host/log";
import { showTranches } from "#marketplace/api/input";
import type { AppRouter } from "#marketplace/api/router";
import { type MarketplaceConfig, playConfig } from "#marketplace/config";
import type { AuditReport } from "#marketplace/ledger/audit";
import { auditFile } from "#marketplace/ledger/sqlite";
import { type MarketplaceDeps, type RunningMarketplace, startMarketplace } from "#marketplace/main";
import { checkPayouts } from "#marketplace/payout/check";
import { ledgerPath, type Stores } from "#marketplace/stores";
import { checkTabs } from "#marketplace/tab/check";
import { type HeldClock, heldClock } from "./clock.ts";

export { crypto };

/** The default ask: $0.0005 per MB, $0.000001 per MB-day. */
export const TARIFF: Tariff = { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) };
export const FEES = { marketPpm: 20_000, solidarityPpm: 20_000 };
export const DAY_MS = 86_400_000;
/** The cap of a tab, unless somebody chooses another. */
const CAP = amount(1_000_000n);

/** The answer, which must be no refusal. */
export function fine<T>(answer: T | Problem): T {
	if (isProblem(answer)) assert.fail(`refused: ${JSON.stringify(answer)}`);
	return answer;
}

export type TestMarket = RunningMarketplace & {
	readonly clock: HeldClock;
	readonly folder: string;
	readonly config: MarketplaceConfig;
	/** what its ledger's file proves, tabs included */
	audit(): Promise<AuditReport>;
	/** stops it and starts it again on the same folder */
	restart(change?: Partial<MarketplaceConfig>): Promise<TestMarket>;
	/** proves its ledger, stops it and removes its folder */
	end(): Promise<void>;
};

export async function startTestMarket(
	change: Partial<MarketplaceConfig> = {},
	more: Partial<Pick<MarketplaceDeps, "rails" | "rates" | "lightning" | "sources" | keyof Stores>> & {
		clock?: HeldClock;
		log?: Log;
		folder?: string;
	} = {},
): Promise<TestMarket> {
	const folder = more.folder ?? (await mkdtemp(join(tmpdir(), "farelay-market-")));
	const { folder: _, clock = heldClock(), log = openSilentLog(), ...deps } = more;
	const config = { ...playConfig(folder), ...change };
	const running = fine(await startMarketplace(config, { clock, log, crypto, ...deps }));
	return {
		...running,
		clock,
		folder,
		config,
		audit: async () => fine(await auditFile(ledgerPath(folder), [checkTabs, checkPayouts])),
		restart: async (again = {}) => {
			await running.stop();
			const { book: _gone, ...kept } = deps;
			return startTestMarket({ ...change, ...again }, { ...kept, clock, log, folder });
		},
		end: async () => {
			try {
				const report = fine(await auditFile(ledgerPath(folder), [checkTabs, checkPayouts]));
				assert.deepEqual(report.findings, []);
			} finally {
				await running.stop();
				await rm(folder, { recursive: true, force: true });
			}
		},
	};
}

/** A caller's token, as PROTOCOL.md has it. */
export function signToken(
	account: KeyPair,
	market: Uint8Array,
	nowMs: number,
	change: { header?: object; claims?: object } = {},
): string {
	const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString("base64url");
	const iat = Math.floor(nowMs / 1_000);
	const header = part({ alg: "EdDSA", ...change.header });
	const jti = toHex(crypto.random(16));
	const claims = part({
		iss: toHex(account.publicKey),
		aud: toHex(market),
		iat,
		exp: iat + 60,
		jti,
		...change.claims,
	});
	const signature = crypto.sign(new TextEncoder().encode(`${header}.${claims}`), account.secretKey);
	return `${header}.${claims}.${Buffer.from(signature).toString("base64url")}`;
}

export type Client = ReturnType<typeof createTRPCClient<AppRouter>>;

/** A tRPC client that signs a token for each request, or shows what it is given. */
export function clientOf(url: string, token: () => string | undefined): Client {
	return createTRPCClient<AppRouter>({
		links: [
			httpLink({
				url: `${url}/trpc`,
				headers: () => {
					const shown = token();
					return shown === undefined ? {} : { authorization: `Bearer ${shown}` };
				},
			}),
		],
	});
}

/** The problem that a call is refused with. */
export async function refusedBy(call: Promise<unknown>): Promise<Problem & { readonly status: number }> {
	try {
		const answer = await call;
		assert.fail(`was not refused: ${JSON.stringify(answer)}`);
	} catch (error) {
		if (!(error instanceof TRPCClientError)) throw error;
		const data = error.data as { problem?: Problem; httpStatus: number } | undefined;
		assert(data?.problem, `no problem in ${error.message}`);
		return { ...data.problem, status: data.httpStatus };
	}
}

type Where = Pick<TestMarket, "url" | "market"> & { readonly clock: Pick<Clock, "nowMs"> };

/** What a person chooses when they open a tab. */
export type Choice = Partial<Omit<OpenOrder, "market" | "account">> & { readonly relay: Uint8Array };

/** Someone with an account. */
export class Person {
	readonly seed = crypto.random(32);
	readonly account: KeyPair;
	readonly id: string;
	where: Where;

	constructor(where: Where) {
		this.where = where;
		this.account = crypto.keyPair(this.seed);
		this.id = toHex(this.account.publicKey);
	}

	get client(): Client {
		return clientOf(this.where.url, () => signToken(this.account, this.where.market, this.where.clock.nowMs()));
	}

	async fund(nanos: bigint, id = toHex(crypto.random(8))): Promise<string> {
		return (await this.client.funding.play.mutate({ id, amount: nanos.toString() })).balance;
	}

	async balance(): Promise<bigint> {
		return BigInt((await this.client.account.balance.query()).balance);
	}

	/** An order to open a tab, with everything that is not chosen as usual. */
	order(choice: Choice): OpenOrder {
		const tab = choice.tab ?? crypto.random(16);
		const session = sessionKey(crypto, this.seed, tab).publicKey;
		return {
			market: this.where.market,
			account: this.account.publicKey,
			session,
			cap: CAP,
			tariff: TARIFF,
			fees: FEES,
			lifeMs: DAY_MS,
			tranches: [ownTranche(choice.cap ?? CAP)],
			...choice,
			tab,
		};
	}

	openOrder(order: OpenOrder, signature = signOpen(crypto, order, this.account)) {
		return this.client.tab.open.mutate({
			tab: toHex(order.tab),
			session: toHex(order.session),
			relay: toHex(order.relay),
			cap: order.cap.toString(),
			tariff: {
				sendPerMb: order.tariff.sendPerMb.toString(),
				storePerMbDay: order.tariff.storePerMbDay.toString(),
			},
			fees: order.fees,
			tranches: showTranches(order.tranches),
			lifeMs: order.lifeMs,
			signature: toHex(signature),
		});
	}

	async open(choice: Choice): Promise<Grant> {
		const { grant } = await this.openOrder(this.order(choice));
		return grantOf(grant);
	}

	voucher(grant: Grant, total: Traffic): Voucher {
		return fine(signVoucher(crypto, grant, total, sessionKey(crypto, this.seed, grant.tab).secretKey));
	}

	close(grant: Grant, final?: { usage: Uint8Array; voucher?: Voucher }) {
		const signature = toHex(signClose(crypto, this.where.market, grant.tab, this.account));
		const tab = toHex(grant.tab);
		if (!final) return this.client.tab.close.mutate({ tab, signature });
		const usage = toHex(final.usage);
		if (!final.voucher) return this.client.tab.close.mutate({ tab, signature, final: { usage } });
		const voucher = toHex(writeVoucher(final.voucher));
		return this.client.tab.close.mutate({ tab, signature, final: { usage, voucher } });
	}
}

export function grantOf(hex: string): Grant {
	return fine(readGrant(fromHex(hex) ?? new Uint8Array()));
}

/** A relay and the account that it earns for. */
export class TestRelay {
	readonly key = crypto.keyPair(crypto.random(32));
	readonly id = toHex(this.key.publicKey);
	readonly operator: Person;
	where: Where;

	constructor(where: Where) {
		this.where = where;
		this.operator = new Person(where);
	}

	offer(change: Partial<Offer> = {}): Offer {
		const issuedAtMs = this.where.clock.nowMs();
		return {
			market: this.where.market,
			relay: this.key.publicKey,
			operator: this.operator.account.publicKey,
			url: "ws://127.0.0.1:9999",
			country: "KE",
			bandwidthMbps: 10,
			storageGb: 5,
			trafficCapGb: 0,
			takes: true,
			storageLeftGb: 5,
			trafficLeftGb: 0,
			tariff: TARIFF,
			issuedAtMs,
			validUntilMs: issuedAtMs + 15 * 60_000,
			...change,
		};
	}

	list(change: Partial<Offer> = {}): Promise<Response> {
		return this.post("/v1/listing", { listing: toHex(signListing(crypto, this.offer(change), this.key).bytes) });
	}

	post(path: string, body: unknown): Promise<Response> {
		return fetch(`${this.where.url}${path}`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: typeof body === "string" ? body : JSON.stringify(body),
		});
	}

	batch(claims: readonly Claim[]) {
		return signBatch(crypto, this.where.market, this.key, this.where.clock.nowMs(), claims);
	}

	async redeem(...claims: Claim[]): Promise<RedeemAnswer["results"]> {
		const response = await this.post("/v1/redeem", this.batch(claims));
		const answer = await response.json();
		assert.equal(response.status, 200, JSON.stringify(answer));
		return (answer as RedeemAnswer).results;
	}

	/** The relay's final word on a tab. */
	final(grant: Grant, used: Traffic, final = true): Uint8Array {
		return signUsage(crypto, grant, used, final, this.where.clock.nowMs(), this.key.secretKey).bytes;
	}
}

/** Traffic: so many bytes for so many seconds each. */
export function carried(bytes: number | bigint, ttlS: number | bigint = 0): Traffic {
	return { bytes: BigInt(bytes), byteSeconds: BigInt(bytes) * BigInt(ttlS) };
}

/** What a result moved, in nano-dollars. */
export function movedBy(result: RedeemAnswer["results"][number] | undefined): Amount {
	assert(result && !isProblem(result), `refused: ${JSON.stringify(result)}`);
	return amount(BigInt(result.moved));
}

export { toHex };
