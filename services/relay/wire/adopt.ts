/**
 * Lets a socket read into memory of ours. Node has that in public for sockets that one makes (`onread`), and not for those that a
 * server accepts: so a socket is made anew around the accepted one's handle, which is the one private thing here. Where Node has no such
 * handle any more, the socket stays as it is and reads into fresh memory (docs/decisions/direct-wires.md).
 */

import { Socket, type SocketConstructorOpts } from "node:net";

/** Reads by `onRead(bytes)`, whose memory is `input` and is read into again afterwards; without a handle it is fresh memory. */
export function adopt(socket: Socket, input: Buffer, onRead: (bytes: Buffer) => void): Socket {
	const accepted = socket as unknown as { _handle: object | null };
	const handle = accepted._handle;
	if (!handle || typeof (handle as { useUserBuffer?: unknown }).useUserBuffer !== "function") {
		socket.on("data", onRead);
		return socket;
	}
	accepted._handle = null;
	const options = {
		handle,
		onread: {
			buffer: input,
			callback: (length: number, bytes: Uint8Array) => {
				onRead((bytes as Buffer).subarray(0, length));
				return true;
			},
		},
	};
	const adopted = new Socket(options as SocketConstructorOpts);
	// nothing is left in it: this lets go of what the HTTP server keeps for it
	socket.destroy();
	return adopted;
}
