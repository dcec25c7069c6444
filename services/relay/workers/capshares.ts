/**
 * How the caps of a whole relay are shared among its workers: what is left is divided evenly and looked at again every few seconds, so that a
 * busy worker does not close while others have room. Between two looks no more passes than what all of them had left together.
 */

import type { Caps } from "#relay/operator/caps";
import type { RelayState } from "#relay/operator/state";

const GB = 1_000_000_000;
/** One byte: a cap of 0 would be none. */
const NOTHING = 1 / GB;

/** Each worker's caps by what each has used; undefined for one that did not say. Fractions of a gigabyte are as good as whole ones here. */
export function sharesOf(caps: Caps, states: readonly (RelayState | undefined)[]): Caps[] {
	const traffic = shares(
		caps.trafficGbMonth,
		states.map((state) => (state?.traffic.usedBytes ?? 0) / GB),
	);
	const disk = shares(
		caps.diskGb,
		states.map((state) => (state?.disk.bytes ?? 0) / GB),
	);
	return states.map((_, worker) => ({
		paused: caps.paused,
		trafficGbMonth: traffic[worker] ?? 0,
		diskGb: disk[worker] ?? 0,
		bandwidthMbit: caps.bandwidthMbit / states.length,
	}));
}

function shares(cap: number, used: readonly number[]): number[] {
	if (cap === 0) return used.map(() => 0);
	const left = Math.max(0, cap - used.reduce((sum, one) => sum + one, 0));
	return used.map((one) => Math.max(NOTHING, one + left / used.length));
}
