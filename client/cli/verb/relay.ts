/**
 * `farelay relay`: runs a relay; its log goes to standard output, as a service's does. `farelay relay status`, `pause`, `resume` and `set` look at
 * and steer one that runs on this machine, by the socket in its data folder.
 */

import { resolve } from "node:path";
import { askRelay } from "#cli/door";
import { flagsOf, optionsOf } from "#cli/service";
import { capLines, headLines, statusLines } from "#cli/status";
import { type Call, textOf, type Verb } from "#cli/verb";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { readSettings } from "#host/env";
import type { RelayState } from "#relay/operator/state";

const load = () => import("#relay/config");

/** How often a status at a terminal is drawn anew. */
const LOOK_EVERY_MS = 2_000;

const CAPS = { trafficGbMonth: "traffic-gb-month", diskGb: "disk-gb", bandwidthMbit: "bandwidth-mbit" } as const;

/** The data folder of the relay that is meant. */
async function folderOf(call: Call): Promise<string | Problem> {
	const { RELAY_SETTINGS } = await load();
	const settings = readSettings(RELAY_SETTINGS, {
		flags: flagsOf(call, RELAY_SETTINGS),
		env: call.env,
		section: "relay",
	});
	return isProblem(settings) ? settings : resolve(call.folder, settings.data ?? ".");
}

/** What `set` is told, checked as the start settings are. */
async function changeOf(call: Call): Promise<object | Problem> {
	const { RELAY_SETTINGS } = await load();
	const change: Record<string, number> = {};
	for (const [name, option] of Object.entries(CAPS)) {
		const given = textOf(call, option);
		if (given === undefined) continue;
		const { read, expects } = RELAY_SETTINGS[name as keyof typeof CAPS];
		const value = read(given);
		if (value === undefined) return problem("usage", `--${option} takes ${expects}.`);
		change[name] = value;
	}
	if (Object.keys(change).length > 0) return change;
	return problem("usage", "Say what to set: --traffic-gb-month, --disk-gb or --bandwidth-mbit.");
}

async function status(call: Call, folder: string): Promise<Problem | undefined> {
	const { screen } = call;
	let state = await askRelay(folder);
	if (isProblem(state)) return state;
	if (!screen.live || call.options.once) {
		screen.answer(state, statusLines(state, screen));
		return undefined;
	}
	let before: RelayState | undefined;
	while (!call.stop.aborted) {
		screen.redraw(statusLines(state, screen, before));
		before = state;
		await new Promise<void>((done) => {
			const timer = setTimeout(done, LOOK_EVERY_MS);
			call.stop.addEventListener("abort", () => done(clearTimeout(timer)), { once: true });
		});
		if (call.stop.aborted) break;
		state = await askRelay(folder);
		if (isProblem(state)) return state;
	}
	return undefined;
}

async function steer(call: Call, asked: string): Promise<Problem | undefined> {
	const change = asked === "set" ? await changeOf(call) : { paused: asked === "pause" };
	if (isProblem(change)) return change;
	const folder = await folderOf(call);
	if (isProblem(folder)) return folder;
	const state = await askRelay(folder, change);
	if (isProblem(state)) return state;
	const caps = asked === "set" ? capLines(state, call.screen) : [];
	call.screen.answer(state, [...headLines(state, call.screen), ...caps]);
	return undefined;
}

export const verb: Verb = {
	summary: "runs a relay and earns for what it carries; shows and steers one that runs",
	usage: [
		"farelay relay --market-url URL --operator ACCOUNT [options]",
		"farelay relay status [--data PATH] [--once]     what it earns and carries, and why anything was refused; live at a terminal",
		"farelay relay pause|resume [--data PATH]        takes nothing new, and takes it again; what waits is delivered all the while",
		"farelay relay set [--data PATH] [--traffic-gb-month N] [--disk-gb N] [--bandwidth-mbit N]     changes caps while it runs",
		"",
		'Every option is also a variable (--send-per-mb is FARELAY_SEND_PER_MB) and a name in the "relay" part of the JSON file',
		"that FARELAY_CONFIG names. ACCOUNT is who is paid: farelay account shows yours. Prices are nano-dollars.",
		"",
		"  --market-url URL          the marketplace it is listed at and redeems its vouchers with",
		"  --market-key KEY          that market's root key, if you pin it; else the first one heard of is kept",
		"  --operator ACCOUNT        who is paid",
		"  --send-per-mb NANOS       its ask for a megabyte forwarded (500000, which is $0.50 a GB)",
		"  --store-per-mb-day NANOS  its ask for a megabyte kept for a day (1000, which is $0.001 a GB-day)",
		"  --host HOST, --port N     where it listens (127.0.0.1, 8470)",
		"  --public-url URL          where clients find it, ws:// or wss://, where that is another address",
		"  --country CC              two letters of the country it is in (ZZ: not said)",
		"  --data PATH               its key, its mail and its vouchers (./.farelay/relay)",
		"  --traffic-gb-month N      what may pass in a month, both ways together, in GB (0: no cap)",
		"  --disk-gb N               what kept mail may take of the disk, in GB (10; 0: no cap)",
		"  --bandwidth-mbit N        what may pass a second, each way, in Mbit (0: no cap)",
		"  --unconfirmed-nanos N     what new tabs may use together before the market has confirmed any of them (5000000000, five dollars)",
		"  --redeem-every-ms N       how often it redeems (60000)",
		"  --announce-every-ms N     how often it tells the market that it is there (60000)",
		"  --workers N               processes that share the work, one a core (1)",
		"  --trust-proxy NETWORKS    proxies in front whose X-Forwarded-For is believed: loopback, 10.0.0.0/8 (none)",
		"  --log-level LEVEL         info unless given",
		"",
		"A cap that was set live counts after a restart too, until the option or variable that it was changed from says something else.",
	],
	options: async () => ({ ...optionsOf((await load()).RELAY_SETTINGS), once: { type: "boolean" } }),
	words: true,
	async run(call) {
		const [asked, ...more] = call.words;
		if (more.length > 0) return problem("usage", `"${more[0]}" says nothing here. farelay relay --help says how.`);
		if (asked === "set" || asked === "pause" || asked === "resume") return steer(call, asked);
		if (asked === "status") {
			const folder = await folderOf(call);
			return isProblem(folder) ? folder : status(call, folder);
		}
		if (asked !== undefined)
			return problem("usage", `A relay has no "${asked}": it has status, pause, resume and set.`);
		const { RELAY_SETTINGS } = await load();
		const { runRelay } = await import("#relay/main");
		return runRelay(flagsOf(call, RELAY_SETTINGS), call.env);
	},
};
