/** The programs that the rails are proved with, built once from their Go modules, outside the repository. */

import { goModule } from "#test/bench/peer/depot";

/** Two cores that have other things to do need ten minutes for it; a first time also fetches what it is built from. */
const BUILD_MS_MAX = 1_500_000;

/** The folder that has `lnd` and `btcd`; says plainly why when they could not be built. */
export async function programs(): Promise<string> {
	try {
		return await goModule(
			"lnd",
			"github.com/lightningnetwork/lnd",
			"v0.20.1-beta",
			// btcd at the version that this LND is made with
			{ lnd: "./cmd/lnd", btcd: "github.com/btcsuite/btcd" },
			{ tags: ["invoicesrpc", "signrpc", "walletrpc", "chainrpc"], buildMsMax: BUILD_MS_MAX },
		);
	} catch (error) {
		throw new Error(`LND and btcd could not be built, so nothing was run against them: ${(error as Error).message}`);
	}
}
