/**
 * Problems: every refusal in Farelay, on the wire, over HTTP and at the command line, is one of a closed list, and says
 * whether trying again can help and whether money moved (PROTOCOL.md, "Problems").
 */

/** Whether the money of what was refused is safe: nothing was spent, it was, or nobody here can tell yet. */
export type Spent = "no" | "yes" | "unknown";

type Kind = {
	readonly wire: number;
	readonly retry: boolean;
	readonly spent: Spent;
	readonly http: number;
	readonly says: string;
};

/**
 * The closed list. `wire` is the code's byte in a problem frame, `retry` whether the same request can succeed later unchanged,
 * `http` its status over HTTP, `says` what to tell a person when nothing better is known.
 */
export const PROBLEMS = {
	// the wire
	malformed: {
		wire: 1,
		retry: false,
		spent: "no",
		http: 400,
		says: "The bytes are not what the protocol allows here.",
	},
	"version-unknown": {
		wire: 2,
		retry: false,
		spent: "no",
		http: 400,
		says: "The other side speaks another version of the protocol.",
	},
	"hello-late": {
		wire: 3,
		retry: true,
		spent: "no",
		http: 408,
		says: "The connection did not introduce itself in time.",
	},
	"hello-replayed": {
		wire: 4,
		retry: true,
		spent: "no",
		http: 409,
		says: "This hello was seen before; make a new one.",
	},
	"hello-again": {
		wire: 5,
		retry: false,
		spent: "no",
		http: 409,
		says: "The connection has already introduced itself.",
	},
	clock: {
		wire: 6,
		retry: true,
		spent: "no",
		http: 400,
		says: "The clock is off; correct it by the time given in the answer.",
	},
	"signature-bad": {
		wire: 7,
		retry: false,
		spent: "no",
		http: 401,
		says: "A signature does not match what it is said to sign.",
	},
	"too-many": { wire: 8, retry: true, spent: "no", http: 429, says: "A bound was reached; slow down and try again." },
	draining: {
		wire: 9,
		retry: true,
		spent: "no",
		http: 503,
		says: "The service is stopping; come back after the time given.",
	},
	"reader-slow": {
		wire: 10,
		retry: true,
		spent: "no",
		http: 408,
		says: "The connection did not take its mail in time.",
	},
	idle: { wire: 11, retry: true, spent: "no", http: 408, says: "Nothing was heard for longer than was agreed." },
	// grants and vouchers
	"grant-unknown-market": {
		wire: 20,
		retry: false,
		spent: "no",
		http: 400,
		says: "The grant is of a market that this relay does not work with.",
	},
	"grant-other-relay": { wire: 21, retry: false, spent: "no", http: 400, says: "The grant is for another relay." },
	"grant-expired": {
		wire: 22,
		retry: false,
		spent: "no",
		http: 410,
		says: "The grant has ended; open or renew a tab.",
	},
	"grant-needed": {
		wire: 23,
		retry: false,
		spent: "no",
		http: 402,
		says: "Sending needs a grant; a session without one can only read.",
	},
	"voucher-price": {
		wire: 24,
		retry: false,
		spent: "no",
		http: 400,
		says: "The voucher's money is not the price of its bytes.",
	},
	"voucher-over-cap": {
		wire: 25,
		retry: false,
		spent: "no",
		http: 402,
		says: "The voucher is for more than the tab's cap.",
	},
	unpaid: {
		wire: 26,
		retry: true,
		spent: "no",
		http: 402,
		says: "The voucher does not cover this; send a higher one first.",
	},
	"tab-finished": { wire: 27, retry: false, spent: "no", http: 410, says: "The tab has been finished; open another." },
	"tab-busy": {
		wire: 28,
		retry: true,
		spent: "no",
		http: 429,
		says: "The tab is in use by as many connections as it may have.",
	},
	// mail
	"handle-unknown": {
		wire: 40,
		retry: false,
		spent: "no",
		http: 404,
		says: "The handle was not opened on this connection.",
	},
	"mailbox-unknown": {
		wire: 41,
		retry: false,
		spent: "no",
		http: 404,
		says: "No such mailbox here; its owner has to listen once.",
	},
	"mailbox-full": { wire: 42, retry: true, spent: "no", http: 507, says: "The mailbox has no room for this." },
	"token-needed": {
		wire: 43,
		retry: false,
		spent: "no",
		http: 403,
		says: "Live-only sending is for people who hold the mailbox's card.",
	},
	"ttl-too-long": { wire: 44, retry: false, spent: "no", http: 400, says: "Mail may be kept for at most 30 days." },
	"seq-reused": {
		wire: 45,
		retry: false,
		spent: "no",
		http: 409,
		says: "The sequence number was used for other bytes.",
	},
	"seq-gaps": {
		wire: 46,
		retry: true,
		spent: "no",
		http: 429,
		says: "Too many gaps in the sequence; start anew with a new tag.",
	},
	gone: {
		wire: 47,
		retry: true,
		spent: "no",
		http: 404,
		says: "Nobody is listening, and this was for live delivery only.",
	},
	disk: { wire: 48, retry: true, spent: "no", http: 507, says: "The disk did not take it; nothing was accepted." },
	// the marketplace
	unauthorized: {
		wire: 60,
		retry: false,
		spent: "no",
		http: 401,
		says: "The request is not signed by the account it speaks for.",
	},
	"not-found": { wire: 61, retry: false, spent: "no", http: 404, says: "There is no such thing here." },
	"balance-short": {
		wire: 62,
		retry: false,
		spent: "no",
		http: 402,
		says: "The balance does not cover this; add money or ask for less.",
	},
	conflict: { wire: 63, retry: false, spent: "no", http: 409, says: "The same id was used before for something else." },
	"redeem-late": {
		wire: 64,
		retry: false,
		spent: "no",
		http: 410,
		says: "The redemption deadline of the tab has passed.",
	},
	"claim-too-high": { wire: 65, retry: false, spent: "no", http: 400, says: "The claim is higher than its voucher." },
	"listing-invalid": {
		wire: 66,
		retry: false,
		spent: "no",
		http: 400,
		says: "The listing is not one that this market can show.",
	},
	"rail-closed": { wire: 67, retry: false, spent: "no", http: 403, says: "This way of paying is not open here." },
	"redemption-unconfirmed": {
		wire: 68,
		retry: true,
		spent: "unknown",
		http: 502,
		says: "The market did not say what it did; ask again with the same vouchers.",
	},
	unavailable: {
		wire: 69,
		retry: true,
		spent: "unknown",
		http: 503,
		says: "The service could not be reached or did not answer.",
	},
	internal: {
		wire: 70,
		retry: true,
		spent: "unknown",
		http: 500,
		says: "Something broke on the other side; it was logged there.",
	},
	// a person's own machine
	"spending-limit": {
		wire: 80,
		retry: false,
		spent: "no",
		http: 402,
		says: "That is more than you agreed to spend today.",
	},
	"file-unreadable": { wire: 81, retry: false, spent: "no", http: 400, says: "The file cannot be read." },
	"file-changed": {
		wire: 82,
		retry: false,
		spent: "no",
		http: 409,
		says: "The file changed while it was being sent; send it anew.",
	},
	"seal-broken": {
		wire: 83,
		retry: false,
		spent: "no",
		http: 400,
		says: "The payload does not open with this key or is not what its sender signed.",
	},
	"data-corrupt": {
		wire: 84,
		retry: false,
		spent: "no",
		http: 500,
		says: "A data file is damaged; restore it from a backup.",
	},
	"port-in-use": { wire: 85, retry: false, spent: "no", http: 409, says: "Another program listens on that port." },
	usage: { wire: 86, retry: false, spent: "no", http: 400, says: "That is not how this is called." },
	"relay-dishonest": {
		wire: 87,
		retry: false,
		spent: "no",
		http: 502,
		says: "The relay claimed more than was signed; it is not used any more.",
	},
} as const satisfies Record<string, Kind>;

/** A code of the closed list. */
export type ProblemCode = keyof typeof PROBLEMS;

/** A refusal as a value. `detail` is for people and never holds a secret; `retryAfterMs` is how long to wait first. */
export type Problem = {
	readonly problem: ProblemCode;
	readonly retry: boolean;
	readonly spent: Spent;
	readonly detail: string;
	readonly retryAfterMs?: number;
};

/** Makes a refusal; `spent` can be told better than the list does where the caller knows more. */
export function problem(
	code: ProblemCode,
	detail: string = PROBLEMS[code].says,
	more: { spent?: Spent; retryAfterMs?: number } = {},
): Problem {
	const kind = PROBLEMS[code];
	const base = { problem: code, retry: kind.retry, spent: more.spent ?? kind.spent, detail };
	return more.retryAfterMs === undefined ? base : { ...base, retryAfterMs: more.retryAfterMs };
}

/** Whether an answer is a refusal. */
export function isProblem(answer: unknown): answer is Problem {
	return (
		typeof answer === "object" &&
		answer !== null &&
		"problem" in answer &&
		typeof answer.problem === "string" &&
		answer.problem in PROBLEMS
	);
}

const byWire = new Map<number, ProblemCode>(
	Object.entries(PROBLEMS).map(([code, kind]) => [kind.wire, code as ProblemCode]),
);

/** The code of a problem frame's byte; a byte from a later version reads as `internal`. */
export function problemOfWire(wire: number): ProblemCode {
	return byWire.get(wire) ?? "internal";
}
