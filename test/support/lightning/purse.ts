/** A wallet of nothing but records, and the world that it pays and is paid by: what a provider's double stands on. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readInvoice } from "#marketplace/rail/bolt11";
import type { Rail } from "#marketplace/rail/rail";
import type { RailBench } from "#test/acceptance/rail";
import { fine } from "#test/support/market";
import { makeInvoice, secretPair } from "./invoice.ts";

/** Money that came, or may come, for an invoice of the wallet's. */
export type Incoming = {
	readonly invoice: string;
	readonly hash: string;
	readonly preimage: string;
	readonly label: string;
	readonly amountMsat: bigint;
	readonly text: string;
	readonly madeMs: number;
	paidMs?: number;
};

/** Money that left, or tried to. */
export type Outgoing = {
	readonly hash: string;
	readonly invoice: string;
	readonly amountMsat: bigint;
	readonly madeMs: number;
	feeMsat: bigint;
	preimage?: string;
	endedMs?: number;
};

/** What a provider's double stands on: a purse, or a node that really pays (`node.ts`). */
export type Holdings = {
	readonly balanceMsat: bigint;
	/** by payment hash */
	readonly incoming: { get(hash: string): Incoming | undefined };
	readonly outgoing: { get(hash: string): Outgoing | undefined };
	/** Calls back with what came. */
	onPaid(listener: (came: Incoming) => void): () => void;
	/** An invoice of the wallet's own. */
	invoice(amountMsat: bigint, more: { text?: string; expiryS?: number; label?: string }): Incoming;
	/** Pays an invoice; a hash that was begun is not begun again. A reason when it cannot be paid. */
	pay(invoice: string, amountMsat?: bigint): Promise<Outgoing | string>;
};

export class Purse implements Holdings {
	balanceMsat = 10_000_000_000n;
	readonly incoming = new Map<string, Incoming>();
	readonly outgoing = new Map<string, Outgoing>();
	/** what a payment costs */
	feeMsat = (amountMsat: bigint): bigint => 4_000n + (amountMsat * 4_000n + 999_999n) / 1_000_000n;
	/** a payment out waits for this before it ends */
	held: Promise<void> = Promise.resolve();
	private readonly world = new Map<string, { readonly preimage: string; got: bigint }>();
	private readonly listeners = new Set<(came: Incoming) => void>();

	constructor() {
		this.onPaid = this.onPaid.bind(this);
	}

	onPaid(listener: (came: Incoming) => void): () => void {
		this.listeners.add(listener);
		return () => this.listeners.delete(listener);
	}

	invoice(amountMsat: bigint, more: { text?: string; expiryS?: number; label?: string } = {}): Incoming {
		const { preimage, hash } = secretPair();
		const { text = "", expiryS, label = "" } = more;
		const invoice = makeInvoice({ amountMsat, hash, text, expiryS });
		const made = { invoice, hash, preimage, label, amountMsat, text, madeMs: Date.now() };
		this.incoming.set(hash, made);
		return made;
	}

	/** Somebody pays an invoice of the wallet's. */
	receive(invoice: string): void {
		const came = this.incoming.get(fine(readInvoice(invoice)).paymentHash);
		if (!came || came.paidMs !== undefined) throw new Error("nobody takes money for this invoice");
		came.paidMs = Date.now();
		this.balanceMsat += came.amountMsat;
		for (const listener of this.listeners) listener(came);
	}

	/** An invoice of somebody in the world. */
	destination(amountMsat: bigint | undefined): string {
		const { preimage, hash } = secretPair();
		this.world.set(hash, { preimage, got: 0n });
		return makeInvoice({ amountMsat, hash });
	}

	/** What somebody in the world got for an invoice. */
	arrived(invoice: string): bigint {
		return this.world.get(fine(readInvoice(invoice)).paymentHash)?.got ?? 0n;
	}

	async pay(invoice: string, amountMsat?: bigint): Promise<Outgoing | string> {
		const { paymentHash: hash, amountMsat: asked } = fine(readInvoice(invoice));
		const amount = asked ?? amountMsat;
		const known = this.outgoing.get(hash);
		if (known) return known.endedMs === undefined ? "it is under way" : "it was paid";
		const there = this.world.get(hash);
		if (amount === undefined) return "no amount";
		if (this.incoming.has(hash)) return "that is an invoice of this wallet";
		const feeMsat = this.feeMsat(amount);
		if (amount + feeMsat > this.balanceMsat) return "not enough";
		const out: Outgoing = { hash, invoice, amountMsat: amount, feeMsat, madeMs: Date.now() };
		this.outgoing.set(hash, out);
		await this.held;
		out.endedMs = Date.now();
		if (!there) return "nobody knows this invoice";
		out.preimage = there.preimage;
		there.got += amount;
		this.balanceMsat -= amount + feeMsat;
		return out;
	}
}

/** The bench of a rail whose provider stands on a purse. `out`: what is paid out, in as fine a unit as the provider's balance is told in. */
export function purseBench(purse: Purse, rail: Rail, out: bigint, close: () => Promise<void>): RailBench {
	return {
		rail,
		amounts: { in: 20_000_000n, out },
		feeMax: 50_000n,
		nowMs: () => Date.now(),
		payIn: async ({ pay }) => {
			assert.ok(pay.kind === "invoice");
			purse.receive(pay.invoice);
		},
		destination: async (amount) => purse.destination(amount),
		arrived: async (to) => purse.arrived(to),
		nowhere: [makeInvoice({ prefix: "bc", amountMsat: out }), purse.invoice(out).invoice],
		strange: createHash("sha256").update("strange").digest("hex"),
		close: async () => {
			await rail.close();
			await close();
		},
	};
}
