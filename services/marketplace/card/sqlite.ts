/** Published cards in a SQLite file: for a market of one process. */

import { isProblem, type Problem } from "#contracts/problem";
import { startWriter } from "#host/writer";
import { PLACES_MAX, type Places } from "./cards.ts";
import type { CardCalls } from "./sqlite-thread.ts";

/** A row on its way, with room for what surrounds it. */
const ROW_BYTES = 1_536;

/** Opens (and creates) the cards' file. `onDeath` is told when its thread dies by a bug. */
export async function openSqlitePlaces(
	path: string,
	{ placesMax = PLACES_MAX, onDeath }: { placesMax?: number; onDeath?: (why: Error) => void } = {},
): Promise<Places | Problem> {
	const writer = await startWriter<CardCalls>({
		name: "cards",
		module: import.meta.resolve("./sqlite-thread.ts"),
		options: { path, placesMax },
		...(onDeath && { onDeath }),
	});
	if (isProblem(writer)) return writer;
	return {
		put: (row) => writer.call("put", row, { bytes: ROW_BYTES }),
		find: (place, nowMs) => writer.call("find", { place, nowMs }),
		sweep: (nowMs) => writer.call("sweep", nowMs),
		close: () => writer.close(),
	};
}
