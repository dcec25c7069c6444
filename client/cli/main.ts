/**
 * `farelay VERB`: finds the verb, reads its options, and turns its answer into an exit code:
 * 0 done, 1 refused or found wrong, 2 called wrongly, 3 worth trying again, 4 whether money moved is not known.
 */

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Problem, problem } from "#contracts/problem";
import { openScreen, type Screen } from "./screen.ts";
import { COMMON_OPTIONS, type Verb } from "./verb.ts";

const VERBS: Record<string, () => Promise<{ verb: Verb }>> = {
	box: () => import("./verb/box.ts"),
	relay: () => import("./verb/relay.ts"),
	market: () => import("./verb/market.ts"),
	account: () => import("./verb/account.ts"),
	fund: () => import("./verb/fund.ts"),
	wallet: () => import("./verb/wallet.ts"),
	relays: () => import("./verb/relays.ts"),
	card: () => import("./verb/card.ts"),
	send: () => import("./verb/send.ts"),
	listen: () => import("./verb/listen.ts"),
	devices: () => import("./verb/devices.ts"),
	home: () => import("./verb/home.ts"),
	payout: () => import("./verb/payout.ts"),
	pool: () => import("./verb/pool.ts"),
	commons: () => import("./verb/commons.ts"),
	pass: () => import("./verb/pass.ts"),
	gift: () => import("./verb/gift.ts"),
	codes: () => import("./verb/codes.ts"),
	enroll: () => import("./verb/enroll.ts"),
	ask: () => import("./verb/ask.ts"),
	price: () => import("./verb/price.ts"),
	earnings: () => import("./verb/earnings.ts"),
	statement: () => import("./verb/statement.ts"),
	prove: () => import("./verb/prove.ts"),
	verify: () => import("./verb/verify.ts"),
	audit: () => import("./verb/audit.ts"),
	doctor: () => import("./verb/doctor.ts"),
};

function exitCodeOf(refusal: Problem): number {
	if (refusal.problem === "usage") return 2;
	if (refusal.spent === "unknown") return 4;
	return refusal.retry ? 3 : 1;
}

async function help(screen: Screen): Promise<void> {
	const verbs = await Promise.all(
		Object.entries(VERBS).map(async ([name, load]) => ({ name, summary: (await load()).verb.summary })),
	);
	const lines = verbs.map(({ name, summary }) => `  ${screen.tone("strong", name.padEnd(10))} ${summary}`);
	screen.answer({ verbs }, ["farelay VERB [options]    (farelay VERB --help says more)", "", ...lines, "", ...GENERAL]);
}

/** What holds for every verb. */
const GENERAL: readonly string[] = [
	"With --json every verb prints one JSON object, listen one a line; box writes it to a file. farelay --version says which",
	"this is. Exit codes: 0 done, 1 refused or found wrong, 2 called wrongly, 3 worth trying again, 4 it is not known",
	"whether money moved.",
];

async function version(screen: Screen): Promise<void> {
	const manifest = await readFile(new URL("../../package.json", import.meta.url), "utf8");
	const { version: farelay } = JSON.parse(manifest) as { version: string };
	screen.answer({ farelay, node: process.version }, [`farelay ${farelay} (Node ${process.version})`]);
}

/**
 * Ends the signal at the first Ctrl-C or SIGTERM; the second ends the process at once. Whoever reads the output may leave
 * (`| head -1`): what was asked for is done all the same, and a verb that only waits to say more ends.
 */
function stopSignal(waits: boolean): AbortSignal {
	const stop = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"] as const) {
		process.once(signal, () => stop.abort());
	}
	for (const stream of [process.stdout, process.stderr]) {
		stream.on("error", (error: NodeJS.ErrnoException) => {
			if (error.code !== "EPIPE") throw error;
			if (waits) stop.abort();
		});
	}
	return stop.signal;
}

/** What to do next, where a verb that acts for a person is refused. */
const ADVICE: Partial<Record<Problem["problem"], string>> = {
	unavailable: "farelay doctor looks for the cause.",
	"balance-short": "farelay fund puts money on your account.",
	"grant-unknown-market": "Where a market was begun anew on purpose, name a new --home too.",
};

function advised(refusal: Problem, { json }: Screen, personal: boolean): Problem {
	const advice = personal && !json ? ADVICE[refusal.problem] : undefined;
	return advice === undefined ? refusal : { ...refusal, detail: `${refusal.detail} ${advice}` };
}

async function run(args: readonly string[]): Promise<number> {
	const [name, ...rest] = args;
	// a box writes its JSON to a file
	const plain = openScreen(rest.includes("--json") && name !== "box");
	if (name === undefined || name === "--help" || name === "-h" || name === "help") {
		await help(openScreen(args.includes("--json")));
		return name === undefined ? 2 : 0;
	}
	if (name === "--version") {
		await version(plain);
		return 0;
	}
	const load = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
	if (!load) return refuse(plain, problem("usage", `There is no verb "${name}". farelay --help lists them.`));
	const { verb } = await load();
	const taken = await verb.options();
	let parsed: ReturnType<typeof parseArgs>;
	try {
		parsed = parseArgs({
			args: rest,
			options: { ...COMMON_OPTIONS, ...taken },
			allowPositionals: true,
		});
	} catch (error) {
		// Node goes on about words that begin with a dash; what it found is in its first sentence
		const says = (error as Error).message
			.replaceAll(/\s+/g, " ")
			.replace(/\. To specify .*$/, ".")
			.replace(/[^.]$/, "$&.");
		return refuse(plain, problem("usage", `${says} farelay ${name} --help says how.`));
	}
	// some verbs write their JSON to a file: then --json takes a path, and the screen is for people
	const screen = openScreen(parsed.values.json === true);
	if (parsed.values.help) {
		screen.answer({ verb: name, usage: verb.usage }, verb.usage);
		return 0;
	}
	const extra = verb.words ? undefined : parsed.positionals[0];
	if (extra !== undefined)
		return refuse(screen, problem("usage", `"${extra}" says nothing here. farelay ${name} --help says how.`));
	const options = parsed.values as Record<string, string | boolean | undefined>;
	const call = {
		options,
		words: parsed.positionals,
		screen,
		env: process.env,
		folder: process.cwd(),
		stop: stopSignal(name === "box" || name === "listen"),
	};
	const refusal = await verb.run(call);
	// whoever ended it knows why it ended
	const personal = "home" in taken && name !== "doctor" && !call.stop.aborted;
	return refusal ? refuse(screen, advised(refusal, screen, personal)) : 0;
}

function refuse(screen: Screen, refusal: Problem): number {
	screen.problem(refusal);
	return exitCodeOf(refusal);
}

/** What went wrong with a file or folder of this machine, wherever it did: a full disk is no bug. */
function problemOfMachine(error: unknown): Problem | undefined {
	if (!(error instanceof Error && "syscall" in error && "code" in error)) return undefined;
	if (
		!/^(access|close|fsync|fdatasync|ftruncate|link|mkdir|open|read|rename|rm|scandir|stat|unlink|write)/.test(
			String(error.syscall),
		)
	)
		return undefined;
	const where = "path" in error ? ` (${error.path})` : "";
	return problem("disk", `The disk does not do what is asked of it: ${error.code}${where}.`, { spent: "unknown" });
}

// whoever started this process was killed (`farelay.mjs`): it ends in order, as if they had asked for it
process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
process.channel?.unref();

const args = process.argv.slice(2);
process.on("uncaughtException", (error) => {
	const known = problemOfMachine(error);
	if (!known) console.error(error);
	process.exit(known ? refuse(openScreen(args.includes("--json") && args[0] !== "box"), known) : 1);
});
process.exitCode = await run(args);
