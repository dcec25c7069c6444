/** What every engine of the board must do, told with relays that list themselves and markets that look on. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Board, PAGE_MAX, type Posting, type Room } from "#marketplace/board/board";

const NOW = 1_000_000;
const ROOM: Room = { relays: 4, relaysOfOrigin: 2, postingsOfRelay: 3 };

const relayOf = (n: number): Uint8Array => new Uint8Array(32).fill(n % 256).map((byte, i) => (i === 0 ? n >> 8 : byte));

/** A posting of the nth relay; its bytes say what it is. */
function posting(n: number, change: Partial<Posting> = {}): Posting {
	const { issuedAtMs = NOW, tariff = "5:1", ...rest } = change;
	const bytes = new TextEncoder().encode(`${n} asks ${tariff} since ${issuedAtMs}`);
	return { relay: relayOf(n), tariff, origin: `from-${n}`, issuedAtMs, validUntilMs: NOW + 1_000, bytes, ...rest };
}

const said = (postings: readonly Uint8Array[]): string[] => postings.map((bytes) => new TextDecoder().decode(bytes));

/** Runs the suite on an engine. `open` gives an empty board each time; the suite closes it. */
export function boardSuite(engine: string, open: () => Promise<Board>): void {
	describe(`the board (${engine})`, () => {
		let board: Board;
		beforeEach(async () => {
			board = await open();
		});
		afterEach(() => board.close());

		const post = (n: number, change: Partial<Posting> = {}, nowMs = NOW, room = ROOM) =>
			board.post(posting(n, change), room, nowMs);
		const of = async (n: number) => said(await board.postingsOf(relayOf(n)));

		it("shows a relay's newest word, whatever order it comes in, and the same again is nothing new", async () => {
			assert.equal(await post(1), "posted");
			assert.equal(await post(1), "older");
			assert.equal(await post(1, { issuedAtMs: NOW - 1, tariff: "9:9" }), "older");
			assert.equal(await post(1, { issuedAtMs: NOW + 1 }), "posted");
			assert.deepEqual(await of(1), [`1 asks 5:1 since ${NOW + 1}`]);
			assert.deepEqual(await of(2), []);
		});

		it("keeps a relay's newest few prices, and of each the newest word", async () => {
			for (let i = 0; i < 6; i++) await post(1, { tariff: `${i}:1`, issuedAtMs: NOW + i });
			await post(1, { tariff: "4:1", issuedAtMs: NOW + 9 });
			assert.deepEqual(await of(1), [
				`1 asks 4:1 since ${NOW + 9}`,
				`1 asks 5:1 since ${NOW + 5}`,
				`1 asks 3:1 since ${NOW + 3}`,
			]);
		});

		it("threat 15: has room for so many relays, and for so many of one place; who hangs there already needs none", async () => {
			assert.deepEqual([await post(1, { origin: "here" }), await post(2, { origin: "here" })], ["posted", "posted"]);
			assert.equal(await post(3, { origin: "here" }), "crowded");
			assert.equal(await post(1, { origin: "there", issuedAtMs: NOW + 1 }), "posted");
			assert.equal(await post(3, { origin: "here" }), "crowded", "it stays where it came from first");
			assert.deepEqual([await post(3), await post(4)], ["posted", "posted"]);
			assert.equal(await post(5), "full");
			assert.equal(await post(4, { issuedAtMs: NOW + 1 }), "posted");
			assert.deepEqual(await of(5), []);
			const wide = { ...ROOM, relays: 9 };
			for (const n of [5, 6, 7])
				assert.equal(await post(n, { origin: "" }, NOW, wide), "posted", "nobody counts these");
		});

		it("threat 15: gives the room of those whose time is over to others, and of those alone", async () => {
			await post(1, { origin: "here", validUntilMs: NOW + 10 });
			await post(2, { origin: "here" });
			assert.equal(await post(3, { origin: "here" }, NOW + 9), "crowded");
			assert.equal(await post(3, { origin: "here" }, NOW + 10), "posted");
			assert.deepEqual([await of(1), (await of(2)).length], [[], 1]);
			await post(4, { validUntilMs: NOW + 20 });
			await post(5);
			assert.equal(await post(6, {}, NOW + 19), "full");
			assert.equal(await post(6, {}, NOW + 20), "posted");
			assert.equal(
				await post(5, { issuedAtMs: NOW - 1, validUntilMs: NOW + 2_000 }, NOW + 1_000),
				"posted",
				"its time was over",
			);
		});

		it("lists a relay whose time was over anew, from where it comes then", async () => {
			await post(1, { origin: "here", validUntilMs: NOW + 10 });
			assert.equal(await post(1, { origin: "there", issuedAtMs: NOW + 1 }, NOW + 10), "posted");
			assert.equal(await post(2, { origin: "there" }), "posted");
			assert.equal(await post(3, { origin: "there" }), "crowded");
			assert.equal(await post(3, { origin: "here" }), "posted");
		});

		it("forgets the price that is over first, and a relay only with its last one", async () => {
			await post(1, { tariff: "1:1", validUntilMs: NOW + 10 });
			await post(1, { tariff: "2:1", issuedAtMs: NOW + 1, validUntilMs: NOW + 100 });
			assert.equal(await board.sweep(NOW + 50), 0);
			await post(1, { tariff: "3:1", issuedAtMs: NOW + 2, validUntilMs: NOW + 60 }, NOW + 50);
			assert.deepEqual(await of(1), [`1 asks 3:1 since ${NOW + 2}`, `1 asks 2:1 since ${NOW + 1}`]);
			await board.sweep(NOW + 99);
			assert.notDeepEqual(await of(1), []);
			assert(await board.sweep(NOW + 100));
			assert.deepEqual(await of(1), []);
		});

		it("threat 15: holds its bounds when everybody comes at once", async () => {
			const many = Array.from({ length: 12 }, (_, i) => post(i, { origin: i < 6 ? "here" : `from-${i}` }));
			const words = await Promise.all(many);
			assert.equal(words.filter((word) => word === "posted").length, ROOM.relays);
			assert(words.slice(0, 6).filter((word) => word === "posted").length <= ROOM.relaysOfOrigin, words.join(" "));
			const one = await Promise.all(Array.from({ length: 9 }, (_, i) => post(0, { issuedAtMs: NOW + (i % 3) })));
			assert((await of(0)).length <= 1, one.join(" "));
		});

		it("tells whoever looks on what came since they looked, each once, page by page", async () => {
			const wide = { relays: 9_999, relaysOfOrigin: 9_999, postingsOfRelay: 3 };
			assert.deepEqual(await board.postingsAfter(0), { postings: [], last: 0, newest: 0 });
			const all = Array.from({ length: PAGE_MAX + 5 }, (_, i) => i);
			await Promise.all(all.map((n) => post(n, {}, NOW, wide)));
			const first = await board.postingsAfter(0);
			const second = await board.postingsAfter(first.last);
			assert.deepEqual([first.postings.length, second.postings.length], [PAGE_MAX, 5]);
			assert.equal(new Set([...said(first.postings), ...said(second.postings)]).size, all.length);
			assert.equal(second.last, second.newest);
			assert.deepEqual(await board.postingsAfter(second.last), {
				postings: [],
				last: second.last,
				newest: second.last,
			});
			await post(7, {}, NOW, wide);
			await post(7, { issuedAtMs: NOW + 1 }, NOW, wide);
			const third = await board.postingsAfter(second.last);
			assert.deepEqual(said(third.postings), [`7 asks 5:1 since ${NOW + 1}`]);
			assert(third.newest === third.last && third.last > second.last);
			await board.sweep(NOW + 9_999);
			await post(8, { validUntilMs: NOW + 99_999 }, NOW, wide);
			const fourth = await board.postingsAfter(third.last);
			assert.equal(fourth.postings.length, 1, "a place is not given twice, also when what hung there is gone");
		});

		it("shows everybody who looks on every posting, while others post", async () => {
			const wide = { relays: 9_999, relaysOfOrigin: 9_999, postingsOfRelay: 3 };
			const seen = new Set<string>();
			let place = 0;
			let open = true;
			const looking = (async () => {
				for (let last = false; !last; ) {
					last = !open;
					for (;;) {
						const page = await board.postingsAfter(place);
						for (const text of said(page.postings)) seen.add(text);
						if (page.postings.length === 0) break;
						place = page.last;
					}
				}
			})();
			for (let round = 0; round < 5; round++)
				await Promise.all(Array.from({ length: 20 }, (_, i) => post(round * 20 + i, {}, NOW, wide)));
			open = false;
			await looking;
			assert.equal(seen.size, 100);
		});

		it("keeps a note that only those change who know what it says", async () => {
			assert.equal(await board.note("presence"), undefined);
			assert.equal(await board.writeNote("presence", 1, "never"), false);
			assert.equal(await board.writeNote("presence", 0, "first"), true);
			assert.equal(await board.writeNote("presence", 0, "never"), false);
			assert.deepEqual(await board.note("presence"), { version: 1, text: "first" });
			assert.equal(await board.writeNote("presence", 1, "second"), true);
			assert.equal(await board.writeNote("presence", 1, "never"), false);
			assert.deepEqual(await board.note("presence"), { version: 2, text: "second" });
			const racing = Array.from({ length: 9 }, (_, i) => board.writeNote("presence", 2, `third ${i}`));
			assert.equal((await Promise.all(racing)).filter((won) => won).length, 1);
			assert.equal((await board.note("presence"))?.version, 3);
			assert.equal(await board.note("other"), undefined);
		});

		it("threat 8: lets a token be used once, whoever races, and until its time is over", async () => {
			const mark = new Uint8Array(32).fill(7);
			const racing = await Promise.all(Array.from({ length: 16 }, () => board.use(mark, NOW + 10)));
			assert.equal(racing.filter((first) => first).length, 1);
			assert.equal(await board.use(new Uint8Array(32).fill(8), NOW + 20), true);
			assert.equal(await board.sweep(NOW + 9), 0);
			assert.equal(await board.use(mark, NOW + 10), false);
			assert.equal(await board.sweep(NOW + 10), 1);
			assert.equal(await board.use(mark, NOW + 10), true);
			assert.equal(await board.use(new Uint8Array(32).fill(8), NOW + 20), false);
		});

		it("forgets what is over once, however many sweep at once", async () => {
			for (let i = 0; i < 50; i++) await board.use(new Uint8Array(32).fill(i), NOW);
			await post(1, { validUntilMs: NOW });
			await post(2, { validUntilMs: NOW + 1 });
			const swept = await Promise.all([1, 2, 3, 4].map(() => board.sweep(NOW)));
			assert.equal(
				swept.reduce((sum, n) => sum + n, 0),
				51,
			);
			assert.deepEqual([await of(1), (await of(2)).length], [[], 1]);
		});
	});
}
