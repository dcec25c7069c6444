import assert from "node:assert/strict";
import { isProblem } from "#contracts/problem";
import { crypto } from "#host/crypto";
import type { Book } from "#marketplace/ledger/book";
import { openPostgresBook } from "#marketplace/ledger/postgres";
import { bookSuite } from "#test/acceptance/book";
import { emptied, startPostgres } from "#test/support/postgres";

const server = await startPostgres();

const postgres = await server.open();

async function opened(): Promise<Book> {
	const book = await openPostgresBook(await emptied(postgres), crypto);
	assert(!isProblem(book), JSON.stringify(book));
	return book;
}

bookSuite("postgres", opened);
