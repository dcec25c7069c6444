/**
 * The keys of a market as its owner handles them: docs/guides/keys.md, block by block, on real processes, with a thief in between; and a key that changes
 * while tabs are open.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { amount } from "#contracts/amount";
import { fromHex, toHex } from "#contracts/bytes";
import { writeDispute } from "#contracts/dispute";
import { FRAME } from "#contracts/frame";
import { type Grant, signGrant } from "#contracts/grant";
import { LIMIT } from "#contracts/limit";
import { type MarketInfo, marketKeyOf, readMarketInfo } from "#contracts/market";
import { isProblem } from "#contracts/problem";
import { writeVoucher } from "#contracts/voucher";
import { crypto } from "#host/crypto";
import { readFolder, writeRoot } from "#marketplace/keys/files";
import { readRequest, requestKeys, takeSigned } from "#marketplace/keys/request";
import { certify, type Signed } from "#marketplace/keys/root";
import { RELAY_DEFAULTS } from "#relay/config";
import { type Client, createClient } from "#sdk/client";
import { DAY_MS, fine } from "#test/support/market";
import { Place } from "#test/support/process";
import { keys, RawClient, until } from "#test/support/rawclient";

const GUIDE = join(import.meta.dirname, "../../docs/guides/keys.md");
const WORDS = "a horse and a battery";
/** 10 MB at the relay's price, so that a thief is soon at the bound. */
const BOUND_NANOS = 5_000_000n;

/** The commands of a section, in order, as words after `farelay`. */
function commands(guide: string, section: string): string[][] {
	const from = guide.indexOf(`\n## ${section}\n`);
	assert.ok(from >= 0, section);
	const end = guide.indexOf("\n## ", from + 4);
	const text = guide.slice(from, end < 0 ? undefined : end);
	return [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].flatMap(([, block = ""]) =>
		block
			.trim()
			.split("\n")
			.map((line) => line.trim().split(" ")),
	);
}

async function infoOf(url: string): Promise<MarketInfo> {
	return (await (await fetch(`${url}/.well-known/farelay.json`)).json()) as MarketInfo;
}

/** Waits for what a market publishes: it looks at its folder every ten seconds. */
async function published(url: string, keysWanted: number, ended: number): Promise<void> {
	const endMs = Date.now() + 30_000;
	for (;;) {
		const info = await infoOf(url);
		if (info.keys.length === keysWanted && info.ended.length === ended) return;
		assert.ok(Date.now() < endMs, `published ${info.keys.length} keys and ${info.ended.length} ends`);
		await new Promise((done) => setTimeout(done, 100));
	}
}

/** Ends a person's tab in agreement, and writes its dispute file. */
async function settled(who: Client): Promise<{ text: string; grant: Grant; grantKey: string; receiptKey: string }> {
	const [last] = await who.settle();
	assert.ok(last?.agreement && !isProblem(last.closed), "the tab was closed in agreement");
	const terms = fine(await who.market.terms());
	const { grant, agreement } = last;
	const { receipt } = last.closed;
	assert.ok(receipt);
	const grantKey = marketKeyOf(crypto, terms.keys, grant.keyId, grant.issuedAtMs);
	const receiptKey = marketKeyOf(crypto, terms.keys, receipt.keyId, receipt.atMs);
	assert.ok(grantKey && receiptKey);
	const text = writeDispute({
		grantKey: grantKey.bytes,
		grant: grant.bytes,
		voucher: writeVoucher(agreement.voucher),
		usage: agreement.usage.bytes,
		receipt: { bytes: receipt.bytes, key: receiptKey.bytes },
	});
	return { text, grant, grantKey: toHex(grantKey.key), receiptKey: toHex(receiptKey.key) };
}

suite("the keys of a market, with real processes", () => {
	let place: Place;
	let guide: string;
	let env: Record<string, string>;
	before(async () => {
		place = await Place.open();
		guide = await readFile(GUIDE, "utf8");
		env = Object.fromEntries(
			commands(guide, "Passphrases").map(([word, set = ""]) => {
				assert.equal(word, "export");
				const [name = "", path = ""] = set.split("=");
				return [name, place.path(path)];
			}),
		);
		for (const folder of ["offline", "online", "stick", "young"]) await mkdir(place.path(folder), { recursive: true });
		for (const path of Object.values(env)) await writeFile(path, `${WORDS}\n`, { mode: 0o600 });
	});
	const everybody: Client[] = [];
	after(async () => {
		await Promise.allSettled(everybody.map((who) => who.close()));
		await place.end();
	});

	/** Runs a section's commands and answers what the last said. */
	async function follow(lines: readonly string[][]): Promise<Record<string, unknown>> {
		let said: Record<string, unknown> = {};
		for (const [npx, farelay, ...words] of lines) {
			assert.deepEqual([npx, farelay], ["npx", "farelay"]);
			said = await place.done(words, { env });
		}
		return said;
	}

	test("the guide holds from the first key to the stolen one, and what the thief can take is bounded and ends", async () => {
		const begin = commands(guide, "A new market");
		const last = begin.at(-1) ?? [];
		const made = await follow(begin.slice(0, -1));
		assert.equal(made.keys, 1);
		assert.equal(existsSync(place.path("online/keys/root.json")), false);
		const root = String(made.market);
		const market = await place.start(last.slice(2), { env });
		const operator = await place.done(["account"], { home: "operator", market: market.url });
		const relay = await place.relay(
			{ market: market.url, operator: String(operator.account) },
			{ more: ["--unconfirmed-nanos", String(BOUND_NANOS), "--market-key", root] },
		);
		const carol = await person(market.url);
		const bob = await person(market.url, false);
		const mail: string[] = [];
		const card = await listed(() => bob.card({ name: "Bob" }));
		bob.listen({ text: ({ text }) => void mail.push(text) });
		await carol.send(card, "before");
		await until("mail", () => mail.length === 1);

		// the thief has the folder and its passphrase, and goes to the relay with grants of its own making
		await cp(place.path("online/keys"), place.path("stolen"), { recursive: true });
		const stolen = fine(await readFolder(crypto, place.path("stolen"), WORDS)).held[0]?.own?.pair;
		assert.ok(stolen);
		const relayKey = fromHex((await bob.market.api.market.relays.query({})).relays[0]?.relay) ?? assert.fail();
		const mallory = async () => {
			const client = await RawClient.connect(relay.url, relayKey);
			const session = keys();
			const issuedAtMs = Date.now() - 1_000;
			const terms = {
				...{ market: fromHex(root) ?? assert.fail(), tab: crypto.random(16), session: session.publicKey },
				...{ relay: relayKey, cap: amount(1_000_000_000_000n), tariff: RELAY_DEFAULTS.tariff, issuedAtMs },
				...{ expiresAtMs: issuedAtMs + 7 * DAY_MS, redeemByMs: issuedAtMs + 8 * DAY_MS },
			};
			client.put(client.helloFrame({ grant: signGrant(crypto, terms, stolen), session }));
			await until("an answer", () => client.of(FRAME.welcome).length + client.problems.length > 0);
			return client;
		};
		let taken = 0n;
		for (let n = 0; n < 5; n++) {
			const client = await mallory();
			for (let step = 1; client.problems.length === 0 && step < 50; step++) {
				const before = client.credits.length;
				client.put(client.payFrame(step * 1_000_000, 0));
				await until("an answer", () => client.credits.length > before || client.problems.length > 0);
			}
			assert.ok(client.problems.length > 0, "the thief meets a bound");
			taken += client.credits.at(-1) ?? 0n;
			await client.end();
		}
		assert.ok(taken > 0n && taken <= BOUND_NANOS, `${taken}`);
		await until("the relay says so", () => relay.log().includes("does not know a tab that its key signed"));

		// the drill
		const drill = commands(guide, "The stolen-key drill");
		assert.equal(drill.length, 7);
		await follow(drill.slice(0, 2));
		await published(market.url, 1, 1);
		const late = await person(market.url);
		const refused = await late.send(card, "nobody signs").then(
			() => undefined,
			(error: { problem?: { problem: string; spent: string } }) => error.problem,
		);
		assert.deepEqual([refused?.problem, refused?.spent], ["unavailable", "no"]);
		await follow(drill.slice(2, 5));
		await published(market.url, 2, 1);
		const shown = await follow([drill[5] ?? []]);
		assert.equal(
			(shown.keys as { endedAtMs: number | null }[]).filter(({ endedAtMs }) => endedAtMs !== null).length,
			1,
		);
		// who had a tab has it, and who opens one gets it by the new key
		await carol.send(card, "after");
		await late.send(card, "by the new key");
		await until("mail", () => mail.length === 3);
		assert.equal((await mallory()).of(FRAME.welcome).length, 0);
		const old = await settled(carol);
		const fresh = await settled(late);
		assert.equal(old.grantKey, toHex(stolen.publicKey));
		assert.notEqual(old.receiptKey, old.grantKey);
		assert.equal(fresh.grantKey, fresh.receiptKey);
		for (const { text } of [old, fresh]) await verifies(text, root);
		await follow([drill[6] ?? []]);
		const earned = await place.done(["earnings"], { home: "operator", market: market.url });
		assert.ok(BigInt(String(earned.earned)) > 0n);
		await Promise.all([relay.end(), market.end()]);
	});

	test("a root that lay with its market is taken away while the market runs", async () => {
		const market = await place.market({ data: "young", env });
		assert.match(market.log(), /root key lies on this machine/);
		await follow(commands(guide, "A market that has its root"));
		assert.equal(existsSync(place.path("young/keys/root.json")), false);
		assert.ok(existsSync(place.path("offline/young.key.signed.json")));
		const shown = await place.done(["market", "keys", "--data", place.path("young")], { env });
		assert.equal(shown.rootHere, false);
		await market.end();
	});

	test("a key changes while tabs are open: they go on, are redeemed and closed, and their dispute files hold", async () => {
		const nowMs = Date.now();
		const folder = place.path("turning", "keys");
		const root = keys();
		await writeRoot(place.path("turning.root"), root, undefined);
		const request = place.path("turning.json");
		const have = async (atMs: number, takenMs: number, before: Signed) => {
			fine(await requestKeys(crypto, folder, 1, undefined, request));
			const signed = fine(certify(crypto, root, before, fine(await readRequest(crypto, request)), atMs));
			fine(await takeSigned(crypto, folder, signed, undefined, takenMs));
			return signed;
		};
		// one that is 23 days old, and the next, which was brought an hour ago but for some seconds
		const first = await have(nowMs - 23 * DAY_MS, nowMs - 23 * DAY_MS, { keys: [], ends: [] });
		const turnMs = Date.now() + 12_000;
		await have(nowMs - DAY_MS, turnMs - 3_600_000, first);
		const market = await place.market({ data: "turning" });
		const relay = await place.relay(
			{ market: market.url, operator: toHex(keys().publicKey) },
			{ data: "turning-relay" },
		);
		const bob = await person(market.url, false);
		const mail: string[] = [];
		const card = await listed(() => bob.card({ name: "Bob" }));
		bob.listen({ text: ({ text }) => void mail.push(text) });
		const carol = await person(market.url);
		await carol.send(card, "by the old key");
		assert.ok(Date.now() < turnMs, "the tab was opened before the key changed");
		await new Promise((done) => setTimeout(done, Math.max(0, turnMs + 500 - Date.now())));
		await carol.send(card, "on the same tab");
		const dave = await person(market.url);
		await dave.send(card, "by the new key");
		await until("mail", () => mail.length === 3);
		const [old, fresh] = [await settled(carol), await settled(dave)];
		assert.equal(old.grantKey, toHex(first.keys[0]?.key ?? root.publicKey));
		assert.equal(old.receiptKey, fresh.grantKey);
		assert.notEqual(old.grantKey, old.receiptKey);
		for (const { text } of [old, fresh]) await verifies(text, toHex(root.publicKey));
		assert.ok(old.grant.expiresAtMs - old.grant.issuedAtMs <= LIMIT.grantMsMax);
		const read = fine(readMarketInfo(crypto, await infoOf(market.url)));
		assert.equal(read.keys.length, 2);
		await Promise.all([relay.end(), market.end()]);
		await place.done(["audit", "--data", place.path("turning")]);
	});

	async function person(market: string, dollars = true): Promise<Client> {
		const client = await createClient({ market });
		everybody.push(client);
		if (dollars) await client.market.api.funding.play.mutate({ id: "start", amount: "1000000000" });
		return client;
	}

	/** Until the relay is listed. */
	async function listed<T>(ask: () => Promise<T>): Promise<T> {
		const endMs = Date.now() + 20_000;
		for (;;) {
			try {
				return await ask();
			} catch (error) {
				if (Date.now() > endMs) throw error;
				await new Promise((done) => setTimeout(done, 100));
			}
		}
	}

	async function verifies(text: string, root: string): Promise<void> {
		const path = place.path("dispute.json");
		await writeFile(path, text);
		const said = await place.done(["verify", path, "--market", root]);
		assert.equal(said.owed, "0");
		assert.equal(said.marketPinned, true);
	}
});
