/** The least market that a relay needs: keys, grants for whoever asks, and `/v1/redeem` that can be told to misbehave. Not a ledger. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { amount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { type Grant, signGrant } from "#contracts/grant";
import type { KeyPair } from "#contracts/identity";
import { signKeyEnd, signMarketKey } from "#contracts/market";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type Claim, readBatch, signReceipt } from "#contracts/redemption";
import { price, type Tariff } from "#contracts/tariff";
import type { Totals } from "#contracts/voucher";
import { crypto } from "#host/crypto";

const DAY_MS = 86_400_000;

export const TARIFF: Tariff = { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) };

export type GrantWish = { cap?: bigint; issuedAtMs?: number; lifeMs?: number; tariff?: Tariff; relay?: Uint8Array };

/** A market for relay tests. */
export class FakeMarket {
	readonly root: KeyPair = crypto.keyPair(crypto.random(32));
	online: KeyPair = crypto.keyPair(crypto.random(32));
	/** Certificates that it publishes. */
	keys: string[] = [];
	url = "";
	/** What it answers redemptions with: "away" cuts the connection. */
	mood: "pays" | "away" | "refuses" | "forges" | "shortens" | "knows-own" = "pays";
	readonly listings: string[] = [];
	readonly batches: Claim[][] = [];
	/** Ends of keys that it publishes. */
	ended: string[] = [];
	/** The newest commitment that it shows. */
	head: { key: string; commitment: string } | null = null;
	/** The span that it says it forgot. */
	restored: { fromMs: number; atMs: number } | null = null;
	/** Grants that it made, and the questions of relays whether it did. */
	readonly granted = new Set<string>();
	readonly questions: string[][] = [];
	/** Paid so far, by tab in hex. */
	readonly paid = new Map<string, Totals>();
	private readonly tariffs = new Map<string, Tariff>();
	private readonly server = createServer((request, response) => {
		const parts: Buffer[] = [];
		request.on("data", (part: Buffer) => parts.push(part));
		request.on("end", () => {
			if (this.mood === "away") {
				request.socket.destroy();
				return;
			}
			const body: unknown = parts.length > 0 ? JSON.parse(Buffer.concat(parts).toString()) : undefined;
			response.setHeader("content-type", "application/json");
			response.end(JSON.stringify(this.answer(request.url ?? "", body)));
		});
	});

	static async start(): Promise<FakeMarket> {
		const market = new FakeMarket();
		market.certify();
		await new Promise<void>((resolve) => market.server.listen(0, "127.0.0.1", resolve));
		market.url = `http://127.0.0.1:${(market.server.address() as AddressInfo).port}`;
		return market;
	}

	/** Publishes a certificate for the online key that it has now. */
	certify(fromMs = Date.now() - DAY_MS): void {
		const key = signMarketKey(crypto, this.root, this.online.publicKey, fromMs, fromMs + 30 * DAY_MS);
		this.keys.unshift(toHex(key.bytes));
	}

	/** A grant on a new tab for a relay. */
	grant(relay: Uint8Array, session: Uint8Array, wish: GrantWish = {}): Grant {
		const grant = this.forge(relay, session, wish);
		this.granted.add(toHex(grant.bytes));
		return grant;
	}

	/** Ends the key that it has, and publishes another. */
	endKey(atMs = Date.now()): void {
		this.ended.unshift(toHex(signKeyEnd(crypto, this.root, this.online.publicKey, atMs).bytes));
		this.online = crypto.keyPair(crypto.random(32));
		this.certify();
	}

	/** The same by whoever stole its key: it knows nothing of it. */
	forge(relay: Uint8Array, session: Uint8Array, wish: GrantWish & { by?: KeyPair } = {}): Grant {
		const issuedAtMs = wish.issuedAtMs ?? Date.now() - 1_000;
		const expiresAtMs = issuedAtMs + (wish.lifeMs ?? 7 * DAY_MS);
		const tab = crypto.random(16);
		const tariff = wish.tariff ?? TARIFF;
		this.tariffs.set(toHex(tab), tariff);
		const terms = {
			market: this.root.publicKey,
			tab,
			session,
			relay: wish.relay ?? relay,
			cap: amount(wish.cap ?? 1_000_000_000n),
			tariff,
			issuedAtMs,
			expiresAtMs,
			redeemByMs: expiresAtMs + DAY_MS,
		};
		return signGrant(crypto, terms, wish.by ?? this.online);
	}

	async stop(): Promise<void> {
		this.server.closeAllConnections();
		await new Promise((resolve) => this.server.close(resolve));
	}

	private answer(url: string, body: unknown): unknown {
		if (url === "/v1/redeem") return this.redeem(body);
		if (url === "/v1/listing") {
			this.listings.push((body as { listing: string }).listing);
			return { ok: true };
		}
		if (url === "/v1/granted") {
			const { grants } = body as { grants: string[] };
			this.questions.push(grants);
			return { granted: grants.map((hex) => this.granted.has(hex)) };
		}
		return {
			protocol: "farelay/1",
			market: toHex(this.root.publicKey),
			keys: this.keys,
			ended: this.ended,
			restored: this.restored,
			fees: { marketPpm: 20_000, solidarityPpm: 20_000 },
			limits: { grantMsMax: 7 * DAY_MS, redeemGraceMs: DAY_MS, batchVouchersMax: 300 },
			rails: ["play"],
			head: this.head,
			nowMs: Date.now(),
		};
	}

	private redeem(body: unknown): unknown {
		const batch = readBatch(crypto, body, this.root.publicKey, Date.now());
		if (isProblem(batch)) return batch;
		const claims = batch.claims.filter((claim): claim is Claim => !isProblem(claim));
		this.batches.push(claims);
		const results = claims.map((claim) => this.pay(claim, batch.relay));
		return { results };
	}

	private knows(tab: Uint8Array): boolean {
		return [...this.granted].some((hex) => hex.includes(toHex(tab)));
	}

	private pay(claim: Claim, relay: Uint8Array): { moved: string; receipt: string } | Problem {
		if (this.mood === "refuses") return problem("redeem-late");
		if (this.mood === "knows-own" && !this.knows(claim.tab)) return problem("not-found");
		const tab = toHex(claim.tab);
		const nanos = price(this.tariffs.get(tab) ?? TARIFF, claim.used) ?? amount(0n);
		const moved = nanos - (this.paid.get(tab)?.nanos ?? 0n);
		const paid = { ...claim.used, nanos, ...(this.mood === "shortens" && { bytes: claim.used.bytes - 1n }) };
		this.paid.set(tab, paid);
		const by = this.mood === "forges" ? crypto.keyPair(crypto.random(32)) : this.online;
		const receipt = signReceipt(
			crypto,
			{
				market: this.root.publicKey,
				tab: claim.tab,
				relay,
				operator: relay,
				paid,
				atMs: Date.now(),
			},
			by,
		);
		return { moved: moved.toString(), receipt: toHex(receipt.bytes) };
	}
}
