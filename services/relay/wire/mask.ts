/** The native half of masking. It is what `ws` uses too, where it is installed. */

import { createRequire } from "node:module";

type BufferUtil = {
	mask(source: Uint8Array, mask: Uint8Array, output: Uint8Array, offset: number, length: number): void;
};

// it has no types of its own
export const bufferUtil = createRequire(import.meta.url)("bufferutil") as BufferUtil;
