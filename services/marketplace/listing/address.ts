/** Whether a relay's URL points into a network that strangers cannot reach, or must not be led into (threat 15). */

import { BlockList, isIP } from "node:net";

/** Special-purpose addresses (RFC 6890 and the IANA registries): this machine, private networks, link-local, carriers, multicast. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
	["0.0.0.0", 8],
	["10.0.0.0", 8],
	["100.64.0.0", 10],
	["127.0.0.0", 8],
	["169.254.0.0", 16],
	["172.16.0.0", 12],
	["192.0.0.0", 24],
	["192.0.2.0", 24],
	["192.168.0.0", 16],
	["198.18.0.0", 15],
	["198.51.100.0", 24],
	["203.0.113.0", 24],
	["224.0.0.0", 3],
] as const)
	PRIVATE.addSubnet(network, prefix, "ipv4");

/** The only block of IPv6 that is routed in public; what embeds an IPv4 address in it is left out as well. */
const PUBLIC6 = new BlockList();
PUBLIC6.addSubnet("2000::", 3, "ipv6");
const EMBEDDING6 = new BlockList();
for (const [network, prefix] of [
	["2001::", 32],
	["2001:db8::", 32],
	["2002::", 16],
] as const)
	EMBEDDING6.addSubnet(network, prefix, "ipv6");

/** Names that are only known inside a network. */
const INSIDE = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|home\.arpa|test|invalid|example)$/;

/** Whether an address is one that nobody outside can reach. */
export function isPrivateAddress(address: string): boolean {
	const kind = isIP(address);
	if (kind === 4) return PRIVATE.check(address, "ipv4");
	if (kind === 6) return !PUBLIC6.check(address, "ipv6") || EMBEDDING6.check(address, "ipv6");
	return true;
}

/** Whether a URL's host is private by its looks: an address that is, or a name without a public end. Names are not looked up here. */
export function isPrivateUrl(url: string): boolean {
	const host = URL.parse(url)?.hostname.replace(/\.$/, "").toLowerCase();
	if (!host) return true;
	if (host.startsWith("[")) return isPrivateAddress(host.slice(1, -1));
	if (isIP(host)) return isPrivateAddress(host);
	return !host.includes(".") || INSIDE.test(host);
}
