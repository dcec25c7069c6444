/** The library, loaded: one WASM instance serves every node of the process, and its first load takes about a second. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as ldk from "lightningdevkit";
import { toHex } from "#contracts/bytes";
import type { Log } from "#host/log";

let loading: Promise<void> | undefined;

/** Loads the library once. */
export function loadLdk(): Promise<void> {
	loading ??= load();
	return loading;
}

async function load(): Promise<void> {
	const bytes = await readFile(fileURLToPath(import.meta.resolve("lightningdevkit/liblightningjs.wasm")));
	// it greets on standard output, which belongs to whoever asked for JSON
	const { log } = console;
	console.log = () => {};
	try {
		await ldk.initializeWasmFromBinary(bytes);
	} finally {
		console.log = log;
	}
}

/** The hash of regtest's own first block. */
export const genesisHash = (): Uint8Array =>
	ldk.BestBlock.constructor_from_network(ldk.Network.LDKNetwork_Regtest).get_block_hash();

/** What a result holds; throws when it holds an error, which would be a bug here. */
export function held<T>(result: { is_ok(): boolean }, what: string): T {
	const { res, err } = result as { res?: T; err?: unknown };
	if (!result.is_ok()) throw new Error(`${what} failed: ${err instanceof Object ? err.constructor.name : String(err)}`);
	return res as T;
}

/** The library's log, where it reports what is wrong; what it narrates is left out. */
export const loggerOf = (log: Log, node: string): ldk.Logger =>
	ldk.Logger.new_impl({
		log(record) {
			if (record.get_level() < ldk.Level.LDKLevel_Error) return;
			log.warn({ node, at: record.get_module_path() }, record.get_args());
		},
	});

/** What a channel is kept under: the output that funds it. */
export const channelOf = (funding: ldk.OutPoint): string => `${toHex(funding.get_txid())}:${funding.get_index()}`;

/** Small payments that may be under way at once in a channel. */
const SMALL_MSAT_MAX = 1_000_000_000n;

/** Everything is settled a block deep; nobody else mines here. */
export function settingsOf(): ldk.UserConfig {
	const settings = ldk.UserConfig.constructor_default();
	const handshake = settings.get_channel_handshake_config();
	handshake.set_minimum_depth(1);
	handshake.set_max_inbound_htlc_value_in_flight_percent_of_channel(100);
	settings.set_channel_handshake_config(handshake);
	const channel = settings.get_channel_config();
	// payments below some 2,000 satoshi are not worth a transaction of their own, so few may be under way at once by LDK's own bound: here they are the rule
	channel.set_max_dust_htlc_exposure(ldk.MaxDustHTLCExposure.constructor_fixed_limit_msat(SMALL_MSAT_MAX));
	settings.set_channel_config(channel);
	return settings;
}
