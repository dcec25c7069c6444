/**
 * Sockets that have not asked for a WebSocket: whoever only connects, sends half a request, or asks plain things again and again. They are
 * bounded as those without a hello are, so that they never hold the places of those who have one (PROTOCOL.md, "Transport"; threat 11).
 */

import type { Socket } from "node:net";
import type { Clock } from "#host/clock";
import type { RelayLimits } from "#relay/limit";
import { countedAs } from "./admission.ts";

/** What a doorstep needs: it is told when somebody was one too many of an address or of all, and when the one that came first gave way. */
export type DoorstepDeps = {
	readonly limits: RelayLimits;
	readonly clock: Clock;
	readonly helloMs: number;
	readonly onRefused?: (reason: "address-strangers" | "strangers") => void;
	readonly onGone?: () => void;
};

/** Where a socket came from, when it came, and when it last asked something whole. */
type Waiting = { readonly network: string; readonly cameAtMs: number; heardAtMs: number };

/** The sockets on the doorstep. */
export class Doorstep {
	private readonly deps: DoorstepDeps;
	/** In the order in which they came. */
	private readonly sockets = new Map<Socket, Waiting>();
	/** How many an address has; as many addresses as there are sockets, at most. */
	private readonly networks = new Map<string, number>();

	constructor(deps: DoorstepDeps) {
		this.deps = deps;
	}

	/** Somebody connected; false when there is no room, and the socket is over. A proxy speaks for everybody. */
	enter(socket: Socket, isProxy: boolean): boolean {
		const { limits, clock, onRefused } = this.deps;
		const network = isProxy ? "" : countedAs(socket.remoteAddress ?? "");
		const others = this.networks.get(network) ?? 0;
		const crowded = network !== "" && others >= limits.strangersPerAddressMax;
		if (crowded || !this.makeRoom()) {
			onRefused?.(crowded ? "address-strangers" : "strangers");
			socket.destroy();
			return false;
		}
		const cameAtMs = clock.elapsedMs();
		this.sockets.set(socket, { network, cameAtMs, heardAtMs: cameAtMs });
		this.networks.set(network, others + 1);
		socket.once("close", () => this.leave(socket));
		return true;
	}

	/** It asked something plain. */
	heard(socket: Socket): void {
		const waiting = this.sockets.get(socket);
		if (waiting) waiting.heardAtMs = this.deps.clock.elapsedMs();
	}

	/** It became a WebSocket, or is over. */
	leave(socket: Socket): void {
		const waiting = this.sockets.get(socket);
		if (!waiting) return;
		this.sockets.delete(socket);
		const left = (this.networks.get(waiting.network) ?? 1) - 1;
		if (left > 0) this.networks.set(waiting.network, left);
		else this.networks.delete(waiting.network);
	}

	/** Ends those that have said nothing whole for too long. */
	sweep(): void {
		const beforeMs = this.deps.clock.elapsedMs() - this.deps.helloMs;
		for (const [socket, { heardAtMs }] of this.sockets) if (heardAtMs < beforeMs) socket.destroy();
	}

	/** Ends all. */
	clear(): void {
		for (const socket of this.sockets.keys()) socket.destroy();
	}

	/** Where there are too many, the one that came first gives way, unless all have just come. */
	private makeRoom(): boolean {
		const { limits, clock, onGone } = this.deps;
		if (this.sockets.size < limits.strangersMax) return true;
		const [first] = this.sockets;
		if (!first || clock.elapsedMs() - first[1].cameAtMs < limits.strangerMsMin) return false;
		this.leave(first[0]);
		onGone?.();
		first[0].destroy();
		return true;
	}
}
