/** One's mailboxes, read together: what comes in at any of them is dealt with in one place, one after the other. */

import type { Device } from "./device.ts";
import type { Homes } from "./home.ts";
import type { Identity } from "./identity.ts";
import { Inbox, type InboxEvents } from "./inbox.ts";
import { type Handlers, Incoming } from "./incoming.ts";
import { Paces } from "./pace.ts";
import type { Clocks } from "./session.ts";
import { Totals, type TotalsMarket } from "./totals.ts";

export class Reading {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly clocks: Clocks;
	private readonly paces: Paces;
	private readonly totals: Totals;
	readonly inboxes: Inbox[] = [];
	private readonly incoming: Incoming[] = [];

	constructor(device: Device, identity: Identity, clocks: Clocks, market: TotalsMarket) {
		this.device = device;
		this.identity = identity;
		this.clocks = clocks;
		this.paces = new Paces(device);
		this.totals = new Totals(device, identity, market);
	}

	/** Reads at these relays, and counts what comes to the one that was drawn, until {@link close}; `arrived` is told what was dealt with to the end. */
	async open(
		{ read, drawn }: Pick<Homes, "read" | "drawn">,
		handlers: Handlers,
		arrived: (from: Uint8Array, id: Uint8Array) => void,
	): Promise<void> {
		const incoming = await Incoming.open(this.device, this.identity, handlers, arrived);
		this.incoming.push(incoming);
		await this.paces.load();
		await this.totals.begin(drawn);
		for (const relay of read) {
			const events: InboxEvents = {
				take: (payload, mailbox) => incoming.take(payload, mailbox, () => this.totals.count(relay, payload.length)),
				// after what was seen is known to have been: a crash in between must not count it again
				settle: async () => (await incoming.settle()) ?? (await this.totals.settle()),
				report: (report) => {
					if (report.fresh) this.totals.forget(relay);
					handlers.report?.(report);
				},
				problem: (refusal) => handlers.problem?.(refusal),
			};
			this.inboxes.push(new Inbox(this.device, this.identity, relay, this.clocks, events, this.paces).open());
		}
	}

	/** Tries again at once. */
	hurry(): void {
		for (const inbox of this.inboxes) inbox.hurry();
	}

	/** Into the background, or out of it. */
	background(on: boolean): void {
		for (const inbox of this.inboxes) inbox.background(on);
	}

	/** Stops reading; what was being dealt with is done. */
	async close(): Promise<void> {
		await Promise.all(this.inboxes.splice(0).map((inbox) => inbox.close()));
		await Promise.all(this.incoming.splice(0).map((incoming) => incoming.close()));
		await this.totals.close();
	}
}
