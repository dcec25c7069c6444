/**
 * `farelay market`: runs a marketplace; its log goes to standard output, as a service's does. `farelay market statement`, `reconcile`, `doctor` and `keys` are
 * what its owner asks of one, also while it runs.
 */

import { BACKUP_OPTIONS, keepMarket } from "#cli/backup";
import { BY_HAND_OPTIONS, marketPayout } from "#cli/byhand";
import { CANARY_OPTIONS, CANARY_USAGE, marketCanary } from "#cli/canary";
import { DESK_USAGE, marketDesk } from "#cli/desk";
import { HOME_OPTIONS } from "#cli/home";
import { KEYS_OPTIONS, marketKeys } from "#cli/keys";
import { LINES_OPTIONS } from "#cli/lines";
import { MIGRATE_OPTIONS, marketMigrate } from "#cli/migrate";
import { marketDoctor, marketReconcile, marketStatement, OWNER_OPTIONS } from "#cli/owner";
import { marketPrune, PRUNE_OPTIONS } from "#cli/prune";
import { flagsOf, optionsOf } from "#cli/service";
import type { Verb } from "#cli/verb";
import { problem } from "#contracts/problem";

const load = () => import("#marketplace/config");

export const verb: Verb = {
	summary: "runs a marketplace",
	usage: [
		"farelay market [options]",
		"farelay market statement [--data PATH] [--csv|--json [FILE]]     what its fees, its exchanges and the commons got",
		"farelay market reconcile [--data PATH] [--days N] [--accept]     holds each rail against the ledger, and explains every difference",
		"farelay market doctor [--data PATH]                              keys, files, database, disk, clock, rates, rails and its address",
		"farelay market payout [ID] [--data PATH]                         payouts that have not ended; what is known of one, its rail asked",
		"farelay market payout ID --sent --fee N | --failed, --note WHY   ends one by your word, where its rail never says",
		"farelay market backup --to FOLDER [--data PATH]                  copies everything while it runs, and proves the copy",
		"farelay market restore --from BACKUP --data PATH                 brings a backup back; nothing is paid out until",
		"farelay market release [--data PATH] [--anyway]                  its rails say what its ledger says, or its owner knows why not",
		"farelay market prune --to FOLDER [--before DAYS] [--data PATH]   old entries of the ledger into an archive; a market on files is stopped",
		"farelay market keys [--data PATH]                                its keys: which sign when, and where the root is",
		"farelay market keys root --to ROOT [--from PATH]                 offline: makes a root, sealed; --from takes a market's own away from its folder",
		"farelay market keys request --to FILE [--count N]                makes the next online keys, and the request for their certificates",
		"farelay market keys sign --root ROOT --request FILE --to FILE    offline: certifies them",
		"farelay market keys take FILE                                    brings what the root signed into a market, also while it runs",
		"farelay market keys revoke --root ROOT --to FILE [--key KEYS]    offline: ends online keys that were stolen, all unless named",
		"farelay market migrate --from URL --to URL                       everything from sqlite:FOLDER to an empty postgres://..., or back; both stopped",
		...DESK_USAGE,
		...CANARY_USAGE,
		"",
		'Every option is also a variable (--market-ppm is FARELAY_MARKET_PPM) and a name in the "market" part of the JSON file',
		"that FARELAY_CONFIG names. With --play it makes play money, for development, and listens on this machine only.",
		"",
		"  --data PATH               the ledger and the market's keys (./.farelay)",
		"  --database URL            sqlite:FOLDER, or postgres://USER@HOST:PORT/DATABASE with FARELAY_DATABASE_PASSWORD_FILE (the data folder)",
		"  --host HOST, --port N     where it listens (127.0.0.1, 8787)",
		"  --play                    makes play money for whoever asks",
		"  --private-relays          lists relays in a private network too; always so with --play",
		"  --market-ppm N            its fee on top of the ask, in parts per million (20000)",
		"  --solidarity-ppm N        the commons' share on top of the ask, in parts per million (20000)",
		"  --cap DOLLARS             the most that one tab may hold (100)",
		"  --frozen KEYS             accounts that may open nothing until the desk decides otherwise, with commas between",
		"  --defences-off NAMES       turns defences of pools and the commons off, with commas between: homes, room, quota, ... (for trying them)",
		"  --desk KEYS               accounts of the market's people, who decide at its desk, with commas between",
		"  --requests-per-minute N   of one address (1200)",
		"  --cards-per-hour N        that one address may publish (120)",
		"  --wrong-codes-per-hour N  codes and gifts that one address may get wrong (60)",
		"  --proxies N               proxies in front whose X-Forwarded-For is believed (0)",
		"  --rate-sources NAMES      exchanges to ask what a bitcoin costs, with commas between (NAME or NAME=URL, at least three)",
		"  --rate-spread-ppm N       what it keeps of an exchange, in parts per million (5000)",
		"  --fixed-rate DOLLARS      for a bitcoin, and asks nobody; only with --play",
		"  --lnd-url URL             takes and sends Lightning payments by an LND node, with --lnd-macaroon PATH and --lnd-cert PATH",
		"  --phoenixd-url URL        takes and sends them by a phoenixd (http://127.0.0.1:9740), with FARELAY_PHOENIXD_PASSWORD_FILE",
		"  FARELAY_NWC_FILE          takes and sends small ones by a wallet over Nostr Wallet Connect",
		"  --lightning-network NAME  bitcoin unless given; testnet, signet, regtest and simnet for trying",
		"  FARELAY_STRIPE_KEY_FILE   takes cards by Stripe, with FARELAY_STRIPE_EVENT_SECRET_FILE, --public-url and --risk; pays operators by it with",
		"                            FARELAY_STRIPE_THIN_EVENT_SECRET_FILE, which signs the events of their accounts",
		"  --risk DOLLARS            of its own, put aside for card payments that are taken back: without them no card is taken (0)",
		"  --public-url URL          its own address as browsers and providers see it",
		"  --deposits-per-hour N     deposits, payouts and sign-ups that one address may begin, all together (120)",
		"  FARELAY_METRICS_TOKEN_FILE     what whoever asks /metrics from another machine shows",
		"  --payout-journal PATH     where it is written down what rails were told to pay: on another disk (told.jsonl in the data folder)",
		"  FARELAY_KEYS_PASSPHRASE_FILE   seals the key files; FARELAY_ROOT_PASSPHRASE_FILE opens an offline root",
		"  --log-level LEVEL         info unless given",
		"",
		"reconcile asks the rails about what moved in the last 30 days (--days) and about all that has not ended; with --accept, what a rail holds beyond",
		"our movements is taken for the owner's own. Both end with 1 when something is unexplained or bad; doctor with 3 where all that is bad is that somebody",
		"could not be reached.",
	],
	options: async () => ({
		...optionsOf((await load()).MARKET_SETTINGS),
		...LINES_OPTIONS,
		...OWNER_OPTIONS,
		...KEYS_OPTIONS,
		...BACKUP_OPTIONS,
		...BY_HAND_OPTIONS,
		...MIGRATE_OPTIONS,
		...HOME_OPTIONS,
		...CANARY_OPTIONS,
		...PRUNE_OPTIONS,
	}),
	words: true,
	async run(call) {
		const [asked, path, ...more] = call.words;
		if (asked === "keys") return marketKeys(call);
		if (asked === "canary") return marketCanary(call);
		if (asked === "desk") return marketDesk(call, call.words.slice(1));
		if (asked === "backup" || asked === "restore" || asked === "release") return keepMarket(call, asked);
		if (more.length > 0 || (path !== undefined && asked !== "statement" && asked !== "payout"))
			return problem("usage", `"${more[0] ?? path}" says nothing here. farelay market --help says how.`);
		if (asked === "statement") return marketStatement(call, path);
		if (asked === "reconcile") return marketReconcile(call);
		if (asked === "doctor") return marketDoctor(call);
		if (asked === "prune") return marketPrune(call);
		if (asked === "migrate") return marketMigrate(call);
		if (asked === "payout") return marketPayout(call, path);
		if (asked !== undefined)
			return problem(
				"usage",
				`A market has no "${asked}": it has statement, reconcile, doctor, payout, keys, desk, canary, backup, restore, release, prune and migrate.`,
			);
		const { MARKET_SETTINGS } = await load();
		const { runMarketplace } = await import("#marketplace/main");
		return runMarketplace({ flags: flagsOf(call, MARKET_SETTINGS), env: call.env });
	},
};
