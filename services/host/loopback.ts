/** What comes from this machine alone: addresses to listen on, and requests. */

import type { IncomingMessage } from "node:http";

/** Whether an address to listen on is reached from this machine only. */
export function isLoopback(host: string): boolean {
	return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Whether a request comes from this machine and not through a proxy on it, which would make a stranger look like one of us. */
export function isFromHere(request: IncomingMessage): boolean {
	const address = request.socket.remoteAddress?.replace(/^::ffff:/, "") ?? "";
	return isLoopback(address) && request.headers["x-forwarded-for"] === undefined;
}
