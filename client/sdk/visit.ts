/** What is said to a mailbox as one of its devices: a listen, giving a device up; and a visit that does no more than that. */

import { readListening, writeListen } from "#contracts/control";
import { deviceAt, type KnownDevice, readDevices, signForget, writeForget } from "#contracts/device";
import { FRAME } from "#contracts/frame";
import { signListen } from "#contracts/handshake";
import { type KeyPair, SEED_BYTES, TAG_BYTES, tokenHash } from "#contracts/identity";
import { type Problem, problem } from "#contracts/problem";
import { cardToken, type Relay } from "./card.ts";
import type { Device } from "./device.ts";
import type { Identity } from "./identity.ts";
import { type Clocks, Session, type Who } from "./session.ts";
import { keepUntold } from "./untold.ts";

/** What every connection of this SDK calls its one mailbox. */
export const HANDLE = 1;

/** A session that nobody can tie to an account: a fresh key and tag. */
export function stranger({ crypto }: Device, identity: Identity, relay: Relay): Who {
	const key = crypto.keyPair(crypto.random(SEED_BYTES));
	return { tag: crypto.random(TAG_BYTES), key, at: identity.mailbox(relay.key).publicKey };
}

/** What a signature with the mailbox key is good for: this relay, this session and this mailbox alone. */
function scopeOf({ relay, helloHash, key }: Session, mailbox: KeyPair) {
	return { relay: relay.key, helloHash, session: key.publicKey, mailbox: mailbox.publicKey };
}

/** A listen on one's mailbox as this device, good for this relay and this session alone. */
export function listenFrame(device: Device, identity: Identity, session: Session): Uint8Array {
	const mailbox = identity.mailbox(session.relay.key);
	const scope = {
		...scopeOf(session, mailbox),
		device: deviceAt(device.crypto, device.install, session.relay.key),
		tokenHash: tokenHash(device.crypto, cardToken(device, identity)),
	};
	return writeListen({ handle: HANDLE, ...scope, signature: signListen(device.crypto, scope, mailbox.secretKey) });
}

/** Gives a device up, on a session that listens. */
export function forgetFrame({ crypto }: Device, identity: Identity, session: Session, device: Uint8Array): Uint8Array {
	const mailbox = identity.mailbox(session.relay.key);
	const scope = { ...scopeOf(session, mailbox), device };
	return writeForget({ handle: HANDLE, device, signature: signForget(crypto, scope, mailbox.secretKey) });
}

/**
 * Listens for a moment, which makes the mailbox exist: nobody can write to one whose owner never came. Gives a device up
 * meanwhile if one is named. Answers the mailbox's devices. A connection that listens as this device would be replaced.
 */
export async function visitMailbox(
	device: Device,
	identity: Identity,
	relay: Relay,
	clocks: Clocks,
	given?: Uint8Array,
): Promise<readonly KnownDevice[] | Problem> {
	const once = () =>
		new Promise<readonly KnownDevice[] | Problem>((resolve) => {
			let found: readonly KnownDevice[] | undefined;
			let left = given;
			let noting: Promise<void> | undefined;
			const session: Session = new Session(device, relay, stranger(device, identity, relay), clocks, {
				welcome: () => {},
				frame(type, body) {
					if (type === FRAME.listening) {
						const listening = readListening(body);
						// said once, and nobody listens here
						if (listening) noting = keepUntold(device.storage, relay, listening);
					}
					if (type !== FRAME.devices) return;
					const read = readDevices(body);
					if (!read) session.garbage("The relay's devices are none.");
					else if (left) session.write(forgetFrame(device, identity, session, left));
					else {
						found = read.devices;
						session.close();
					}
					left = undefined;
				},
				// a device that gives itself up is told so first
				problem: (refusal) => {
					if (refusal.problem !== "conflict" || !given) session.close(refusal);
				},
				closed: (why) => {
					const answer = found ?? why ?? problem("unavailable", "The relay ended the connection.");
					const unkept = problem("disk", "What a mailbox lost could not be kept.", { spent: "no" });
					Promise.resolve(noting).then(
						() => resolve(answer),
						() => resolve(unkept),
					);
				},
			});
			session.write(listenFrame(device, identity, session));
		});
	const first = await once();
	return "problem" in first && first.problem === "clock" ? once() : first;
}
