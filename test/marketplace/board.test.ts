import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Board } from "#marketplace/board/board";
import { openMemoryBoard } from "#marketplace/board/memory";
import { openPostgresBoard } from "#marketplace/board/postgres";
import { openSqliteBoard } from "#marketplace/board/sqlite";
import { boardSuite } from "#test/acceptance/board";
import { fine } from "#test/support/market";
import { startPostgres } from "#test/support/postgres";

const folder = mkdtempSync(join(tmpdir(), "farelay-board-"));
const server = await startPostgres();
after(() => rm(folder, { recursive: true, force: true }));
let files = 0;

async function onSqlite(path = join(folder, `board-${files++}.db`)): Promise<Board> {
	return fine(await openSqliteBoard({ path }));
}

async function onPostgres(): Promise<Board> {
	return fine(await openPostgresBoard(await server.open()));
}

boardSuite("memory", async () => openMemoryBoard());
boardSuite("sqlite", () => onSqlite());
boardSuite("postgres", onPostgres);

describe("a board that is kept", () => {
	it("has everything after a restart, on SQLite", async () => {
		const path = join(folder, "kept.db");
		const first = await onSqlite(path);
		const [relay, mark] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
		const posting = { relay, tariff: "1:1", origin: "x", issuedAtMs: 5, validUntilMs: 9, bytes: relay };
		const room = { relays: 1, relaysOfOrigin: 1, postingsOfRelay: 1 };
		await first.post(posting, room, 6);
		await first.writeNote("presence", 0, "here");
		await first.use(mark, 9);
		await first.close();
		const again = await onSqlite(path);
		assert.deepEqual(await again.postingsOf(relay), [relay]);
		assert.deepEqual(await again.note("presence"), { version: 1, text: "here" });
		assert.equal(await again.use(mark, 9), false);
		assert.equal(await again.post({ ...posting, relay: mark }, room, 6), "full");
		await again.close();
	});
});
