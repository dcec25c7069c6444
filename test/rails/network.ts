/**
 * A Lightning network of its own for a test: btcd on a simulated chain and LND nodes in a row, the market's first, each open to the next with money
 * on both sides. All of it on loopback, in one temporary folder; what was started is ended by its id.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, fetch } from "undici";
import { type Json, LndNode } from "#test/support/lnd/node";

/** The longest that starting, mining and opening channels may take on a busy machine. */
const STEP_MS_MAX = 120_000;

/** The simulated chain knows segregated witness only after some hundred blocks; coins can be spent after a hundred more. */
const BLOCKS = 450;

/** A channel's size, and what the other side has of it at first. */
const CHANNEL_SAT = 5_000_000;
const PUSHED_SAT = 2_000_000;

type Running = { readonly child: ChildProcess; readonly ended: Promise<void> };

/** A node that can be stopped and started again. */
export type Member = {
	readonly name: string;
	readonly lnd: LndNode;
	/** as a machine that loses its power */
	kill(): Promise<void>;
	/** Resolves when it is as far as that; a node with an empty chain never gets further than `RPC_ACTIVE`. */
	start(state?: "RPC_ACTIVE" | "SERVER_ACTIVE"): Promise<void>;
};

/** Asks until it is so; the last reason is told when it never is. */
export async function until(what: string, so: () => Promise<boolean>, msMax = STEP_MS_MAX): Promise<void> {
	const end = performance.now() + msMax;
	let why: unknown;
	for (;;) {
		try {
			if (await so()) return;
			why = undefined;
		} catch (error) {
			why = error;
		}
		if (performance.now() > end)
			throw new Error(`not within ${msMax} ms: ${what}${why ? ` (${(why as Error).message})` : ""}`);
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as { port: number };
	await new Promise((resolve) => server.close(resolve));
	return port;
}

export class Network {
	readonly members: Member[] = [];
	private readonly running = new Set<Running>();
	private readonly rpc = { port: 0, user: "test", password: randomBytes(16).toString("hex") };
	private readonly programs: string;
	private readonly folder: string;
	private chain: Running | undefined;
	private agent: Agent | undefined;

	private constructor(programs: string, folder: string) {
		this.programs = programs;
		this.folder = folder;
	}

	/** Starts everything; `programs` is the folder that has `btcd` and `lnd`. */
	static async open(programs: string, names: readonly string[]): Promise<Network> {
		const network = new Network(programs, await mkdtemp(join(tmpdir(), "farelay-rails-")));
		try {
			await network.build(names);
			return network;
		} catch (error) {
			await network.close();
			throw error;
		}
	}

	async mine(blocks: number): Promise<void> {
		await this.ask("generate", [blocks]);
	}

	async close(): Promise<void> {
		for (const { lnd } of this.members) await lnd.close();
		await Promise.all([...this.running].map((each) => this.end(each, "SIGKILL")));
		await this.agent?.destroy();
		await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
	}

	private async build(names: readonly string[]): Promise<void> {
		this.rpc.port = await freePort();
		await this.startChain();
		for (const name of names) this.members.push(await this.member(name));
		// who mines is told to btcd when it starts, so the first node is asked for an address before
		const [first] = this.members;
		assert.ok(first);
		await first.start("RPC_ACTIVE");
		const { address } = await first.lnd.call("/v1/newaddress");
		await first.kill();
		assert.ok(this.chain);
		await this.end(this.chain, "SIGTERM");
		await this.startChain(String(address));
		await this.mine(BLOCKS);
		// a chain without a fresh block is one that LND waits for
		await Promise.all(this.members.map((each) => each.start()));
		await this.synced();
		for (const { lnd } of this.members.slice(1)) {
			const { address: to } = await lnd.call("/v1/newaddress");
			await first.lnd.call("/v1/transactions", { addr: to, amount: String(CHANNEL_SAT * 2) });
		}
		await this.mine(3);
		await this.synced();
		for (const [i, from] of this.members.slice(0, -1).entries()) {
			const to = this.members[i + 1];
			assert.ok(to);
			const { identity_pubkey } = await to.lnd.call("/v1/getinfo");
			const { uris } = await to.lnd.call("/v1/getinfo");
			const host = String((uris as string[])[0]).split("@")[1];
			await from.lnd.call("/v1/peers", { addr: { pubkey: identity_pubkey, host }, perm: true });
			// a peer counts as there a moment after it was connected
			await until("the channel is begun", async () => {
				await from.lnd.call("/v1/channels", {
					node_pubkey: Buffer.from(String(identity_pubkey), "hex").toString("base64"),
					local_funding_amount: String(CHANNEL_SAT),
					push_sat: String(PUSHED_SAT),
				});
				return true;
			});
			await this.mine(6);
			await until("the channel is active", async () => {
				const { channels } = await from.lnd.call("/v1/channels?active_only=true");
				return (channels as Json[]).some((each) => each.remote_pubkey === identity_pubkey);
			});
		}
		await this.synced();
		// everybody knows every way, in both directions, before anything is paid
		await until("all channels are known to all", async () => {
			for (const { lnd } of this.members) {
				const { edges } = await lnd.call("/v1/graph");
				const known = (edges as Json[]).filter((each) => each.node1_policy && each.node2_policy);
				if (known.length < this.members.length - 1) return false;
			}
			return true;
		});
	}

	private async synced(): Promise<void> {
		const height = Number(await this.ask("getblockcount", []));
		for (const { lnd } of this.members)
			await until("caught up with the chain", async () => {
				const info = await lnd.call("/v1/getinfo");
				return info.synced_to_chain === true && info.block_height === height;
			});
	}

	private async startChain(miningAddress?: string): Promise<void> {
		const folder = join(this.folder, "btcd");
		await mkdir(folder, { recursive: true });
		const config = join(folder, "btcd.conf");
		const lines = [
			"[Application Options]",
			"simnet=1",
			"txindex=1",
			"nodnsseed=1",
			"nolisten=1",
			`datadir=${join(folder, "data")}`,
			`logdir=${join(folder, "logs")}`,
			`rpccert=${join(folder, "rpc.cert")}`,
			`rpckey=${join(folder, "rpc.key")}`,
			`rpclisten=127.0.0.1:${this.rpc.port}`,
			`rpcuser=${this.rpc.user}`,
			`rpcpass=${this.rpc.password}`,
			...(miningAddress ? [`miningaddr=${miningAddress}`] : []),
		];
		await writeFile(config, lines.join("\n"), { mode: 0o600 });
		this.chain = this.run(join(this.programs, "btcd"), [`--configfile=${config}`], join(folder, "out"));
		await until("btcd has its certificate", async () => existsSync(join(folder, "rpc.cert")));
		await this.agent?.destroy();
		this.agent = new Agent({ headersTimeout: 0, connect: { ca: readFileSync(join(folder, "rpc.cert")) } });
		await until("btcd answers", async () => Number(await this.ask("getblockcount", [])) >= 0);
	}

	private async ask(method: string, params: unknown[]): Promise<unknown> {
		assert.ok(this.agent);
		const { user, password, port } = this.rpc;
		const response = await fetch(`https://127.0.0.1:${port}`, {
			method: "POST",
			dispatcher: this.agent,
			headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` },
			body: JSON.stringify({ jsonrpc: "1.0", id: 1, method, params }),
		});
		const { result, error } = (await response.json()) as { result: unknown; error: unknown };
		if (error) throw new Error(`btcd: ${method}: ${JSON.stringify(error)}`);
		return result;
	}

	private async member(name: string): Promise<Member> {
		const folder = join(this.folder, name);
		await mkdir(folder, { recursive: true });
		const [listen, rest, grpc] = [await freePort(), await freePort(), await freePort()];
		const config = join(folder, "lnd.conf");
		const lines = [
			"[Application Options]",
			"noseedbackup=1",
			"nobootstrap=1",
			"debuglevel=info",
			`listen=127.0.0.1:${listen}`,
			`externalip=127.0.0.1:${listen}`,
			`rpclisten=127.0.0.1:${grpc}`,
			`restlisten=127.0.0.1:${rest}`,
			`alias=${name}`,
			"trickledelay=50",
			"[Bitcoin]",
			"bitcoin.simnet=1",
			"bitcoin.node=btcd",
			"bitcoin.defaultchanconfs=1",
			"[btcd]",
			`btcd.rpchost=127.0.0.1:${this.rpc.port}`,
			`btcd.rpcuser=${this.rpc.user}`,
			`btcd.rpcpass=${this.rpc.password}`,
			`btcd.rpccert=${join(this.folder, "btcd", "rpc.cert")}`,
		];
		await writeFile(config, lines.join("\n"), { mode: 0o600 });
		const macaroon = join(folder, "data", "chain", "bitcoin", "simnet", "admin.macaroon");
		const certificate = join(folder, "tls.cert");
		let running: Running | undefined;
		let lnd: LndNode | undefined;
		const out = join(folder, "out");
		return {
			name,
			get lnd() {
				assert.ok(lnd, `${name} was not started`);
				return lnd;
			},
			kill: async () => {
				if (running) await this.end(running, "SIGKILL");
				running = undefined;
			},
			start: async (wanted = "SERVER_ACTIVE") => {
				running = this.run(join(this.programs, "lnd"), [`--lnddir=${folder}`, `--configfile=${config}`], out);
				await until(`${name} has its files`, async () => existsSync(macaroon) && existsSync(certificate));
				await lnd?.close();
				const node = new LndNode(`https://127.0.0.1:${rest}`, macaroon, certificate);
				lnd = node;
				try {
					await until(`${name} is ready`, async () => {
						const { state } = await node.call("/v1/state");
						return state === wanted;
					});
				} catch (error) {
					const said = (await readFile(out, "utf8")).split("\n").slice(-5).join("\n");
					throw new Error(`${(error as Error).message}\n${said}`);
				}
			},
		};
	}

	private run(program: string, words: string[], out: string): Running {
		const child = spawn("sh", ["-c", 'exec "$0" "$@" >>"$OUT" 2>&1', program, ...words], {
			stdio: "ignore",
			env: { PATH: process.env.PATH, HOME: this.folder, OUT: out },
		});
		const running = {
			child,
			ended: new Promise<void>((resolve) => child.once("exit", () => resolve())),
		};
		this.running.add(running);
		void running.ended.then(() => this.running.delete(running));
		return running;
	}

	private async end(running: Running, signal: NodeJS.Signals): Promise<void> {
		running.child.kill(signal);
		await running.ended;
	}
}
