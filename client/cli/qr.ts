/** A QR code in the terminal, for a phone that is held before it. */

import { styleText } from "node:util";
import { encodeQR } from "qr";

/**
 * The lines of a QR code, two rows of dots in each. Dark on bright whatever the terminal's own colours are: some readers know a code that is
 * bright on dark as none.
 */
export function qrLines(text: string): string[] {
	const dots = encodeQR(text, "raw", { ecc: "low" });
	const lines: string[] = [];
	for (let y = 0; y < dots.length; y += 2) {
		const [upper = [], lower = []] = [dots[y], dots[y + 1]];
		const line = upper.map((dark, x) => (dark ? (lower[x] ? "█" : "▀") : lower[x] ? "▄" : " ")).join("");
		lines.push(styleText(["black", "bgWhiteBright"], line, { validateStream: false }));
	}
	return lines;
}
