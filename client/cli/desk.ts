/**
 * `farelay market desk`: what the market's people look at and decide: cases that wait for them, accounts, enrollers, the reserve. A decision is signed here, by the
 * account of whoever decides, with why; it stays in a chain that nobody rewrites unseen.
 */

import { type Amount, formatDollars, NOTHING, parseDollars } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { DECISION_ID_BYTES, type Deed, isSaying, signDecision } from "#contracts/decision";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import type { CaseJson, DecisionJson, FindingJson } from "#sdk/cases";
import { askMarket, openPerson, type Person } from "./person.ts";
import { type Call, textOf } from "./verb.ts";

/** What waits for the desk, the oldest questions of people last. */
const WAITING = ["answered", "asked", "open"] as const;
/** A person looks at some, not at thousands. */
const LIST_MAX = 100;
/** Decisions read at once. */
const PAGE = 200;

/** What can be decided, by the word for it, and what it is about. */
const WORDS: Readonly<Record<string, { readonly deed: Deed; readonly about: "key" | "case" | "dollars" }>> = {
	freeze: { deed: "freeze", about: "key" },
	unfreeze: { deed: "unfreeze", about: "key" },
	find: { deed: "find", about: "key" },
	approve: { deed: "approve", about: "key" },
	pause: { deed: "pause", about: "key" },
	apart: { deed: "apart", about: "key" },
	answer: { deed: "answer", about: "case" },
	uphold: { deed: "uphold", about: "case" },
	lift: { deed: "lift", about: "case" },
	risk: { deed: "risk", about: "dollars" },
};

export const DESK_USAGE: readonly string[] = [
	"farelay market desk [--home PATH] [--market URL]                 what waits for the market's people (--desk names their accounts)",
	"farelay market desk show CASE | log                              one case; every decision that was made",
	"farelay market desk answer|uphold|lift CASE --note WHY           says something in a case, or decides it",
	"farelay market desk freeze|unfreeze|find ACCOUNT --note WHY      an account; find asks an operator for an answer, and its fund money waits",
	"farelay market desk approve|pause ENROLLER --note WHY            who may give out passes",
	"farelay market desk apart OPERATOR --note WHY                    counts it by itself, whatever it shares with others",
	"farelay market desk risk DOLLARS --note WHY                      puts so much more aside for payments that are taken back",
];

/** Lists, shows or decides. */
export async function marketDesk(call: Call, words: readonly string[]): Promise<Problem | undefined> {
	const [what, on, ...more] = words;
	if (more.length > 0) return problem("usage", `"${more[0]}" says nothing here. farelay market --help says how.`);
	if (what === undefined) return withPerson(call, list);
	if (what === "log") return withPerson(call, log);
	if (what === "show") return withPerson(call, (person) => show(call, person, on));
	const word = Object.hasOwn(WORDS, what) ? WORDS[what] : undefined;
	if (!word) return problem("usage", `The desk has no "${what}": it has show, log, ${Object.keys(WORDS).join(", ")}.`);
	const said = readSubject(word.about, on ?? "");
	if (isProblem(said)) return said;
	const why = textOf(call, "note") ?? "";
	if (!isSaying(why))
		return problem("usage", '--note "..." says why, in up to 600 letters: it stays, and whom it is about reads it.');
	return withPerson(call, (person) => decide(call, person, { deed: word.deed, why, ...said }));
}

async function withPerson(
	call: Call,
	then: (person: Person, call: Call) => Promise<Problem | undefined>,
): Promise<Problem | undefined> {
	const person = await openPerson(call);
	return isProblem(person) ? person : then(person, call);
}

type Subject = { readonly subject: Uint8Array; readonly nanos: Amount };

function readSubject(about: "key" | "case" | "dollars", text: string): Subject | Problem {
	if (about === "dollars") {
		const nanos = parseDollars(text);
		if (!nanos) return problem("usage", "How much? farelay market desk risk 50 --note WHY.");
		return { subject: new Uint8Array(), nanos };
	}
	const subject = fromHex(text, about === "key" ? 32 : 16);
	if (subject) return { subject, nanos: NOTHING };
	return about === "key"
		? problem("usage", "Whom? An account, an enroller or an operator has 64 hex digits.")
		: problem("usage", "Which case? It has 32 hex digits; farelay market desk lists them.");
}

async function decide(
	call: Call,
	person: Person,
	{ deed, why, subject, nanos }: Subject & { readonly deed: Deed; readonly why: string },
): Promise<Problem | undefined> {
	const terms = await person.client.market.terms();
	if (isProblem(terms)) return terms;
	const { publicKey: by, secretKey } = person.client.identity.account;
	const id = crypto.random(DECISION_ID_BYTES);
	const atMs = systemClock.nowMs();
	const decision = signDecision(crypto, { market: terms.market, by, id, deed, subject, why, nanos, atMs }, secretKey);
	const done = await askMarket(person, (api) => api.desk.decide.mutate({ decision: toHex(decision.bytes) }));
	if (isProblem(done)) return done;
	call.screen.answer(done, [done.says]);
	return undefined;
}

async function list(person: Person, { screen }: Call): Promise<Problem | undefined> {
	const cases: CaseJson[] = [];
	for (const state of WAITING) {
		const page = await askMarket(person, (api) => api.desk.cases.query({ state, limit: LIST_MAX }));
		if (isProblem(page)) return page;
		cases.push(...page.cases);
	}
	screen.answer({ cases }, cases.length > 0 ? cases.map(lineOf) : ["Nothing waits."]);
	return undefined;
}

async function show({ screen }: Call, person: Person, id = ""): Promise<Problem | undefined> {
	const found = await askMarket(person, (api) => api.desk.case.query({ id }));
	if (isProblem(found)) return found;
	screen.answer(found, caseLines(found));
	return undefined;
}

async function log(person: Person, { screen }: Call): Promise<Problem | undefined> {
	const decisions: DecisionJson[] = [];
	for (;;) {
		const after = decisions.at(-1)?.number ?? 0;
		const page = await askMarket(person, (api) => api.desk.decisions.query({ after, limit: PAGE }));
		if (isProblem(page)) return page;
		decisions.push(...page.decisions);
		if (page.decisions.length < PAGE) break;
	}
	const lines = decisions.map(({ number, atMs, by, deed, subject, amount, why }) => {
		const about = deed === "risk" ? formatDollars(BigInt(amount)) : subject;
		return `${number}  ${at(atMs)}  ${by.slice(0, 16)}  ${deed} ${about}: ${why}`;
	});
	screen.answer({ decisions }, lines.length > 0 ? lines : ["Nothing was decided yet."]);
	return undefined;
}

/** A case in one line. */
export function lineOf({ id, state, kind, openedMs, letters, about }: CaseJson): string {
	const last = letters.at(-1)?.text.split("\n")[0] ?? "";
	return `${id}  ${state.padEnd(8)} ${kind}${about === "" ? "" : ` ${about.slice(0, 16)}`}, since ${at(openedMs)}${last === "" ? "" : `: ${last}`}`;
}

/** A case with all that was said in it. */
export function caseLines({
	id,
	state,
	says,
	about,
	account,
	reasons,
	letters,
	dueMs,
	isOver,
	kind,
}: CaseJson): string[] {
	const ends: Readonly<Record<string, string>> = {
		asked: "the market's people answer; closed then if they do not",
		told: "closed then",
		open: "answer until then, or it stands",
		answered: "the market's people decide until then, or it is lifted",
	};
	return [
		`${id}  ${state}`,
		says,
		...(about === "" || about === account ? [] : [`about      ${about}`]),
		...reasons.map((reason) => `found      ${reason}`),
		...letters.flatMap(({ from, atMs, text }) =>
			text.split("\n").map((line, i) => `${i === 0 ? `${from.padEnd(10)} ${at(atMs)}  ` : "           "}${line}`),
		),
		isOver ? `over since ${at(dueMs)}` : `ends       ${at(dueMs)}: ${ends[state] ?? ""}`,
		...(isOver || kind === "report" ? [] : [`answer     farelay ask ${id} "..."`]),
	];
}

/** What was found, and what it does to what funds paid. */
export function foundLines({ id, says, state, reasons }: FindingJson): string[] {
	const does = state === "upheld" ? "what funds paid goes back to them" : "what funds paid waits until it is decided";
	const answer = state === "upheld" ? "farelay ask asks the market's people" : `answer: farelay ask ${id} "..."`;
	return [`found     ${says} ${does}; ${answer}`, ...reasons.map((reason) => `          ${reason}`)];
}

const at = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
