/**
 * What a fuzzer says to a relay: a program of steps that a seed has drawn. Frames are made by the contracts with keys of this
 * run, so that a program gets past the door, and are then bent: bytes changed, left out, put in, lengths that lie (threat 10).
 */

import type { Chance } from "#test/soak/chance";

/** What is changed in a frame's bytes after it was made well; `at` counts modulo its length. */
export type Bend = { readonly is: "flip" | "cut" | "insert" | "set"; readonly at: number; readonly value: number };

export type FrameStep = {
	readonly is: "frame";
	readonly name: (typeof NAMES)[number];
	/** Small numbers that the frame is made of; what each means is the frame's own. */
	readonly of: readonly [number, number, number];
	readonly bend: Bend | undefined;
};

export type Step =
	| FrameStep
	/** Frames so far leave as one message, in so many fragments. */
	| { readonly is: "message"; readonly fragments: number }
	/** A control frame, between fragments too. */
	| { readonly is: "control"; readonly kind: "ping" | "pong"; readonly bytes: number }
	| { readonly is: "text" }
	/** Bytes past the WebSocket library: a header with a length that lies, a reserved bit, no mask. */
	| { readonly is: "raw"; readonly hex: string }
	/** Lets the relay answer before more is said. */
	| { readonly is: "turn" }
	/** Reads nothing any more, or again. */
	| { readonly is: "pause" | "resume" };

export type Program = readonly Step[];

/** What a client may say once it was let in. */
const SPOKEN = [
	"open",
	"send",
	"fan",
	"voucher",
	"listen",
	"forget",
	"ack",
	"renew",
	"finish",
	"usage",
	"ping",
	"window",
] as const;
/** What ends a connection at once, mostly. */
const WRONG = ["hello", "helloReader", "helloAgain", "unknown", "garbage"] as const;

export const NAMES = [...SPOKEN, ...WRONG] as const;

/** Numbers at which things change. */
const EDGES = [
	0, 1, 2, 3, 4, 7, 8, 63, 64, 127, 128, 255, 256, 1_024, 4_095, 4_096, 16_384, 61_440, 61_441, 65_535, 65_536,
];
const HUGE = [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1];

/** The most steps of one program: enough for every frame behind each other twice. */
const STEPS_MAX = 40;

function number(chance: Chance): number {
	const drawn = chance.next();
	if (drawn < 0.6) return chance.whole(0, 8);
	if (drawn < 0.9) return chance.one(EDGES as [number, ...number[]]);
	return chance.one(HUGE as [number, ...number[]]);
}

function bend(chance: Chance): Bend | undefined {
	if (chance.next() < 0.8) return undefined;
	const is = chance.one(["flip", "cut", "insert", "set"] as const);
	// most of what decides is in the first bytes
	return { is, at: chance.next() < 0.7 ? chance.whole(0, 12) : chance.whole(0, 400), value: chance.whole(1, 255) };
}

/** One step; a tame one breaks no rule that ends a connection, so that what stands behind it is heard as well. */
export function drawStep(chance: Chance, tame: boolean): Step {
	const drawn = chance.next();
	if (drawn < 0.66) {
		const name = tame || chance.next() < 0.8 ? chance.one(SPOKEN) : chance.one(WRONG);
		const of = [number(chance), number(chance), number(chance)] as const;
		return { is: "frame", name, of, bend: tame ? undefined : bend(chance) };
	}
	if (drawn < 0.84) return { is: "message", fragments: chance.whole(1, 3) };
	if (drawn < 0.92 || tame) return { is: "turn" };
	if (drawn < 0.94) return { is: "control", kind: chance.one(["ping", "pong"]), bytes: chance.whole(0, 125) };
	if (drawn < 0.95) return { is: "text" };
	if (drawn < 0.97) return { is: chance.one(["pause", "resume"]) };
	return { is: "raw", hex: rawHex(chance) };
}

/** WebSocket headers that a library would not write, and noise. */
function rawHex(chance: Chance): string {
	const bytes = Array.from({ length: chance.whole(1, 14) }, () => chance.whole(0, 255));
	if (chance.next() < 0.7)
		bytes.unshift(
			chance.one([0x82, 0x80, 0x02, 0x00, 0xc2, 0x83, 0x89, 0x88]),
			chance.one([0x00, 0x05, 0x7e, 0xfe, 0xff, 0x85]),
		);
	return Buffer.from(bytes).toString("hex");
}

/** A program from nothing: most begin as a client should. */
export function drawProgram(chance: Chance): Program {
	const steps: Step[] = [];
	if (chance.next() < 0.85) {
		steps.push({ is: "frame", name: chance.next() < 0.8 ? "hello" : "helloReader", of: [0, 0, 0], bend: undefined });
		if (chance.next() < 0.7)
			steps.push({ is: "frame", name: "voucher", of: [chance.whole(0, 64), 0, 0], bend: undefined });
		if (chance.next() < 0.7) steps.push({ is: "frame", name: "open", of: [1, chance.whole(0, 3), 0], bend: undefined });
	}
	const tame = chance.next() < 0.6;
	const length = chance.whole(1, STEPS_MAX / 2);
	while (steps.length < length) steps.push(drawStep(chance, tame));
	return [...steps, { is: "message", fragments: 1 }];
}

/** One that reached something new, changed: most of what is new lies beside what was. */
export function vary(chance: Chance, program: Program, other: Program): Program {
	const steps = [...program];
	for (let times = chance.whole(1, 4); times > 0; times--) {
		const at = chance.whole(0, Math.max(0, steps.length - 1));
		const found = steps[at];
		const how = chance.whole(0, 5);
		if (how === 0) steps.splice(at, 1);
		else if (how === 1) steps.splice(at, 0, drawStep(chance, chance.next() < 0.6));
		else if (how === 2 && found) steps.splice(at, 0, found);
		else if (how === 3) steps.splice(at, steps.length, ...other.slice(chance.whole(0, other.length)));
		else if (how === 4 && found?.is === "frame")
			steps[at] = { ...found, bend: chance.next() < 0.5 ? undefined : bend(chance) };
		else if (found?.is === "frame") steps[at] = { ...found, of: [number(chance), number(chance), found.of[2]] };
	}
	return steps.length > 0 ? steps.slice(0, STEPS_MAX) : drawProgram(chance);
}

/** The smallest part of a program that still fails: steps are left out one by one, from the end, until none can be. */
export async function shrink(program: Program, fails: (smaller: Program) => Promise<boolean>): Promise<Program> {
	let smallest = program;
	for (let at = smallest.length - 1; at >= 0; at--) {
		const smaller = smallest.filter((_, index) => index !== at);
		if (await fails(smaller)) smallest = smaller;
	}
	return smallest;
}
