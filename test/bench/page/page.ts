/** The page of figures: one table and its charts for each result, as text. */
import type { Kept, Row } from "#test/bench/measure";
import type { SoakResult } from "#test/soak/soak";
import { chart, type Group, ratioText } from "./chart.ts";
import { soakSection } from "./soak.ts";
import { met, type Target, targetOf } from "./target.ts";

/** The page's own name in `docs/bench/`; charts are beside it. */
export const PAGE = "figures.md";

const figure = (n: number) => (n >= 100 ? Math.round(n).toLocaleString("en") : n.toPrecision(3));

/** Cases that differ only in their size belong in one chart. */
const familyOf = (name: string) => name.replace(/-\d+$/, "");

function targetText(target: Target | undefined, row: Row): string {
	if (!target) return "";
	const aim =
		"ratioMin" in target
			? `at least ${target.ratioMin}${target.oursMin ? ` and ours ${figure(target.oursMin)}` : ""}`
			: "oursMax" in target
				? `ours at most ${figure(target.oursMax)}`
				: `ours at most ${figure(target.aboveMax)} above the peer`;
	return met(target, row) ? `${aim}: met` : `${aim}: **missed**`;
}

/** The table of a result. */
export function table({ name, rows }: Kept): string {
	const lines = rows.map((row) => {
		const spread = `**${ratioText(row.ratio.median)}** (${ratioText(row.ratio.min)} to ${ratioText(row.ratio.max)})`;
		const target = targetText(targetOf(name, row), row);
		const generator = ["ours: generator cores", "peer: generator cores"].map((key) => row.besides?.[key]);
		const cores = generator.every((share) => share !== undefined)
			? generator.map((share) => figure(share ?? 0)).join(" / ")
			: "";
		const cells = [
			row.case,
			row.peerName,
			spread,
			target,
			figure(row.ours),
			figure(row.peer),
			row.unit,
			cores,
			row.note ?? "",
		];
		return `| ${cells.map((cell) => cell.replaceAll("|", "/")).join(" | ")} |`;
	});
	const heads = [
		"case",
		"peer",
		"ratio (spread)",
		"target",
		"ours",
		"peer",
		"unit",
		"generator's cores, ours / peer",
		"",
	];
	return [`| ${heads.join(" | ")} |`, `|${heads.map(() => "---|").join("")}`, ...lines].join("\n");
}

/** The charts of a result, by file name. */
function charts({ name, rows }: Kept): Map<string, string> {
	const families = new Map<string, Map<string, Row[]>>();
	for (const row of rows) {
		const family = families.get(familyOf(row.case)) ?? new Map<string, Row[]>();
		families.set(familyOf(row.case), family);
		family.set(row.case, [...(family.get(row.case) ?? []), row]);
	}
	return new Map(
		[...families].map(([family, cases]) => {
			const groups = [...cases].map(
				([heading, all]): Group => ({
					heading,
					bars: all.map((row) => {
						const target = targetOf(name, row);
						const aim = target && "ratioMin" in target ? { target: target.ratioMin } : {};
						return { label: row.peerName, ...row.ratio, ...aim };
					}),
				}),
			);
			return [
				`${name}-${family}.svg`,
				chart(`${name}, ${family}: how many times better ours is than each peer`, groups),
			];
		}),
	);
}

/** One result's part of the page. */
function section(kept: Kept, pictures: Iterable<string>): string {
	const { name, runs, rows, notMeasured, versions, machine } = kept;
	const missed = rows.filter((row) => {
		const target = targetOf(name, row);
		return target && !met(target, row);
	});
	const aimed = rows.filter((row) => targetOf(name, row)).length;
	const on = machine
		? ` ${machine.date}, Node ${machine.node}, ${machine.cores} cores (${machine.model}), ${machine.memoryGiB} GiB, ${machine.system}; load ${machine.load} at the end.`
		: "";
	const peers = Object.entries(versions ?? {}).map(([peer, version]) => `${peer} ${version}`);
	return [
		`## ${name}`,
		"",
		`\`npm run bench -- ${name}\`: medians of ${runs} interleaved runs.${on}`,
		...(peers.length > 0 ? [`Versions: ${peers.join(", ")}.`] : []),
		aimed > 0
			? `${aimed - missed.length} of ${aimed} targets met${missed.length > 0 ? `; missed: ${missed.map((row) => `${row.case} (${row.peerName})`).join(", ")}` : ""}.`
			: "",
		"",
		...[...pictures].flatMap((file) => [
			`![${file.replace(/\.svg$/, "")}: ratios, the same as in the table](${file})`,
			"",
		]),
		table(kept),
		"",
		...notMeasured.map(({ peer, why }) => `- Not measured: ${peer} (${why.replaceAll("\n", " ")}).`),
		...(notMeasured.length > 0 ? [""] : []),
	].join("\n");
}

const HEAD = `# Figures

Written by \`npm run bench -- all\`, redrawn from the results beside it by \`npm run bench -- tables\`, never by hand. What they mean: [README](README.md).
A ratio above 1 means that ours is better. In a chart a bar is the median, the thin line its spread, the upright mark what was aimed for.
`;

/** The page and its charts by file name. Results come in the order in which they are to stand, a soak after them. */
export function drawn(results: readonly Kept[], soak?: SoakResult): Map<string, string> {
	const files = new Map<string, string>();
	const sections = results.map((kept) => {
		const pictures = charts(kept);
		for (const [file, picture] of pictures) files.set(file, picture);
		return section(kept, pictures.keys());
	});
	files.set(PAGE, [HEAD, ...sections, ...(soak ? [soakSection(soak)] : [])].join("\n"));
	return files;
}
