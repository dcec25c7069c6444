/** What anyone may ask without being somebody: which relays there are. */

import { z } from "zod";
import { formatAmount } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { isPoolEligible } from "#contracts/need";
import { rank } from "#marketplace/listing/rank";
import { open, router } from "./trpc.ts";

const question = z
	.strictObject({
		country: z
			.string()
			.regex(/^[A-Z]{2}$/)
			.optional(),
		limit: z.int().min(1).max(500).default(100),
	})
	.prefault({});

export const market = router({
	/** Relays with a valid listing, cheapest first. */
	relays: open.input(question).query(async ({ ctx, input }) => {
		const listed = await ctx.market.listings.all(ctx.market.clock.nowMs());
		// one that takes nothing now is not offered: who has a tab there hears it from the relay
		const offers = listed.filter(
			({ takes, country }) => takes && (input.country === undefined || country === input.country),
		);
		return {
			relays: rank(offers)
				.slice(0, input.limit)
				.map((offer) => ({
					relay: toHex(offer.relay),
					operator: toHex(offer.operator),
					url: offer.url,
					country: offer.country,
					bandwidthMbps: offer.bandwidthMbps,
					storageGb: offer.storageGb,
					/** gigabytes a month; 0 for no cap */
					trafficCapGb: offer.trafficCapGb,
					/** gigabytes, rounded down; 0 where nothing caps it */
					storageLeftGb: offer.storageLeftGb,
					trafficLeftGb: offer.trafficLeftGb,
					tariff: {
						sendPerMb: formatAmount(offer.tariff.sendPerMb),
						storePerMbDay: formatAmount(offer.tariff.storePerMbDay),
					},
					/** commons and pools may pay this relay */
					eligible: isPoolEligible(offer.tariff),
					validUntilMs: offer.validUntilMs,
				})),
		};
	}),
});
