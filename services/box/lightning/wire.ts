/**
 * A node's connections: TCP on the loopback interface, encrypted as Lightning has it. What a node says in a turn leaves after the turn, when it is on the disk.
 * (`lightningdevkit-node-net` writes at once, has a timer for each node, and needs every installation to override its dependency.)
 */

import { type AddressInfo, createServer, type Server, Socket } from "node:net";
import * as ldk from "lightningdevkit";
import type { Turns } from "./turn.ts";

/** A node's connections. */
export interface Wire {
	/** Listens on a free port of this machine alone. */
	listen(): Promise<number>;
	/** Calls another node and begins the handshake. */
	connect(node: Uint8Array, port: number): Promise<void>;
	close(): Promise<void>;
}

/** Two peers, and a few strangers of this machine, who have no coins on this chain to open a channel with. */
const CONNECTIONS_MAX = 8;
/** Far beyond what nodes with one channel each say in a turn: a peer that reads nothing for so long is gone. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;
const HOST = "127.0.0.1";

/** Makes a node's connections. */
export function makeWire(peers: ldk.PeerManager, turns: Turns): Wire {
	const sockets = new Set<Socket>();
	// the library holds what it calls back only weakly
	const kept = new Map<Socket, ldk.SocketDescriptor>();
	let server: Server | undefined;
	let count = 0n;
	let closing = false;

	function descriptorOf(socket: Socket): ldk.SocketDescriptor {
		const number = count++;
		let unsent: Uint8Array[] = [];
		socket.setNoDelay(true);
		const send = (): void => {
			const bytes = Buffer.concat(unsent);
			unsent = [];
			if (socket.writableLength + bytes.length > UNSENT_BYTES_MAX) socket.destroy();
			else if (!socket.destroyed) socket.write(bytes);
		};
		const descriptor = ldk.SocketDescriptor.new_impl({
			send_data(data, resumeRead) {
				if (data.length > 0 && unsent.push(data) === 1) turns.after(send);
				if (resumeRead) turns.after(() => socket.resume());
				return data.length;
			},
			disconnect_socket: () => turns.after(() => socket.destroy()),
			eq: (other) => other.hash() === number,
			hash: () => number,
		});
		sockets.add(socket);
		kept.set(socket, descriptor);
		// what ends a socket is told by "close", which follows
		socket.on("error", () => {});
		socket.on("close", () => {
			sockets.delete(socket);
			if (!closing) attempt(() => peers.socket_disconnected(descriptor));
			kept.delete(socket);
		});
		socket.on("data", (data: Buffer) => {
			const read = attempt(() => peers.read_event(descriptor, data));
			if (!read?.is_ok()) socket.destroy();
			else if (read instanceof ldk.Result_boolPeerHandleErrorZ_OK && read.res) socket.pause();
		});
		return descriptor;
	}

	/** A turn for what a socket brought; nodes that have died are told nothing. */
	function attempt<T>(work: () => T): T | undefined {
		try {
			return turns.take(work);
		} catch {
			return undefined;
		}
	}

	const noAddress = ldk.Option_SocketAddressZ.constructor_none();
	return {
		async listen() {
			const opened = createServer((socket) => {
				const descriptor = descriptorOf(socket);
				if (!attempt(() => peers.new_inbound_connection(descriptor, noAddress))?.is_ok()) socket.destroy();
			});
			server = opened;
			opened.maxConnections = CONNECTIONS_MAX;
			const { promise, resolve, reject } = Promise.withResolvers<void>();
			opened.once("error", reject);
			opened.listen(0, HOST, resolve);
			await promise;
			return (opened.address() as AddressInfo).port;
		},
		async connect(node, port) {
			const socket = new Socket();
			const { promise, resolve, reject } = Promise.withResolvers<void>();
			socket.once("error", reject);
			socket.connect(port, HOST, resolve);
			await promise;
			const descriptor = descriptorOf(socket);
			const first = turns.take(() => peers.new_outbound_connection(node, descriptor, noAddress));
			if (first instanceof ldk.Result_CVec_u8ZPeerHandleErrorZ_OK) socket.write(first.res);
			else socket.destroy();
		},
		async close() {
			closing = true;
			for (const socket of sockets) socket.destroy();
			await new Promise<void>((done) => (server ? server.close(() => done()) : done()));
		},
	};
}
