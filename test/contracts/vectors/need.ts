/** Vectors of need prices: what people of each country can pay, and who pays what of a bill. */
import { amount } from "#contracts/amount";
import { ECONOMIES, needPerMb, needPrice, TWO_PERCENT } from "#contracts/need";
import type { Tariff } from "#contracts/tariff";
import { accepted, type VectorFile } from "./case.ts";

export function needVectors(): VectorFile {
	const tariffs: Record<string, Tariff> = {
		usual: { sendPerMb: amount(500_000n), storePerMbDay: amount(1_000n) },
		twice: { sendPerMb: amount(1_000_000n), storePerMbDay: amount(1_000n) },
		most: { sendPerMb: amount(2_000_000n), storePerMbDay: amount(4_000n) },
		"too much to send": { sendPerMb: amount(2_000_001n), storePerMbDay: amount(0n) },
		"too much to keep": { sendPerMb: amount(500_000n), storePerMbDay: amount(4_001n) },
	};
	const fees = { marketPpm: 20_000, solidarityPpm: 20_000 };
	const cases = ["BI", "ET", "MG", "IN", "KE", "BR", "DE"].flatMap((country) =>
		Object.entries(tariffs).flatMap(([name, tariff]) => [
			{ country, name, tariff, mb: 1n, days: 14n },
			{ country, name, tariff, mb: 100n, days: 7n },
		]),
	);
	return {
		contract: "need",
		section: "Price",
		perMb: [...ECONOMIES.values()].map((economy) =>
			accepted(economy.code, { need: needPerMb(economy), twoPercent: needPerMb(economy, TWO_PERCENT) }),
		),
		fees,
		price: cases.map(({ country, name, tariff, mb, days }) => {
			const economy = ECONOMIES.get(country);
			if (!economy) throw new Error(`there is no ${country}`);
			const said = needPrice(economy, tariff, fees, { mb, days });
			return accepted(`${country}, ${name}, ${mb} MB for ${days} days`, { country, tariff, mb, days, ...said });
		}),
	};
}
