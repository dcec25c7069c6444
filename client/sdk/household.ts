/** The devices that read one's mailboxes (PROTOCOL.md, "Reading"): which there are, and giving one up. */

import { same } from "#contracts/bytes";
import { deviceAt, type KnownDevice } from "#contracts/device";
import { isProblem, type Problem } from "#contracts/problem";
import type { Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import type { Inbox } from "./inbox.ts";
import type { Clocks } from "./session.ts";
import { visitMailbox } from "./visit.ts";

/** A device of one's mailbox at one relay: its id there, and when it was last there, in Unix milliseconds. */
export type MailboxDevice = KnownDevice & {
	readonly relay: Relay;
	/** Whether it is this one. */
	readonly mine: boolean;
};

/** Asks by the connections that listen, else by a short visit. */
export class Household {
	private readonly device: Device;
	private readonly identity: Identity;
	private readonly clocks: Clocks;

	constructor(device: Device, identity: Identity, clocks: Clocks) {
		this.device = device;
		this.identity = identity;
		this.clocks = clocks;
	}

	/** All devices at these relays, by relay. */
	async list(homes: readonly Relay[], inboxes: readonly Inbox[]): Promise<MailboxDevice[] | Problem> {
		const all: MailboxDevice[] = [];
		for (const relay of homes) {
			const inbox = inboxes.find((open) => same(open.relay.key, relay.key));
			const known = (await inbox?.devices()) ?? (await visitMailbox(this.device, this.identity, relay, this.clocks));
			if (isProblem(known)) return known;
			const here = deviceAt(this.device.crypto, this.device.install, relay.key);
			for (const one of known) all.push({ ...one, relay, mine: same(one.device, here) });
		}
		return all;
	}

	/** Gives a device up at one relay. */
	async forget({ relay, device }: MailboxDevice, inboxes: readonly Inbox[]): Promise<Problem | undefined> {
		const inbox = inboxes.find((open) => same(open.relay.key, relay.key));
		const left = inbox
			? await inbox.forget(device)
			: await visitMailbox(this.device, this.identity, relay, this.clocks, device);
		return isProblem(left) ? left : undefined;
	}
}
