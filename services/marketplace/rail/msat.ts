/** Millisatoshi as Lightning's engines share them: reading them, their bounds, what a way through the network may cost. */

import * as z from "zod";
import { type Problem, problem } from "#contracts/problem";
import type { RailRange } from "./rail.ts";

/** More than all bitcoin there is, in millisatoshi, has 19 digits. */
const DIGITS = /^\d{1,19}$/;

/** A whole number of a provider's JSON that is not negative, as money: never a fraction and never one that was rounded on its way. */
export const wholeMoney: z.ZodType<bigint, string | number> = z
	.union([z.string().regex(DIGITS), z.int().nonnegative()])
	.transform((found) => BigInt(found));

/** A refusal when an amount is not one that a rail takes this way. */
export function outOfRange(range: RailRange | undefined, amount: bigint): Problem | undefined {
	if (!range) return problem("rail-closed");
	if (amount >= range.min && amount <= range.max) return undefined;
	return problem("malformed", `This way takes from ${range.min} to ${range.max} msat, and that is ${amount} msat.`);
}

/** What routing costs is known afterwards. This much finds a way nearly always; the smallest payments need a floor. */
const ROUTING_PPM = 10_000n;
const ROUTING_MSAT_MIN = 5_000n;

/** What a payment through the network costs at most where nobody said less. */
export function routingCeiling(amountMsat: bigint): bigint {
	const part = (amountMsat * ROUTING_PPM) / 1_000_000n;
	return part > ROUTING_MSAT_MIN ? part : ROUTING_MSAT_MIN;
}

/** A provider that did not answer a question: nothing moved by asking. */
export function unreachable(provider: string, why: string): Problem {
	return problem("unavailable", `${provider} could not be asked: ${why}.`, { spent: "no" });
}
