/** What an enroller does with the SDK: applies, and hands out passes without telling the market whom to. Like the client's own, its promises reject with a `FarelayError`. */

import { fromHex, toHex } from "#contracts/bytes";
import { codeHash, makeCode } from "#contracts/code";
import { COMMONS_POOL, checkedBytes, isCountry, signPass, tagOf } from "#contracts/pass";
import { problem } from "#contracts/problem";
import { POOL_BYTES } from "#contracts/tranche";
import { blind, publishedKey } from "./blind.ts";
import type { Device } from "./device.ts";
import { askMarket, type MarketDoor } from "./door.ts";
import { FarelayError, orThrow } from "./error.ts";
import type { Identity } from "./identity.ts";
import type { HandedCode, Passes } from "./passes.ts";
import type { EnrollerJson } from "./rights.ts";

/** Somebody to enroll. */
export type Enrolled = {
	/** The pool's id in hex; the commons where left out: then the pass says where somebody lives. */
	readonly pool?: string;
	/** What was checked, e.g. a document's number, and what kind of thing it is, e.g. `ke-national-id`. Neither leaves this machine. */
	readonly checked: string;
	readonly kind: string;
	/** Two capital letters, where the enroller knows; in a pass of the commons only, which a person has once. */
	readonly country?: string | undefined;
	/** How long the pass is valid. */
	readonly days?: number;
};

const DAY_MS = 86_400_000;

/** An enroller's work. */
export class Enrolling {
	readonly #device: Device;
	readonly #identity: Identity;
	readonly #market: MarketDoor;
	readonly #passes: Passes;

	constructor(device: Device, identity: Identity, market: MarketDoor, passes: Passes) {
		this.#device = device;
		this.#identity = identity;
		this.#market = market;
		this.#passes = passes;
	}

	/** Applies; the market's people decide. */
	async apply(name: string, about: string): Promise<EnrollerJson> {
		return askMarket(this.#market, (api) => api.enroller.ask.mutate({ name, about }));
	}

	/** What became of it. */
	async show(): Promise<EnrollerJson> {
		return askMarket(this.#market, (api) => api.enroller.show.query());
	}

	/**
	 * Enrolls somebody: looks up, by what was checked and without telling it, which tag they have; signs a pass for it; answers the code to hand to them.
	 * Whoever has a pass of the pool at another account takes it along by that code, and has no second one.
	 */
	async enroll({ pool, checked, kind, country, days = 365 }: Enrolled): Promise<HandedCode> {
		const { crypto } = this.#device;
		const of = pool === undefined ? COMMONS_POOL : fromHex(pool, POOL_BYTES);
		if (!of) throw new FarelayError(problem("malformed", "A pool is named by 32 hex digits."));
		if (country !== undefined && (!isCountry(country) || pool !== undefined))
			throw new FarelayError(
				problem(
					"malformed",
					"A country is two capital letters, like KE, and goes into a pass of the commons, where no pool is named.",
				),
			);
		const { market } = orThrow(await this.#market.terms());
		const input = orThrow(checkedBytes(market, kind, checked));
		const key = orThrow(await publishedKey(this.#device, this.#market, COMMONS_POOL, 0));
		const asked = await blind([input], key);
		const answered = await askMarket(this.#market, (api) =>
			api.enroller.lookUp.mutate({ blinded: toHex(asked.blinded) }),
		);
		const [output] = orThrow(await asked.open(answered));
		if (!output) throw new Error("an answer opened to nothing");
		const code = makeCode(crypto);
		const issuedAtMs = await this.#market.nowMs();
		const pass = signPass(
			crypto,
			{
				market,
				pool: of,
				code: codeHash(crypto, code),
				tag: tagOf(crypto, of, output),
				country,
				issuedAtMs,
				validUntilMs: issuedAtMs + days * DAY_MS,
			},
			this.#identity.account,
		);
		await askMarket(this.#market, (api) => api.enroller.issue.mutate({ pass: toHex(pass.bytes) }));
		return this.#passes.handed(code);
	}
}
