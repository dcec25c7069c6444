/** One thread of the crew: plays the years that it is sent, one after the other. */

import { parentPort } from "node:worker_threads";
import type { Answer } from "./crew.ts";
import { play, type Run } from "./year.ts";

parentPort?.on("message", async (run: Run) => {
	let answer: Answer;
	try {
		answer = { year: await play(run) };
	} catch (fault) {
		// what must hold does not, or a bug: either ends the whole, with where it was
		answer = { fault: `${fault instanceof Error ? fault.stack : fault}\nin the run ${JSON.stringify(run)}` };
	}
	parentPort?.postMessage(answer);
});
