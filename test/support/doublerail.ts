/** A rail that behaves by the seam and does what a test tells it: pays, fails, loses what it is told or what it answers, takes its time. */

import { createHash } from "node:crypto";
import { type Problem, problem } from "#contracts/problem";
import type { Lightning } from "#marketplace/payout/lightning";
import type {
	DepositState,
	PaymentState,
	PayOrder,
	Rail,
	RailRange,
	RailUnit,
	RailWorld,
} from "#marketplace/rail/rail";
import type { Rates } from "#marketplace/rate/rate";

/** What becomes of the next order. */
export type Fate =
	| "sends"
	/** it refuses it, for certain */
	| "fails"
	/** it never arrives, and no answer comes back */
	| "is lost"
	/** it is paid, and the answer does not come back */
	| "sends, and the answer is lost"
	/** it is paid, and the answer says that it failed */
	| "sends, and says that it failed"
	/** it is under way until `finish` */
	| "takes its time";

export class DoubleRail implements Rail {
	readonly name: string;
	readonly world: RailWorld;
	readonly unit: RailUnit;
	readonly ranges: Rail["ranges"];
	/** what the next orders come to, in turn; then they are sent */
	readonly fates: Fate[] = [];
	/** every order that it was told, in turn */
	readonly told: PayOrder[] = [];
	/** every payment that left, in turn: the same id twice is a loss */
	readonly paid: PayOrder[] = [];
	fee = 0n;
	/** whether the fee is known beforehand */
	feeIsKnown = false;
	/** whether it can be asked */
	away = false;
	/** its answer whenever it is asked, whatever happened */
	word: PaymentState | undefined;
	/** called with every order before it does anything */
	onPay: (order: PayOrder) => unknown = () => {};
	asked = 0;
	/** what it says that it sent less than it did */
	short = 0n;
	readonly #states = new Map<string, PaymentState>();
	readonly #hints = new Set<(reference: string) => void>();

	constructor(given: { name?: string; world?: RailWorld; unit?: RailUnit; out?: RailRange } = {}) {
		this.name = given.name ?? "double";
		this.world = given.world ?? "world:lightning";
		this.unit = given.unit ?? "msat";
		this.ranges = { in: undefined, out: given.out ?? { min: 1_000n, max: 10n ** 12n } };
	}

	async quote() {
		return { fee: this.feeIsKnown ? this.fee : 0n, isAbout: !this.feeIsKnown };
	}

	async pay(order: PayOrder): Promise<PaymentState> {
		await this.onPay(order);
		this.told.push(order);
		const fate = this.fates.shift() ?? "sends";
		switch (fate) {
			case "is lost":
				return { state: "unknown", why: "The connection was lost." };
			case "fails":
				return this.#keep(order, { state: "failed", why: "No route was found." });
			case "takes its time":
				return this.#keep(order, { state: "sending" });
			default: {
				const sent = this.#send(order);
				if (fate === "sends, and the answer is lost") return { state: "unknown", why: "The answer was lost." };
				if (fate === "sends, and says that it failed") return { state: "failed", why: "invoice is already paid" };
				return sent;
			}
		}
	}

	async payment({ id }: PayOrder): Promise<PaymentState | Problem> {
		this.asked += 1;
		if (this.away) return problem("unavailable", "The node is away.");
		if (this.word) return this.word;
		const state = this.#states.get(id) ?? { state: "absent" };
		return state.state === "sent" ? { ...state, amount: state.amount - this.short } : state;
	}

	/** What takes its time ends. */
	finish(how: "sent" | "failed"): void {
		for (const order of this.told) {
			if (this.#states.get(order.id)?.state !== "sending") continue;
			if (how === "sent") this.#send(order);
			else this.#keep(order, { state: "failed", why: "It was held and sent back." });
			this.hint(order.id);
		}
	}

	/** Something may have happened to a payment. */
	hint(id: string): void {
		for (const hint of this.#hints) hint(id);
	}

	#send(order: PayOrder): PaymentState {
		this.paid.push(order);
		return this.#keep(order, {
			state: "sent",
			amount: order.amount,
			fee: this.fee,
			proof: "ab".repeat(32),
			atMs: 1,
		});
	}

	#keep(order: PayOrder, state: PaymentState): PaymentState {
		this.#states.set(order.id, state);
		return state;
	}

	onEvent(hint: (reference: string) => void) {
		this.#hints.add(hint);
		return () => void this.#hints.delete(hint);
	}

	start = async () => problem("rail-closed");
	deposit = async (): Promise<DepositState> => ({ state: "absent" });
	balance = async () => undefined;
	check = async () => undefined;
	close = async () => {};
}

/** Sixty thousand dollars to the bitcoin, less half a percent. */
export const testRates: Rates = {
	now: async () => ({ msatPerDollar: 1_666_667n, spreadPpm: 5_000, atMs: 0, says: "a fixed rate for tests" }),
};

/** Invoices that are only their own terms, and addresses that give them; a fake network, and no cryptography. */
export class DoubleLightning implements Lightning {
	/** addresses asked, in turn */
	readonly asked: string[] = [];
	/** what addresses answer instead */
	refusal: Problem | undefined;
	/** by how much their invoices are over another amount */
	wrongBy = 0n;
	#made = 0;
	readonly #nowMs: () => number;

	constructor(nowMs: () => number = Date.now) {
		this.#nowMs = nowMs;
	}

	/** An invoice over so much; without an end of its own it always has an hour left. */
	invoice(amountMsat: bigint, expiresAtMs = 0): string {
		this.#made += 1;
		return `lntest.${this.#made}.${amountMsat}.${expiresAtMs}`;
	}

	readInvoice(text: string) {
		const found = /^lntest\.\d+\.(\d+)\.(\d+)$/.exec(text);
		if (!found) return problem("malformed", "That is not an invoice.");
		return {
			amountMsat: BigInt(found[1] ?? 0),
			paymentHash: createHash("sha256").update(text).digest("hex"),
			expiresAtMs: Number(found[2]) || this.#nowMs() + 3_600_000,
		};
	}

	async invoiceFrom(address: string, amountMsat: bigint) {
		this.asked.push(address);
		return this.refusal ?? this.invoice(amountMsat + this.wrongBy);
	}

	async close() {}
}
