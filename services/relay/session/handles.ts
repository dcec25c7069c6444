/** The handles of one connection: what it posts to, for how long, with which card's token (PROTOCOL.md, "Sending"). */

import { toHex } from "#contracts/bytes";
import type { Open } from "#contracts/control";
import { readU32 } from "#contracts/frame";
import { tokenHash } from "#contracts/identity";
import { LIMIT } from "#contracts/limit";
import type { Listener } from "#relay/mailbox/listener";
import type { Mailbox } from "#relay/mailbox/mailbox";
import type { MailboxState } from "#relay/mailbox/store";
import type { RelayParts } from "#relay/parts";
import type { Link, Route } from "./far.ts";
import type { Sender } from "./sender.ts";
import type { Moment } from "./sending.ts";

/** What a handle stands for on one connection. */
export type Binding = {
	readonly id: string;
	/** Part of the fingerprint: the same bytes for another mailbox are another send. */
	readonly salt: number;
	readonly ttlS: number;
	/** Undefined for a stranger. */
	readonly token: Uint8Array | undefined;
	mailbox: Mailbox | undefined;
	/** The link to the worker that has the mailbox, when it is not this one, and the handle's way over it. */
	readonly link: Link | undefined;
	route: Route | undefined;
	/** Who sends and who pays; made anew when the tab or the card changes. */
	origin: Sender | undefined;
	/** What the store knew of the mailbox when this moment's message was begun. */
	state: MailboxState | undefined;
	stateAt: Moment | undefined;
	/** The moment at which a live send was taken, and the one reader that took it: those behind it in a row need not ask again. */
	liveAt: Moment | undefined;
	live: Listener | undefined;
	/** The mailbox's token for which `origin.byCard` was decided. */
	checked: Uint8Array | undefined;
};

/** Of a connection that only reads, as most do: never written to. */
const NO_BINDINGS = new Map<number, Binding>();

/** The handles of a connection. */
export class Handles {
	private readonly parts: RelayParts;
	private bindings = NO_BINDINGS;
	/** The handle of the last send: most come in rows for one. */
	private lastHandle = -1;
	private lastBinding: Binding | undefined;

	constructor(parts: RelayParts) {
		this.parts = parts;
	}

	/** Binds a handle, or binds it anew. False when a bound was reached. */
	open(open: Open): boolean {
		const { router, limits, crypto } = this.parts;
		const before = this.bindings.get(open.handle);
		if (!before && (this.bindings.size >= LIMIT.handlesMax || router.handles >= limits.handlesMax)) return false;
		// the first half is for who comes first, the other for everybody: a few that take all they may must leave some to each
		const scarce = router.handles >= limits.handlesMax / 2;
		if (!before && scarce && this.bindings.size >= limits.handlesShareMax) return false;
		if (before) unbind(before);
		else router.handles++;
		this.lastHandle = -1;
		if (this.bindings === NO_BINDINGS) this.bindings = new Map();
		this.bindings.set(open.handle, {
			id: toHex(open.mailbox),
			salt: readU32(open.mailbox, 0),
			ttlS: open.ttlS,
			token: open.token.some((byte) => byte !== 0) ? tokenHash(crypto, open.token) : undefined,
			mailbox: undefined,
			link: router.far?.to(open.mailbox),
			route: undefined,
			origin: undefined,
			state: undefined,
			stateAt: undefined,
			checked: undefined,
			liveAt: undefined,
			live: undefined,
		});
		return true;
	}

	/** What a handle stands for. */
	get(handle: number): Binding | undefined {
		if (handle !== this.lastHandle) {
			this.lastBinding = this.bindings.get(handle);
			this.lastHandle = handle;
		}
		return this.lastBinding;
	}

	/** A binding's mailbox at work, which stays in memory while it is bound. */
	mailbox(binding: Binding): Mailbox | undefined {
		if (binding.mailbox) return binding.mailbox;
		binding.mailbox = this.parts.router.find(binding.id);
		if (binding.mailbox) binding.mailbox.bound++;
		return binding.mailbox;
	}

	/** Who pays is looked at anew. */
	forgetOrigins(): void {
		for (const binding of this.bindings.values()) {
			binding.origin = undefined;
			leave(binding);
		}
	}

	/** The connection ended. */
	end(): void {
		for (const binding of this.bindings.values()) unbind(binding);
		this.parts.router.handles -= this.bindings.size;
		this.bindings = NO_BINDINGS;
		this.lastHandle = -1;
		this.lastBinding = undefined;
	}
}

function unbind(binding: Binding): void {
	if (binding.mailbox) binding.mailbox.bound--;
	binding.mailbox = undefined;
	leave(binding);
}

function leave(binding: Binding): void {
	binding.route?.close();
	binding.route = undefined;
}
