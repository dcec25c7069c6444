import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { signListing } from "#contracts/listing";
import { isProblem } from "#contracts/problem";
import { signPublished } from "#contracts/published";
import { openPostgresBoard } from "#marketplace/board/postgres";
import { openSqliteBoard } from "#marketplace/board/sqlite";
import { makeCards, PAGE_MAX } from "#marketplace/card/cards";
import { openPostgresPlaces } from "#marketplace/card/postgres";
import { openSqlitePlaces } from "#marketplace/card/sqlite";
import { openMemoryBook } from "#marketplace/ledger/memory";
import { makeListings } from "#marketplace/listing/listings";
import { moveBeside } from "#marketplace/move";
import { openOutages } from "#marketplace/outage";
import type { Stores } from "#marketplace/stores";
import { heldClock } from "#test/support/clock";
import { crypto, DAY_MS, fine, TestRelay } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const server = await startPostgres();

describe("what a market keeps beside its money", () => {
	let folder: string;
	let files = 0;
	const opened: Stores[] = [];
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-move-"));
	});
	after(async () => {
		for (const { board, places } of opened) await Promise.all([board.close(), places.close()]);
		await rm(folder, { recursive: true, force: true });
	});

	const keep = (stores: Omit<Stores, "book">): Stores => {
		const all = { ...stores, book: openMemoryBook() };
		opened.push(all);
		return all;
	};
	const onSqlite = async () =>
		keep({
			board: fine(await openSqliteBoard({ path: join(folder, `board-${files++}.db`) })),
			places: fine(await openSqlitePlaces(join(folder, `cards-${files++}.db`))),
		});
	const onPostgres = async () => {
		const postgres = await server.open();
		return keep({ board: fine(await openPostgresBoard(postgres)), places: fine(await openPostgresPlaces(postgres)) });
	};

	const clock = heldClock();
	const published = (pair = crypto.keyPair(crypto.random(32))) => {
		const body = { place: pair.publicKey, serial: 1, untilMs: clock.nowMs() + DAY_MS, sealed: crypto.random(1_064) };
		return signPublished(crypto, body, pair).bytes;
	};

	async function filled(stores: Stores): Promise<Stores> {
		const market = crypto.random(32);
		const listings = makeListings({ crypto, clock, board: stores.board, market, privateRelays: true });
		for (let i = 0; i < 3; i++) {
			const relay = new TestRelay({ url: "", market, clock });
			fine(await listings.take(signListing(crypto, relay.offer(), relay.key).bytes, clock.nowMs()));
		}
		await fine(await openOutages(stores.board, clock.nowMs())).mark(clock.nowMs());
		await stores.board.use(crypto.random(32), clock.nowMs() + 60_000);
		const cards = makeCards(crypto, stores.places);
		await Promise.all(Array.from({ length: PAGE_MAX + 1 }, () => cards.publish(published(), clock.nowMs())));
		return stores;
	}

	for (const [name, from, to] of [
		["from SQLite to Postgres", onSqlite, onPostgres],
		["from Postgres to SQLite", onPostgres, onSqlite],
	] as const)
		it(`moves ${name}: all of it, once, and again without harm`, async () => {
			const [old, young] = [await filled(await from()), await to()];
			const moved = { listings: 3, cards: PAGE_MAX + 1 };
			assert.deepEqual(await moveBeside(old, young), moved);
			assert.deepEqual(await young.board.everything(), await old.board.everything());
			assert.equal((await young.board.note("presence"))?.version, 1);
			assert.deepEqual(await moveBeside(old, young), moved, "a move that was broken off goes on");
		});

	it("is not moved over another market's", async () => {
		const [old, other] = [await filled(await onSqlite()), await filled(await onSqlite())];
		const refused = await moveBeside(old, other);
		assert(isProblem(refused) && refused.problem === "conflict", JSON.stringify(refused));
		const third = await onSqlite();
		fine((await makeCards(crypto, third.places).publish(published(), clock.nowMs())) ?? "ok");
		const mixed = await moveBeside(old, third);
		assert(isProblem(mixed) && mixed.problem === "conflict", JSON.stringify(mixed));
	});
});
