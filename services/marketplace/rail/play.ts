/**
 * Play money as a rail: whatever is asked for has come at once. For trying and developing only: the market refuses to start with it unless
 * it listens on the loopback interface alone (`config.ts`). It keeps nothing, for a deposit's reference says all that there is to know.
 */

import { parseAmount, parseDollars } from "#contracts/amount";
import { type Problem, problem } from "#contracts/problem";
import type { Clock } from "#host/clock";
import type { Rail } from "./rail.ts";

/** Made up in one deposit at most: more than anybody needs to try everything. */
export const PLAY_CALL_MAX = parseDollars("100") ?? 0n;

const CLOSED = problem("rail-closed", "Play money does not go out.");

function refuse(amount: bigint): Problem | undefined {
	if (amount > 0n && amount <= PLAY_CALL_MAX) return undefined;
	return problem("malformed", "Play money comes in amounts of up to $100.");
}

/** The play rail. */
export function makePlayRail(clock: Pick<Clock, "nowMs">): Rail {
	return {
		name: "play",
		world: "world:play",
		unit: "nano",
		ranges: { in: { min: 1n, max: PLAY_CALL_MAX }, out: undefined },
		quote: async (way, amount) => (way === "in" ? (refuse(amount) ?? { fee: 0n, isAbout: false }) : CLOSED),
		start: async ({ id, amount, expiresAtMs }) =>
			refuse(amount) ?? { reference: `${id}.${amount}`, pay: { kind: "nothing" }, expiresAtMs },
		onEvent: () => () => {},
		deposit: async (reference) => {
			const amount = parseAmount(/^[\w-]{1,64}\.(\d{1,20})$/.exec(reference)?.[1]);
			if (amount === undefined || refuse(amount)) return { state: "absent" };
			return { state: "paid", amount, fee: 0n, atMs: clock.nowMs() };
		},
		payment: async () => ({ state: "absent" }),
		pay: async () => ({ state: "failed", why: CLOSED.detail }),
		balance: async () => undefined,
		check: async () => undefined,
		close: async () => {},
	};
}
