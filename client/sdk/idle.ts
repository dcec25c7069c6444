/** When a sending connection is closed: what a phone does not hold open costs no battery, and opening it again costs nothing but a hello. */

import type { Connection } from "./connection.ts";
import type { Device } from "./device.ts";
import { REST_MS } from "./session.ts";

/** How long nothing may be under way: long enough for an answer to what was just said. */
const IDLE_MS = 20_000;

/** The idleness of one connection. */
export class Idle {
	private readonly device: Device;
	private readonly connection: Connection;
	private cancel: (() => void) | undefined;
	private resting = false;

	constructor(device: Device, connection: Connection) {
		this.device = device;
		this.connection = connection;
	}

	/** Nothing is under way any more: it is closed soon; in the background sooner, and says so. */
	begin(): void {
		this.cancel?.();
		if (this.resting) this.connection.current?.rest();
		this.cancel = this.device.after(this.resting ? REST_MS : IDLE_MS, () => this.connection.close());
	}

	/** Something is under way again, or the connection is over. */
	end(): void {
		if (this.cancel && this.resting) this.connection.current?.wake();
		this.cancel?.();
		this.cancel = undefined;
	}

	/** Into the background, or out of it. What is under way goes on there too. */
	background(on: boolean): void {
		this.resting = on;
		if (!this.cancel || !this.connection.current) return;
		if (!on) this.connection.current.wake();
		this.begin();
	}
}
