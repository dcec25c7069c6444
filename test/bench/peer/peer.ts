/** What a benchmark asks of a peer: a server that forwards payloads between clients of its own protocol. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import type { Job } from "#test/bench/measure";

/** One way of driving a peer. */
export type Asked = {
	/** Bytes of a payload. */
	readonly size: number;
	/** Senders, each with a reader. */
	readonly pairs: number;
	/** Readers that a sender's payloads go to in turn: 1, or more where payloads that stand together are for several. */
	readonly recipients: number;
	/** Whether each sender has only one payload under way. */
	readonly lone: boolean;
	readonly warmMs: number;
	readonly measureMs: number;
};

/** What the generator is to do, the process that serves it, and how many of the peer's messages one payload takes. */
export type Told = { readonly pid: number; readonly job: Job; readonly slices: number; readonly note?: string };

/** A peer that runs, pinned to the server's core. */
export type Running = {
	/** As it tells it itself, or as it was pinned. */
	readonly version: string;
	tell(asked: Asked): Told;
	stop(): Promise<void>;
};

export type Peer = {
	readonly name: string;
	/** Whether its protocol lets payloads for several readers stand in one message, so that mixing them is a case of its own. */
	readonly gathers: boolean;
	/** Gets it if need be, building it for so long at most, and starts it; what fails is thrown with the command that failed. */
	start(buildMsMax: number): Promise<Running>;
};

/** The window of a sender that has one payload under way; else the generator's own. */
export const windowOf = (lone: boolean) => (lone ? { window: 1 } : {});

/** A port of the loopback that is free now, for a server that cannot choose one itself. */
export async function freePort(): Promise<number> {
	const probe = createServer().listen(0, "127.0.0.1");
	await once(probe, "listening");
	const { port } = probe.address() as AddressInfo;
	probe.close();
	await once(probe, "close");
	return port;
}

const STARTED_MS_MAX = 10_000;

/** Resolves when a server takes connections; rejects when it ends before, with the last of what it said. */
export async function listening(child: ChildProcess, port: number, command: string): Promise<void> {
	let said = "";
	for (const stream of [child.stdout, child.stderr])
		stream?.on("data", (text: Buffer) => {
			said = (said + text.toString()).slice(-300);
		});
	const until = performance.now() + STARTED_MS_MAX;
	for (;;) {
		if (child.exitCode !== null || child.signalCode !== null || performance.now() > until) {
			child.kill("SIGKILL");
			throw new Error(`${command}: did not listen: ${said.trim().split("\n").at(-1) ?? ""}`);
		}
		const socket = connect(port, "127.0.0.1");
		const open = await new Promise<boolean>((resolve) => {
			socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
		});
		socket.destroy();
		if (open) return;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

/** Ends a server and waits for it. */
export async function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const gone = once(child, "close");
	child.kill("SIGTERM");
	const late = setTimeout(() => child.kill("SIGKILL"), 3_000);
	await gone;
	clearTimeout(late);
}
