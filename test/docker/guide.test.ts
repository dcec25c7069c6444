import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { optionsOf } from "#cli/service";
import { verb as account } from "#cli/verb/account";
import { verb as payout } from "#cli/verb/payout";
import { verb as relay } from "#cli/verb/relay";
import { verb as send } from "#cli/verb/send";
import { PROBLEMS } from "#contracts/problem";
import { variableOf } from "#host/env";
import { MARKET_SETTINGS } from "#marketplace/config";
import { RELAY_SETTINGS } from "#relay/config";

const guide = readFileSync(join(import.meta.dirname, "../../docs/guides/operator.md"), "utf8");

suite("the operator's guide", () => {
	test("names only options that there are", async () => {
		const verbs = await Promise.all([relay, send, account, payout].map(({ options }) => options?.() ?? {}));
		const known = new Set([...verbs, optionsOf(MARKET_SETTINGS)].flatMap((options) => Object.keys(options)));
		// of other programs, and those of every verb
		for (const word of ["json", "env-file", "build", "profile", "system", "home-dir", "shell", "now", "help"])
			known.add(word);
		const named = [...guide.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map(([, name = ""]) => name);
		assert.ok(named.length > 20);
		for (const name of named) assert.ok(known.has(name), `--${name}`);
	});

	test("names only variables that there are", () => {
		const known = [...Object.keys(RELAY_SETTINGS), ...Object.keys(MARKET_SETTINGS)].map(variableOf);
		for (const [name] of guide.matchAll(/FARELAY_[A-Z_]+/g))
			assert.ok(known.includes(name.replace(/_FILE$/, "")), name);
	});

	test("names only problems that there are", () => {
		const table = guide.slice(guide.indexOf("## When something is wrong"));
		const codes = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = ""]) => cell.match(/[a-z-]+/g) ?? []);
		assert.ok(codes.length > 20);
		for (const code of codes) assert.ok(code in PROBLEMS, code);
	});
});
