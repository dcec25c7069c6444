/** How people come to be paid for: countries, passes, codes, enrollers and quota tokens. Codes and documents come in bodies, never in an address. */

import { z } from "zod";
import { same, toHex } from "#contracts/bytes";
import { HASH_BYTES } from "#contracts/identity";
import { COMMONS_POOL, PASS_BYTES } from "#contracts/pass";
import { problem } from "#contracts/problem";
import { ELEMENT_BYTES, isMonth, monthOf, OUTPUT_BYTES, TOKEN_NONCE_BYTES, TOKENS_MAX } from "#contracts/quota";
import { POOL_BYTES } from "#contracts/tranche";
import type { Market } from "#marketplace/market";
import { BATCH_CODES_MAX, type Batch } from "#marketplace/pass/code";
import { issuePass, lookUp } from "#marketplace/pass/enroll";
import { ABOUT_CHARS_MAX, askToEnroll, type Enroller, enrollerOf, NAME_CHARS_MAX } from "#marketplace/pass/enroller";
import { passesOf } from "#marketplace/pass/facts";
import { batchesOf, giveCodes, takeBatchBack, takeCodeBack } from "#marketplace/pass/give";
import { type Pass, quotaOf, refillsAtMs, usedOf } from "#marketplace/pass/pass";
import { personOf, sayCountry, standingOf } from "#marketplace/pass/person";
import { termsOf } from "#marketplace/pass/pools";
import { redeemCode } from "#marketplace/pass/redeem";
import { drawTokens, keyOfMonth } from "#marketplace/token/draw";
import { endMonth } from "#marketplace/token/end";
import { type Answered, TAGS } from "#marketplace/token/oblivious";
import { spendTokens } from "#marketplace/token/spend";
import { hex } from "./input.ts";
import { accept, open, refusal, router, signed } from "./trpc.ts";

/** Codes, and what people type of them. */
const TYPED_CHARS_MAX = 400;

const id = z.string().regex(/^[0-9a-f]{32}$/);
const poolId = id;
const month = z.int().refine(isMonth, "must be a month like 202611");
const bytes = z
	.string()
	.regex(/^\d{1,18}$/)
	.transform(BigInt);

async function showPass(market: Market, pass: Pass) {
	const nowMs = market.clock.nowMs();
	const { usedMonth, usedDay } = await usedOf(market, pass, nowMs);
	return {
		pool: pass.pool,
		from: pass.from,
		enroller: pass.enroller ?? null,
		/** quota of this month, and what of it was used: bytes */
		monthBytes: quotaOf(pass, nowMs).toString(),
		usedMonth: usedMonth.toString(),
		usedDay: usedDay.toString(),
		validUntilMs: pass.validUntilMs,
	};
}

async function showPerson(market: Market, account: string) {
	const nowMs = market.clock.nowMs();
	const [person, passes] = await Promise.all([personOf(market, account, nowMs), passesOf(market, account, nowMs)]);
	const { country, evidence } = standingOf(person, nowMs);
	return {
		/** the country that counts, and how sure it is */
		country: country ?? null,
		evidence,
		said: person.said ?? null,
		passes: await Promise.all(passes.map((pass) => showPass(market, pass))),
		/** when this month's quota is there anew */
		refillsAtMs: refillsAtMs(nowMs),
	};
}

export const pass = router({
	/** What the account may be paid for by: its country, its passes, what is left of them. */
	show: signed.query(({ ctx }) => showPerson(ctx.market, ctx.account)),

	/** Says where one lives, once in a month. */
	say: signed.input(z.strictObject({ country: z.string().regex(/^[A-Z]{2}$/) })).mutation(async ({ ctx, input }) => {
		accept(await sayCountry(ctx.market, ctx.account, input.country));
		return showPerson(ctx.market, ctx.account);
	}),

	/** Uses a code, typed or as the link that it came in; the same again answers the same pass. */
	redeem: signed.input(z.strictObject({ code: z.string().max(TYPED_CHARS_MAX) })).mutation(async ({ ctx, input }) => {
		const had = accept(await redeemCode(ctx.market, ctx.account, input.code));
		return showPass(ctx.market, had);
	}),
});

function showBatch({ id: batch, state, pool, count, uses, untilMs, days, monthBytes, madeAtMs }: Batch) {
	const isBack = state === "batch-revoked";
	return { batch, pool, isBack, count, uses, untilMs, days, monthBytes: monthBytes.toString(), madeAtMs };
}

const giveInput = z.strictObject({
	batch: id,
	pool: poolId,
	hashes: z.array(hex(HASH_BYTES)).max(BATCH_CODES_MAX),
	uses: z.int(),
	untilMs: z.int(),
	days: z.int(),
	monthBytes: bytes,
});

export const code = router({
	/** Brings the hashes of codes that the caller made for a pool of theirs. */
	give: signed
		.input(giveInput)
		.mutation(async ({ ctx, input }) => showBatch(accept(await giveCodes(ctx.market, ctx.account, input)))),

	/** The caller's batches. */
	list: signed.query(async ({ ctx }) => ({ batches: (await batchesOf(ctx.market, ctx.account)).map(showBatch) })),

	/** Takes a batch back. */
	takeBatch: signed
		.input(z.strictObject({ batch: id }))
		.mutation(async ({ ctx, input }) => showBatch(accept(await takeBatchBack(ctx.market, ctx.account, input.batch)))),

	/** Takes one code back, a sponsor's or an enroller's, by its hash. */
	takeBack: signed.input(z.strictObject({ hash: hex(HASH_BYTES) })).mutation(async ({ ctx, input }) => {
		const { pool, used } = accept(await takeCodeBack(ctx.market, ctx.account, input.hash));
		/** how many people lost a pass by it */
		return { pool, used };
	}),
});

function showEnroller({ account, state, name, about, why, dayMax }: Enroller) {
	return { account, state, name, about, why: why ?? null, dayMax };
}

const showAnswered = ({ evaluated, proof }: Answered) => ({ evaluated: toHex(evaluated), proof: toHex(proof) });

export const enroller = router({
	/** Applies to be an enroller; the market's people decide. */
	ask: signed
		.input(z.strictObject({ name: z.string().max(NAME_CHARS_MAX), about: z.string().max(ABOUT_CHARS_MAX) }))
		.mutation(async ({ ctx, input }) => showEnroller(accept(await askToEnroll(ctx.market, ctx.account, input)))),

	/** What became of the caller's application. */
	show: signed.query(async ({ ctx }) => {
		const found = await enrollerOf(ctx.market, ctx.account);
		if (!found) throw refusal(problem("not-found", "This account has not applied to be an enroller."));
		return showEnroller(found);
	}),

	/** Answers for one person, blinded. */
	lookUp: signed
		.input(z.strictObject({ blinded: hex(ELEMENT_BYTES) }))
		.mutation(async ({ ctx, input }) => showAnswered(accept(await lookUp(ctx.market, ctx.account, input.blinded)))),

	/** Brings a signed pass, for whoever brings its code. */
	issue: signed.input(z.strictObject({ pass: hex(PASS_BYTES) })).mutation(async ({ ctx, input }) => {
		const { pool, untilMs } = accept(await issuePass(ctx.market, ctx.account, input.pass));
		/** until when the code can be used */
		return { pool, untilMs };
	}),
});

const elements = z
	.string()
	.regex(/^(?:[0-9a-f]{2})+$/)
	.max(ELEMENT_BYTES * 2 * TOKENS_MAX)
	.transform((text) => new Uint8Array(Buffer.from(text, "hex")));

const token = z.strictObject({ nonce: hex(TOKEN_NONCE_BYTES), output: hex(OUTPUT_BYTES) });

export const tokens = router({
	/** The market's signed word on an oblivious key: a pool's of this month or the next, or that of tags (month 0). Whoever asks need not say who they are. */
	key: open
		.input(z.strictObject({ pool: hex(POOL_BYTES), month: z.union([z.literal(0), month]) }))
		.query(async ({ ctx: { market }, input }) => {
			const isTags = input.month === TAGS.month && same(input.pool, COMMONS_POOL);
			const nowMs = market.clock.nowMs();
			const isNear = [monthOf(nowMs), monthOf(refillsAtMs(nowMs))].includes(input.month);
			// a key is made for what there is: making one takes milliseconds
			if (!isTags && !(isNear && (await termsOf(market, toHex(input.pool)))))
				throw refusal(problem("not-found", "There is no such key: keys are of pools, for this month and the next."));
			return { key: toHex((await keyOfMonth(market, input.pool, input.month)).bytes) };
		}),

	/** Answers blinded tokens, and takes their quota from the caller's pass. */
	draw: signed
		.input(z.strictObject({ pool: poolId, month, blinded: elements }))
		.mutation(async ({ ctx, input }) => showAnswered(accept(await drawTokens(ctx.market, ctx.account, input)))),

	/** Spends tokens: their quota is the caller's. */
	spend: signed
		.input(z.strictObject({ pool: poolId, month, tokens: z.array(token).max(TOKENS_MAX) }))
		.mutation(async ({ ctx, input }) =>
			showPass(ctx.market, accept(await spendTokens(ctx.market, ctx.account, input))),
		),

	/** Ends a month's tokens of a pool of the caller's. */
	end: signed.input(z.strictObject({ pool: poolId, month })).mutation(async ({ ctx, input }) => {
		accept((await endMonth(ctx.market, ctx.account, input.pool, input.month)) ?? "done");
		return input;
	}),
});
