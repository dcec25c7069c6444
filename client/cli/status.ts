/** A relay's state in lines for people: what it earns, what it carries against its caps, and why anything was turned away. */

import { formatDollars, parseAmount } from "#contracts/amount";
import { PROBLEMS } from "#contracts/problem";
import type { RelayState } from "#relay/operator/state";
import { type Screen, sayBytes, table } from "./screen.ts";

const LABEL_WIDTH = 13;
const BAR_WIDTH = 20;

type Part = { readonly usedBytes: number; readonly capGb: number };

type Tones = Pick<Screen, "tone">;

function row({ tone }: Tones, label: string, says: string): string {
	return `${tone("faint", label.padEnd(LABEL_WIDTH))}${says}`;
}

function count(n: number): string {
	return n.toLocaleString("en");
}

/** Which relay it is, and what it takes. */
export function headLines(state: RelayState, screen: Tones): string[] {
	const name = screen.tone("strong", `relay ${state.relay.slice(0, 8)}`);
	return [`${name}  ${state.url}  up ${sayMs(state.atMs - state.startedAtMs)}`, takes(state, screen)];
}

/** What is used of what its operator gives it. */
export function capLines({ traffic, disk, caps }: RelayState, screen: Tones, nowMbit = ""): string[] {
	const { trafficGbMonth, diskGb, bandwidthMbit } = caps;
	const passed = against({ usedBytes: traffic.usedBytes, capGb: trafficGbMonth });
	return [
		row(screen, "traffic", `${passed} in ${traffic.month} (UTC)${nowMbit}`),
		row(screen, "disk", `${against({ usedBytes: disk.bytes, capGb: diskGb })}, ${count(disk.mails)} mails`),
		row(screen, "bandwidth", bandwidthMbit > 0 ? `${count(bandwidthMbit)} Mbit/s each way` : "no cap"),
	];
}

/** The lines of a state; with the one before it also what passes a second. */
export function statusLines(state: RelayState, screen: Tones, before?: RelayState): string[] {
	const { connections, carried, inMemory } = state;
	const money = (nanos: string): string => formatDollars(parseAmount(nanos) ?? 0n);
	return [
		...headLines(state, screen),
		"",
		row(
			screen,
			"money",
			`earned ${money(state.money.earned)}   waiting ${money(state.money.waiting)}   paid ${money(state.money.paid)}`,
		),
		row(
			screen,
			"connections",
			`${count(connections.open)} open, ${count(connections.readers)} listening, ${count(connections.strangers)} without a hello`,
		),
		row(
			screen,
			"carried",
			`${count(carried.live)} live (${sayBytes(carried.liveBytes)}), ${count(carried.kept)} kept (${sayBytes(carried.keptBytes)}), ${count(carried.retries)} said again`,
		),
		...capLines(state, screen, rate(state, before)),
		row(
			screen,
			"in memory",
			`${count(inMemory.tabs)} tabs, ${count(inMemory.tags)} tags, ${count(inMemory.mailboxes)} mailboxes, ${count(inMemory.handles)} handles`,
		),
		...marketLines(state, screen),
		"",
		...whys(state, screen),
	];
}

function takes({ closed, health, caps }: RelayState, { tone }: Tones): string {
	if (health.state === "draining") return tone("bad", "It is stopping.");
	const troubles = Object.entries(health.troubles).map(([part, code]) => `${part}: ${PROBLEMS[code].says}`);
	if (troubles.length > 0) return tone("bad", troubles.join(" "));
	if (caps.paused)
		return tone("bad", "Paused: it takes nothing new; what waits is still delivered. farelay relay resume opens it.");
	if (closed.sends)
		return tone("bad", "The month's traffic is used up: it takes nothing new; what waits is still delivered.");
	if (closed.keeps) return tone("bad", "The disk it may use is full: it takes only what is live.");
	return tone("good", "It takes what is paid for.");
}

function against({ usedBytes, capGb }: Part): string {
	if (capGb === 0) return `${sayBytes(usedBytes)}, no cap`;
	const share = Math.min(1, usedBytes / (capGb * 1e9));
	const full = Math.round(share * BAR_WIDTH);
	return `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)} ${sayBytes(usedBytes)} of ${capGb} GB`;
}

function rate(state: RelayState, before: RelayState | undefined): string {
	const ms = before ? state.atMs - before.atMs : 0;
	if (!before || ms <= 0 || before.traffic.month !== state.traffic.month) return "";
	const mbit = ((state.traffic.usedBytes - before.traffic.usedBytes) * 8) / 1_000 / ms;
	return `, ${mbit.toFixed(1)} Mbit/s now`;
}

/** A line for each thing that is asked of the market: one for all would be cut at a terminal's edge, where it says what failed. */
function marketLines({ market, atMs }: RelayState, screen: Tones): string[] {
	const { url, keys, listing, redemption, batches, claims, failures } = market;
	const when = (asked: typeof keys): string => {
		if (!asked) return "not yet";
		const ago = `${sayMs(atMs - asked.atMs)} ago`;
		return asked.problem ? screen.tone("bad", `failed ${ago} (${asked.problem})`) : ago;
	};
	const handed = `${count(claims)} claims in ${count(batches)} batches, ${count(failures)} unanswered`;
	return [
		row(screen, "market", url),
		row(screen, "its keys", when(keys)),
		row(screen, "listed", when(listing)),
		row(screen, "redeemed", `${when(redemption)}; ${handed}`),
	];
}

function whys({ why }: RelayState, { tone }: Tones): string[] {
	const told = why.filter(({ what, reason }) => what !== "closed" || reason !== "client");
	if (told.length === 0) return ["Nothing was refused, delayed or dropped since it started."];
	const rows = told.map(({ what, reason, count, says }) => [what, count.toLocaleString("en"), reason, says]);
	const [head = "", ...lines] = table(["since it started", "times", "reason", "which says"], rows);
	return [tone("faint", head), ...lines];
}

/** A span as people say it. */
function sayMs(ms: number): string {
	const s = Math.max(0, Math.round(ms / 1_000));
	if (s < 120) return `${s} s`;
	if (s < 7_200) return `${Math.floor(s / 60)} min`;
	return s < 172_800
		? `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`
		: `${Math.floor(s / 86_400)} days`;
}
