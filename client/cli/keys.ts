/**
 * `farelay market keys`: what a market's owner does with its keys, on the offline machine (`root`, `sign`, `revoke`) and on the market's own (`request`,
 * `take`). Passphrases come from files or the environment, never from the command line.
 */

import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fromHex, toHex } from "#contracts/bytes";
import { KEY_BYTES, type KeyPair } from "#contracts/identity";
import { isProblem, type Problem, problem } from "#contracts/problem";
import { systemClock } from "#host/clock";
import { crypto } from "#host/crypto";
import { readSettings, secret } from "#host/env";
import type { Signed } from "#marketplace/keys/root";
import { settingsOf } from "./owner.ts";
import { sayCount, sayMinute } from "./screen.ts";
import { type Call, type Options, textOf } from "./verb.ts";

/** Options of `farelay market keys` beside those of the market's settings. */
export const KEYS_OPTIONS: Options = {
	root: { type: "string" },
	request: { type: "string" },
	count: { type: "string" },
	key: { type: "string" },
};

/** Asked for when nobody says: one, for the next three weeks. */
const COUNT = "1";

/** One call of `farelay market keys`. */
export async function marketKeys(call: Call): Promise<Problem | undefined> {
	const [, asked, file, ...more] = call.words;
	if (more.length > 0 || (file !== undefined && asked !== "take"))
		return problem("usage", `"${more[0] ?? file}" says nothing here. farelay market --help says how.`);
	switch (asked) {
		case undefined:
			return show(call);
		case "root":
			return root(call);
		case "request":
			return request(call);
		case "sign":
			return sign(call);
		case "revoke":
			return revoke(call);
		case "take":
			return take(call, file);
		default:
			return problem("usage", `There is no "${asked}": there are root, request, sign, take and revoke.`);
	}
}

/** The path that an option names. */
function pathOf(call: Call, name: string): string | Problem {
	const given = textOf(call, name);
	return given === undefined ? problem("usage", `Name a file with --${name} PATH.`) : resolve(call.folder, given);
}

/** The folder of keys and its passphrase. */
async function placeOf(call: Call): Promise<{ folder: string; passphrase: string | undefined } | Problem> {
	const config = await settingsOf(call);
	return isProblem(config) ? config : { folder: join(config.dataPath, "keys"), passphrase: config.keysPassphrase };
}

function rootPassphrase(call: Call): string | undefined | Problem {
	const read = readSettings(
		{ rootPassphrase: secret() },
		{ env: { ...call.env, FARELAY_CONFIG: "" }, section: "root" },
	);
	return isProblem(read) ? read : read.rootPassphrase;
}

async function show(call: Call): Promise<Problem | undefined> {
	const place = await placeOf(call);
	if (isProblem(place)) return place;
	const { readFolder, marketOf } = await import("#marketplace/keys/files");
	const found = await readFolder(crypto, place.folder, place.passphrase);
	if (isProblem(found)) return found;
	const market = marketOf(found);
	if (!market && found.held.length === 0) return problem("not-found", `There are no keys in ${place.folder}.`);
	const ended = new Map(found.ends.map(({ key, endedAtMs }) => [toHex(key), endedAtMs]));
	const keys = found.held.map(({ key, own, certificate }) => ({
		key: toHex(key),
		here: own !== undefined,
		fromMs: certificate?.fromMs ?? null,
		untilMs: certificate?.untilMs ?? null,
		endedAtMs: ended.get(toHex(key)) ?? null,
	}));
	const lines = keys.map(({ key, here, fromMs, untilMs, endedAtMs }) => {
		const life =
			fromMs === null || untilMs === null
				? "waits for its certificate"
				: `${sayMinute(fromMs)} to ${sayMinute(untilMs)}`;
		const end = endedAtMs === null ? "" : `, ended by the root on ${sayMinute(endedAtMs)}`;
		return `  ${key}  ${life}${end}${here ? "" : ", not here"}`;
	});
	const root = found.root ? "lies on this machine, so it is no offline root" : "is kept elsewhere";
	const name = market ? toHex(market) : null;
	call.screen.answer({ market: name, rootHere: found.root !== undefined, plain: found.plain, keys }, [
		`The root ${name ?? "(not known yet)"} ${root}.`,
		...lines,
	]);
	return undefined;
}

/** Makes a root, or takes the one that lies with a market to the file. */
async function root(call: Call): Promise<Problem | undefined> {
	const to = pathOf(call, "to");
	if (isProblem(to)) return to;
	const passphrase = rootPassphrase(call);
	if (isProblem(passphrase)) return passphrase;
	const { makeRoot, recordPath, writeSigned } = await import("#marketplace/keys/root");
	const from = textOf(call, "from");
	if (from === undefined) {
		const made = await makeRoot(crypto, to, passphrase);
		if (isProblem(made)) return made;
		const market = toHex(made.publicKey);
		call.screen.answer({ market, path: to }, [
			`Made the root ${market} in ${to}, sealed. Keep two copies of it and of its passphrase, apart: without it no key can be certified or ended.`,
		]);
		return undefined;
	}
	const place = await placeOf(call);
	if (isProblem(place)) return place;
	const { keyPaths, readFolder } = await import("#marketplace/keys/files");
	const folder = join(resolve(call.folder, from), "keys");
	const found = await readFolder(crypto, folder, place.passphrase);
	if (isProblem(found)) return found;
	if (!found.root) return problem("not-found", `There is no root in ${folder}.`);
	const made = await makeRoot(crypto, to, passphrase, found.root);
	if (isProblem(made)) return made;
	await writeSigned(recordPath(to), {
		keys: found.held.flatMap(({ certificate }) => certificate ?? []),
		ends: found.ends,
	});
	await rm(keyPaths(folder).root);
	const market = toHex(made.publicKey);
	call.screen.answer({ market, path: to }, [
		`Took the root ${market} to ${to}, sealed, with ${recordPath(to)} beside it, and removed it from ${folder}.`,
		"Move both files to a machine that is never online. This one has had the root: backups and disks of it may still have it.",
	]);
	return undefined;
}

async function request(call: Call): Promise<Problem | undefined> {
	const { REQUEST_MAX, requestKeys } = await import("#marketplace/keys/request");
	const to = pathOf(call, "to");
	if (isProblem(to)) return to;
	const count = textOf(call, "count") ?? COUNT;
	if (!/^\d$/.test(count) || Number(count) < 1 || Number(count) > REQUEST_MAX)
		return problem("usage", `--count takes a number from 1 to ${REQUEST_MAX}.`);
	const place = await placeOf(call);
	if (isProblem(place)) return place;
	const asked = await requestKeys(crypto, place.folder, Number(count), place.passphrase, to);
	if (isProblem(asked)) return asked;
	call.screen.answer({ keys: asked.map(toHex), path: to }, [
		...asked.map((key) => `  ${toHex(key)}`),
		`Bring ${to} to the offline machine: farelay market keys sign --root ROOT --request ${to} --to CERTIFICATES. There is nothing secret in it.`,
	]);
	return undefined;
}

async function sign(call: Call): Promise<Problem | undefined> {
	const path = pathOf(call, "request");
	if (isProblem(path)) return path;
	const { readRequest } = await import("#marketplace/keys/request");
	const asked = await readRequest(crypto, path);
	if (isProblem(asked)) return asked;
	const { certify } = await import("#marketplace/keys/root");
	return withRoot(call, (pair, before) => certify(crypto, pair, before, asked, systemClock.nowMs()));
}

async function revoke(call: Call): Promise<Problem | undefined> {
	const given = textOf(call, "key");
	const named = given?.split(",").flatMap((hex) => fromHex(hex, KEY_BYTES) ?? []);
	if (named && named.length < (given?.split(",").length ?? 0))
		return problem("usage", "--key takes online keys in hex, with commas between; without it all of them are ended.");
	const { endKeys } = await import("#marketplace/keys/root");
	return withRoot(call, (pair, before) => endKeys(crypto, pair, before, named, systemClock.nowMs()));
}

/** Opens the root, has something signed, and writes it into the root's own record first, then into the file that is to be brought. */
async function withRoot(
	call: Call,
	work: (root: KeyPair, before: Signed) => Signed | Problem,
): Promise<Problem | undefined> {
	const [path, to] = [pathOf(call, "root"), pathOf(call, "to")];
	if (isProblem(path)) return path;
	if (isProblem(to)) return to;
	const passphrase = rootPassphrase(call);
	if (isProblem(passphrase)) return passphrase;
	const { openRoot, readSigned, recordPath, writeSigned } = await import("#marketplace/keys/root");
	const pair = await openRoot(crypto, path, passphrase);
	if (isProblem(pair)) return pair;
	const before = await readSigned(crypto, recordPath(path));
	if (isProblem(before)) return before;
	const after = work(pair, before);
	if (isProblem(after)) return after;
	await writeSigned(recordPath(path), after);
	await writeSigned(to, after);
	const fresh = after.keys.filter((key) => !before.keys.includes(key));
	const ends = after.ends.filter((end) => !before.ends.includes(end));
	call.screen.answer(
		{
			market: toHex(pair.publicKey),
			certified: fresh.map(({ key, fromMs, untilMs }) => ({ key: toHex(key), fromMs, untilMs })),
			ended: ends.map(({ key, endedAtMs }) => ({ key: toHex(key), endedAtMs })),
			path: to,
		},
		[
			...fresh.map(
				({ key, fromMs, untilMs }) => `  certified ${toHex(key)}, ${sayMinute(fromMs)} to ${sayMinute(untilMs)}`,
			),
			...ends.map(({ key }) => `  ended ${toHex(key)}`),
			`Bring ${to} to the market's machines: farelay market keys take ${to}.`,
		],
	);
	return undefined;
}

async function take(call: Call, file: string | undefined): Promise<Problem | undefined> {
	if (file === undefined) return problem("usage", "farelay market keys take FILE");
	const path = resolve(call.folder, file);
	const place = await placeOf(call);
	if (isProblem(place)) return place;
	const { readSigned } = await import("#marketplace/keys/root");
	const signed = await readSigned(crypto, path);
	if (isProblem(signed)) return signed;
	const { takeSigned } = await import("#marketplace/keys/request");
	const taken = await takeSigned(crypto, place.folder, signed, place.passphrase, systemClock.nowMs());
	if (isProblem(taken)) return taken;
	call.screen.answer({ ...taken, market: toHex(taken.market) }, [
		`Took ${sayCount(taken.keys, "certificate")} and ${sayCount(taken.ends, "end")} of keys of the market ${toHex(taken.market)}.`,
		"A market that runs sees them within ten seconds; a new key signs an hour after it was published.",
	]);
	return undefined;
}
