/** One's mailboxes, read together: what comes in at any of them is dealt with in one place, one after the other. */

import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { Inbox, type InboxEvents } from "./inbox.ts";
import { type Handlers, Incoming } from "./incoming.ts";
import { Paces } from "./pace.ts";
import type { Clocks } from "./session.ts";

export class Reading {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly clocks: Clocks;
	private readonly paces: Paces;
	readonly inboxes: Inbox[] = [];
	private readonly incoming: Incoming[] = [];

	constructor(device: Device, identity: Identity, clocks: Clocks) {
		this.device = device;
		this.identity = identity;
		this.clocks = clocks;
		this.paces = new Paces(device);
	}

	/** Reads at these relays until {@link close}; `arrived` is told what was dealt with to the end. */
	async open(
		homes: readonly Relay[],
		handlers: Handlers,
		arrived: (from: Uint8Array, id: Uint8Array) => void,
	): Promise<void> {
		const incoming = await Incoming.open(this.device, this.identity, handlers, arrived);
		this.incoming.push(incoming);
		await this.paces.load();
		for (const relay of homes) {
			const events: InboxEvents = {
				take: (payload, mailbox) => incoming.take(payload, mailbox),
				settle: () => incoming.settle(),
				report: (report) => handlers.report?.(report),
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
	}
}
