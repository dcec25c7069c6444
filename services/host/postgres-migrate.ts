/** The tables of a Postgres, brought up to date step by step. */

import { Kysely, PostgresDialect, sql } from "kysely";
import { Migrator } from "kysely/migration";
import type pg from "pg";
import { type Problem, problem } from "#contracts/problem";
import type { Session } from "./postgres.ts";
import { troubleOf, unreachable } from "./postgres-trouble.ts";

/** What one attempt came to; `doubt`: it may have been done all the same. */
export type Attempt<T> =
	| { readonly value: T }
	| { readonly problem: Problem; readonly again: boolean; readonly doubt?: boolean };

/** Kysely's migrator, whose lock keeps several processes that start at once apart. A lost connection undoes what was under way: trying again is safe. */
export async function migrate(
	pool: pg.Pool,
	kind: string,
	steps: readonly string[],
): Promise<Attempt<Problem | undefined>> {
	const name = (i: number) => `${kind}-${String(i + 1).padStart(4, "0")}`;
	const migrations = Object.fromEntries(
		steps.map((step, i) => [name(i), { up: async (db: Kysely<unknown>) => void (await sql.raw(step).execute(db)) }]),
	);
	const migrator = new Migrator({
		db: new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }),
		provider: { getMigrations: async () => migrations },
		migrationTableName: `${kind}Migrations`,
		migrationLockTableName: `${kind}MigrationsLock`,
	});
	const { error } = await migrator.migrateToLatest();
	if (error === undefined) return { value: undefined };
	const trouble = troubleOf(error);
	if (trouble?.kind === "refused") return { problem: trouble.problem, again: trouble.again };
	if (trouble) return { problem: unreachable(trouble.says), again: true };
	if (error instanceof Error && error.message.includes("corrupted migrations")) return { value: otherVersion(kind) };
	throw error;
}

/** How many steps were done; undefined where there is nothing of that kind. */
export async function countSteps(session: Session, kind: string): Promise<number | undefined> {
	const [there] = await session.ask(
		"SELECT 1 FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = $1",
		[`${kind}Migrations`],
	);
	if (!there) return undefined;
	return Number((await session.ask<{ n: bigint }>(`SELECT count(*) AS n FROM "${kind}Migrations"`))[0]?.n);
}

/** What is said of tables that another version made. */
export function otherVersion(kind: string): Problem {
	return problem("data-corrupt", `The database's ${kind} was written by another version of Farelay.`);
}
