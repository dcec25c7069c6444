/**
 * The devices of one mailbox: each has its own place in the mail, and the mailbox key says which there are (PROTOCOL.md,
 * "Hello"). Listens are in `handshake.ts` and `control.ts`.
 */

import { join, Reader, Writer } from "./bytes.ts";
import { FRAME, frame } from "./frame.ts";
import { type Crypto, DEVICE_BYTES, hashFor, SIGNATURE_BYTES, signFor, verifyFor } from "./identity.ts";
import { LIMIT } from "./limit.ts";

/** A device that a relay knows of: its id at that relay, and when it was last there, in Unix milliseconds. */
export type KnownDevice = { readonly device: Uint8Array; readonly seenMs: number };

/** The devices of the mailbox that a handle of this connection listens on, the one registered first before the others. */
export type Devices = { readonly handle: number; readonly devices: readonly KnownDevice[] };

/** Gives a device up: the handle of a listen on this connection, the device, and the mailbox key's signature. */
export type Forget = { readonly handle: number; readonly device: Uint8Array; readonly signature: Uint8Array };

/** What the mailbox key signs to give a device up: for one relay, one hello, one session, one mailbox. */
export type ForgetScope = {
	readonly relay: Uint8Array;
	readonly helloHash: Uint8Array;
	readonly session: Uint8Array;
	readonly mailbox: Uint8Array;
	readonly device: Uint8Array;
};

/** An installation's id at one relay, from its 32 random bytes: two relays see two devices, which nobody can tie together. */
export function deviceAt(crypto: Crypto, install: Uint8Array, relay: Uint8Array): Uint8Array {
	return hashFor(crypto, "device", relay, install).slice(0, DEVICE_BYTES);
}

function forgetBody(scope: ForgetScope): Uint8Array {
	return join(scope.relay, scope.helloHash, scope.session, scope.mailbox, scope.device);
}

/** Signs with the mailbox key that a device is given up. */
export function signForget(crypto: Crypto, scope: ForgetScope, mailboxSecretKey: Uint8Array): Uint8Array {
	return signFor(crypto, "forget", forgetBody(scope), mailboxSecretKey);
}

/** Whether the mailbox key gave this device up, at this relay and in this session. */
export function verifyForget(crypto: Crypto, scope: ForgetScope, signature: Uint8Array): boolean {
	return verifyFor(crypto, "forget", forgetBody(scope), signature, scope.mailbox);
}

export function writeForget(forget: Forget): Uint8Array {
	const body = new Writer(84)
		.u32(forget.handle)
		.put(forget.device, DEVICE_BYTES)
		.put(forget.signature, SIGNATURE_BYTES)
		.finish();
	return frame(FRAME.forget, body);
}

export function readForget(body: Uint8Array): Forget | undefined {
	const reader = new Reader(body);
	const forget = { handle: reader.u32(), device: reader.take(DEVICE_BYTES), signature: reader.take(SIGNATURE_BYTES) };
	return reader.done ? forget : undefined;
}

/** @throws RangeError for more devices than a mailbox has. */
export function writeDevices({ handle, devices }: Devices): Uint8Array {
	if (devices.length > LIMIT.devicesMax) throw new RangeError("more devices than a mailbox has");
	const writer = new Writer(5 + devices.length * 24).u32(handle).u8(devices.length);
	for (const { device, seenMs } of devices) writer.put(device, DEVICE_BYTES).u64(seenMs);
	return frame(FRAME.devices, writer.finish());
}

export function readDevices(body: Uint8Array): Devices | undefined {
	const reader = new Reader(body);
	const handle = reader.u32();
	const count = reader.u8();
	if (count > LIMIT.devicesMax) return undefined;
	const devices: KnownDevice[] = [];
	for (let i = 0; i < count; i++) devices.push({ device: reader.take(DEVICE_BYTES), seenMs: reader.count() });
	return reader.done ? { handle, devices } : undefined;
}
