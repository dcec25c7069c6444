/** What every vector file is made of: cases that are accepted, with their bytes, and bytes that are refused, with the problem. */
import { toHex } from "#contracts/bytes";
import { isProblem } from "#contracts/problem";
import { shown } from "#test/contracts/world";

/** One vector file. */
export type VectorFile = { readonly contract: string; readonly section: string; readonly [part: string]: unknown };

/** A case that must be accepted: its inputs, and what comes of them. */
export function accepted(name: string, fields: Record<string, unknown>): unknown {
	for (const [field, value] of Object.entries(fields))
		if (field !== "says" && field !== "json" && isProblem(value)) throw new Error(`${name}: ${value.problem}`);
	return { name, ...(shown(fields) as object) };
}

/** Bytes (or another input) that must be refused; a reader without a reason of its own refuses as malformed, a check that only says no as signature-bad. */
export function refused(name: string, input: Uint8Array | Record<string, unknown>, answer: unknown): unknown {
	if (answer !== undefined && answer !== false && !isProblem(answer)) throw new Error(`${name} was accepted`);
	const fields = input instanceof Uint8Array ? { bytes: toHex(input) } : (shown(input) as object);
	return {
		name,
		...fields,
		problem: isProblem(answer) ? answer.problem : answer === false ? "signature-bad" : "malformed",
	};
}

/** The lengths that a fixed layout must refuse. */
export function lengths(bytes: Uint8Array): [string, Uint8Array][] {
	return [
		["no bytes", new Uint8Array(0)],
		["one byte short", bytes.slice(0, -1)],
		["one byte more", new Uint8Array([...bytes, 0])],
	];
}
