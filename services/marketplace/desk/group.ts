/**
 * Which operators are one (everyone.md, "Shares"): all that share a payout destination, a host, or a network, by however many steps. Pure. An operator who would be
 * many to take many shares needs as many places and ways to be paid.
 */

import { isIP } from "node:net";
import { isPrivateAddress } from "#marketplace/listing/address";

/** What is known of where an operator is and how it is paid. */
export type Seat = {
	/** public key in hex */
	readonly operator: string;
	/** what it has in common with whoever is the same: {@link marksOf} */
	readonly marks: readonly string[];
};

/** Groups of an IPv6 address that are its network: a /48 is what one customer of a data centre or a line has. */
const GROUPS_OF_NETWORK = 3;

/**
 * The marks of one relay: its host, the networks of its addresses (/24, and /48 of IPv6), and where its operator is paid. Private addresses are no mark: on a market
 * for development everybody has the same.
 */
export function marksOf(seat: {
	readonly host: string;
	readonly addresses: readonly string[];
	/** like `lightning:name@example.com`; undefined for one that is brought anew each time */
	readonly destination: string | undefined;
}): string[] {
	const host = seat.host.toLowerCase().replace(/^\[|\]$|\.$/g, "");
	const marks = new Set<string>();
	for (const address of [...(isIP(host) === 0 ? [] : [host]), ...seat.addresses]) {
		const network = networkOf(address);
		if (network !== undefined) marks.add(`net:${network}`);
	}
	if (isIP(host) === 0 && host !== "" && host !== "localhost") marks.add(`host:${host}`);
	if (seat.destination !== undefined) marks.add(`paid:${seat.destination}`);
	return [...marks];
}

/** The network of a public address, one spelling each; undefined for what is none. */
function networkOf(address: string): string | undefined {
	const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
	if (isPrivateAddress(plain)) return undefined;
	if (isIP(plain) === 4) return plain.split(".").slice(0, 3).join(".");
	// as a URL has it, an address has one spelling; its first groups are not what is left out of a public one
	const spelled = new URL(`http://[${plain}]`).hostname.slice(1, -1);
	const [head = ""] = spelled.split("::");
	const groups = head.split(":").slice(0, GROUPS_OF_NETWORK);
	while (groups.length < GROUPS_OF_NETWORK) groups.push("0");
	return groups.join(":");
}

/**
 * The group of each operator, named by the first of its operators in the order that they are given in: the oldest first, so that whoever joins a group never gives it
 * another name, by which nothing would be counted yet. Seats of one operator are added up.
 */
export function groupsOf(seats: readonly Seat[]): ReadonlyMap<string, string> {
	const parents = new Map<string, string>();
	const find = (name: string): string => {
		let root = name;
		for (let up = parents.get(root); up !== undefined && up !== root; up = parents.get(root)) root = up;
		// what was walked is walked once
		for (let at = name; at !== root; ) {
			const up = parents.get(at) ?? root;
			parents.set(at, root);
			at = up;
		}
		return root;
	};
	for (const { operator, marks } of seats) {
		// operators and marks are told apart by the colon that every mark has
		for (const name of [operator, ...marks]) if (!parents.has(name)) parents.set(name, name);
		for (const mark of marks) parents.set(find(mark), find(operator));
	}
	const firsts = new Map<string, string>();
	const operators = [...new Set(seats.map(({ operator }) => operator))];
	for (const operator of operators) if (!firsts.has(find(operator))) firsts.set(find(operator), operator);
	return new Map(operators.map((operator) => [operator, firsts.get(find(operator)) ?? operator]));
}
