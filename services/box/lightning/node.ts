/** One Lightning node: the parts of LDK put together on our chain, store and turns. It says what happened as plain values and knows no invoices' purposes. */

import * as ldk from "lightningdevkit";
import { fromHex, toHex } from "#contracts/bytes";
import type { Log } from "#host/log";
import { type Block, type Chain, HEADER_BYTES } from "./chain.ts";
import { channelOf, held, loggerOf, settingsOf } from "./ldk.ts";
import type { NodeStore } from "./store.ts";
import type { Turns } from "./turn.ts";
import { makeWire, type Wire } from "./wire.ts";

/** What happened to a payment; hashes and preimages in hex. */
export type NodeEvent =
	/** it is here and can be taken by its preimage, or refused */
	| { readonly kind: "claimable"; readonly hash: string; readonly preimage: string | undefined }
	| { readonly kind: "claimed"; readonly hash: string; readonly msat: bigint }
	| { readonly kind: "sent"; readonly hash: string; readonly feeMsat: bigint; readonly preimage: string }
	| { readonly kind: "failed"; readonly hash: string; readonly why: string };

/** A node. All but `wire` is to be used in a turn. */
export interface Node {
	/** its public key in hex */
	readonly id: string;
	readonly manager: ldk.ChannelManager;
	readonly wire: Wire;
	/** Sends what is to be said, and takes what happened; false when nothing did. */
	round(): boolean;
	/** Hands the store what changed. */
	keep(): void;
	see(block: Block): void;
	isConnected(peer: string): boolean;
}

/** What a node is made of. */
export type NodeDeps = {
	readonly name: string;
	readonly store: NodeStore;
	readonly chain: Chain;
	readonly turns: Turns;
	readonly log: Log;
	readonly nowMs: number;
	readonly random: () => Uint8Array;
	/** told in a turn */
	readonly happened: (event: NodeEvent) => void;
};

/** What a block costs where nobody else wants one, in satoshi for 1,000 units of weight: the least that LDK takes. */
const SATS_PER_1000_WEIGHT = 253;

/** Makes a node anew, or as its store has it. To be called in a turn. */
export function openNode({ name, store, chain, turns, log, nowMs, random, happened }: NodeDeps): Node {
	const fees = ldk.FeeEstimator.new_impl({ get_est_sat_per_1000_weight: () => SATS_PER_1000_WEIGHT });
	const logger = loggerOf(log, name);
	const broadcaster = ldk.BroadcasterInterface.new_impl({
		broadcast_transactions: (transactions) => transactions.forEach((one) => void chain.broadcast(one)),
	});
	const keepMonitor = (funding: ldk.OutPoint, update: ldk.ChannelMonitorUpdate | null, monitor: ldk.ChannelMonitor) => {
		const channel = channelOf(funding);
		// an update of nothing stands for a change by the chain, which has no form of its own
		const small = update !== null && (update as unknown as { ptr: bigint }).ptr !== 0n;
		if (!small || !store.putUpdate(channel, update.write())) store.putWhole(channel, monitor.write());
		return ldk.ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed;
	};
	const persister = ldk.Persist.new_impl({
		persist_new_channel: (funding, monitor) => keepMonitor(funding, null, monitor),
		update_persisted_channel: keepMonitor,
		archive_persisted_channel: (funding) => store.dropMonitor(channelOf(funding)),
	});
	const filter = ldk.Option_FilterZ.constructor_none();
	const monitors = ldk.ChainMonitor.constructor_new(filter, broadcaster, logger, fees, persister);
	const watch = monitors.as_Watch();
	const seconds = Math.floor(nowMs / 1000);
	const keys = ldk.KeysManager.constructor_new(store.seed, BigInt(seconds), (nowMs % 1000) * 1_000_000);
	const [entropy, signer] = [keys.as_EntropySource(), keys.as_NodeSigner()];
	const graph = ldk.NetworkGraph.constructor_new(ldk.Network.LDKNetwork_Regtest, logger);
	const decay = ldk.ProbabilisticScoringDecayParameters.constructor_default();
	const score = ldk.MultiThreadedLockableScore.constructor_new(
		ldk.ProbabilisticScorer.constructor_new(decay, graph, logger).as_Score(),
	);
	const scoring = ldk.ProbabilisticScoringFeeParameters.constructor_default();
	const router = ldk.DefaultRouter.constructor_new(graph, logger, entropy, score.as_LockableScore(), scoring);
	const onionRouter = ldk.DefaultMessageRouter.constructor_new(graph, entropy);
	const settings = settingsOf();

	const manager = store.manager ? load(store.manager) : begin();
	const [managerEvents, monitorEvents] = [manager.as_EventsProvider(), monitors.as_EventsProvider()];
	const listeners = [manager.as_Listen(), monitors.as_Listen()];

	const ignoring = ldk.IgnoringMessageHandler.constructor_new();
	const gossip = ldk.P2PGossipSync.constructor_new(graph, ldk.Option_UtxoLookupZ.constructor_none(), logger);
	const peers = ldk.PeerManager.constructor_new(
		manager.as_ChannelMessageHandler(),
		gossip.as_RoutingMessageHandler(),
		ignoring.as_OnionMessageHandler(),
		ignoring.as_CustomMessageHandler(),
		seconds,
		random(),
		logger,
		signer,
	);

	// the library must not be called from its own callback: what it says is put aside until it has returned
	let said: ldk.Event[] = [];
	const handler = ldk.EventHandler.new_impl({
		handle_event(event) {
			said.push(event);
			return ldk.Result_NoneReplayEventZ.constructor_ok();
		},
	});
	// ... and it holds what it calls back only weakly: all of it must stay reachable as long as the node
	const kept = [fees, logger, broadcaster, persister, keys, graph, score, router, onionRouter, ignoring, gossip];

	return {
		id: toHex(manager.get_our_node_id()),
		manager,
		wire: makeWire(peers, turns),
		round() {
			if (kept.length === 0) throw new Error("parts of a node are gone");
			peers.process_events();
			managerEvents.process_pending_events(handler);
			monitorEvents.process_pending_events(handler);
			const events = said;
			said = [];
			for (const event of events) take(event);
			return events.length > 0;
		},
		keep() {
			if (manager.get_and_clear_needs_persistence()) store.putManager(manager.write());
		},
		see(block) {
			for (const listener of listeners) listener.block_connected(block.bytes, block.height);
		},
		isConnected: (peer) => peers.list_peers().some((one) => toHex(one.get_counterparty_node_id()) === peer),
	};

	/** A new node, from the newest block on. */
	function begin(): ldk.ChannelManager {
		const best = ldk.BestBlock.constructor_new(chain.tip, chain.height);
		const parameters = ldk.ChainParameters.constructor_new(ldk.Network.LDKNetwork_Regtest, best);
		const made = ldk.ChannelManager.constructor_new(
			fees,
			watch,
			broadcaster,
			router.as_Router(),
			onionRouter.as_MessageRouter(),
			logger,
			entropy,
			signer,
			keys.as_SignerProvider(),
			settings,
			parameters,
			seconds,
		);
		store.putManager(made.write());
		return made;
	}

	/** The node as it was, told of the blocks that it has not seen. */
	function load(bytes: Uint8Array): ldk.ChannelManager {
		const signers = keys.as_SignerProvider();
		const found = store.monitors().map(({ whole, updates }) => {
			const read = ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelMonitorZ_read(whole, entropy, signers);
			const monitor = held<ldk.TwoTuple_ThirtyTwoBytesChannelMonitorZ>(read, "reading a monitor").get_b();
			for (const update of updates) {
				const one = held<ldk.ChannelMonitorUpdate>(ldk.ChannelMonitorUpdate.constructor_read(update), "an update");
				held(monitor.update_monitor(one, broadcaster, fees, logger), "bringing a monitor up to date");
			}
			return monitor;
		});
		const read = ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelManagerZ_read(
			bytes,
			entropy,
			signer,
			signers,
			fees,
			watch,
			broadcaster,
			router.as_Router(),
			onionRouter.as_MessageRouter(),
			logger,
			settings,
			found,
		);
		const was = held<ldk.TwoTuple_ThirtyTwoBytesChannelManagerZ>(read, "reading a node").get_b();
		for (const block of chain.blocks(was.current_best_block().get_height() + 1))
			was.as_Listen().block_connected(block.bytes, block.height);
		for (const monitor of found) {
			for (const block of chain.blocks(monitor.current_best_block().get_height() + 1)) {
				const places = block.transactions.map((one, place) =>
					ldk.TwoTuple_usizeTransactionZ.constructor_new(place, one),
				);
				const header = block.bytes.subarray(0, HEADER_BYTES);
				monitor.block_connected(header, places, block.height, broadcaster, fees, logger);
			}
			held(watch.watch_channel(monitor.get_funding_txo().get_a(), monitor), "watching a channel");
		}
		return was;
	}

	function take(event: ldk.Event): void {
		if (event instanceof ldk.Event_FundingGenerationReady) {
			const funding = chain.fund([{ sats: event.channel_value_satoshis, script: event.output_script }]);
			const { temporary_channel_id: id, counterparty_node_id: peer } = event;
			held(manager.funding_transaction_generated(id, peer, funding), "funding a channel");
		} else if (event instanceof ldk.Event_PendingHTLCsForwardable) {
			manager.process_pending_htlc_forwards();
		} else if (event instanceof ldk.Event_PaymentClaimable) {
			const { purpose } = event;
			const known = purpose instanceof ldk.PaymentPurpose_Bolt11InvoicePayment ? purpose.payment_preimage : undefined;
			const preimage = known instanceof ldk.Option_ThirtyTwoBytesZ_Some ? toHex(known.some) : undefined;
			happened({ kind: "claimable", hash: toHex(event.payment_hash), preimage });
		} else if (event instanceof ldk.Event_PaymentClaimed) {
			happened({ kind: "claimed", hash: toHex(event.payment_hash), msat: event.amount_msat });
		} else if (event instanceof ldk.Event_PaymentSent) {
			const { fee_paid_msat: fee } = event;
			const feeMsat = fee instanceof ldk.Option_u64Z_Some ? fee.some : 0n;
			happened({ kind: "sent", hash: toHex(event.payment_hash), feeMsat, preimage: toHex(event.payment_preimage) });
		} else if (event instanceof ldk.Event_PaymentFailed) {
			const { reason } = event;
			const why = reason instanceof ldk.Option_PaymentFailureReasonZ_Some ? ldk.PaymentFailureReason[reason.some] : "";
			// payments are sent under their hash
			happened({ kind: "failed", hash: toHex(event.payment_id), why: why ?? "" });
		}
	}
}

/** A hash or key from hex; what is asked with it came from this process. */
export function bytes32(hex: string): Uint8Array {
	const bytes = fromHex(hex, hex.length / 2);
	if (!bytes) throw new Error("not hex");
	return bytes;
}
