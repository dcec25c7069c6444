/** The reading half of a session: which mailboxes it listens on, and its acknowledgements (PROTOCOL.md, "Reading"; threats 11 and 23). */

import { toHex } from "#contracts/bytes";
import { readListen, readRangesBody, readWindow, type Window, writeListening, writeProblem } from "#contracts/control";
import { FRAME } from "#contracts/frame";
import { type Hello, verifyListen } from "#contracts/handshake";
import { LIMIT } from "#contracts/limit";
import { problem } from "#contracts/problem";
import type { RelayParts } from "#relay/parts";
import type { Outbox } from "./outbox.ts";
import { Reader } from "./reader.ts";

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
	listen(body: Uint8Array, hello: Hello, helloHash: Uint8Array): "malformed" | Promise<void> | undefined {
		const { crypto, relay } = this.parts;
		const listen = readListen(body);
		if (!listen) return "malformed";
		const { handle, mailbox, device, tokenHash, signature } = listen;
		const scope = { relay: relay.publicKey, helloHash, session: hello.session, mailbox, device, tokenHash };
		if (!verifyListen(crypto, scope, signature))
			return this.refuse("signature-bad", "The mailbox's key did not sign this listen.");
		const id = toHex(mailbox);
		const others = [...(this.reader?.mailboxes.values() ?? [])].filter((other) => other.id !== id);
		if (others.length >= LIMIT.listensMax) return this.refuse("too-many");
		const hash = tokenHash.some((byte) => byte !== 0) ? tokenHash : undefined;
		return this.attach(id, handle, hash);
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

	private async attach(id: string, handle: number, tokenHash: Uint8Array | undefined): Promise<void> {
		const { store, router, clock, newcomers } = this.parts;
		if (!store.state(id) && !newcomers.take(this.address))
			return this.refuse("too-many", "Too many mailboxes were made from this address; come back in an hour.");
		const created = await store.create(id, tokenHash, clock.nowMs());
		if (this.ended) return;
		if (created !== "created") return this.refuse(created);
		const mailbox = router.find(id);
		const state = mailbox?.state;
		if (!mailbox || !state) return this.refuse("too-many");
		const reader = this.reader ?? this.makeReader();
		// one name for one mailbox: what had this handle, and the handle that this mailbox had, are let go
		const before = reader.mailboxes.get(handle);
		if (before && before !== mailbox) before.detach(reader);
		for (const [other, known] of reader.mailboxes) if (known === mailbox) reader.mailboxes.delete(other);
		mailbox.attach(reader, handle);
		reader.mailboxes.set(handle, mailbox);
		const { messages: waiting, bytes: waitingBytes, droppedTtl, droppedQuota } = state;
		this.outbox.frame(writeListening({ handle, waiting, waitingBytes, droppedTtl, droppedQuota, fresh: false }));
		store.told(id).catch((error: unknown) => this.parts.log.warn({ err: error }, "losses could not be noted as told"));
		mailbox.pump();
	}

	private makeReader(): Reader {
		const reader = new Reader(this.outbox);
		if (this.window) reader.narrow(this.window);
		// one device in this version: who listens last has the mailbox
		reader.onReplaced = (mailbox) => {
			for (const [handle, known] of reader.mailboxes) if (known === mailbox) reader.mailboxes.delete(handle);
			this.refuse("conflict", "Another connection listens on this mailbox now.");
		};
		this.reader = reader;
		this.parts.router.readers.add(reader);
		this.parts.counts.listening++;
		return reader;
	}

	private refuse(code: "signature-bad" | "too-many" | "disk" | "conflict", detail?: string): undefined {
		this.parts.counts.refuse(code);
		this.outbox.frame(writeProblem(FRAME.problem, problem(code, detail)));
	}
}
