/** What an app's developer signs for its user, brought to the market where the last one has ended. Without one whoever else pays, pays. */

import { toHex } from "#contracts/bytes";
import type { MarketApi } from "./api.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import type { ClientOptions } from "./options.ts";

/** An app that has no pass for this account, or whose pass is nearly over, is asked again this soon. */
const AGAIN_MS = 60_000;

/** The passes of one account. */
export class AppPasses {
	readonly #device: Pick<Device, "nowMs">;
	readonly #identity: Identity;
	readonly #ask: ClientOptions["appPass"];
	/** when the app is asked again, by this device's clock */
	#nextMs = 0;

	constructor(device: Pick<Device, "nowMs">, identity: Identity, ask: ClientOptions["appPass"]) {
		this.#device = device;
		this.#identity = identity;
		this.#ask = ask;
	}

	/** Brings one where it is time. An app whose own server is away, or a market that does not take it, keeps nobody from sending. */
	async bring(api: MarketApi): Promise<void> {
		if (!this.#ask || this.#device.nowMs() < this.#nextMs) return;
		this.#nextMs = this.#device.nowMs() + AGAIN_MS;
		try {
			const bytes = await this.#ask(this.#identity.account.publicKey);
			if (!bytes) return;
			const { validUntilMs } = await api.pool.useApp.mutate({ pass: toHex(bytes) });
			this.#nextMs = Math.max(this.#nextMs, validUntilMs - AGAIN_MS);
		} catch {
			// asked again in a minute
		}
	}
}
