/**
 * The least of a WebSocket client that a load generator needs: raw sockets, ready-made masked messages, and a reader that
 * hands on payload bytes as they come. It has to cost far less than the servers it drives.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A real mask: a server may skip unmasking where the mask is zero, and then the measuring would flatter it. */
export const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** One binary WebSocket message of a client, framed and masked. */
export function message(payload: Uint8Array): Buffer {
	const length = payload.length;
	const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
	const out = Buffer.alloc(header + 4 + length);
	out[0] = 0x82;
	out[1] = 0x80 | (header === 2 ? length : header === 4 ? 126 : 127);
	if (header === 4) out.writeUInt16BE(length, 2);
	if (header === 10) out.writeBigUInt64BE(BigInt(length), 2);
	MASK.copy(out, header);
	for (let i = 0; i < length; i++) out[header + 4 + i] = (payload[i] ?? 0) ^ (MASK[i & 3] ?? 0);
	return out;
}

/** Opens a TCP connection to a server of this machine. */
export async function dial(port: number): Promise<Socket> {
	const socket = connect({ port, host: "127.0.0.1", noDelay: true });
	await once(socket, "connect");
	return socket;
}

/** Opens a WebSocket (`more`: header lines) and gives its raw socket, with what the server already sent put back. */
export async function open(port: number, path: string, protocol?: string, more = ""): Promise<Socket> {
	const socket = await dial(port);
	const named = protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : "";
	socket.write(
		`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
			`Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${named}${more}\r\n`,
	);
	let head = Buffer.alloc(0);
	while (head.indexOf("\r\n\r\n") < 0) {
		const [chunk] = (await once(socket, "data")) as [Buffer];
		head = Buffer.concat([head, chunk]);
	}
	socket.pause();
	if (!head.toString("latin1", 0, 12).endsWith("101")) throw new Error(`no upgrade: ${head.toString("latin1", 0, 40)}`);
	const rest = head.subarray(head.indexOf("\r\n\r\n") + 4);
	if (rest.length > 0) socket.unshift(rest);
	return socket;
}

/**
 * Reads a server's messages from a socket: `onBytes(chunk, start, end, last)` for each piece of a binary message, as it
 * arrives and without copying; `last` is true where a message ends. A ping or a close ends the run: nothing here idles.
 */
export function read(socket: Socket, onBytes: (chunk: Buffer, start: number, end: number, last: boolean) => void) {
	const header = Buffer.alloc(10);
	let have = 0;
	let left = 0;
	socket.on("data", (chunk: Buffer) => {
		let at = 0;
		while (at < chunk.length) {
			if (left > 0) {
				const end = Math.min(chunk.length, at + left);
				left -= end - at;
				onBytes(chunk, at, end, left === 0);
				at = end;
				continue;
			}
			header[have++] = chunk[at++] ?? 0;
			if (have < 2) continue;
			const short = (header[1] ?? 0) & 127;
			if (have < (short === 126 ? 4 : short === 127 ? 10 : 2)) continue;
			if (((header[0] ?? 0) & 15) !== 2) throw new Error(`the server sent ${header.toString("hex", 0, have)}`);
			left = short === 126 ? header.readUInt16BE(2) : short === 127 ? Number(header.readBigUInt64BE(2)) : short;
			have = 0;
		}
	});
	socket.resume();
}
