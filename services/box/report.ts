/** What the main job came to: as a person would like to read it, and as one JSON object. */

import { join } from "node:path";
import { formatAmount, formatDollars } from "#contracts/amount";
import { toHex } from "#contracts/bytes";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { REASONS } from "#contracts/reason";
import { crypto } from "#host/crypto";
import { checkDecisions } from "#marketplace/desk/chain";
import { auditFile } from "#marketplace/ledger/sqlite";
import { checkPayouts } from "#marketplace/payout/check";
import { ledgerPath } from "#marketplace/stores";
import { checkTabs } from "#marketplace/tab/check";
import type { Box } from "./box.ts";
import type { Outcome } from "./job.ts";
import { LIGHTNING_RAIL } from "./lightning/rail.ts";
import type { PaidOut } from "./payout.ts";

const KIB_PER_MIB = 1024;

/** A payout as JSON: `nanos` is `net`, `railFee` and `marketFee` together. */
const outOf = ({ paymentHash, ...amounts }: PaidOut) => ({
	paymentHash,
	...Object.fromEntries(Object.entries(amounts).map(([name, value]) => [name, formatAmount(value)])),
});

/** The lines and the object. The ledger is proved as `farelay audit` does it: from the file, beside the market that writes to it. */
export async function tellOf(box: Box, job: Outcome): Promise<{ lines: string[]; out: object } | Problem> {
	const audit = await auditFile(ledgerPath(join(box.data, "market")), [
		checkTabs,
		checkPayouts,
		checkDecisions(crypto),
	]);
	if (isProblem(audit)) return audit;
	if (!audit.holds) return problem("data-corrupt", `The ledger does not hold: ${audit.findings[0]}`);
	const { relay, sha256, bytes, nanos, vouchers, deposit, payout, sponsored } = job;
	const { sendPerMb, storePerMbDay } = relay.tariff;
	const seconds = Math.round(process.uptime() * 1000) / 1000;
	const maxRssMiB = Math.round((process.resourceUsage().maxRSS / KIB_PER_MIB) * 10) / 10;
	const out = {
		sha256,
		bytes: { payload: bytes.payload, sealed: Number(bytes.sealed), received: bytes.received },
		delivery: "kept",
		relay: { id: toHex(relay.key), sendPerMb: formatAmount(sendPerMb), storePerMbDay: formatAmount(storePerMbDay) },
		nanos: Object.fromEntries(Object.entries(nanos).map(([name, value]) => [name, formatAmount(value)])),
		rail: deposit ? LIGHTNING_RAIL : "play",
		...(deposit && { deposit: { paymentHash: deposit.paymentHash, nanos: formatAmount(deposit.nanos) } }),
		...(deposit && { payout: payout ? outOf(payout) : null }),
		sponsored: {
			payer: formatAmount(sponsored.payer),
			pool: formatAmount(sponsored.pool),
			operator: formatAmount(sponsored.operator),
			marketFee: formatAmount(sponsored.marketFee),
			reason: sponsored.reason.code,
		},
		vouchers,
		ledger: { sum: audit.sum.toString(), transfers: audit.transfers },
		dispute: job.dispute,
		data: box.data,
		maxRssMiB,
		seconds,
	};
	const money = (label: string, value: bigint) => {
		const [whole = "", rest = ""] = formatDollars(value).split(".");
		return `    ${label.padEnd(34)} ${whole.padStart(6)}.${rest}`;
	};
	const lines = [
		"",
		`  It arrived as it was sent: ${job.received}`,
		`    SHA-256 ${sha256.received}`,
		"",
		`  Carried by ${relay.url}, which asks ${formatDollars(sendPerMb)} a MB and ${formatDollars(storePerMbDay)} a MB-day kept.`,
		`    Bytes: ${bytes.payload}, sealed ${bytes.sealed}. Vouchers: ${vouchers.signed} signed, ${vouchers.accepted} accepted. Redemptions: ${vouchers.redeemed}.`,
		"",
		"  Who paid what",
		...(deposit ? [money("came in over Lightning", deposit.nanos)] : []),
		money("reserved when the tab was opened", nanos.reserved),
		money("came back when it was closed", nanos.returned),
		money("paid", nanos.payer),
		money("  of it to the operator", nanos.operator),
		money("  of it the market's fee", nanos.marketFee),
		money("  of it to the commons", nanos.commons),
		...(payout
			? [money("went out over Lightning", payout.nanos), money("  of it the market kept by the rate", payout.marketFee)]
			: []),
		"",
		`  A second delivery, free for its sender. ${REASONS[sponsored.reason.code].says}`,
		money("paid by its sender", sponsored.payer),
		money("paid by the pool", sponsored.pool),
		money("  of it to the operator", sponsored.operator),
		money("  of it the market's fee", sponsored.marketFee),
		"",
		...(deposit
			? [`  Payment hashes: in ${deposit.paymentHash}, out ${payout?.paymentHash ?? "none, too little was earned"}.`]
			: []),
		`  The ledger: ${audit.transfers} transfers, all entries sum to ${formatDollars(audit.sum)}.`,
		`  Who owes whom, for anyone to check: npx farelay verify ${job.dispute}`,
	];
	return { lines, out };
}
