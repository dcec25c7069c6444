import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Place, type Program } from "#test/support/process";
import { until } from "#test/support/sdk";

const CLONE = join(import.meta.dirname, "../..");
/** The clone's own scratch folder: only from inside the clone does a program find `#sdk/client`. */
const SCRATCH = join(CLONE, "out", `example-${process.pid}`);

let place: Place;
let market: Program;
before(async () => {
	place = await Place.open();
	market = await place.market();
	const by = { home: "operator", market: market.url };
	const { account } = await place.done(["account"], by);
	await place.relay({ market: market.url, operator: String(account) });
	const listed = async () => ((await place.done(["relays"], by)).relays as unknown[]).length > 0;
	await until(listed, "the relay is listed", 30_000);
	await mkdir(SCRATCH, { recursive: true });
});
after(async () => {
	await rm(SCRATCH, { recursive: true, force: true });
	await place.end();
});

test("the README's app, as it stands there: a message to somebody, paid for, and read", async () => {
	const readme = await readFile(join(CLONE, "README.md"), "utf8");
	const app = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
	assert.ok(app, "the README has an app in it");
	const path = join(SCRATCH, "hello.ts");
	await writeFile(path, app);
	const ran = await promisify(execFile)(process.execPath, [path], {
		env: { ...process.env, FARELAY_MARKET: market.url },
		timeout: 60_000,
	});
	assert.equal(ran.stderr, "");
	assert.match(ran.stdout, /^sent, for [1-9]\d* nano-dollars\nGood morning, Bob\n$/);
});
