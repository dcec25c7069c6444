/** What an account does at its market beside sending and reading: each a part of the client with a name of its own. */

import type { Device } from "./device.ts";
import type { MarketDoor } from "./door.ts";
import { Enrolling } from "./enrolling.ts";
import { Deposits } from "./funding.ts";
import { Gifts } from "./gifts.ts";
import type { Identity } from "./identity.ts";
import { Passes } from "./passes.ts";
import { Pools } from "./pools.ts";
import { Quotas } from "./quotas.ts";

/** The parts. */
export class AtMarket {
	/** The market's door; `market.api` is the typed tRPC client for everything that has no name here. */
	readonly market: MarketDoor;
	/** Putting money on the account. */
	readonly deposits: Deposits;
	/** Paying for others. */
	readonly pools: Pools;
	/** By what one's messages are paid for, and codes for others. */
	readonly passes: Passes;
	/** Quota that nobody can tie to this account. */
	readonly quotas: Quotas;
	/** Giving money to friends. */
	readonly gifts: Gifts;
	/** Vouching for people, for enrollers. */
	readonly enrolling: Enrolling;

	constructor(device: Device, identity: Identity, market: MarketDoor) {
		this.market = market;
		this.deposits = new Deposits(device, market);
		this.pools = new Pools(device, market);
		this.passes = new Passes(device, market);
		this.quotas = new Quotas(device, identity, market);
		this.gifts = new Gifts(device, market);
		this.enrolling = new Enrolling(device, identity, market, this.passes);
	}
}
