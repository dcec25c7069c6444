import { openMemoryBook } from "#marketplace/ledger/memory";
import { bookSuite } from "#test/acceptance/book";

bookSuite("memory", async () => openMemoryBook());
