/** Thirty days of counting in one record: what is older counts no more. Pure. */

/** How many days count: today and those before it. */
export const WINDOW_DAYS = 30;

/** So many bytes on a day, newest last; a few kinds beside each other. */
export type Window = readonly (readonly [day: number, ...bytes: bigint[]])[];

/** With more bytes on a day; below nothing, or on a day that is over, nothing is counted. */
export function counted(window: Window, today: number, day: number, bytes: readonly bigint[]): Window {
	const live = window.filter(([at]) => at > today - WINDOW_DAYS);
	if (day <= today - WINDOW_DAYS) return live;
	const before = live.find(([at]) => at === day);
	const sums = bytes.map((more, i) => {
		const sum = ((before?.[i + 1] as bigint | undefined) ?? 0n) + more;
		return sum > 0n ? sum : 0n;
	});
	return [...live.filter(([at]) => at !== day), [day, ...sums] as const].sort(([a], [b]) => a - b);
}

/** The sums of the days that count, one for each kind. */
export function sumsOf(window: Window, today: number, kinds: number): bigint[] {
	const live = window.filter(([at]) => at > today - WINDOW_DAYS);
	return Array.from({ length: kinds }, (_, i) => live.reduce((sum, row) => sum + ((row[i + 1] as bigint) ?? 0n), 0n));
}

/** As a record's JSON text. */
export function writeWindow(window: Window): string {
	return JSON.stringify(window.map(([day, ...bytes]) => [day, ...bytes.map(String)]));
}

/** Reads it; nothing counted where there is no record yet. */
export function readWindow(value: string | undefined): Window {
	if (value === undefined) return [];
	const rows = JSON.parse(value) as [number, ...string[]][];
	return rows.map(([day, ...bytes]) => [day, ...bytes.map(BigInt)] as const);
}
