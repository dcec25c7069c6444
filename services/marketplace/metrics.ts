/** What the market counts, for `/metrics` (Prometheus text). No label ever holds an account, a tab, a relay or an address (threat 26). */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** The market's counters. */
export type Metrics = {
	readonly registry: Registry;
	/** by `route` (one of a fixed few) and `status` */
	readonly requests: Counter<"route" | "status">;
	/** seconds from a request's arrival to its answer, by `route` */
	readonly seconds: Histogram<"route">;
	readonly opened: Counter;
	readonly closed: Counter;
	/** lines of redemption batches, by `outcome`: paid, or a problem's code */
	readonly claims: Counter<"outcome">;
	/** relays on show */
	readonly relays: Gauge;
};

/** A registry of its own for each market, so that several can run in one process. */
export function makeMetrics(relays: () => Promise<number>): Metrics {
	const registry = new Registry();
	const registers = [registry];
	collectDefaultMetrics({ register: registry });
	return {
		registry,
		requests: new Counter({
			name: "farelay_market_requests_total",
			help: "HTTP requests answered",
			labelNames: ["route", "status"],
			registers,
		}),
		seconds: new Histogram({
			name: "farelay_market_request_seconds",
			help: "Time to an HTTP answer",
			labelNames: ["route"],
			buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
			registers,
		}),
		opened: new Counter({ name: "farelay_market_tabs_opened_total", help: "Tabs opened", registers }),
		closed: new Counter({ name: "farelay_market_tabs_closed_total", help: "Tabs closed or swept", registers }),
		claims: new Counter({
			name: "farelay_market_claims_total",
			help: "Lines of redemption batches",
			labelNames: ["outcome"],
			registers,
		}),
		relays: new Gauge({
			name: "farelay_market_relays",
			help: "Relays with a valid listing",
			registers,
			async collect() {
				this.set(await relays());
			},
		}),
	};
}
