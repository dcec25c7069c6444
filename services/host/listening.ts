/** Takes a port: the one place that says why none was to be had. */

import type { AddressInfo, Server } from "node:net";
import { type Problem, problem } from "#contracts/problem";

/** Starts to listen; the port that was taken, or why none. */
export function listenOn(server: Server, host: string, port: number): Promise<number | Problem> {
	return new Promise((resolve) => {
		// It stays: a connection that could not be accepted later is no reason to end those that were.
		server.on("error", ({ code }: NodeJS.ErrnoException) => {
			if (code === "EADDRINUSE") resolve(problem("port-in-use", `Another program listens on port ${port}.`));
			else resolve(problem("usage", `Listening on ${host}, port ${port}, is not allowed here (${code ?? "unknown"}).`));
		});
		server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
	});
}
