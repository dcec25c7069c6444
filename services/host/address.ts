/** Addresses as bounds count them: by network, and as a trusted proxy names them. For bounds only, never written down (threat 26). */

import { BlockList, isIP } from "node:net";
import { isLoopback } from "./loopback.ts";

/** What an address is counted as: itself, or its /64, which one IPv6 customer has whole. */
export function networkOf(address: string): string {
	const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
	if (!plain.includes(":") || isLoopback(plain)) return plain;
	const [head = "", tail] = plain.toLowerCase().replace(/%.*$/, "").split("::");
	const groups = head === "" ? [] : head.split(":");
	const rest = tail === undefined || tail === "" ? [] : tail.split(":");
	const zeros = Array.from(
		{ length: tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length) },
		() => "0",
	);
	// one spelling of each group, or a customer would have several networks
	return [...groups, ...zeros, ...rest]
		.slice(0, 4)
		.map((group) => group.replace(/^0+(?=.)/, ""))
		.join(":");
}

/** Networks as people write them: addresses and `address/bits` with commas between, `loopback` for this machine; undefined when one is none. */
export function readNetworks(list: string): BlockList | undefined {
	const networks = new BlockList();
	const words = list
		.split(",")
		.map((word) => word.trim())
		.filter((word) => word !== "")
		.flatMap((word) => (word === "loopback" ? ["127.0.0.0/8", "::1"] : [word]));
	for (const word of words) {
		const [address = "", bits, more] = word.split("/");
		const kind = isIP(address);
		if (kind === 0 || more !== undefined) return undefined;
		const family = kind === 4 ? "ipv4" : "ipv6";
		const most = kind === 4 ? 32 : 128;
		if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return undefined;
		networks.addSubnet(address, bits === undefined ? most : Number(bits), family);
	}
	return networks;
}

/** Whether an address is in one of the networks. */
export function isIn(networks: BlockList, address: string): boolean {
	const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
	const kind = isIP(plain);
	return kind !== 0 && networks.check(plain, kind === 4 ? "ipv4" : "ipv6");
}

/**
 * Who speaks: the socket's own address, unless that is a trusted proxy; then the last one in its `X-Forwarded-For` that is no trusted proxy
 * itself. What stands further left was written by whoever asked, and is not believed.
 */
export function clientAddress(socketAddress: string, forwarded: string | undefined, trusted: BlockList): string {
	let address = socketAddress;
	const named = (forwarded ?? "").split(",").map((word) => word.trim());
	while (isIn(trusted, address)) {
		const before = named.pop();
		if (before === undefined || isIP(before) === 0) return address;
		address = before;
	}
	return address;
}
