/**
 * A chart of ratios as SVG, our own: a row for each peer, on a logarithmic axis with 1 in it; right of it ours is better. It says what it
 * shows in words, too, and takes the reader's light or dark.
 */

/** One row: its median with its spread, and what was aimed for, if anything. */
export type Bar = {
	readonly label: string;
	readonly median: number;
	readonly min: number;
	readonly max: number;
	readonly target?: number;
};

/** Rows that belong together, under a heading. */
export type Group = { readonly heading: string; readonly bars: readonly Bar[] };

const WIDTH = 760;
const LEFT = 150;
const RIGHT = 110;
const TOP = 52;
const ROW = 17;
const HEADING = 24;

const STYLE = [
	"text{font:12px system-ui,sans-serif;fill:#1f2328}",
	".title{font-size:14px;font-weight:600}.heading{font-weight:600}.small{font-size:11px;fill:#59636e}",
	".grid{stroke:#d1d9e0}.one{stroke:#59636e;stroke-width:1.5}",
	".better{fill:#1f883d}.worse{fill:#cf222e}.spread{stroke:#1f2328;stroke-width:1.2}.target{stroke:#9a6700;stroke-width:2}",
	"@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}.one{stroke:#9198a1}",
	".better{fill:#3fb950}.worse{fill:#f85149}.spread{stroke:#f0f6fc}.target{stroke:#d29922}}",
].join("");

const escaped = (words: string) => words.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
const at = (n: number) => n.toFixed(1);

/** A ratio as it is read: three digits, and none after the point from a hundred on. */
export const ratioText = (n: number) => (n >= 100 ? Math.round(n).toString() : n.toPrecision(3));

/** The chart; `groups` is not empty. */
export function chart(title: string, groups: readonly Group[]): string {
	const bars = groups.flatMap((group) => group.bars);
	const figures = bars.flatMap(({ min, max, target }) => [min, max, ...(target ? [target] : [])]);
	// whole decades, and 1 is always among them
	const low = Math.floor(Math.log10(Math.min(0.9, ...figures)));
	const high = Math.ceil(Math.log10(Math.max(1.1, ...figures)));
	const x = (n: number) => LEFT + ((Math.log10(n) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
	const height = TOP + groups.length * HEADING + bars.length * ROW + 16;
	const out: string[] = [];
	for (let power = low; power <= high; power++) {
		const here = at(x(10 ** power));
		out.push(
			`<line class="${power === 0 ? "one" : "grid"}" x1="${here}" y1="${TOP - 6}" x2="${here}" y2="${height - 10}"/>`,
		);
		out.push(`<text class="small" x="${here}" y="${TOP - 10}" text-anchor="middle">${10 ** power}x</text>`);
	}
	let y = TOP;
	for (const { heading, bars: rows } of groups) {
		y += HEADING;
		out.push(`<text class="heading" x="8" y="${y - 6}">${escaped(heading)}</text>`);
		for (const { label, median, min, max, target } of rows) {
			const [from, to] = [x(1), x(median)].sort((a, b) => a - b) as [number, number];
			const middle = at(y + ROW / 2 - 1);
			out.push(`<text x="${LEFT - 8}" y="${y + 12}" text-anchor="end">${escaped(label)}</text>`);
			const kind = median >= 1 ? "better" : "worse";
			out.push(
				`<rect class="${kind}" x="${at(from)}" y="${y + 2}" width="${at(Math.max(1, to - from))}" height="${ROW - 6}" rx="2"/>`,
			);
			out.push(`<line class="spread" x1="${at(x(min))}" y1="${middle}" x2="${at(x(max))}" y2="${middle}"/>`);
			// an aim of 1 is the axis itself
			const aim = target && target !== 1 ? target : undefined;
			if (aim) out.push(`<line class="target" x1="${at(x(aim))}" y1="${y}" x2="${at(x(aim))}" y2="${y + ROW - 2}"/>`);
			const after = Math.max(x(1), x(max)) + 6;
			const words = `${ratioText(median)}x${aim ? ` (aim: ${aim}x)` : ""}`;
			out.push(`<text class="small" x="${at(after)}" y="${y + 12}">${words}</text>`);
			y += ROW;
		}
	}
	const told = groups.flatMap(({ heading, bars: rows }) =>
		rows.map(({ label, median }) => `${heading}, ${label}: ${ratioText(median)}`),
	);
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
		`<title>${escaped(title)}</title>`,
		`<desc>${escaped(told.join("; "))}</desc>`,
		`<style>${STYLE}</style>`,
		`<text class="title" x="8" y="18">${escaped(title)}</text>`,
		...out,
		"</svg>",
		"",
	].join("\n");
}
