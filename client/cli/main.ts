/**
 * `farelay VERB`: finds the verb, reads its options, and turns its answer into an exit code:
 * 0 done, 1 refused or found wrong, 2 called wrongly, 3 worth trying again, 4 whether money moved is not known.
 */

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
	relays: () => import("./verb/relays.ts"),
	send: () => import("./verb/send.ts"),
	listen: () => import("./verb/listen.ts"),
	earnings: () => import("./verb/earnings.ts"),
	statement: () => import("./verb/statement.ts"),
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
	screen.answer({ verbs }, ["farelay VERB [options]    (farelay VERB --help says more)", "", ...lines]);
}

/** Ends the signal at the first Ctrl-C or SIGTERM; the second ends the process at once. */
function stopSignal(): AbortSignal {
	const stop = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"] as const) {
		process.once(signal, () => stop.abort());
	}
	return stop.signal;
}

async function run(args: readonly string[]): Promise<number> {
	const [name, ...rest] = args;
	const plain = openScreen(false);
	if (name === undefined || name === "--help" || name === "-h" || name === "help") {
		await help(openScreen(args.includes("--json")));
		return name === undefined ? 2 : 0;
	}
	const load = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
	if (!load) return refuse(plain, problem("usage", `There is no verb "${name}". farelay --help lists them.`));
	const { verb } = await load();
	let parsed: ReturnType<typeof parseArgs>;
	try {
		parsed = parseArgs({
			args: rest,
			options: { ...COMMON_OPTIONS, ...(await verb.options()) },
			allowPositionals: true,
		});
	} catch (error) {
		return refuse(plain, problem("usage", `${(error as Error).message} farelay ${name} --help says how.`));
	}
	// some verbs write their JSON to a file: then --json takes a path, and the screen is for people
	const screen = openScreen(parsed.values.json === true);
	if (parsed.values.help) {
		screen.answer({ verb: name, usage: verb.usage }, verb.usage);
		return 0;
	}
	const options = parsed.values as Record<string, string | boolean | undefined>;
	const call = {
		options,
		words: parsed.positionals,
		screen,
		env: process.env,
		folder: process.cwd(),
		stop: stopSignal(),
	};
	const refusal = await verb.run(call);
	return refusal ? refuse(screen, refusal) : 0;
}

function refuse(screen: Screen, refusal: Problem): number {
	screen.problem(refusal);
	return exitCodeOf(refusal);
}

process.exitCode = await run(process.argv.slice(2));
