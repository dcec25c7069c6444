/** What `/metrics` looks at only when it is asked: how much of everything there is now. */

import type { Health } from "#host/health";
import type { Gauges } from "./metrics.ts";
import type { Operator } from "./operator/operator.ts";
import type { RelayParts } from "./parts.ts";
import type { Till } from "./till/till.ts";

/** What gauges read besides the parts. */
export type GaugesDeps = {
	readonly till: Till;
	readonly operator: Operator;
	readonly health: Health;
	readonly strangers: () => number;
	readonly slowed: () => number;
};

/** A relay's gauges by name. */
export function gaugesOf(parts: RelayParts, { till, operator, health, strangers, slowed }: GaugesDeps): Gauges {
	const { counts, router, tabs, tags, store, traffic, gate } = parts;
	return {
		connections: { help: "Connections open now.", value: () => counts.open },
		strangers: { help: "Connections that have not said hello.", value: strangers },
		readers: { help: "Connections that listen.", value: () => counts.listening },
		readers_slowed: { help: "Devices that read mail a third time, and wait.", value: slowed },
		mailboxes: { help: "Mailboxes at work.", value: () => router.count },
		handles: { help: "Handles open for sending.", value: () => router.handles },
		tabs: { help: "Tabs in memory.", value: () => tabs.count },
		tags: { help: "Tags in memory.", value: () => tags.count },
		till_rows: { help: "Tabs in the till.", value: () => till.rows.size },
		pending_bytes: { help: "Bytes on their way to the disk.", value: () => store.pendingBytes },
		mails: { help: "Mails on the disk.", value: () => store.kept.messages },
		mail_bytes: { help: "What kept mail takes of the disk.", value: () => operator.diskBytes },
		traffic_month_bytes: {
			help: "What passed the sockets this month (UTC), both ways.",
			value: () => traffic.usedBytes,
		},
		unredeemed_nanos: { help: "Earned and not yet paid.", value: () => Number(tabs.unredeemedNanos) },
		closed: {
			help: "1 while nothing new, or nothing to be kept, is taken.",
			value: () => Number(!!(gate.sends ?? gate.keeps)),
		},
		draining: { help: "1 while the relay stops.", value: () => Number(health.now().state === "draining") },
	};
}
