import { openMemoryBook } from "#marketplace/ledger/memory";
import { bookSuite } from "#test/acceptance/book";
import { poolsSuite } from "#test/acceptance/pools";

bookSuite("memory", async () => openMemoryBook());
poolsSuite("memory", async () => openMemoryBook());
