/** The soak's part of the page: what `npm run soak -- --minutes 10 --json docs/bench/soak.json` came to. */
import type { SoakResult } from "#test/soak/soak";

const count = (n: number) => n.toLocaleString("en");
const wrong = (n: number) => (n === 0 ? "0" : `**${count(n)}**`);

/** The section; what must be nothing and is not stands out. */
export function soakSection(soak: SoakResult): string {
	const { minutes, seed, people, takenByKillsBytes: taken, faultsByKind, rssMiB, notes } = soak;
	const kinds = Object.entries(faultsByKind).map(([kind, n]) => `${kind} ${count(n)}`);
	const rows: [string, string][] = [
		["sent, kept, delivered", [soak.sent, soak.kept, soak.delivered].map(count).join(", ")],
		["lost: kept and never shown", wrong(soak.lost)],
		["shown twice", wrong(soak.duplicates)],
		["still unanswered, refused", `${wrong(soak.unanswered)}, ${wrong(soak.refused)}`],
		["nano-dollars unaccounted for", wrong(soak.unaccountedNanos)],
		["taken by kills of what was paid ahead", `${count(taken.taken)} bytes of at most ${count(taken.most)}`],
		["kills of the relay", count(soak.kills)],
		["faults of the network", `${count(soak.faults)} (${kinds.join(", ")})`],
		["the relay's memory, in its first life and its last", `${rssMiB[0]} and ${rssMiB[1]} MiB`],
	];
	return [
		"## soak",
		"",
		`\`npm run soak\`: ${minutes} minutes, ${count(people)} people, seed ${seed}; the relay killed by -9 and started again all the time, behind a network that delays, cuts and resets.`,
		"",
		"| | |",
		"|---|---|",
		...rows.map(([what, told]) => `| ${what} | ${told} |`),
		"",
		...notes.map((note) => `- ${note.replaceAll("\n", " ")}`),
		...(notes.length > 0 ? [""] : []),
	].join("\n");
}
