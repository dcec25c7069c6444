/**
 * Holds the double of Stripe against Stripe's own mock, wherever that knows an address: what the card rail really asks is asked of both, the mock checks every field
 * of it by Stripe's published description, and what the double answers is what the mock answers, field by field and type by type.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#host/clock";
import type { Rail } from "#marketplace/rail/rail";
import { openStripe } from "#marketplace/rail/stripe";
import { go } from "#test/bench/peer/depot";
import { fine } from "#test/support/market";
import { type Asked, EVENT_SECRET, STRIPE_KEY, type StripeDouble, startStripe } from "#test/support/stripe/double";
import type { Json } from "#test/support/stripe/world";

const VERSION = "v0.203.0";

/** What the market's version of Stripe's API has and the mock's description has not yet. */
const NEWER = ["allowed_payment_method_types[0]"];
/** What the double answers to make its own world go round. */
const OWN = new Set(["cents"]);

/** What Stripe describes and the mock's example leaves out: of a payment by an intent, which one. */
const LEFT_OUT =
	/\.payments\.data\[\]\.payment\.payment_intent$|\/invoice_payments\.data\[\]\.payment\.payment_intent$/;

describe(`the double of Stripe beside stripe-mock ${VERSION}`, () => {
	let mock: ChildProcess;
	let port: number;
	let stripe: StripeDouble;
	let rail: Rail;

	before(async () => {
		const program = await built();
		[port] = [await freePort()];
		mock = spawn(program, ["-http-addr", `127.0.0.1:${port}`, "-https-addr", "127.0.0.1:0"], {
			stdio: "ignore",
		});
		const end = performance.now() + 20_000;
		while (!(await answers(port))) assert.ok(performance.now() < end, "stripe-mock did not come up");
		stripe = await startStripe();
		stripe.world.available = 1_000_000;
		rail = fine(
			await openStripe({
				key: STRIPE_KEY,
				eventSecret: EVENT_SECRET,
				returnUrl: "https://market.example",
				clock: systemClock,
				at: { host: stripe.host, port: stripe.port },
			}),
		);
	});
	after(async () => {
		await rail?.close();
		await stripe?.close();
		if (mock && mock.exitCode === null) {
			mock.kill();
			await once(mock, "exit");
		}
	});

	it("asks what Stripe describes and answers as Stripe does, in all that the card rail does", async (test) => {
		const started = fine(
			await rail.start({ id: "deposit", amount: 2_000n, text: "Relay credit", expiresAtMs: Date.now() + 300_000 }),
		);
		await rail.deposit(started.reference);
		const intent = stripe.pay(started.reference);
		await rail.deposit(started.reference);
		const { body, headers } = stripe.posted(stripe.event("charge.succeeded"));
		await rail.receive?.(body, headers);
		await rail.giveBack?.({ id: "back", reference: started.reference, amount: 500n });
		await rail.deposit(started.reference);
		stripe.dispute(intent);
		await rail.deposit(started.reference);
		const ordered = { amount: 2_000n, text: "Relay credit", expiresAtMs: Date.now() + 300_000 };
		const agreed = fine(await rail.monthly?.start({ ...ordered, id: "monthly" })) ?? assert.fail();
		const subscription = stripe.pay(agreed.reference);
		const running = fine(await rail.deposit(agreed.reference));
		assert.ok(running.state === "monthly");
		for (const month of running.months) {
			assert.equal(fine(await rail.deposit(month)).state, "paid");
			stripe.dispute(stripe.intentOf(month));
		}
		stripe.decline(subscription);
		assert.equal(fine(await rail.deposit(agreed.reference)).state, "monthly");
		for (const type of ["invoice.payment_failed", "charge.dispute.created", "customer.subscription.updated"]) {
			const event = stripe.posted(stripe.event(type));
			await rail.receive?.(event.body, event.headers);
		}
		await rail.monthly?.stop(agreed.reference);
		const never = fine(await rail.monthly?.start({ ...ordered, id: "never" })) ?? assert.fail();
		await rail.monthly?.stop(never.reference);
		const active = { stripe_balance: { stripe_transfers: { status: "active", status_details: [] } } };
		stripe.world.accounts.set("acct_double1", {
			id: "acct_double1",
			configuration: { recipient: { capabilities: active } },
		});
		const payout = { id: "payout", to: "acct_double1", amount: 1_000n, feeMax: 1_000n };
		assert.equal((await rail.pay(payout)).state, "sent");
		await rail.payment(payout);
		await rail.balance();

		const known = new Set<string>();
		const unknown = new Set<string>();
		for (const asked of stripe.asked) {
			const response = await replay(port, asked);
			const answer = (await response.json()) as Json;
			const what = `${asked.method} ${asked.path.replace(/\/(?:cs|pi|in|sub)_[^/]*/, "/:id")}`;
			if (/Unrecognized request URL/.test(String((answer.error as Json | undefined)?.message))) {
				unknown.add(what);
				continue;
			}
			known.add(what);
			assert.equal(response.status, 200, `${what}: ${JSON.stringify(answer.error)}`);
			assert.deepEqual(differences(asked.answer?.body, answer, what), []);
		}
		assert.ok(known.size >= 8, [...known].join(", "));
		test.diagnostic(`held against stripe-mock: ${[...known].sort().join(", ")}`);
		test.diagnostic(
			`not known to it: ${[...unknown].sort().join(", ") || "nothing that was asked"}; left out of requests: ${NEWER.join(", ")}`,
		);
	});

	it("is told by the mock of a request with a field that Stripe does not know", async () => {
		const [asked] = stripe.asked.filter(({ method }) => method === "POST");
		assert.ok(asked);
		assert.equal((await replay(port, { ...asked, raw: `${asked.raw}&nonsense=1` })).status, 400);
	});
});

async function built(): Promise<string> {
	try {
		return (await go("stripe-mock", "github.com/stripe/stripe-mock", VERSION, 600_000)).path;
	} catch (error) {
		throw new Error(`stripe-mock could not be built, so nothing was held against it: ${(error as Error).message}`);
	}
}

async function replay(port: number, { method, path, search, raw }: Asked): Promise<Response> {
	const form = new URLSearchParams(raw);
	for (const name of NEWER) form.delete(name);
	return await fetch(`http://127.0.0.1:${port}${path}${search}`, {
		method,
		headers: { authorization: `Bearer ${STRIPE_KEY}`, "content-type": "application/x-www-form-urlencoded" },
		...(method === "POST" && { body: form.toString() }),
	});
}

/** What the double answers that the mock does not, or as something else. Null is anything: the mock's examples leave other fields empty than ours. */
function differences(ours: unknown, theirs: unknown, at: string): string[] {
	if (ours === null || theirs === null || ours === undefined) return [];
	if (kindOf(ours) !== kindOf(theirs)) {
		// an id where the mock shows the object, or the other way round: Stripe answers either
		const both = [kindOf(ours), kindOf(theirs)].sort().join();
		return both === "object,string" ? [] : [`${at} is ${kindOf(ours)}, and ${kindOf(theirs)} at the mock`];
	}
	if (Array.isArray(ours))
		return (theirs as unknown[]).length > 0
			? ours.flatMap((part) => differences(part, (theirs as unknown[])[0], `${at}[]`))
			: [];
	if (typeof ours !== "object" || at.endsWith(".metadata") || at.endsWith(".source_types")) return [];
	return Object.entries(ours).flatMap(([name, value]) => {
		if (OWN.has(name) || LEFT_OUT.test(`${at}.${name}`)) return [];
		if (!Object.hasOwn(theirs as object, name)) return [`${at}.${name} is not there at the mock`];
		return differences(value, (theirs as Json)[name], `${at}.${name}`);
	});
}

function kindOf(value: unknown): string {
	return Array.isArray(value) ? "array" : typeof value;
}

async function answers(port: number): Promise<boolean> {
	try {
		return (await fetch(`http://127.0.0.1:${port}/v1/balance`, { headers: { authorization: `Bearer ${STRIPE_KEY}` } }))
			.ok;
	} catch {
		await new Promise((resolve) => setTimeout(resolve, 50));
		return false;
	}
}

async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	server.close();
	await once(server, "close");
	return typeof address === "object" && address ? address.port : 0;
}
