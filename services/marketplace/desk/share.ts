/** What of a fund's budget of a month may go where (everyone.md, "Shares"). Pure, and shown to whom it hits. */

/** The market's rules for it, in parts per million of the budget. */
export type ShareRules = {
	readonly operatorSharePpm: number;
	readonly pairSharePpm: number;
	readonly newOperatorsSharePpm: number;
	/** with fewer operators than this it is two parts of as many each */
	readonly operatorsFew: number;
};

/** What follows from them. */
export type ShareLimits = Omit<ShareRules, "operatorsFew">;

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
 * The limits now. Where there are few operators (ten unless told otherwise) a fifth each would not be all, so it is two parts of as many each. What operators with sixty days
 * behind them could not take even if each took all it may, new ones may: else a young market could spend a tenth of its money.
 */
export function shareLimits(rules: ShareRules, { eligible, aged }: OperatorCount): ShareLimits {
	const isFew = eligible > 0 && eligible < rules.operatorsFew;
	const ofFew = isFew ? Math.floor((2 * ALL_PPM) / eligible) : 0;
	const operatorSharePpm = Math.min(ALL_PPM, Math.max(rules.operatorSharePpm, ofFew));
	const left = ALL_PPM - aged * operatorSharePpm;
	return {
		operatorSharePpm,
		pairSharePpm: Math.min(rules.pairSharePpm, operatorSharePpm),
		newOperatorsSharePpm: Math.max(rules.newOperatorsSharePpm, left),
	};
}

/** Whether an operator is new: nothing of a fund's was opened with it, or only lately. */
export function isNewOperator(firstMs: number | undefined, nowMs: number): boolean {
	return firstMs === undefined || nowMs - firstMs < NEW_OPERATOR_MS;
}
