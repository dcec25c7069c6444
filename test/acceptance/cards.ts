/** What every engine of the published cards must do, told with Ada who publishes, and everybody else. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem } from "#contracts/problem";
import { type PublishedBody, signPublished } from "#contracts/published";
import { type Cards, makeCards, type Places, SWEEP_MAX } from "#marketplace/card/cards";
import { crypto } from "#test/support/market";

const NOW = Date.UTC(2026, 0, 1);

/** Runs the suite on an engine. `open` gives empty places each time, with room for so many; the suite closes them. */
export function cardSuite(engine: string, open: (placesMax: number) => Promise<Places>): void {
	describe(`published cards (${engine})`, () => {
		let cards: Cards;
		beforeEach(async () => {
			cards = makeCards(crypto, await open(3));
		});
		afterEach(() => cards.close());

		const owner = () => crypto.keyPair(crypto.random(32));
		const said = (pair: ReturnType<typeof owner>, change: Partial<PublishedBody> = {}): Uint8Array => {
			const body = { place: pair.publicKey, serial: 1, untilMs: NOW + 1_000, sealed: crypto.random(1_064) };
			return signPublished(crypto, { ...body, ...change }, pair).bytes;
		};
		const publish = async (bytes: Uint8Array, nowMs = NOW) => (await cards.publish(bytes, nowMs))?.problem ?? "ok";
		const shown = async (pair: ReturnType<typeof owner>, nowMs = NOW) => {
			const found = await cards.find(pair.publicKey, nowMs);
			return isProblem(found) ? found.problem : found;
		};

		it("are shown as they were signed, until they are over", async () => {
			const ada = owner();
			assert.equal(await shown(ada), "not-found");
			const bytes = said(ada);
			assert.deepEqual([await publish(bytes), await publish(bytes)], ["ok", "ok"]);
			assert.deepEqual(await shown(ada, NOW + 999), bytes);
			assert.equal(await shown(ada, NOW + 1_000), "not-found");
		});

		it("are replaced by newer ones alone, and taken back", async () => {
			const ada = owner();
			const first = said(ada, { serial: 5 });
			assert.equal(await publish(first), "ok");
			assert.deepEqual(
				[await publish(said(ada, { serial: 5 })), await publish(said(ada, { serial: 4 }))],
				["conflict", "conflict"],
			);
			const next = said(ada, { serial: 6 });
			assert.equal(await publish(next), "ok");
			assert.deepEqual(await shown(ada), next);
			assert.equal(await publish(said(ada, { serial: 7, sealed: undefined })), "ok");
			assert.equal(await shown(ada), "not-found");
			assert.equal(await publish(next), "conflict");
		});

		it("leave their serial behind for as long as anything that was published could be shown as new", async () => {
			const ada = owner();
			const long = said(ada, { serial: 1, untilMs: NOW + 5_000 });
			await publish(long);
			await publish(said(ada, { serial: 2, untilMs: NOW + 100, sealed: undefined }));
			assert.equal(await cards.sweep(NOW + 4_999), 0);
			assert.equal(await publish(long, NOW + 4_999), "conflict");
			assert.equal(await cards.sweep(NOW + 5_000), 1);
			assert.equal(await publish(said(ada, { serial: 1, untilMs: NOW + 9_000 }), NOW + 5_000), "ok");
		});

		it("threat 12: fill the places and push nobody out: who is there is shown and may say a newer one", async () => {
			const [ada, bob, olu] = [owner(), owner(), owner()];
			for (const each of [ada, bob, olu]) assert.equal(await publish(said(each)), "ok");
			const late = owner();
			assert.equal(await publish(said(late)), "too-many");
			assert.equal(await shown(late), "not-found");
			const newer = said(ada, { serial: 2, untilMs: NOW + 2_000 });
			assert.equal(await publish(newer), "ok");
			assert.deepEqual(await shown(ada), newer);
			assert.equal(await cards.sweep(NOW + 1_000), 2, "what is over makes room");
			for (const each of [bob, late]) assert.equal(await publish(said(each)), "ok");
			assert.equal(await publish(said(olu)), "too-many");
		});

		it("threat 12: hold their bound when everybody comes at once, and when several sweep", async () => {
			const all = Array.from({ length: 12 }, owner);
			const words = await Promise.all(all.map((each) => publish(said(each))));
			assert.equal(words.filter((word) => word === "ok").length, 3);
			const swept = await Promise.all([1, 2, 3].map(() => cards.sweep(NOW + 1_000)));
			assert.equal(
				swept.reduce((sum, n) => sum + n, 0),
				3,
			);
			const again = await Promise.all(all.map((each) => publish(said(each))));
			assert.equal(again.filter((word) => word === "ok").length, 3, "each place was given back once");
		});

		it("take one of two publications that race for a place, and the newest in the end", async () => {
			const ada = owner();
			const all = Array.from({ length: 9 }, (_, i) => said(ada, { serial: 1 + i }));
			const words = await Promise.all(all.map((bytes) => publish(bytes)));
			assert(
				words.every((word) => word === "ok" || word === "conflict"),
				words.join(" "),
			);
			assert.deepEqual(await shown(ada), all.at(-1));
			const same = await Promise.all([1, 2, 3, 4].map(() => publish(said(owner(), { serial: 3 }))));
			assert.equal(same.filter((word) => word === "ok").length, 2, "the one place was counted once");
		});

		it("are forgotten a few at a time", async () => {
			const many = makeCards(crypto, await open(SWEEP_MAX + 9));
			const all = Array.from({ length: SWEEP_MAX + 5 }, () => said(owner()));
			await Promise.all(all.map((bytes) => many.publish(bytes, NOW)));
			assert.deepEqual(
				[await many.sweep(NOW + 1_000), await many.sweep(NOW + 1_000), await many.sweep(NOW + 1_000)],
				[SWEEP_MAX, 5, 0],
			);
			await many.close();
		});
	});
}
