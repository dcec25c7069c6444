/** Relays share nothing: what one asks of its market and hears from it is the same beside fifty others as alone. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isProblem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { openSilentLog } from "#host/log";
import { playConfig } from "#marketplace/config";
import { startMarketplace } from "#marketplace/main";
import { RELAY_DEFAULTS } from "#relay/config";
import { startRelay } from "#relay/relay";
import { clientOf, crypto, fine, TestRelay, toHex } from "#test/support/market";
import { until } from "#test/support/rawclient";
import { relayDeps } from "#test/support/relay";

const OTHERS = 50;

test("threat 26: a relay hears nothing of other relays, and fifty of them add no request and no byte to its work", async (t) => {
	const folder = await mkdtemp(join(tmpdir(), "farelay-apart-"));
	t.after(() => rm(folder, { recursive: true, force: true }));
	const clock = systemClock;
	const market = fine(await startMarketplace(playConfig(folder), { clock, log: openSilentLog(), crypto }));
	t.after(() => market.stop());

	/** What a new relay asks until it has said its listing three times, and what it hears; times and its own key aside. */
	async function life(): Promise<{ asked: string[]; heard: string[] }> {
		const [asked, heard]: [string[], string[]] = [[], []];
		const recorded: typeof fetch = async (to, init) => {
			const answer = await fetch(to, init);
			const path = new URL(String(to)).pathname;
			asked.push(`${path} ${String(init?.body ?? "").length}`);
			heard.push(`${path} ${await answer.clone().text()}`);
			return answer;
		};
		const operator = crypto.keyPair(crypto.random(32)).publicKey;
		const config = { ...RELAY_DEFAULTS, port: 0, marketUrl: market.url, operator, announceEveryMs: 100 };
		const relay = await startRelay(config, relayDeps({ fetch: recorded }));
		assert(!isProblem(relay), isProblem(relay) ? relay.detail : "");
		t.after(() => relay.stop());
		await until("three listings", () => heard.filter((one) => one.startsWith("/v1/listing")).length >= 3);
		const paths = new Set(asked.map((one) => one.split(" ")[0]));
		assert.deepEqual([...paths].sort(), ["/.well-known/farelay.json", "/v1/listing"]);
		return { asked: [...new Set(asked)].sort(), heard: heard.map((one) => one.replace(/"nowMs":\d+/, "")) };
	}

	const alone = await life();
	const others = Array.from({ length: OTHERS }, () => new TestRelay({ url: market.url, market: market.market, clock }));
	for (const other of others) assert.equal((await other.list()).status, 200);
	const people = clientOf(market.url, () => undefined);
	const shown = await until("the others to be on show", async () => {
		const { relays } = await people.market.relays.query({});
		return relays.length >= OTHERS ? relays : undefined;
	});
	const beside = await life();
	assert.deepEqual(beside.asked, alone.asked, "the same requests of the same length");
	assert.deepEqual(new Set(beside.heard), new Set(alone.heard), "the same answers");
	for (const { relay } of shown)
		for (const heard of beside.heard) assert.ok(!heard.includes(relay), "no other relay is named");
	assert.ok(shown.some(({ relay }) => relay === others[0]?.id && relay === toHex(others[0].key.publicKey)));
});
