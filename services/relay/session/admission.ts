/**
 * Who is let in before a hello: so many connections, so many without a hello, so many a second, over all and for each address
 * (PROTOCOL.md, "Transport"; threat 11). Whoever comes from this machine itself is counted over all only: a proxy in front speaks for everybody.
 */

import { networkOf } from "#host/address";
import type { Clock } from "#host/clock";
import { isLoopback } from "#host/loopback";
import type { RelayLimits } from "#relay/limit";
import type { Counts } from "#relay/metrics";
import type { DoorReason } from "#relay/reason";

/** A connection as the door sees it. */
export interface Guest {
	readonly session: { readonly introduced: boolean };
	readonly openedAtMs: number;
	terminate(): void;
}

/** How many connections a network has, and how many of them have not said hello. */
type Network = { connections: number; strangers: number };

/** The door's book. */
export class Admission {
	private readonly limits: RelayLimits;
	private readonly clock: Clock;
	private readonly counts: Counts;
	/** Connections by the network they came from; "" is this machine. In the order in which they came. */
	private readonly guests = new Map<Guest, string>();
	private readonly strangers = new Set<Guest>();
	/** As many as there are connections, at most. */
	private readonly networks = new Map<string, Network>();
	/** New connections of this second, over all and by network: as many as are taken in a second, at most. */
	private accepts = 0;
	private readonly acceptsOf = new Map<string, number>();
	private sinceMs = Number.NEGATIVE_INFINITY;

	constructor(limits: RelayLimits, clock: Clock, counts: Counts) {
		this.limits = limits;
		this.clock = clock;
		this.counts = counts;
	}

	/** How many are connected. */
	get open(): number {
		return this.guests.size;
	}

	/** How many of them have not said hello. */
	get unknown(): number {
		return this.strangers.size;
	}

	/** Why nobody is let in from there now; undefined when somebody is, who then has to {@link enter}. */
	refuses(address: string): DoorReason | undefined {
		const { limits } = this;
		const from = countedAs(address);
		const rate = this.rate(from);
		if (rate) return rate;
		if (this.guests.size >= limits.connectionsMax) return "connections";
		const known = this.networks.get(from);
		if (known && known.connections >= limits.connectionsPerAddressMax) return "address-connections";
		if (known && known.strangers >= limits.strangersPerAddressMax) {
			this.look();
			if (known.strangers >= limits.strangersPerAddressMax) return "address-strangers";
		}
		return this.strangers.size >= limits.strangersMax && !this.makeRoom() ? "strangers" : undefined;
	}

	/** Somebody was let in. */
	enter(guest: Guest, address: string): void {
		const from = countedAs(address);
		this.guests.set(guest, from);
		this.strangers.add(guest);
		if (from === "") return;
		const network = this.networks.get(from) ?? { connections: 0, strangers: 0 };
		network.connections++;
		network.strangers++;
		this.networks.set(from, network);
	}

	/** Somebody left. */
	leave(guest: Guest): void {
		const from = this.guests.get(guest);
		if (from === undefined) return;
		this.known(guest);
		this.guests.delete(guest);
		const network = this.networks.get(from);
		if (!network) return;
		network.connections--;
		if (network.connections === 0) this.networks.delete(from);
	}

	/** Looks who has said hello since the last time. */
	look(): void {
		for (const guest of this.strangers) if (guest.session.introduced) this.known(guest);
	}

	private known(guest: Guest): void {
		if (!this.strangers.delete(guest)) return;
		const network = this.networks.get(this.guests.get(guest) ?? "");
		if (network) network.strangers--;
	}

	/** A flood of the silent must not keep out who would say hello at once: the one that is silent for longest gives way. */
	private makeRoom(): boolean {
		this.look();
		if (this.strangers.size < this.limits.strangersMax) return true;
		const [oldest] = this.strangers;
		if (!oldest || this.clock.elapsedMs() - oldest.openedAtMs < this.limits.strangerMsMin) return false;
		this.known(oldest);
		this.counts.drops.silent++;
		oldest.terminate();
		return true;
	}

	private rate(from: string): "rate" | "address-rate" | undefined {
		const { limits } = this;
		const elapsedMs = this.clock.elapsedMs();
		if (elapsedMs - this.sinceMs >= 1_000) {
			this.sinceMs = elapsedMs;
			this.accepts = 0;
			this.acceptsOf.clear();
		}
		// what one address is refused for counts for nobody else
		const mine = from === "" ? 0 : (this.acceptsOf.get(from) ?? 0) + 1;
		if (mine > limits.acceptsPerAddressMax) return "address-rate";
		if (this.accepts >= limits.acceptsPerSecondMax) return "rate";
		this.accepts++;
		if (from !== "") this.acceptsOf.set(from, mine);
		return undefined;
	}
}

/** What an address is counted as: its network, or "" for this machine, which is counted over all only. */
export function countedAs(address: string): string {
	const from = networkOf(address);
	return isLoopback(from) ? "" : from;
}
