/** The reading half of a session: which mailboxes it listens on, and its acknowledgements (PROTOCOL.md, "Reading"; threats 11 and 23). */

import { fromHex, toHex } from "#contracts/bytes";
import { readListen, readRangesBody, readWindow, type Window, writeListening, writeProblem } from "#contracts/control";
import { type KnownDevice, readForget, verifyForget, writeDevices } from "#contracts/device";
import { FRAME } from "#contracts/frame";
import { verifyListen } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { type ProblemCode, problem } from "#contracts/problem";
import type { Mailbox } from "#relay/mailbox/mailbox";
import type { Known } from "#relay/mailbox/store";
import type { RelayParts } from "#relay/parts";
import { shardWrong } from "./hello.ts";
import type { Outbox } from "./outbox.ts";
import { Reader } from "./reader.ts";

/** What is kept of a hello: every listen is bound to both. A relay has many that wait, so nothing else is. */
export type Greeted = { readonly session: Uint8Array; readonly helloHash: Uint8Array };

/** Reading of one connection. */
export class Listening {
	private readonly parts: RelayParts;
	private readonly outbox: Outbox;
	private readonly address: string;
	private reader: Reader | undefined;
	private window: Window | undefined;
	private ended = false;

	constructor(parts: RelayParts, outbox: Outbox, address: string) {
		this.parts = parts;
		this.outbox = outbox;
		this.address = address;
	}

	/** Takes a listen frame's body; "malformed" when it is none. Resolves when the mailbox is the session's, or refused. */
	listen(body: Uint8Array, greeted: Greeted): "malformed" | Promise<void> | undefined {
		const { crypto, relay, owns } = this.parts;
		const listen = readListen(body);
		if (!listen) return "malformed";
		const { handle, mailbox, device, tokenHash, signature } = listen;
		if (!owns(mailbox)) {
			const { problem: code, detail } = shardWrong(mailbox);
			return this.refuse(code, detail);
		}
		const scope = { relay: relay.publicKey, ...greeted, mailbox, device, tokenHash };
		if (!verifyListen(crypto, scope, signature))
			return this.refuse("signature-bad", "The mailbox's key did not sign this listen.");
		const id = toHex(mailbox);
		const others = [...(this.reader?.mailboxes.values() ?? [])].filter((other) => other.id !== id);
		if (others.length >= LIMIT.listensMax) return this.refuse("too-many");
		const hash = tokenHash.some((byte) => byte !== 0) ? tokenHash : undefined;
		return this.attach(id, toHex(device), handle, hash);
	}

	/** Takes an ack frame's body; false when it is none. */
	ack(body: Uint8Array): boolean {
		const ranges = readRangesBody(body);
		if (!ranges || !this.reader) return ranges !== undefined;
		this.reader.ack(ranges);
		// what one mailbox gave back another may use
		if (this.reader.mailboxes.size > 1) this.pump();
		return true;
	}

	/** Takes a window frame's body; false when it is none. It holds for all mailboxes of the connection, those to come too. */
	narrow(body: Uint8Array): boolean {
		const window = readWindow(body);
		if (!window) return false;
		this.window = window;
		this.reader?.narrow(window);
		this.pump();
		return true;
	}

	/** The socket took something, so there may be room again. */
	drained(): void {
		this.pump();
	}

	private pump(): void {
		if (this.reader) for (const mailbox of this.reader.mailboxes.values()) mailbox.pump();
	}

	/** The connection ended: what was not acknowledged goes to the disk. */
	end(): void {
		this.ended = true;
		const { reader } = this;
		if (!reader) return;
		for (const mailbox of reader.mailboxes.values()) mailbox.detach(reader);
		this.parts.router.readers.delete(reader);
		this.parts.counts.listening--;
		this.reader = undefined;
	}

	/** Takes a forget frame's body; "malformed" when it is none. Resolves when the device is given up, or it was refused. */
	forget(body: Uint8Array, greeted: Greeted): "malformed" | Promise<void> | undefined {
		const { crypto, relay } = this.parts;
		const forget = readForget(body);
		if (!forget) return "malformed";
		const { handle, device, signature } = forget;
		const mailbox = this.reader?.mailboxes.get(handle);
		if (!mailbox) return this.refuse("handle-unknown", "The handle is of no mailbox that this connection listens on.");
		const key = fromHex(mailbox.id) as Uint8Array;
		const scope = { relay: relay.publicKey, ...greeted, mailbox: key, device };
		if (!verifyForget(crypto, scope, signature))
			return this.refuse("signature-bad", "The mailbox's key did not sign that this device is given up.");
		return this.giveUp(mailbox, handle, toHex(device));
	}

	private async giveUp(mailbox: Mailbox, handle: number, device: string): Promise<void> {
		const left = await this.parts.store.forget(mailbox.id, device);
		if (left === "disk") return this.refuse(left);
		mailbox.forgotten(device);
		if (!this.ended) this.outbox.frame(writeDevices({ handle, devices: left.map(shown) }));
	}

	private async attach(id: string, device: string, handle: number, tokenHash: Uint8Array | undefined): Promise<void> {
		const { store, router, clock, newcomers, log } = this.parts;
		if (!store.state(id) && !newcomers.take(this.address))
			return this.refuse("too-many", "Too many mailboxes were made from this address; come back in an hour.");
		const visit = await store.visit(id, device, tokenHash, clock.nowMs(), router.find(id)?.present);
		const mailbox = typeof visit === "object" ? router.find(id) : undefined;
		// a device is registered even if its connection has ended since
		mailbox?.recount();
		if (this.ended) return;
		if (visit === "too-many" && store.state(id))
			return this.refuse(visit, "All devices that a mailbox can have are listening now; give one up.");
		if (visit === "too-many" || visit === "disk") return this.refuse(visit);
		if (!mailbox) return this.refuse("too-many");
		const reader = this.reader ?? this.makeReader();
		// one name for one mailbox: what had this handle, and the handle that this mailbox had, are let go
		const before = reader.mailboxes.get(handle);
		if (before && before !== mailbox) before.detach(reader);
		for (const [other, known] of reader.mailboxes) if (known === mailbox) reader.mailboxes.delete(other);
		mailbox.attach(reader, handle, device);
		reader.mailboxes.set(handle, mailbox);
		const { devices, ...found } = visit;
		this.outbox.frame(writeListening({ handle, ...found }));
		this.outbox.frame(writeDevices({ handle, devices: devices.map(shown) }));
		store
			.told(id, device, visit)
			.catch((error: unknown) => log.warn({ err: error }, "losses could not be noted as told"));
		mailbox.pump();
	}

	private makeReader(): Reader {
		const reader = new Reader(this.outbox);
		if (this.window) reader.narrow(this.window);
		// of one device, who listens last has the mailbox
		reader.onReplaced = (mailbox, why) => {
			for (const [handle, known] of reader.mailboxes) if (known === mailbox) reader.mailboxes.delete(handle);
			if (why === "replaced") this.refuse("conflict", "Another connection listens as this device now.");
			else this.refuse("conflict", "This device was given up by its owner.");
		};
		this.reader = reader;
		this.parts.router.readers.add(reader);
		this.parts.counts.listening++;
		return reader;
	}

	private refuse(code: ProblemCode, detail?: string): undefined {
		this.parts.counts.refuse(code);
		this.outbox.frame(writeProblem(FRAME.problem, problem(code, detail)));
	}
}

function shown({ device, seenMs }: Known): KnownDevice {
	return { device: fromHex(device) as Uint8Array, seenMs };
}
