/** BLAKE3's key derivation for short input, which iroh's handshake signs and Node has not: one chunk, as its paper describes it. */

const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const FLAG = { first: 1, last: 2, root: 8, context: 32, material: 64 };
const ROUNDS = 7;
const BLOCK_BYTES = 64;
/** Columns, then diagonals. */
const QUARTERS = [
	[0, 4, 8, 12],
	[1, 5, 9, 13],
	[2, 6, 10, 14],
	[3, 7, 11, 15],
	[0, 5, 10, 15],
	[1, 6, 11, 12],
	[2, 7, 8, 13],
	[3, 4, 9, 14],
] as const;

/** A chunk of at most one block: 32 bytes out. */
function hash(key: readonly number[], input: Uint8Array, flag: number): Buffer {
	if (input.length > BLOCK_BYTES) throw new RangeError("one block only");
	const block = Buffer.alloc(BLOCK_BYTES);
	block.set(input);
	let words = Uint32Array.from({ length: 16 }, (_, i) => block.readUInt32LE(i * 4));
	const flags = flag | FLAG.first | FLAG.last | FLAG.root;
	const v = Uint32Array.from([...key, ...IV.slice(0, 4), 0, 0, input.length, flags]);
	const at = (i: number) => v[i] as number;
	const turn = (i: number, by: number, bits: number) => {
		const mixed = at(i) ^ at(by);
		v[i] = (mixed >>> bits) | (mixed << (32 - bits));
	};
	for (let round = 0; round < ROUNDS; round++) {
		for (const [i, [a, b, c, d]] of QUARTERS.entries())
			for (const [word, by, then] of [
				[words[i * 2] as number, 16, 12],
				[words[i * 2 + 1] as number, 8, 7],
			] as const) {
				v[a] = at(a) + at(b) + word;
				turn(d, a, by);
				v[c] = at(c) + at(d);
				turn(b, c, then);
			}
		words = words.map((_, i) => words[ORDER[i] as number] as number);
	}
	const out = Buffer.alloc(32);
	for (let i = 0; i < 8; i++) out.writeUInt32LE((at(i) ^ at(i + 8)) >>> 0, i * 4);
	return out;
}

/** A key for one purpose, from material of at most 64 bytes. */
export function deriveKey(purpose: string, material: Uint8Array): Buffer {
	const context = hash(IV, Buffer.from(purpose), FLAG.context);
	const key = Array.from({ length: 8 }, (_, i) => context.readUInt32LE(i * 4));
	return hash(key, material, FLAG.material);
}
