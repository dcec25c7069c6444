/** Bitcoin transactions as bytes: as much of them as a chain that is made up needs. */

import { createHash } from "node:crypto";

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** The hash of blocks and transactions. */
export const sha256d = (bytes: Uint8Array): Buffer => sha256(sha256(bytes));

/** Four bytes, the smallest first, as everything on a chain is written. */
export function u32(value: number): Buffer {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32LE(value);
	return bytes;
}

function u64(value: bigint): Buffer {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64LE(value);
	return bytes;
}

/** A count of up to 65,535: nothing here has more of anything. */
export function count(value: number): Buffer {
	return value < 0xfd ? Buffer.from([value]) : Buffer.from([0xfd, value & 255, value >> 8]);
}

const sized = (bytes: Uint8Array): Buffer => Buffer.concat([count(bytes.length), bytes]);

/** The witness script of an output that anybody can spend. */
const ANYONE = Buffer.from([0x51]);
const ANYONE_SCRIPT = Buffer.concat([Buffer.from([0x00, 0x20]), sha256(ANYONE)]);

/** What an output holds, and who can spend it. */
export type Output = { readonly sats: bigint; readonly script: Uint8Array };

/** An output that anybody can spend: coins of a chain that is made up need no keys. */
export const anyoneCanSpend = (sats: bigint): Output => ({ sats, script: ANYONE_SCRIPT });

type Input = { readonly id: Uint8Array; readonly at: number; readonly script: Uint8Array };

/** A transaction as it stands in a block, and its id. */
export type Transaction = { readonly bytes: Uint8Array; readonly id: Buffer };

function write(input: Input, outputs: readonly Output[], witness: Uint8Array | undefined): Transaction {
	const body = Buffer.concat([
		count(1),
		input.id,
		u32(input.at),
		sized(input.script),
		u32(0xffffffff),
		count(outputs.length),
		...outputs.map(({ sats, script }) => Buffer.concat([u64(sats), sized(script)])),
	]);
	const [version, lockTime] = [u32(2), u32(0)];
	const id = sha256d(Buffer.concat([version, body, lockTime]));
	const bytes = witness
		? Buffer.concat([version, Buffer.from([0, 1]), body, count(1), sized(witness), lockTime])
		: Buffer.concat([version, body, lockTime]);
	return { bytes, id };
}

/** The first transaction of the block at a height, which makes its coins. */
export const coinbase = (height: number, sats: bigint): Transaction =>
	write(
		{ id: Buffer.alloc(32), at: 0xffffffff, script: Buffer.concat([Buffer.from([4]), u32(height)]) },
		[anyoneCanSpend(sats)],
		undefined,
	);

/** A transaction that spends the first output of another, which anybody can. */
export const spend = (id: Uint8Array, outputs: readonly Output[]): Transaction =>
	write({ id, at: 0, script: new Uint8Array() }, outputs, ANYONE);

/** What a chain must know of a transaction that somebody else made: its id and the outputs that it spends. */
export function readTransaction(raw: Uint8Array): { readonly id: Buffer; readonly spends: readonly string[] } {
	const bytes = Buffer.from(raw);
	const segwit = bytes[4] === 0 && bytes[5] === 1;
	const start = segwit ? 6 : 4;
	let at = start;
	const next = (): number => {
		const first = bytes.readUInt8(at++);
		if (first < 0xfd) return first;
		const width = first === 0xfd ? 2 : 4;
		at += width;
		return bytes.readUIntLE(at - width, width);
	};
	const spends: string[] = [];
	for (let inputs = next(); inputs > 0; inputs--) {
		spends.push(`${bytes.toString("hex", at, at + 32)}:${bytes.readUInt32LE(at + 32)}`);
		at += 36;
		const scriptBytes = next();
		at += scriptBytes + 4;
	}
	for (let outputs = next(); outputs > 0; outputs--) {
		at += 8;
		const scriptBytes = next();
		at += scriptBytes;
	}
	const body = bytes.subarray(start, at);
	return { id: sha256d(Buffer.concat([bytes.subarray(0, 4), body, bytes.subarray(bytes.length - 4)])), spends };
}
