/** A disk for vouchers that a test holds back: what waits for a commit is seen, and let go. */

import { openMemoryTill } from "#relay/till/memory";
import type { Till } from "#relay/till/till";

/** A till whose commits wait until they are let go. */
export function slowTill(): { till: Till; release: () => void; waiting: () => number; hurried: () => number } {
	const inner = openMemoryTill();
	let gates: (() => void)[] = [];
	let hurries = 0;
	return {
		till: {
			...inner,
			put: async (row) => {
				await new Promise<void>((resolve) => gates.push(resolve));
				return inner.put(row);
			},
			hurry: () => {
				hurries++;
			},
		},
		release: () => {
			for (const open of gates) open();
			gates = [];
		},
		waiting: () => gates.length,
		hurried: () => hurries,
	};
}
