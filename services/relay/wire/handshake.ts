/** The opening handshake of a WebSocket (RFC 6455, 4.2): what a request must say, and the answer. */

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SUBPROTOCOL } from "#contracts/frame";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** The answer that opens a WebSocket, or the one that says why not. Whether our subprotocol was offered is not asked here. */
export function answerTo(request: IncomingMessage): { readonly open: boolean; readonly text: string } {
	const { method, headers } = request;
	const key = headers["sec-websocket-key"];
	if (method !== "GET") return refusal("405 Method Not Allowed");
	if (headers.upgrade?.toLowerCase() !== "websocket" || key === undefined || !KEY.test(key))
		return refusal("400 Bad Request");
	if (headers["sec-websocket-version"] !== "13")
		return refusal("426 Upgrade Required", "sec-websocket-version: 13\r\n");
	const accept = createHash("sha1")
		.update(key + GUID)
		.digest("base64");
	const lines = [
		"HTTP/1.1 101 Switching Protocols",
		"Upgrade: websocket",
		"Connection: Upgrade",
		`Sec-WebSocket-Accept: ${accept}`,
		`Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
	];
	return { open: true, text: `${lines.join("\r\n")}\r\n\r\n` };
}

function refusal(status: string, more = ""): { readonly open: boolean; readonly text: string } {
	return { open: false, text: `HTTP/1.1 ${status}\r\n${more}connection: close\r\ncontent-length: 0\r\n\r\n` };
}
