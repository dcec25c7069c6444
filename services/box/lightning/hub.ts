/** The made-up Lightning network of a box: a chain, three nodes and the channels between them. It goes on where its file says. */

import { join } from "node:path";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import { problemOfDatabase } from "#host/database";
import type { Log } from "#host/log";
import { type Chain, openChain } from "./chain.ts";
import { genesisHash, held, loadLdk } from "./ldk.ts";
import { bytes32, type Node, type NodeEvent, openNode } from "./node.ts";
import { NETWORK, type NodeName, openStore, type Store } from "./store.ts";
import { makeTurns, type Turns } from "./turn.ts";
import { makeWallet, type Wallet } from "./wallet.ts";

/** What a hub is made of. */
export type HubDeps = {
	/** the folder of its one file */
	readonly data: string;
	readonly clock: Clock;
	readonly log: Log;
	readonly random: (count: number) => Uint8Array;
	/** must be `regtest`: said by whoever opens a hub, so that nobody opens one by mistake */
	readonly network: string;
};

/** A hub that is up. */
export interface Hub {
	readonly wallets: Readonly<Record<NodeName, Wallet>>;
	/** what the market's channels were opened with: the box's coins, and nobody's balance */
	readonly stakeMsat: bigint;
	/** Whether every channel can be used; connects anew where a connection was lost. */
	ready(): Promise<boolean>;
	/** Calls back with an invoice's hash or the id of a payment out, after something changed with it. */
	onChange(name: NodeName, changed: (reference: string) => void): () => void;
	stop(): Promise<void>;
}

const NAMES: readonly NodeName[] = ["market", "payer", "operator"];

/** Who opens a channel to whom: money comes in over the first and goes out over the second. */
const CHANNELS: readonly (readonly [NodeName, NodeName])[] = [
	["payer", "market"],
	["market", "operator"],
];
/** A channel as large as they may be without further words, with some of it at the far end: it can be paid both ways. */
const CHANNEL_SATS = 16_000_000n;
const FAR_MSAT = 4_000_000_000n;

/** Blocks mined before anything else: each makes a coin. */
const FIRST_BLOCKS = 6;
/** LDK reads the time from the newest block, and invoices are dated by it. */
const BLOCK_AGE_MS = 20_000;
/** What LDK does about once a minute: it forgets what is over. */
const TICK_MS = 60_000;
/** How long the nodes may take for a handshake or a channel; it is a tenth of a second. */
const READY_MS = 10_000;
/** How often that is tried: once for each channel, and again for what a kill left half opened. */
const TRIES = 6;

/** Opens the hub; a problem when its file is not what it should be, or another network is asked for. */
export async function openHub(deps: HubDeps): Promise<Hub | Problem> {
	if (deps.network !== NETWORK)
		return problem("usage", `The embedded Lightning nodes are for ${NETWORK} alone; they cannot hold real money.`);
	await loadLdk();
	const genesis = genesisHash();
	const store = openStore(join(deps.data, "lightning.db"), genesis);
	if (isProblem(store)) return store;
	let hub: ReturnType<typeof put> | undefined;
	try {
		hub = put(deps, store, genesis);
		const ports = await Promise.all(hub.nodes.map(async ([name, node]) => [name, await node.wire.listen()] as const));
		hub.open(new Map(ports));
		if (await hub.ready()) return hub.begin();
		await hub.stop();
		return problem("unavailable", "The embedded Lightning nodes did not open their channels in time.");
	} catch (error) {
		if (hub) await hub.stop();
		else store.close();
		const known = problemOfDatabase(error, deps.data);
		if (known) return known;
		throw error;
	}
}

function put({ clock, log, random }: HubDeps, store: Store, genesis: Uint8Array) {
	const nodes = new Map<NodeName, Node>();
	const wallets = {} as Record<NodeName, Wallet>;
	const listeners: Record<NodeName, Set<(reference: string) => void>> = {
		market: new Set(),
		payer: new Set(),
		operator: new Set(),
	};
	let ports: ReadonlyMap<NodeName, number> = new Map();
	const all = () => [...nodes.values()];
	const node = (name: NodeName): Node => nodes.get(name) as Node;
	const turns: Turns = makeTurns({
		clock,
		store,
		round: () => all().reduce((more, one) => one.round() || more, false),
		keep: () => {
			for (const one of all()) one.keep();
		},
		died: (error) => log.error({ err: error }, "the embedded Lightning nodes stopped; start again"),
	});

	store.begin();
	const chain: Chain = openChain(genesis, store.chain);
	turns.take(() => {
		for (const name of NAMES) {
			const kept = store.node(name, () => random(32));
			const happened = (event: NodeEvent) => wallets[name].happened(event);
			nodes.set(
				name,
				openNode({
					name,
					store: kept,
					chain,
					turns,
					log,
					nowMs: clock.nowMs(),
					random: () => random(32),
					happened,
				}),
			);
			const changed = (reference: string) => {
				for (const listener of listeners[name]) listener(reference);
			};
			wallets[name] = makeWallet({ node: node(name), store: kept, turns, clock, refresh, changed });
		}
		for (let left = chain.height === 0 ? FIRST_BLOCKS : 1; left > 0; left--) mine();
	});
	const stopTicking = clock.every(TICK_MS, () => {
		try {
			turns.take(() => {
				for (const one of all()) one.manager.timer_tick_occurred();
			});
		} catch {
			stopTicking();
		}
	});

	function mine(): void {
		const block = chain.mine(clock.nowMs());
		for (const one of all()) one.see(block);
	}

	function refresh(): void {
		if (clock.nowMs() - chain.timeS * 1000 > BLOCK_AGE_MS) mine();
	}

	const isUsable = ([from, to]: readonly [NodeName, NodeName]) =>
		[node(from).manager.list_usable_channels(), node(to).manager.list_usable_channels()].every((channels, side) => {
			const peer = node(side === 0 ? to : from).id;
			return channels.some((channel) => toHex(channel.get_counterparty().get_node_id()) === peer);
		});

	async function connect([from, to]: readonly [NodeName, NodeName]): Promise<void> {
		if (turns.take(() => node(from).isConnected(node(to).id))) return;
		await node(from).wire.connect(bytes32(node(to).id), ports.get(to) as number);
		await turns.until(() => node(from).isConnected(node(to).id) && node(to).isConnected(node(from).id), READY_MS);
	}

	/** What a process left that was killed while a channel was being opened: one end knows it and says goodbye, and with that the connection is gone too. */
	const isLost = ([from, to]: readonly [NodeName, NodeName]): boolean => {
		const { manager } = node(from);
		return (
			!node(from).isConnected(node(to).id) || manager.list_channels_with_counterparty(bytes32(node(to).id)).length === 0
		);
	};

	async function ready(): Promise<boolean> {
		if (turns.take(() => CHANNELS.every(isUsable))) return true;
		for (let left = TRIES; left > 0; left--) {
			await Promise.all(CHANNELS.map(connect));
			const opened = turns.take(() =>
				CHANNELS.filter(([from, to]) => {
					const peer = bytes32(node(to).id);
					const { manager } = node(from);
					if (manager.list_channels_with_counterparty(peer).length > 0) return false;
					held(manager.create_channel(peer, CHANNEL_SATS, FAR_MSAT, 1n, null, null), "opening a channel");
					return true;
				}),
			);
			if (opened.length > 0) await turns.until(() => chain.waiting > 0 || CHANNELS.some(isLost), READY_MS);
			// what waits may be the end of a channel that was half opened, and the new one's beginning comes after it
			if (chain.waiting > 0) turns.take(mine);
			await turns.until(() => CHANNELS.every(isUsable) || CHANNELS.some(isLost) || chain.waiting > 0, READY_MS);
			if (turns.take(() => CHANNELS.every(isUsable))) return true;
		}
		return false;
	}

	async function stop(): Promise<void> {
		stopTicking();
		turns.end();
		await Promise.all(all().map(({ wire }) => wire.close()));
		store.close();
	}

	return {
		ready,
		stop,
		begin: (): Hub => ({
			wallets,
			stakeMsat: turns.take(() => store.stake(() => wallets.market.balance().outMsat)),
			ready,
			onChange(name, changed) {
				listeners[name].add(changed);
				return () => listeners[name].delete(changed);
			},
			stop,
		}),
		nodes: [...nodes],
		open(found: ReadonlyMap<NodeName, number>) {
			ports = found;
			if (chain.waiting > 0) turns.take(mine);
		},
	};
}
