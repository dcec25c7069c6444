/** SQL that Kysely builds and somebody else runs: ordinary queries are written once, and compiled for whichever engine asks. */

import {
	type Dialect,
	DummyDriver,
	Kysely,
	PostgresAdapter,
	PostgresIntrospector,
	PostgresQueryCompiler,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";

const DIALECTS: Readonly<Record<"postgres" | "sqlite", Dialect>> = {
	postgres: {
		createAdapter: () => new PostgresAdapter(),
		createDriver: () => new DummyDriver(),
		createIntrospector: (db) => new PostgresIntrospector(db),
		createQueryCompiler: () => new PostgresQueryCompiler(),
	},
	sqlite: {
		createAdapter: () => new SqliteAdapter(),
		createDriver: () => new DummyDriver(),
		createIntrospector: (db) => new SqliteIntrospector(db),
		createQueryCompiler: () => new SqliteQueryCompiler(),
	},
};

/** Builds queries over `Tables` for an engine: end them with `.compile()`. It has no connection and runs nothing. */
export function sqlFor<Tables>(engine: keyof typeof DIALECTS): Kysely<Tables> {
	return new Kysely<Tables>({ dialect: DIALECTS[engine] });
}
