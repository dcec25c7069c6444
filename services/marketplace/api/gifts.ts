/** Gifts between people: to an account, or by a link to whoever has it. A link's code comes in a body, never in an address. */

import { z } from "zod";
import { formatAmount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { HASH_BYTES, KEY_BYTES } from "#contracts/identity";
import { claimGift, type Gift, giftsOf, giveByLink, giveTo, takeGiftBack } from "#marketplace/pass/gift";
import { hex, money } from "./input.ts";
import { accept, router, signed } from "./trpc.ts";

/** A link, as long as any. */
const TYPED_CHARS_MAX = 400;

/** A gift as its giver sees it: not who claimed it. */
function showGift({ hash, state, nanos, untilMs }: Gift) {
	return { hash, state, amount: formatAmount(nanos), untilMs };
}

export const gift = router({
	/** Gives to an account, under an id of the caller's choice. */
	give: signed
		.input(z.strictObject({ id: z.string().regex(/^[\w-]{1,64}$/), to: hex(KEY_BYTES), amount: money }))
		.mutation(async ({ ctx, input }) => {
			const { id, to, amount } = input;
			accept((await giveTo(ctx.market, ctx.account, { id, to: toHex(to), nanos: amount })) ?? "given");
			return { given: formatAmount(amount) };
		}),

	/** Puts a gift aside for whoever brings the code of this hash. */
	offer: signed
		.input(z.strictObject({ hash: hex(HASH_BYTES), amount: money, days: z.int() }))
		.mutation(async ({ ctx, input }) => {
			const { hash, days, amount: nanos } = input;
			return showGift(accept(await giveByLink(ctx.market, ctx.account, { hash, nanos, days })));
		}),

	/** Claims a gift by its code or link. */
	claim: signed.input(z.strictObject({ code: z.string().max(TYPED_CHARS_MAX) })).mutation(async ({ ctx, input }) => {
		const { nanos } = accept(await claimGift(ctx.market, ctx.account, input.code));
		return { amount: formatAmount(nanos) };
	}),

	/** Takes a gift back that nobody claimed yet. */
	takeBack: signed
		.input(z.strictObject({ hash: hex(HASH_BYTES) }))
		.mutation(async ({ ctx, input }) => showGift(accept(await takeGiftBack(ctx.market, ctx.account, input.hash)))),

	/** The caller's gifts by link. */
	list: signed.query(async ({ ctx }) => ({ gifts: (await giftsOf(ctx.market, ctx.account)).map(showGift) })),
});
