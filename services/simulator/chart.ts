/** Charts as SVG, our own and small: bars beside each other, or lines through weeks. Each says in words what it shows, and takes the reader's light or dark. */

/** A bar: `value` of the axis' `most`, what stands behind it, and whether it is one to look at. */
export type Bar = {
	readonly label: string;
	readonly value: number;
	readonly text: string;
	readonly isMarked?: boolean;
};

/** A line through points that are evenly apart. */
export type Line = { readonly label: string; readonly values: readonly number[] };

const WIDTH = 720;
const LEFT = 190;
const RIGHT = 90;
const TOP = 40;
const ROW = 20;
/** Two lines of source. */
const FOOT = 40;
const PLOT_HEIGHT = 180;

const STYLE = [
	"text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-size:14px;font-weight:600}.small{font-size:10px;fill:#59636e}",
	".bar{fill:#0969da}.marked{fill:#1f883d}.grid{stroke:#d1d9e0}.aim{stroke:#9a6700;stroke-width:1.5}",
	".line0{stroke:#0969da}.line1{stroke:#9a6700}.line{fill:none;stroke-width:2}.key0{fill:#0969da}.key1{fill:#9a6700}",
	"@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.grid{stroke:#3d444d}.bar{fill:#4493f8}",
	".marked{fill:#3fb950}.aim{stroke:#d29922}.line0{stroke:#4493f8}.line1{stroke:#d29922}.key0{fill:#4493f8}.key1{fill:#d29922}}",
].join("");

const escaped = (words: string): string => words.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
const at = (n: number): string => n.toFixed(1);

function svg(height: number, title: string, told: string, source: string, inside: readonly string[]): string {
	const lines = source.split("; ");
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
		`<title>${escaped(title)}</title>`,
		`<desc>${escaped(told)}</desc>`,
		`<style>${STYLE}</style>`,
		`<text class="title" x="8" y="20">${escaped(title)}</text>`,
		...inside,
		...lines.map(
			(line, i) => `<text class="small" x="8" y="${height - 8 - (lines.length - 1 - i) * 12}">${escaped(line)}</text>`,
		),
		"</svg>",
		"",
	].join("\n");
}

/** Bars from nothing to `most`; `aim` is a line across. */
export function barChart(
	title: string,
	bars: readonly Bar[],
	axis: { readonly most: number; readonly aim?: number; readonly source: string },
): string {
	const x = (value: number): number => LEFT + (Math.min(value, axis.most) / axis.most) * (WIDTH - LEFT - RIGHT);
	const height = TOP + bars.length * ROW + FOOT;
	const inside = bars.flatMap(({ label, value, text, isMarked }, i) => {
		const y = TOP + i * ROW;
		return [
			`<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${escaped(label)}</text>`,
			`<rect class="${isMarked ? "marked" : "bar"}" x="${LEFT}" y="${y + 2}" width="${at(Math.max(1, x(value) - LEFT))}" height="${ROW - 6}" rx="2"/>`,
			`<text x="${at(Math.max(x(value), axis.aim ? x(axis.aim) : 0) + 6)}" y="${y + 13}">${escaped(text)}</text>`,
		];
	});
	if (axis.aim !== undefined) {
		const here = at(x(axis.aim));
		inside.push(`<line class="aim" x1="${here}" y1="${TOP - 4}" x2="${here}" y2="${TOP + bars.length * ROW}"/>`);
	}
	return svg(height, title, bars.map(({ label, text }) => `${label}: ${text}`).join("; "), axis.source, inside);
}

/** At most two lines, each on its own scale from nothing to its most, which its key tells. */
export function lineChart(
	title: string,
	lines: readonly (Line & { readonly most: number; readonly mostText: string })[],
	source: string,
): string {
	const height = TOP + PLOT_HEIGHT + FOOT + 22;
	const bottom = TOP + 16 + PLOT_HEIGHT;
	const inside = [`<line class="grid" x1="8" y1="${bottom}" x2="${WIDTH - 8}" y2="${bottom}"/>`];
	for (const [i, { label, values, most, mostText }] of lines.entries()) {
		const points = values.map((value, week) => {
			const x = 8 + (week / Math.max(1, values.length - 1)) * (WIDTH - 16);
			return `${at(x)},${at(bottom - (value / Math.max(most, 1e-9)) * PLOT_HEIGHT)}`;
		});
		inside.push(`<polyline class="line line${i}" points="${points.join(" ")}"/>`);
		inside.push(`<rect class="key${i}" x="${8 + i * 330}" y="${TOP - 9}" width="10" height="10"/>`);
		inside.push(`<text x="${24 + i * 330}" y="${TOP}">${escaped(`${label} (top: ${mostText})`)}</text>`);
	}
	const told = lines.map(({ label, mostText, values }) => `${label}: ${values.length} weeks, at most ${mostText}`);
	return svg(height, title, told.join("; "), source, inside);
}
