/** A market and relays as processes of their own in one place, and people whose clients live in the test. */

import { amount, formatAmount } from "#contracts/amount";
import { isProblem } from "#contracts/problem";
import type { AuditReport, Check } from "#marketplace/ledger/audit";
import { auditFile } from "#marketplace/ledger/sqlite";
import { checkPayouts } from "#marketplace/payout/check";
import { ledgerPath } from "#marketplace/stores";
import { checkTabs } from "#marketplace/tab/check";
import { type Client, type ClientOptions, createClient } from "#sdk/client";
import type { RelayOffer } from "#sdk/market";
import { memoryStorage, type Storage } from "#sdk/storage";
import { Place, type Program } from "./process.ts";
import { until } from "./sdk.ts";

const CHECKS: readonly Check[] = [checkTabs, checkPayouts];

export type Resident = Client & { readonly storage: Storage };

export class Town {
	readonly place: Place;
	market: Program;
	relay: Program;
	/** Who is paid for what the relay carries. */
	readonly operator: Resident;
	offer: RelayOffer;
	private readonly people: Client[] = [];

	private constructor(place: Place, market: Program, relay: Program, operator: Resident, offer: RelayOffer) {
		this.place = place;
		this.market = market;
		this.relay = relay;
		this.operator = operator;
		this.offer = offer;
		this.people.push(operator);
	}

	/** Starts a market and a relay, and waits until the relay is listed. */
	static async open(): Promise<Town> {
		const place = await Place.open();
		try {
			const market = await place.market();
			const storage = memoryStorage();
			const operator = Object.assign(await createClient({ market: market.url, storage }), { storage });
			const relay = await place.relay({ market: market.url, operator: operator.account });
			let offer: RelayOffer | undefined;
			await until(
				async () => {
					offer = (await operator.relays())[0];
					return offer !== undefined;
				},
				"the relay is listed",
				30_000,
			);
			return new Town(place, market, relay, operator, offer as RelayOffer);
		} catch (error) {
			await place.end();
			throw error;
		}
	}

	/** Somebody with a dollar of play money; give `storage` to start the same person again, who is not given more. */
	async person(given: Partial<ClientOptions> = {}): Promise<Resident> {
		const storage = given.storage ?? memoryStorage();
		const client = await createClient({ ...given, storage, market: this.market.url });
		this.people.push(client);
		if (!given.storage)
			await client.market.api.funding.play.mutate({ id: "start", amount: formatAmount(amount(1_000_000_000n)) });
		return Object.assign(client, { storage });
	}

	/** Starts the market again, on its folder and port. */
	async marketAgain(env: Record<string, string> = {}): Promise<void> {
		this.market = await this.place.market({ port: this.market.port, env });
	}

	/** Starts the relay again, on its folder and port. */
	async relayAgain(env: Record<string, string> = {}): Promise<void> {
		const at = { market: this.market.url, operator: this.operator.account };
		this.relay = await this.place.relay(at, { port: this.relay.port, env });
	}

	/** A number of the relay's `/metrics`. */
	async metric(name: string): Promise<number> {
		const text = await (await fetch(`http://127.0.0.1:${this.relay.port}/metrics`)).text();
		return Number(new RegExp(`^farelay_relay_${name} (\\S+)`, "m").exec(text)?.[1]);
	}

	/** What the operator has earned, in nano-dollars. */
	async earned(): Promise<bigint> {
		return BigInt((await this.operator.market.api.operator.earnings.query()).earned);
	}

	/** Everything of a person's money on the market: per tab, what it paid. */
	async tabsOf(person: Client) {
		return (await person.market.api.tab.list.query({ limit: 200 })).tabs;
	}

	/** Proves the ledger, beside the market that writes to it. */
	async audit(): Promise<AuditReport> {
		const report = await auditFile(ledgerPath(this.place.path("market")), CHECKS);
		if (isProblem(report)) throw new Error(report.detail);
		return report;
	}

	async end(): Promise<void> {
		for (const client of this.people) await client.close();
		await this.place.end();
	}
}
