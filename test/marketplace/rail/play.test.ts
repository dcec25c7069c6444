import { makePlayRail } from "#marketplace/rail/play";
import { fundingAcceptance } from "#test/acceptance/funding";
import { type RailBench, railAcceptance } from "#test/acceptance/rail";
import { heldClock } from "#test/support/clock";

const open = async (): Promise<RailBench> => {
	const clock = heldClock();
	return {
		rail: makePlayRail(clock),
		amounts: { in: 1_000_000_000n, out: 0n },
		feeMax: 0n,
		nowMs: () => clock.nowMs(),
		// whatever is of the right form was made up, and so is its money
		strange: "abcdef",
		close: async () => {},
	};
};

railAcceptance("of play money", open);
fundingAcceptance("of play money", open);
