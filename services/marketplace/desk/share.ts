/** What of a fund's budget of a month may go where (everyone.md, "Shares"). Pure, and shown to whom it hits. */

/** The market's rules for it, in parts per million of the budget. */
export type ShareRules = {
	readonly operatorSharePpm: number;
	readonly pairSharePpm: number;
	readonly newOperatorsSharePpm: number;
};

/** How many operators there are to be paid, groups counted as one. */
export type OperatorCount = {
	/** that ask little enough and are listed now */
	readonly eligible: number;
	/** of these, with sixty days behind them */
	readonly aged: number;
};

const ALL_PPM = 1_000_000;

/** How long an operator is new, from its first subsidised cent on. */
export const NEW_OPERATOR_MS = 60 * 86_400_000;

/**
 * The limits now. With fewer than ten operators nobody can have as little as a tenth twice over, so it is two parts of as many each. What operators with sixty days
 * behind them could not take even if each took all it may, new ones may: else a young market could spend a tenth of its money.
 */
export function shareLimits(rules: ShareRules, { eligible, aged }: OperatorCount): ShareRules {
	const ofFew = Math.floor((2 * ALL_PPM) / Math.max(1, eligible));
	const operatorSharePpm = Math.min(
		ALL_PPM,
		eligible < 10 ? Math.max(rules.operatorSharePpm, ofFew) : rules.operatorSharePpm,
	);
	const left = ALL_PPM - aged * operatorSharePpm;
	return {
		operatorSharePpm,
		pairSharePpm: Math.min(rules.pairSharePpm, operatorSharePpm),
		newOperatorsSharePpm: Math.max(rules.newOperatorsSharePpm, left),
	};
}

/** So much of a budget, in nano-dollars, rounded down. */
export function shareOf(budget: bigint, ppm: number): bigint {
	return (budget * BigInt(ppm)) / BigInt(ALL_PPM);
}

/** Whether an operator is new: nothing of a fund's was opened with it, or only lately. */
export function isNewOperator(firstMs: number | undefined, nowMs: number): boolean {
	return firstMs === undefined || nowMs - firstMs < NEW_OPERATOR_MS;
}
