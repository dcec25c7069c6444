/**
 * Nostr Wallet Connect with nothing made up between the market and the money: the SDK's own client, sealed events over a relay's WebSocket, a wallet whose
 * node is LDK, invoices that are signed and payments that travel over channels. What the relay and the wallet do wrong is in `marketplace/rail/nwc.test.ts`.
 */

import { systemClock } from "#host/clock";
import { openNwc } from "#marketplace/rail/nwc";
import { fundingAcceptance } from "#test/acceptance/funding";
import { railAcceptance } from "#test/acceptance/rail";
import { hubBench } from "#test/support/hub";
import { holdingsOf } from "#test/support/lightning/node";
import { startWallet } from "#test/support/lightning/wallet";
import { fine } from "#test/support/market";

const RANGE = { min: 1_000n, max: 100_000_000n };

const bench = () =>
	hubBench(async (hub) => {
		const wallet = await startWallet(holdingsOf(hub));
		const config = { connection: wallet.connection, network: "regtest", ranges: { in: RANGE, out: RANGE } } as const;
		const rail = fine(openNwc(config, { clock: systemClock }));
		const close = async () => {
			await rail.close();
			await wallet.close();
		};
		return { rail, close };
	});

railAcceptance("of a wallet by Nostr Wallet Connect whose node is real", bench);
fundingAcceptance("of a wallet by Nostr Wallet Connect whose node is real", bench);
