/**
 * `farelay box`, which is `npm start`: the whole market on this machine. Does its main job once and shows it, then stays up;
 * with `--once` it ends there. `--json FILE` keeps what it came to; the file is written only on success.
 */

import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MARKET_URL } from "#cli/home";
import { sayBytes } from "#cli/screen";
import { type Call, textOf, type Verb } from "#cli/verb";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { type DiskSource, diskSource } from "#host/diskfile";
import { LOG_LEVELS, type LogLevel } from "#host/log";

/** Where the market of a box listens unless told otherwise; its relays take the next two. */
const PORT = 8787;
/** A picture's worth of bytes, sent when no file is named. */
const SAMPLE_BYTES = 300_000;

type Order = {
	readonly data: string;
	readonly port: number;
	readonly once: boolean;
	readonly play: boolean;
	readonly file: string | undefined;
	readonly json: string | undefined;
	readonly logLevel: LogLevel;
};

function readOrder(call: Call): Order | Problem {
	const once = call.options.once === true;
	const port = textOf(call, "port");
	if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_533))
		return problem("usage", "--port takes a number from 0 to 65533.");
	const level = textOf(call, "log-level") ?? "warn";
	const logLevel = LOG_LEVELS.find((known) => known === level);
	if (!logLevel) return problem("usage", `--log-level takes one of ${LOG_LEVELS.join(", ")}.`);
	if (call.words.length > 0) return problem("usage", `A box takes no "${call.words[0]}"; name a file with --file.`);
	const path = (name: string) => {
		const given = textOf(call, name);
		return given === undefined ? undefined : resolve(call.folder, given);
	};
	return {
		data: path("data") ?? resolve(call.folder, call.env.FARELAY_DATA || ".farelay"),
		port: port === undefined ? (once ? 0 : PORT) : Number(port),
		once,
		play: call.options.play === true,
		file: path("file"),
		json: path("json"),
		logLevel,
	};
}

/** The file to send: the one named, or one made up here. */
async function openFile(order: Order): Promise<DiskSource | Problem> {
	if (order.file !== undefined) return diskSource(order.file);
	const path = join(order.data, "sample.bin");
	await mkdir(order.data, { recursive: true, mode: 0o700 });
	await writeFile(path, randomBytes(SAMPLE_BYTES), { mode: 0o600 });
	return diskSource(path);
}

/** Whether the result can be written: asked before money moves for it. */
async function tryOut(path: string): Promise<Problem | undefined> {
	const part = `${path}.${process.pid}.part`;
	await mkdir(dirname(path), { recursive: true });
	try {
		if ((await stat(path).catch(() => undefined))?.isDirectory())
			return problem("usage", `--json takes a file to write, and ${path} is a folder.`);
		await writeFile(part, "");
		await rm(part);
		return undefined;
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code;
		return problem("disk", `The result cannot be written to ${path} (${code}). Nothing was sent.`, { spent: "no" });
	}
}

/** What is said when another box is up on the same folder. */
const inUse = ({ data }: Order) =>
	problem(
		"conflict",
		`Another box is up on ${data}: end it with Ctrl-C, or give this one another folder with --data PATH.`,
	);

async function writeOut(path: string, out: object): Promise<Problem | undefined> {
	const part = `${path}.${process.pid}.part`;
	try {
		await writeFile(part, `${JSON.stringify(out, null, "\t")}\n`);
		await rename(part, path);
		return undefined;
	} catch (error) {
		await rm(part, { force: true }).catch(() => undefined);
		const code = (error as NodeJS.ErrnoException).code;
		return problem("disk", `The result cannot be written to ${path} (${code}). The job itself was done.`, {
			spent: "yes",
		});
	}
}

/** The option that a verb needs to find what is not where it looks by itself. */
function hint(option: string, where: string, usual: string): string {
	return where === usual ? "" : ` --${option} ${where}`;
}

async function run(call: Call, order: Order): Promise<Problem | undefined> {
	const { screen } = call;
	const { tone } = screen;
	const unwritable = order.json === undefined ? undefined : await tryOut(order.json);
	if (unwritable) return unwritable;
	const file = await openFile(order);
	if (isProblem(file)) return file;
	const { sayPorts, startBox } = await import("#box/box");
	const { doJob } = await import("#box/job");
	const { tellOf } = await import("#box/report");
	screen.line(
		tone(
			"faint",
			`Starting a marketplace${order.play ? "" : ", three Lightning nodes on a chain that is made up here,"} and two relays.`,
		),
	);
	const box = await startBox(order);
	if (isProblem(box)) return box.problem === "conflict" ? inUse(order) : sayPorts(box, order.port);
	try {
		screen.line(`${file.name}, ${sayBytes(file.sizeBytes)}, goes to someone who is offline.`);
		const job = await doJob(box, file, {
			step: (text) => screen.line(`  ${text}`),
			progress: (label, total) => screen.progress(label, total),
		});
		if (isProblem(job)) return job;
		const told = await tellOf(box, job);
		if (isProblem(told)) return told;
		for (const line of told.lines) screen.line(line);
		const refused = order.json === undefined ? undefined : await writeOut(order.json, told.out);
		if (refused || order.once) return refused;
		screen.line();
		screen.line(tone("good", `The market is open at ${box.marketUrl}. Ctrl-C closes it.`));
		for (const relay of box.relays) screen.line(`  ${relay.name} at ${relay.url}`);
		const market = hint("market", box.marketUrl, MARKET_URL);
		const data = hint("data", box.data, resolve(call.folder, ".farelay"));
		const tries = [`npx farelay fund 1${market}`, `npx farelay listen${market}`, `npx farelay audit${data}`];
		screen.line(tone("faint", `Everything is kept in ${box.data}. Try: ${tries.join("; ")}`));
		if (!call.stop.aborted) await new Promise((done) => call.stop.addEventListener("abort", done));
		return undefined;
	} finally {
		await file.close();
		await box.stop();
	}
}

export const verb: Verb = {
	summary: "runs the whole market here: a marketplace, two relays, and Lightning nodes of its own",
	usage: [
		"farelay box [options]      (npm start -- [options])",
		"",
		"  --once             does the main job once and ends",
		"  --play             play money alone, without the Lightning nodes: starts faster and needs less memory",
		"  --file PATH        the file to send (a made-up one unless given)",
		"  --json PATH        where to write what it came to, as one JSON object; only on success",
		`  --port N           the market's port, and the two after it for the relays (${PORT}; any free ones with --once)`,
		"  --data PATH        where everything is kept (FARELAY_DATA, or ./.farelay)",
		"  --log-level LEVEL  of the services' logs (warn unless given)",
	],
	options: () => ({
		once: { type: "boolean" },
		play: { type: "boolean" },
		file: { type: "string" },
		json: { type: "string" },
		port: { type: "string" },
		data: { type: "string" },
		"log-level": { type: "string" },
	}),
	words: true,
	async run(call) {
		const order = readOrder(call);
		return isProblem(order) ? order : run(call, order);
	},
};
