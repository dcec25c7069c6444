/** Every peer that is measured beside our relay, in the order in which they are told. */
import { coturn } from "./coturn.ts";
import { derper } from "./derper.ts";
import { irohRelay } from "./iroh-relay.ts";
import { mosquitto } from "./mosquitto.ts";
import { nats } from "./nats.ts";
import type { Peer, Running } from "./peer.ts";
import { uws } from "./uws.ts";

export const PEERS: readonly Peer[] = [uws, nats, mosquitto, coturn, derper, irohRelay];

export type Started = { readonly peer: Peer; readonly running: Running };

/** Starts those that can be had here in a time; for each of the others, why it cannot. */
export async function startPeers(buildMsMax: number, peers: readonly Peer[] = PEERS) {
	const started: Started[] = [];
	const notMeasured: { peer: string; why: string }[] = [];
	for (const peer of peers) {
		try {
			started.push({ peer, running: await peer.start(buildMsMax) });
		} catch (error) {
			notMeasured.push({ peer: peer.name, why: error instanceof Error ? error.message : String(error) });
		}
	}
	return { started, notMeasured };
}
